//! [`Pretraining::errors`]: how well a trained network predicts hidden genes of cells that no run has seen.
//!
//! What is hidden, and how many genes a cell keeps, is a matter of the settings that are measured by, not of those of
//! the run: so the errors of runs that learn from other cells, tokens or seeds are errors of the same genes.

use scgpt_data::{CellSplit, EpochOrder, ShardFolder};
use scgpt_model::{ModelDir, Strictness};
use scgpt_train::{Metric, Task as _};

use super::{
    BASELINE_CELLS, FOLDER, PretrainConfig, Pretraining, mean_expression, some, task::PretrainTask,
};
use crate::{
    error::{Error, Result},
    training::{Thinning, TrainingCells, VALIDATION_EPOCH},
};

impl Pretraining<'_> {
    /// Number of cells that are trained on.
    pub fn training_cells(&self) -> usize {
        self.split.training().len()
    }

    /// Number of optimiser steps of the whole run, if it does not stop early.
    pub fn steps(&self) -> u64 {
        let batches = self.training_cells().div_ceil(self.config.batch_size) as u64;
        self.config.training.in_force(batches).total_steps(batches)
    }

    /// The errors of hidden genes in squared value bins, `gep`, `gepc` and `mean_expression` first, of the network
    /// that the run has left, over cells of the same vocabulary. The means of genes are those of the cells that it
    /// learned from. Batches, tokens, shares of unknown genes and the seed are those of the settings `by`.
    ///
    /// # Errors
    /// If there is no trained network, shards are broken, or value bins are others than those of `by`.
    pub(crate) fn errors(
        &self,
        held_out: &ShardFolder,
        by: &PretrainConfig,
    ) -> Result<Vec<Metric>> {
        let network = &self.start.network;
        let (bins, of_by) = (network.config.n_bins, by.network.n_bins);
        if bins != of_by {
            let problem = "errors of other value bins cannot be compared";
            return Err(Error::option(format!(
                "the network has {bins} value bins, and is measured by {of_by}: {problem}"
            )));
        }
        held_out.check_vocab(self.shards.vocab())?;
        let choices = by.cell_choices();
        let learned = TrainingCells::new(&self.shards, network, choices)?;
        let cells = TrainingCells::new(held_out, network, choices)?;
        let all: Vec<u32> = (0..).take(held_out.n_cells()).collect();
        let order = EpochOrder::new(all, by.training.seed, VALIDATION_EPOCH);
        let task = PretrainTask {
            mean: mean_expression(&learned, &some(&self.split, BASELINE_CELLS))?,
            // Halves are asked for by the run itself.
            thinning: Thinning::new(&cells, &[])?,
            validation: order.cells_from(0).take(by.validation_cells).collect(),
            cells,
            config: by,
            classes: None,
            split: &CellSplit::new(held_out.n_cells(), 0.0, by.training.seed)?,
        };
        let model = ModelDir::open(self.options.run.join(FOLDER))?;
        let (model, _) = model.load(self.device, Strictness::Strict)?;
        Ok(task.validate(&model, self.device)?)
    }
}
