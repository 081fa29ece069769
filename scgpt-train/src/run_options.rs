//! [`RunOptions`]: where the files of a run go, and who runs it.

use std::path::Path;

use serde_json::Value;

use crate::workers::Workers;

/// Where the files of a run go and how often it is saved; nothing here changes what is learned.
///
/// ```
/// use scgpt_train::RunOptions;
///
/// let mut run = RunOptions::new("runs/first".as_ref());
/// // It is also saved every 500 steps, and the three newest checkpoints stay.
/// run.checkpoint_every = Some(500);
/// run.keep = 3;
/// assert!(!run.resume);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunOptions<'a> {
    /// The folder of the run.
    pub folder: &'a Path,
    /// Everything that must be equal for the run to be resumed: configurations of network, data and
    /// training.
    pub settings: Value,
    /// Whether to go on from the newest checkpoint.
    pub resume: bool,
    /// Optimiser steps between checkpoints. There is one at every validation, too; with `None`
    /// there are no others.
    pub checkpoint_every: Option<u64>,
    /// Number of newest checkpoints that are kept, beside the best.
    pub keep: usize,
    /// Whether blocks are [computed again](scgpt_model::Scgpt::recomputing) for their gradients; with `None` where
    /// [adapters](crate::TrainConfig::lora) learn, on devices that can.
    pub recompute: Option<bool>,
    /// Whether to stop after a few steps, a validation and a checkpoint, which tell what the run needs: see
    /// [`Event::Rehearsed`](crate::Event::Rehearsed).
    pub rehearse: bool,
    /// The workers that share the training, of which this process is one.
    pub workers: &'a Workers,
}

impl<'a> RunOptions<'a> {
    /// A run that begins anew in `folder`, is saved only at its validations, and keeps the newest
    /// checkpoint beside the best.
    pub fn new(folder: &'a Path) -> Self {
        Self {
            folder,
            settings: Value::Null,
            resume: false,
            checkpoint_every: None,
            keep: 1,
            recompute: None,
            rehearse: false,
            workers: &Workers::ALONE,
        }
    }
}
