//! [`Task`]: what the training loop asks of what is trained.

use burn::prelude::Device;
use scgpt_model::Scgpt;

use crate::{error::Result, metric::Metric, schedule::Progress, term::Term, terms::LossTerms};

/// Cells that are learned from together, on the host.
pub trait Batch: Send {
    /// Number of cells.
    fn n_cells(&self) -> usize;

    /// Number of values that are to be predicted: the weight of means over values where the
    /// gradients of several batches are added up.
    fn n_targets(&self) -> usize;
}

/// Batches of cells to learn from, their losses, and a validation.
///
/// A batch is a function of its epoch and index alone, so a run can go on anywhere.
///
/// ```
/// use burn::prelude::Device;
/// use scgpt_model::Scgpt;
/// use scgpt_train::{LossTerms, Metric, Objectives, Progress, Result, Task, TrainBatch};
///
/// /// Learns the hidden values of batches that are in memory.
/// struct InMemory(Vec<TrainBatch>);
///
/// impl Task for InMemory {
///     type Batch = TrainBatch;
///
///     fn batches_per_epoch(&self) -> u64 {
///         self.0.len() as u64
///     }
///
///     fn batch(&self, _epoch: u64, index: u64) -> Result<TrainBatch> {
///         Ok(self.0[index as usize].clone())
///     }
///
///     fn losses(&self, model: &Scgpt, of: &TrainBatch, _: Progress, device: &Device) -> LossTerms {
///         let (input, targets) = of.to_device(device);
///         Objectives { gep: 1.0, ..Objectives::default() }.terms(model, &input, &targets)
///     }
///
///     fn validate(&self, _model: &Scgpt, _device: &Device) -> Result<Vec<Metric>> {
///         Ok(Vec::new()) // The last network is the result.
///     }
/// }
/// # assert_eq!(InMemory(Vec::new()).batches_per_epoch(), 0);
/// ```
pub trait Task: Sync {
    /// A batch of cells on the host; another thread makes it while the device computes.
    type Batch: Batch;

    /// Number of batches in an epoch, the same for every epoch.
    fn batches_per_epoch(&self) -> u64;

    /// Makes batch `index` of epoch `epoch`, both counted from 0.
    ///
    /// # Errors
    /// If the cells cannot be read.
    fn batch(&self, epoch: u64, index: u64) -> Result<Self::Batch>;

    /// The losses of a batch, on a `device` that records gradients.
    fn losses(
        &self,
        model: &Scgpt,
        batch: &Self::Batch,
        progress: Progress,
        device: &Device,
    ) -> LossTerms;

    /// How good the network, which records no gradients, is on cells that it does not learn from.
    /// The metric that [`TrainConfig::select_by`](crate::TrainConfig::select_by) names, or else the
    /// first, which should be the loss, selects the best checkpoint; without metrics the last
    /// network is the result.
    ///
    /// # Errors
    /// If the cells cannot be read.
    fn validate(&self, model: &Scgpt, device: &Device) -> Result<Vec<Metric>>;

    /// Whether the network before the first step may be the result, whatever selects, because it begins with
    /// what the cells say. By a metric that [tells of the start](Metric::tells_of_start) it always
    /// may.
    fn begins_fitted(&self) -> bool {
        false
    }
}

/// The share of a part in averages over several batches: by the number of values, or of cells.
pub(crate) struct Shares {
    values: f64,
    cells: f64,
}

impl Shares {
    /// The shares that `part`, numbers of targets and of cells, has of `all`.
    pub(crate) fn new(part: (usize, usize), all: [u64; 2]) -> Self {
        let share = |part: usize, all: u64| part as f64 / all.max(1) as f64;
        Self { values: share(part.0, all[0]), cells: share(part.1, all[1]) }
    }

    pub(crate) fn of(&self, term: Term) -> f64 {
        if term.is_by_value() { self.values } else { self.cells }
    }
}
