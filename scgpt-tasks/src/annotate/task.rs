//! [`AnnotateTask`]: labelled cells as batches.
//!
//! The class head learns every cell's type from its embedding. Values are hidden only where expression is an
//! objective, too, and batches are told apart only where they are to be confused. A validation computes the
//! cross-entropy, which selects the network, the scores of the most probable types, and whether halves of cells
//! find each other.

use burn::prelude::Device;
use scgpt_data::{EpochOrder, Hide, Mask, Observer, Silent};
use scgpt_model::{CellEncoder, Scgpt};
use scgpt_stats::{ClassScores, subsample};
use scgpt_train::{LossTerms, Metric, Progress, Result, Task, TrainBatch};

use super::{
    calibration::{largest, softmax},
    config::{AnnotateConfig, HeadStart},
    head,
    scored::Scored,
};
use crate::{
    stream::Rows,
    training::{Thinning, TrainingCells, VALIDATION_EPOCH},
};

/// Cells whose tokens are made at a time.
const WINDOW: usize = 1024;
/// Most cells that the class head is fitted to before it learns.
const FITTED_CELLS: usize = 20_000;

/// Cells to learn from, and cells to validate on; all by their numbers in the shards.
pub(super) struct AnnotateTask<'a> {
    pub(super) cells: TrainingCells<'a>,
    pub(super) config: &'a AnnotateConfig,
    /// Class of each cell of the shards. A cell without a label has the number of no class, and is
    /// in no part.
    pub(super) classes: &'a [u32],
    pub(super) class_weights: Vec<f32>,
    /// How frequent classes are, as far as they are to count: by the number of their training cells times
    /// the weight of each.
    pub(super) priors: Vec<f64>,
    /// Batch of each cell, if batches are told apart.
    pub(super) batches: Option<Vec<u32>>,
    pub(super) training: Vec<u32>,
    pub(super) validation: &'a [usize],
    pub(super) thinning: Thinning,
    /// Names of the classes.
    pub(super) names: &'a [String],
    /// Cells computed at once when nothing is learned.
    pub(super) predict_batch: usize,
}

impl AnnotateTask<'_> {
    /// A batch of `cells` (numbers in the shards) with the choices of an epoch: which genes of a cell with too
    /// many, and which values are hidden.
    fn make(&self, cells: &[usize], epoch: u64) -> Result<TrainBatch> {
        let network = self.cells.network;
        let mask = Mask {
            hide: Hide::Share(self.config.hidden_share),
            keep_first: 1,
            pad_value: network.pad_value,
        };
        let made = self.cells.hidden(cells, epoch, mask)?;
        let mut batch = TrainBatch::new(&made, self.cells.pad(), network.pad_value);
        let code = |codes: &[u32], cell: usize| codes[cell].cast_signed();
        let classes = cells.iter().map(|&cell| code(self.classes, cell));
        batch.classes = Some(classes.collect());
        let weight = |&cell: &usize| self.class_weights[self.classes[cell] as usize];
        batch.class_weights = Some(cells.iter().map(weight).collect());
        batch.input.batches = self
            .batches
            .as_ref()
            .map(|batches| cells.iter().map(|&cell| code(batches, cell)).collect());
        Ok(batch)
    }

    /// The network with a class head that is fitted to the embeddings that it has of the training cells.
    pub(super) fn fitted(
        &self,
        mut model: Scgpt,
        observer: &dyn Observer,
    ) -> crate::error::Result<Scgpt> {
        let Some(head) = model.class.take() else { return Ok(model) };
        let chosen = subsample(self.training.len(), FITTED_CELLS, self.cells.seed);
        let chosen: Vec<usize> = chosen.into_iter().map(|at| self.training[at] as usize).collect();
        let classes: Vec<u32> = chosen.iter().map(|&cell| self.classes[cell]).collect();
        let encoder = CellEncoder::new(model.clone(), self.cells.network);
        observer.begin("fitting the class head", chosen.len());
        let rows = self.cells.rows(&encoder, self.predict_batch);
        let mut embeddings = Vec::new();
        for cells in chosen.chunks(WINDOW) {
            let tokens = self.cells.tokens(cells, VALIDATION_EPOCH)?;
            embeddings.extend(rows.of(&tokens, None, observer)?);
        }
        model.class = Some(head::fitted(head, &embeddings, &classes, &self.priors, observer)?);
        Ok(model)
    }

    /// Class scores and embeddings of some cells, with nothing of them hidden.
    pub(super) fn scored(
        &self,
        rows: Rows<'_>,
        cells: &[usize],
        observer: &dyn Observer,
    ) -> crate::error::Result<Scored> {
        let mut scored = Scored { n_classes: self.cells.network.n_classes, ..Scored::default() };
        for cells in cells.chunks(WINDOW) {
            let tokens = self.cells.tokens(cells, VALIDATION_EPOCH)?;
            scored.extend(Scored::of(rows, &tokens, observer)?);
        }
        Ok(scored)
    }
}

impl Task for AnnotateTask<'_> {
    type Batch = TrainBatch;

    fn batches_per_epoch(&self) -> u64 {
        self.cells.n_batches(self.training.len())
    }

    fn batch(&self, epoch: u64, index: u64) -> Result<TrainBatch> {
        let order = |epoch| EpochOrder::new(&*self.training, self.cells.seed, epoch);
        if self.config.shuffle {
            return self.make(&self.cells.batch(&order(epoch), epoch, index)?, epoch);
        }
        let size = self.cells.batch_size;
        let first = usize::try_from(index).unwrap_or(usize::MAX).saturating_mul(size);
        self.make(&order(0).cells_from(first).take(size).collect::<Vec<_>>(), epoch)
    }

    fn losses(&self, model: &Scgpt, batch: &TrainBatch, _: Progress, device: &Device) -> LossTerms {
        let (input, targets) = batch.to_device(device);
        self.config.objectives.terms(model, &input, &targets)
    }

    fn validate(&self, model: &Scgpt, _: &Device) -> Result<Vec<Metric>> {
        if self.validation.is_empty() {
            return Ok(Vec::new());
        }
        let encoder = CellEncoder::new(model.clone(), self.cells.network);
        let rows = self.cells.rows(&encoder, self.predict_batch);
        let scored = self.scored(rows, self.validation, &Silent)?;
        let truth: Vec<u32> = self.validation.iter().map(|&cell| self.classes[cell]).collect();
        let mut metrics = metrics(&scored, &truth, self.names);
        metrics.push(self.thinning.measure(&self.cells, &encoder, self.predict_batch, None)?);
        Ok(metrics)
    }

    fn begins_fitted(&self) -> bool {
        self.config.head == HeadStart::Discriminant && self.config.model.is_none()
    }
}

/// Cross-entropy (the selecting metric), accuracy and macro F1.
fn metrics(scored: &Scored, truth: &[u32], names: &[String]) -> Vec<Metric> {
    let mut loss = 0.0;
    let mut predicted = Vec::with_capacity(truth.len());
    for ((logits, _), &class) in scored.cells().zip(truth) {
        let probabilities = softmax(logits, 1.0);
        loss -= f64::from(probabilities[class as usize].max(f32::MIN_POSITIVE)).ln();
        predicted.push(largest(&probabilities));
    }
    let scores = ClassScores::new(truth, &predicted, names);
    vec![
        Metric::loss("class", loss / truth.len() as f64),
        Metric::score("accuracy", scores.accuracy),
        Metric::score("macro_f1", scores.macro_f1),
    ]
}
