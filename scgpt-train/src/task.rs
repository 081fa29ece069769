//! [`Task`]: what the loop asks of whatever is trained.

use burn::prelude::Device;
use scgpt_model::Scgpt;

use crate::{
    error::Result,
    metric::Metric,
    schedule::Progress,
    terms::{LossTerms, Term},
};

/// Cells that are learned from together, on the host.
pub trait Batch: Send {
    /// Cells.
    fn n_cells(&self) -> usize;

    /// Values that are to be predicted.
    fn n_targets(&self) -> usize;
}

/// Cells to learn from, and what to learn of them.
///
/// A batch is a function of its epoch and index alone, so a run can go on anywhere.
pub trait Task: Sync {
    /// Cells on the host, made by another thread while the device computes.
    type Batch: Batch;

    /// Batches of one epoch, the same in every epoch.
    fn batches_per_epoch(&self) -> u64;

    /// One batch.
    ///
    /// # Errors
    /// If the cells cannot be read.
    fn batch(&self, epoch: u64, index: u64) -> Result<Self::Batch>;

    /// The losses of a batch.
    fn losses(
        &self,
        model: &Scgpt,
        batch: &Self::Batch,
        progress: Progress,
        device: &Device,
    ) -> LossTerms;

    /// How good the network, outside of autodiff, is on cells it does not learn from; the first
    /// metric selects the best checkpoint.
    ///
    /// # Errors
    /// If the cells cannot be read.
    fn validate(&self, model: &Scgpt, device: &Device) -> Result<Vec<Metric>>;
}

/// What terms of several batches are averaged by: the values or the cells they are means over.
pub(crate) struct Shares {
    values: f64,
    cells: f64,
}

impl Shares {
    /// The shares of `(targets, cells)` in `(all targets, all cells)`.
    pub(crate) fn new(part: (usize, usize), all: (usize, usize)) -> Self {
        let share = |part: usize, all: usize| part as f64 / all.max(1) as f64;
        Self { values: share(part.0, all.0), cells: share(part.1, all.1) }
    }

    pub(crate) fn of(&self, term: Term) -> f64 {
        if term.is_by_value() { self.values } else { self.cells }
    }
}
