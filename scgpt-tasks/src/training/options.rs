//! [`LearnOptions`]: what every training of an artefact is told beside its settings.

use std::path::Path;

use burn::prelude::Device;
use scgpt_data::{GeneNames, Layer};
use scgpt_model::{Scgpt, ScgptConfig};
use scgpt_train::{
    Event, Outcome, RunHistory, RunOptions, Task, TrainConfig, TrainObserver, fit, has_checkpoint,
};
use serde_json::Value;

use super::rate::shortfall;
use crate::error::Result;

/// Which matrix an artefact is trained on, and where and how often.
#[derive(Clone, Copy, Debug)]
pub struct LearnOptions<'a> {
    /// The matrix.
    pub layer: &'a Layer,
    /// Where the genes' names are, and how many of them have to be known.
    pub gene_names: &'a GeneNames,
    /// The folder of the artefact; training happens in `training` in it.
    pub output: &'a Path,
    /// Whether to go on from the newest checkpoint.
    pub resume: bool,
    /// Optimiser steps between checkpoints, beside those at validations.
    pub checkpoint_every: Option<u64>,
    /// How often all is done anew with other seeds and other cells held out, at least once; the
    /// artefact is that of the first.
    pub repeats: u64,
}

/// A network on its way, and all that decides what it learns.
pub(crate) struct Run<'a> {
    /// Where checkpoints and logs are.
    pub(crate) folder: &'a Path,
    pub(crate) network: &'a ScgptConfig,
    pub(crate) training: &'a TrainConfig,
    /// Whether the network began as a checkpoint.
    pub(crate) is_fine_tuned: bool,
    /// What has to be the same if the run is to go on.
    pub(crate) settings: Value,
    pub(crate) device: &'a Device,
    pub(crate) watch: &'a dyn TrainObserver,
}

/// What a training leaves.
pub(crate) struct Learned {
    pub(crate) outcome: Outcome,
    pub(crate) history: RunHistory,
    /// What is to be said of steps and rate.
    pub(crate) advice: Option<String>,
}

impl<'a> LearnOptions<'a> {
    /// Once, from the beginning.
    pub fn new(output: &'a Path, layer: &'a Layer) -> Self {
        Self {
            layer,
            gene_names: &GeneNames::BEST,
            output,
            resume: false,
            checkpoint_every: None,
            repeats: 1,
        }
    }
}

impl LearnOptions<'_> {
    /// Trains one network, or goes on with it.
    pub(crate) fn train<T: Task>(&self, task: &T, model: Scgpt, run: Run<'_>) -> Result<Learned> {
        let Run { folder, network, training, is_fine_tuned, settings, device, watch } = run;
        let advice = is_fine_tuned
            .then(|| shortfall(training, network.d_model, task.batches_per_epoch()))
            .flatten();
        if let Some(advice) = &advice {
            watch.event(&Event::Undertrained { advice });
        }
        let options = RunOptions {
            folder,
            settings,
            // Killed before the first checkpoint, it begins anew; of several repeats the later ones may
            // not have begun.
            resume: self.resume && has_checkpoint(folder),
            checkpoint_every: self.checkpoint_every,
            keep: 1,
        };
        let outcome = fit(task, model, network, training, &options, device, watch)?;
        Ok(Learned { outcome, history: RunHistory::read(folder)?, advice })
    }
}
