//! Measures of a trained network on a target.

use std::{collections::BTreeMap, fs, path::Path};

use burn::prelude::Device;
use scgpt_data::{Observer, ShardFolder};
use scgpt_eval::study::Measure;
use scgpt_model::Strictness;
use scgpt_train::{Metric, TrainObserver};

use super::{
    StudyRun,
    embedding::{LabelledRows, of_embedding},
    held_out::HeldOut,
    record::ANNOTATION,
};
use crate::{
    annotate::{AnnotateConfig, AnnotateOptions, Annotation},
    embed::{EmbedOptions, Embedder},
    error::{Error, Result},
    pretrain::{PretrainConfig, Pretraining},
    training::LearnOptions,
};

/// Where a trained network is, and what it is measured by.
pub(super) struct Measured<'a> {
    pub(super) run: &'a StudyRun,
    pub(super) pretraining: &'a Pretraining<'a>,
    pub(super) model: &'a Path,
    /// A folder for what is of no further use.
    pub(super) scratch: &'a Path,
    pub(super) by: &'a PretrainConfig,
    pub(super) device: &'a Device,
}

impl Measured<'_> {
    /// All measures of a target that are asked for.
    pub(super) fn on(
        &self,
        target: &HeldOut,
        watch: &dyn TrainObserver,
        observer: &dyn Observer,
    ) -> Result<BTreeMap<Measure, f64>> {
        let measures = target.config.measures();
        let mut scores = BTreeMap::new();
        if target.config.measures_any(&[Measure::Gep, Measure::Gepc]) {
            let errors = self.errors(&target.shards)?;
            scores.extend(errors.into_iter().filter(|(measure, _)| {
                measures.contains(measure) || *measure == Measure::GeneMeans
            }));
        }
        if target.config.measures_any(&[Measure::Nmi, Measure::Ari, Measure::Mapping])
            && let Some((labels, is_reference)) = target.labels()?
        {
            let (rows, d) = self.embedding(target, observer)?;
            let rows =
                LabelledRows { rows: &rows, d, labels: &labels, is_reference: &is_reference };
            scores.extend(of_embedding(&rows, &measures, self.scratch, observer)?);
        }
        if target.config.measures_any(&[Measure::Annotation]) {
            scores.insert(Measure::Annotation, self.annotation(target, watch, observer)?);
        }
        Ok(scores)
    }

    fn errors(&self, held_out: &ShardFolder) -> Result<Vec<(Measure, f64)>> {
        let metrics = self.pretraining.errors(held_out, self.by)?;
        let names = [
            ("gep", Measure::Gep),
            ("gepc", Measure::Gepc),
            ("mean_expression", Measure::GeneMeans),
        ];
        let measure = |metric: Metric| {
            let name = names.iter().find(|(name, _)| metric.name == *name)?;
            Some((name.1, metric.value))
        };
        Ok(metrics.into_iter().filter_map(measure).collect())
    }

    /// The zero-shot embedding.
    fn embedding(&self, target: &HeldOut, observer: &dyn Observer) -> Result<(Vec<f32>, usize)> {
        let embedder = Embedder::open(self.model, self.device, Strictness::Strict)?;
        let options = EmbedOptions {
            layer: target.config.layer(),
            gene_names: target.config.gene_names(),
            batch_size: self.by.batch_size,
            seed: self.by.training.seed,
            ..EmbedOptions::default()
        };
        let embedding = embedder.embed(&mut target.source()?, &options, observer)?;
        Ok((embedding.all_rows()?, embedding.rows.n_columns()))
    }

    /// The accuracy on held-out cells of the target after fine-tuning on others. It goes on where it was ended; what it
    /// leaves is of no further use.
    fn annotation(
        &self,
        target: &HeldOut,
        watch: &dyn TrainObserver,
        observer: &dyn Observer,
    ) -> Result<f64> {
        let folder = self.scratch.join(format!("{ANNOTATION}{}", target.name()));
        let layer = target.config.layer();
        let gene_names = target.config.gene_names();
        let mut learn = LearnOptions::new(&folder, &layer);
        learn.gene_names = &gene_names;
        learn.resume = true;
        let options = AnnotateOptions::new(target.config.label.as_deref().unwrap_or(""), learn);
        let config = AnnotateConfig { model: Some(self.model.into()), ..self.run.annotate.clone() };
        let mut source = target.source()?;
        let annotation = Annotation::prepare(&source, &config, options, self.device)?;
        let report = annotation.run(&mut source, watch, observer)?;
        let evaluation = report.evaluation.ok_or_else(|| {
            Error::option(format!(
                "target `{}`: no cells are kept to judge annotation by (test_share)",
                target.name()
            ))
        })?;
        drop(fs::remove_dir_all(&folder));
        Ok(evaluation.accuracy.mean)
    }
}
