//! [`read`]: batches are made while the device computes.

use std::sync::mpsc::SyncSender;

use crate::{error::Result, task::Task, workers::Workers};

/// Which batches a worker makes.
#[derive(Clone, Copy)]
pub(crate) struct Share {
    /// Batches of a step.
    pub(crate) accumulate: u64,
    rank: u64,
    size: u64,
}

impl Share {
    pub(crate) fn of(workers: &Workers, accumulate: u64) -> Self {
        let (rank, size) = (workers.rank() as u64, workers.size() as u64);
        Self { accumulate: accumulate.max(1), rank, size }
    }

    /// Whether the batch, by its index in the epoch, is this worker's; every epoch begins with a step.
    fn has(self, index: u64) -> bool {
        index % self.accumulate % self.size == self.rank
    }

    /// Number of this worker's batches in a step of so many.
    pub(crate) fn of_step(self, size: u64) -> usize {
        (0..size).filter(|&index| self.has(index)).count()
    }
}

/// Makes the batches of a worker, and sends them.
pub(crate) fn read<T: Task>(
    task: &T,
    share: Share,
    (first_epoch, first_index): (u64, u64),
    epochs: u64,
    sender: &SyncSender<Result<T::Batch>>,
) {
    for epoch in first_epoch..epochs {
        let first = if epoch == first_epoch { first_index } else { 0 };
        for index in (first..task.batches_per_epoch()).filter(|&index| share.has(index)) {
            let batch = task.batch(epoch, index);
            let is_last = batch.is_err();
            if sender.send(batch).is_err() || is_last {
                return;
            }
        }
    }
}
