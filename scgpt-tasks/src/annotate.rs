//! Labelled cells → an artefact that annotates others.

mod artefact;
mod calibration;
mod card;
mod config;
mod judge;
mod page;
mod predict;
mod report;
mod scored;
mod task;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::prelude::Device;
use scgpt_data::{
    CellSource, GeneVocab, Layer, ShardFolder, ShardOptions, SpecialToken, write_shards,
};
use scgpt_model::{Preprocess, ScgptConfig, write_model_dir};
use scgpt_train::{RunHistory, RunOptions, Watch, fit};
use serde_json::json;

pub use self::{
    artefact::{Artefact, ArtefactRecord},
    calibration::{Calibration, Judgement, Limits, UnknownScore},
    config::{AnnotateConfig, ClassWeights, Recipe},
    predict::{Annotated, AnnotatedCell, PredictOptions},
    report::{AnnotateData, AnnotateReport, ClassSize},
};
use self::{judge::Judge, report::class_sizes, task::AnnotateTask};
use crate::{
    embed::Embedder,
    error::{Error, Result},
    holdout::stratified,
    labels::Labels,
    observe::{Observer, Watched},
    training::{StartingNetwork, TrainingCells},
};

/// Coverage and share of known cells at which an artefact is judged.
const COVERAGE: f64 = 0.9;
const KNOWN_SHARE: f64 = 0.95;

/// What is trained on, and where.
#[derive(Clone, Copy, Debug)]
pub struct AnnotateOptions<'a> {
    /// Column of `obs` with the classes.
    pub label: &'a str,
    /// Column of `obs` with batches, for the objective that confuses them (DAR).
    pub batch_key: Option<&'a str>,
    /// The matrix.
    pub layer: &'a Layer,
    /// Column of `var` with the genes' names; the best one if none.
    pub gene_column: Option<&'a str>,
    /// The folder of the artefact; training happens in `training` in it.
    pub output: &'a Path,
    /// Whether to go on from the newest checkpoint.
    pub resume: bool,
    /// Optimiser steps between checkpoints, beside those at validations.
    pub checkpoint_every: Option<u64>,
    /// Cells computed at once when nothing is learned.
    pub predict_batch: usize,
}

impl AnnotateOptions<'_> {
    fn run(&self) -> PathBuf {
        self.output.join("training")
    }
}

/// Labelled cells and a network that can begin to learn from them.
#[derive(Debug)]
pub struct Annotation<'a> {
    config: &'a AnnotateConfig,
    options: AnnotateOptions<'a>,
    device: &'a Device,
    start: StartingNetwork,
    vocab: GeneVocab,
    labels: Labels,
    /// Classes left out because they have too few cells.
    dropped: Vec<String>,
    batches: Option<Labels>,
}

impl<'a> Annotation<'a> {
    /// Checks that labels, settings and network are sound and belong together; writes nothing.
    ///
    /// # Errors
    /// If the label column is missing, numeric or has fewer than two classes with enough cells; if
    /// the settings contradict themselves or the network; if the model cannot be opened or knows
    /// too few of the genes.
    pub fn prepare(
        source: &dyn CellSource,
        config: &'a AnnotateConfig,
        options: AnnotateOptions<'a>,
        device: &'a Device,
    ) -> Result<Self> {
        config.validate()?;
        let obs = source.obs()?;
        let mut labels = Labels::read(&obs, options.label)?;
        let dropped = labels.drop_small(config.min_cells);
        if labels.classes.len() < 2 {
            return Err(Error::Option(format!(
                "column `{}` of `obs` has {} with at least {} cells, expected two classes or more to tell apart",
                options.label,
                match labels.classes.as_slice() {
                    [] => "no class".into(),
                    [only, ..] => format!("one class (`{only}`)"),
                },
                config.min_cells,
            )));
        }
        let batches = options.batch_key.map(|key| Labels::read(&obs, key)).transpose()?;
        let n_batches = batches.as_ref().map_or(0, |batches| batches.classes.len());
        if let Some(batches) = &batches {
            check_batches(batches, options.batch_key.unwrap_or_default(), config)?;
        }
        let var = source.var(options.layer)?;
        let adapt = |network: ScgptConfig| ScgptConfig {
            n_classes: labels.classes.len(),
            dropout: config.network.dropout,
            dar: n_batches > 0,
            n_domains: n_batches,
            ..network
        };
        let seed = config.training.seed;
        let (mut start, vocab) = match &config.model {
            Some(path) => {
                let heads = ["cls_decoder.", "grad_reverse_discriminator."];
                let (start, vocab) = StartingNetwork::open(
                    path,
                    |network| Ok(adapt(network)),
                    &heads,
                    seed,
                    device,
                )?;
                vocab.align(&var, options.gene_column)?;
                (start, vocab)
            }
            None => {
                let vocab = GeneVocab::from_genes([&var], options.gene_column)?;
                let pad = vocab.special(SpecialToken::Pad).0 as usize;
                let network = adapt(config.network.network(vocab.len(), pad));
                let preprocess = Preprocess { max_length: config.max_length, cls_value: 0.0 };
                (StartingNetwork::new(network, preprocess, seed, device)?, vocab)
            }
        };
        start.preprocess = Preprocess { max_length: config.max_length, cls_value: 0.0 };
        config.objectives.check(&start.config)?;
        config.training.validate(&start.config)?;
        Ok(Self { config, options, device, start, vocab, labels, dropped, batches })
    }

    /// Trains, calibrates, judges, and writes the artefact.
    ///
    /// # Errors
    /// If cells cannot be read or a file cannot be written, and everything that stops [`fit`].
    pub fn run(
        self,
        source: &mut dyn CellSource,
        watch: &dyn Watch,
        observer: &dyn Observer,
    ) -> Result<AnnotateReport> {
        let shards = self.shards(source, observer)?;
        let Self { config, options, device, start, vocab, labels, dropped, batches } = self;
        let StartingNetwork { config: network, preprocess, model } = start;

        // From here on a cell is its number in the shards, which lack cells without known genes.
        let ids: Vec<usize> = (0..shards.n_cells())
            .map(|cell| Ok(usize::try_from(shards.id(cell)?).unwrap_or(usize::MAX)))
            .collect::<Result<_>>()?;
        let codes: Vec<Option<u32>> = ids.iter().map(|&id| labels.codes[id]).collect();
        let seed = config.training.seed;
        let parts = stratified(&codes, &[config.validation_share, config.test_share], seed);
        let [training, validation, test]: [Vec<usize>; 3] = parts.try_into().unwrap_or_default();
        let mut counts = vec![0; labels.classes.len()];
        for &cell in &training {
            counts[codes[cell].unwrap_or_default() as usize] += 1;
        }
        let task = AnnotateTask {
            cells: TrainingCells {
                shards: &shards,
                network: &network,
                cls_value: preprocess.cls_value,
                tie_mode: config.tie_mode,
                max_length: config.max_length,
                batch_size: config.batch_size,
                seed,
            },
            config,
            classes: codes.iter().map(|code| code.unwrap_or_default()).collect(),
            class_weights: config.class_weights.of(&counts),
            batches: batches.map(|batches| {
                ids.iter().map(|&id| batches.codes[id].unwrap_or_default()).collect()
            }),
            training: training.iter().filter_map(|&cell| u32::try_from(cell).ok()).collect(),
            validation,
            names: labels.classes.clone(),
            predict_batch: options.predict_batch,
        };
        let run = RunOptions {
            folder: &options.run(),
            settings: json!({
                "config": config,
                "network": network,
                "label": options.label,
                "classes": labels.classes,
                "cells": shards.manifest().shards,
            }),
            resume: options.resume,
            checkpoint_every: options.checkpoint_every,
            keep: 1,
        };
        let outcome = fit(&task, model, &network, &config.training, &run, device, watch)?;
        let history = RunHistory::read(run.folder)?;
        let embedder = Embedder::new(outcome.model.clone(), network.clone(), preprocess, vocab)?;
        let judge = Judge { task: &task, rows: embedder.rows(options.predict_batch), observer };
        let calibration = judge.calibrate(&training, config.unknown_score)?;
        let judged = judge.judge(&calibration, &test, &labels.classes)?;
        let report = AnnotateReport {
            data: AnnotateData {
                path: source.summary().path.display().to_string(),
                label: options.label.into(),
                classes: class_sizes(
                    &labels.classes,
                    &task.classes,
                    [&training, &task.validation, &test],
                ),
                dropped,
                unlabelled: labels.n_missing(),
                without_genes: source.summary().n_cells - shards.n_cells(),
                input_state: shards.manifest().sources.first().map(|source| source.input_state),
            },
            config: config.clone(),
            network: network.clone(),
            steps: outcome.steps,
            best: outcome.best.clone(),
            stopped_early: outcome.stopped_early,
            calibration: calibration.clone(),
            evaluation: judged.as_ref().map(|judged| judged.evaluation.clone()),
            uncalibrated: judged.as_ref().map(|judged| judged.uncalibrated.clone()),
            training: history.steps,
            validation: history.validations,
            judged,
        };
        let record = ArtefactRecord {
            format: 0,
            version: String::new(),
            label: options.label.into(),
            classes: labels.classes.clone(),
            counts,
            max_length: config.max_length,
            tie_mode: config.tie_mode,
            seed,
            calibration,
            files: BTreeMap::new(),
        };
        let built = run.folder.join("artefact");
        write_model_dir(
            &built,
            true,
            &network,
            &preprocess,
            &run.folder.join("cells").join(&shards.manifest().vocab.file),
            &card::text(&report),
            |path| outcome.model.save(path),
        )?;
        record.publish(&built, options.output)?;
        // What is left are the logs: checkpoints and cells are large, and of no further use.
        for folder in ["checkpoints", "cells"] {
            drop(std::fs::remove_dir_all(run.folder.join(folder)));
        }
        Ok(report)
    }

    /// The cells as tokens, in the folder of the run; of a run that goes on, they are there.
    fn shards(&self, source: &mut dyn CellSource, observer: &dyn Observer) -> Result<ShardFolder> {
        let folder = self.options.run().join("cells");
        if !(self.options.resume && folder.exists()) {
            let options = ShardOptions {
                layer: self.options.layer.clone(),
                gene_column: self.options.gene_column.map(str::to_owned),
                overwrite: true,
                ..ShardOptions::default()
            };
            observer.begin("reading cells", source.summary().n_cells);
            let mut watched = Watched { source, observer };
            let sources: [&mut dyn CellSource; 1] = [&mut watched];
            write_shards(sources, &self.vocab, &folder, options)?;
        }
        Ok(ShardFolder::open(&folder)?)
    }
}

/// That batches can be told apart.
fn check_batches(batches: &Labels, key: &str, config: &AnnotateConfig) -> Result<()> {
    if config.objectives.dar == 0.0 {
        return Err(Error::Option(format!(
            "batch key `{key}` is of use to the DAR objective only: set `objectives.dar`, such as 1"
        )));
    }
    if batches.classes.len() < 2 || batches.n_missing() > 0 {
        return Err(Error::Option(format!(
            "column `{key}` of `obs` has {} batches and {} cells without one, expected at least two, and every cell in one",
            batches.classes.len(),
            batches.n_missing()
        )));
    }
    Ok(())
}
