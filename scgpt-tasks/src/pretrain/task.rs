//! [`PretrainTask`]: cells of shards as batches with known and unknown genes.
//!
//! Each cell draws in every epoch which share of its genes is unknown, and which genes these are.
//! The network predicts the values of the unknown genes from the known ones and, once it has
//! learned something, also from its own embedding of the cell (cell prompt). Paper: Cui et al.,
//! *scGPT*, Nature Methods 2024, generative pre-training.

use burn::prelude::Device;
use scgpt_data::{CellSplit, GeneToken, Keyed, Purpose, split};
use scgpt_model::{CellEncoder, Scgpt};
use scgpt_train::{LossTerms, Metric, Progress, Result, Task, TrainBatch, TrainCell};

use super::{config::PretrainConfig, imputation};
use crate::{
    mean_expression::MeanExpression,
    training::{Thinning, TrainingCells, VALIDATION_EPOCH},
};

/// Cells to learn from, and held-out ones.
pub(super) struct PretrainTask<'a> {
    pub(super) cells: TrainingCells<'a>,
    pub(super) config: &'a PretrainConfig,
    /// Class of each cell of the shards, if classes are learned.
    pub(super) classes: Option<&'a [i32]>,
    pub(super) split: &'a CellSplit,
    /// Cells to validate on.
    pub(super) validation: Vec<usize>,
    pub(super) thinning: Thinning,
    /// The means of genes, a guess without a network to compare with.
    pub(super) mean: MeanExpression,
}

impl PretrainTask<'_> {
    /// A batch of `cells` (numbers in the shards) with the choices of an epoch; the given `share`
    /// of their genes is unknown or, with `None`, the share that each cell draws.
    fn make(&self, cells: &[usize], epoch: u64, share: Option<f64>) -> Result<TrainBatch> {
        let mut made = Vec::with_capacity(cells.len());
        for (&cell, tokens) in cells.iter().zip(self.cells.tokens(cells, epoch)?) {
            let key = Keyed::new(self.cells.seed, Purpose::Split, epoch, cell as u64);
            let shares = &self.config.unknown_shares;
            // The last index is no gene's, so the share and the genes are drawn apart.
            let share = share.unwrap_or_else(|| shares[index(key.uniform(u64::MAX), shares.len())]);
            let order = |gene: GeneToken| key.bits(u64::from(gene.0));
            let [known, unknown] = split(&tokens, share, 1, self.config.max_length, order);
            made.push(TrainCell { known, hidden: Vec::new(), unknown });
        }
        let mut batch = TrainBatch::new(&made, self.cells.pad(), self.cells.network.pad_value);
        batch.classes =
            self.classes.map(|classes| cells.iter().map(|&cell| classes[cell]).collect());
        Ok(batch)
    }
}

impl Task for PretrainTask<'_> {
    type Batch = TrainBatch;

    fn batches_per_epoch(&self) -> u64 {
        self.cells.n_batches(self.split.training().len())
    }

    fn batch(&self, epoch: u64, index: u64) -> Result<TrainBatch> {
        let order = self.split.order(epoch);
        let order = match self.config.shuffle_window {
            Some(window) => order.windowed(window),
            None => order,
        };
        self.make(&self.cells.batch(&order, epoch, index)?, epoch, None)
    }

    fn losses(
        &self,
        model: &Scgpt,
        batch: &TrainBatch,
        progress: Progress,
        device: &Device,
    ) -> LossTerms {
        let (input, targets) = batch.to_device(device);
        let mut objectives = self.config.objectives;
        if progress.step < self.config.cell_prompt_after {
            objectives.cell_prompt = 0.0;
        }
        objectives.terms(model, &input, &targets)
    }

    fn validate(&self, model: &Scgpt, device: &Device) -> Result<Vec<Metric>> {
        let mut errors = Vec::new();
        for &share in &self.config.unknown_shares {
            let mut sum = imputation::Errors::default();
            for cells in self.validation.chunks(self.config.batch_size) {
                let batch = self.make(cells, VALIDATION_EPOCH, Some(share))?;
                sum.add(model, &batch, &self.mean, device);
            }
            errors.push((share, sum));
        }
        let mut metrics = imputation::metrics(&errors);
        if self.thinning.sizes().is_some() {
            let encoder = CellEncoder::new(model.clone(), self.cells.network);
            let batch_size = self.config.batch_size;
            metrics.push(self.thinning.measure(&self.cells, &encoder, batch_size, None)?);
        }
        Ok(metrics)
    }
}

/// A number of `0..n`, from one in `[0, 1)`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number in 0..n")]
fn index(uniform: f64, n: usize) -> usize {
    ((uniform * n as f64) as usize).min(n - 1)
}
