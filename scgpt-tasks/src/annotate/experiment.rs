//! [`AnnotateExperiment`]: a network that learns one seed's part of the labelled cells.
//!
//! The seed decides which cells are learned from, how the class head begins, and in which order cells come, so that
//! several seeds tell how much of a score is luck.

use std::borrow::Cow;

use scgpt_data::{CellSource, ShardFolder, SpecialToken, narrow};
use scgpt_model::{GepcStyle, NetworkPart, Preprocess, Scgpt, ScgptConfig};
use scgpt_stats::stratified;
use scgpt_train::{Task as _, TrainConfig};
use serde_json::{Map, Value, json};

use super::{
    AnnotateConfig, Annotation,
    sizes::{ClassSize, class_sizes},
    task::AnnotateTask,
    verdict::LabelVerdict,
};
use crate::{
    embed::Embedder,
    error::Result,
    training::{
        CoExpression, Codes, Experiment, Session, StartingNetwork, ThinnedCells, Thinning, Trained,
        TrainingCells,
    },
};

/// Stands for the class of a cell that has none. No class has this number, so to use it as one is
/// an error.
pub(super) const NO_CLASS: u32 = u32::MAX;
/// Parts of the network that a checkpoint need not have.
const NEW_PARTS: [NetworkPart; 4] =
    [NetworkPart::Class, NetworkPart::Dar, NetworkPart::Gepc, NetworkPart::ZeroProbability];

/// One seed's training on labelled cells.
pub(super) struct AnnotateExperiment<'a> {
    pub(super) annotation: &'a Annotation<'a>,
    pub(super) session: &'a Session<'a>,
    pub(super) config: AnnotateConfig,
}

/// Parts of the cells, by their numbers in the shards.
pub(super) struct LabelledParts {
    /// Cells to learn from, cells that select and calibrate, and cells that judge.
    pub(super) training: Vec<usize>,
    pub(super) validation: Vec<usize>,
    pub(super) test: Vec<usize>,
    /// The class of each cell; unseen classes come after those that are learned.
    pub(super) classes: Vec<u32>,
    /// Names of the classes, in the order of their numbers.
    pub(super) names: Vec<String>,
    pub(super) learned: Vec<ClassSize>,
    pub(super) unseen: Vec<ClassSize>,
}

impl Annotation<'_> {
    /// The network before its first step.
    ///
    /// # Errors
    /// If the checkpoint does not fit the settings.
    pub(super) fn start(&self) -> Result<StartingNetwork> {
        let n_batches = self.batches.as_ref().map_or(0, |batches| batches.classes.len());
        let objectives = &self.config.objectives;
        let adapt = |network: ScgptConfig| ScgptConfig {
            n_classes: self.labels.classes.len(),
            dar: n_batches > 0,
            n_domains: n_batches,
            gepc: network.gepc.or((objectives.gepc > 0.0).then_some(GepcStyle::InnerProduct)),
            zero_probability: network.zero_probability
                || objectives.gep_zero + objectives.gepc_zero > 0.0,
            ..self.config.network.over(&network)
        };
        let preprocess = Preprocess { max_length: self.config.max_length, cls_value: 0.0 };
        let Some(checkpoint) = &self.checkpoint else {
            let pad = self.vocab.special(SpecialToken::Pad).0 as usize;
            let network = adapt(self.config.network.network(self.vocab.len(), pad));
            let network = ScgptConfig { cell_pooling: self.config.pooling, ..network };
            return Ok(StartingNetwork::new(network, preprocess, self.config.start));
        };
        let start = StartingNetwork::of(checkpoint, adapt, &NEW_PARTS)?
            .with_new_genes(self.config.new_genes, self.vocab.len());
        Ok(StartingNetwork { preprocess, ..start })
    }
}

impl<'a> AnnotateExperiment<'a> {
    /// One training of the experiment, by the settings `training`.
    pub(super) fn new(
        annotation: &'a Annotation<'a>,
        session: &'a Session<'a>,
        training: TrainConfig,
    ) -> Self {
        let config = AnnotateConfig { training, ..annotation.config.clone() };
        Self { annotation, session, config }
    }

    /// Cells as tokens, and how they become batches of the network `start`.
    pub(super) fn cells<'t>(
        &'t self,
        shards: &'t ShardFolder,
        start: &'t StartingNetwork,
    ) -> Result<TrainingCells<'t>> {
        Ok(TrainingCells::new(shards, start, self.config.cell_choices())?)
    }
}

impl Experiment for AnnotateExperiment<'_> {
    type Parts = LabelledParts;
    type Task<'t>
        = AnnotateTask<'t>
    where
        Self: 't;
    type Verdict = LabelVerdict;

    fn training(&self) -> &TrainConfig {
        &self.config.training
    }

    fn start(&self) -> Result<StartingNetwork> {
        self.annotation.start()
    }

    fn split(&self) -> Result<LabelledParts> {
        let Annotation { labels, unseen, .. } = self.annotation;
        let AnnotateConfig { validation_share, test_share, training, .. } = &self.config;
        let ids = &self.session.ids;
        let codes: Vec<Option<u32>> = ids.iter().map(|&id| labels.codes[id]).collect();
        let [training, validation, mut test] =
            stratified(&codes, &[*validation_share, *test_share], training.seed);
        let names: Vec<String> = labels.classes.iter().chain(&unseen.classes).cloned().collect();
        let n_known = narrow(labels.classes.len());
        let code = |id: &usize| labels.codes[*id].or_else(|| Some(n_known + unseen.codes[*id]?));
        let classes: Vec<u32> = ids.iter().map(|id| code(id).unwrap_or(NO_CLASS)).collect();
        // All cells of unseen classes are judged.
        test.extend((0..classes.len()).filter(|&it| (n_known..NO_CLASS).contains(&classes[it])));
        test.sort_unstable();
        let mut learned = class_sizes(&names, &classes, [&training, &validation, &test]);
        let unseen = learned.split_off(labels.classes.len());
        Ok(LabelledParts { training, validation, test, classes, names, learned, unseen })
    }

    fn task<'t>(
        &'t self,
        start: &'t StartingNetwork,
        parts: &'t LabelledParts,
    ) -> Result<AnnotateTask<'t>> {
        let Annotation { options, labels, batches, .. } = self.annotation;
        let counts: Vec<usize> = parts.learned.iter().map(|class| class.training).collect();
        let class_weights = self.config.class_weights.of(&counts);
        // Without a cell to learn from, as of half of one.
        let prior = |(&n, &weight): (&usize, &f32)| (n as f64).max(0.5) * f64::from(weight);
        let batch = |id: &usize| batches.as_ref()?.codes[*id];
        let of_cells = batches.as_ref().and_then(|_| self.session.ids.iter().map(batch).collect());
        let cells = self.cells(&self.session.shards, start)?;
        Ok(AnnotateTask {
            thinning: Thinning::new(&cells, &parts.validation)?,
            cells,
            config: &self.config,
            classes: &parts.classes,
            priors: counts.iter().zip(&class_weights).map(prior).collect(),
            class_weights,
            batches: of_cells,
            training: parts.training.iter().map(|&cell| narrow(cell)).collect(),
            validation: &parts.validation,
            names: &labels.classes,
            predict_batch: options.predict_batch,
        })
    }

    fn co_expression(
        &self,
        parts: &LabelledParts,
        task: &AnnotateTask<'_>,
        n: usize,
    ) -> Result<CoExpression> {
        CoExpression::of(&task.cells, &parts.training, n, self.session.observer)
    }

    fn fitted(
        &self,
        mut model: Scgpt,
        start: &StartingNetwork,
        task: &AnnotateTask<'_>,
    ) -> Result<Scgpt> {
        let Session { device, observer, .. } = *self.session;
        if self.config.objectives.gep + self.config.objectives.gepc > 0.0 {
            model = start.fit_heads(model, task, device, observer)?;
        }
        if task.begins_fitted() { task.fitted(model, observer) } else { Ok(model) }
    }

    fn thinned(&self, task: &AnnotateTask<'_>) -> Option<ThinnedCells> {
        task.thinning.sizes()
    }

    fn settings(&self, _: &LabelledParts) -> Map<String, Value> {
        let Annotation { options, labels, unseen, .. } = self.annotation;
        Map::from_iter([
            ("config".into(), json!(self.config)),
            ("label".into(), json!(options.label)),
            ("classes".into(), json!(labels.classes)),
            ("unseen".into(), json!(unseen.classes)),
        ])
    }

    fn codes<'t>(&'t self, _: &'t AnnotateTask<'_>) -> Codes<'t> {
        let Annotation { labels, unseen, batches, .. } = self.annotation;
        let batches = batches.as_ref().map_or(&[][..], |batches| &batches.codes);
        vec![
            ("labels", Cow::Borrowed(&labels.codes)),
            ("unseen labels", Cow::Borrowed(&unseen.codes)),
            ("batches", Cow::Borrowed(batches)),
        ]
    }

    fn judge(
        &self,
        source: &mut dyn CellSource,
        parts: &LabelledParts,
        task: &AnnotateTask<'_>,
        trained: &Trained,
    ) -> Result<LabelVerdict> {
        let Trained { network, preprocess, .. } = trained;
        let (model, vocab) = (trained.model().clone(), self.annotation.vocab.clone());
        let embedder = Embedder::new(model, network.clone(), *preprocess, vocab)?;
        let rows = embedder.rows(self.annotation.options.predict_batch)?;
        let observer = self.session.observer;
        let score = |cells: &[usize]| task.scored(rows, cells, observer);
        let network = self.answers(&task.cells, parts, &score)?;
        self.among(source, parts, network)
    }
}

impl LabelledParts {
    /// The same parts by the numbers that their cells have in other shards; both are given by the cell of
    /// the source that each has.
    pub(super) fn moved(&self, from: &[usize], to: &[usize]) -> Self {
        let moved = |part: &[usize]| -> Vec<usize> {
            part.iter().filter_map(|&cell| to.binary_search(&from[cell]).ok()).collect()
        };
        let mut classes = vec![NO_CLASS; to.len()];
        for (cell, &class) in self.classes.iter().enumerate() {
            if let Ok(there) = to.binary_search(&from[cell]) {
                classes[there] = class;
            }
        }
        Self {
            training: moved(&self.training),
            validation: moved(&self.validation),
            test: moved(&self.test),
            classes,
            names: self.names.clone(),
            learned: self.learned.clone(),
            unseen: self.unseen.clone(),
        }
    }
}
