//! [`LearnOptions`]: what every training of an artefact is told beside its settings.

use std::path::Path;

use burn::prelude::Device;
use scgpt_data::{GeneNames, Layer};
use scgpt_train::{
    Event, RunHistory, RunOptions, Task, TrainConfig, TrainObserver, fit, has_checkpoint,
};
use serde_json::Value;

use super::{GeneVectors, StartingNetwork, Trained, rate::shortfall};
use crate::error::Result;

/// Which matrix an artefact is trained on, where it goes, and how often the training is repeated.
///
/// ```
/// use std::path::Path;
///
/// use scgpt_data::Layer;
/// use scgpt_tasks::LearnOptions;
///
/// let mut learn = LearnOptions::new(Path::new("immune.model"), &Layer::X);
/// learn.repeats = 3;
/// assert!(!learn.resume);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LearnOptions<'a> {
    /// The matrix that cells are read from.
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

/// Where a network learns, and all that decides what.
pub(super) struct Run<'a> {
    /// Where checkpoints and logs are.
    pub(super) folder: &'a Path,
    /// How long, how fast, and from which seed.
    pub(super) training: &'a TrainConfig,
    /// What has to be the same if the run is to go on.
    pub(super) settings: Value,
    pub(super) device: &'a Device,
    pub(super) watch: &'a dyn TrainObserver,
}

impl<'a> LearnOptions<'a> {
    /// One training from the beginning, with the best column of gene names and the usual checkpoints.
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
    /// Trains one network, which begins with the gene `vectors` if it is new, or goes on with it.
    pub(super) fn train(
        &self,
        task: &impl Task,
        start: &StartingNetwork,
        vectors: impl FnOnce() -> Result<Option<GeneVectors>>,
        run: Run<'_>,
    ) -> Result<Trained> {
        let Run { folder, training, settings, device, watch } = run;
        let (network, preprocess) = (start.config.clone(), start.preprocess);
        let advice = start
            .is_fine_tuned()
            .then(|| shortfall(training, network.d_model, task.batches_per_epoch()))
            .flatten();
        if let Some(advice) = &advice {
            watch.event(&Event::Undertrained { advice });
        }
        let mut options = RunOptions::new(folder);
        options.settings = settings;
        // Killed before the first checkpoint, it begins anew; of several repeats the later ones may
        // not have begun.
        options.resume = self.resume && has_checkpoint(folder);
        options.checkpoint_every = self.checkpoint_every;
        let model = start.begin(training.seed, device, &options, vectors)?;
        let outcome = fit(task, model, &network, training, &options, device, watch)?;
        let history = RunHistory::read(folder)?;
        Ok(Trained { network, preprocess, outcome, history, advice })
    }
}
