//! [`Run`]: one network learns in a folder of its own, whatever it learns.

use burn::prelude::Device;
use scgpt_model::{Preprocess, Scgpt, ScgptConfig};
use scgpt_train::{
    Outcome, RunHistory, RunOptions, Task, TrainConfig, TrainObserver, fit, has_checkpoint,
};

use super::{spectral::GeneVectors, start::StartingNetwork};
use crate::error::Result;

/// Where a network learns, and all that decides what.
pub(crate) struct Run<'a> {
    /// Where checkpoints and logs are, and what has to be the same if the run is to go on.
    pub(crate) options: RunOptions<'a>,
    /// How long, how fast, and from which seed.
    pub(crate) training: &'a TrainConfig,
    pub(crate) device: &'a Device,
    pub(crate) watch: &'a dyn TrainObserver,
}

/// A trained network, and what tells how it came about.
pub(crate) struct Trained {
    pub(crate) network: ScgptConfig,
    pub(crate) preprocess: Preprocess,
    pub(crate) outcome: Outcome,
    pub(crate) history: RunHistory,
    /// What is to be said of steps and rate.
    pub(crate) advice: Option<String>,
}

impl Trained {
    /// The network itself.
    pub(crate) fn model(&self) -> &Scgpt {
        &self.outcome.model
    }
}

impl Run<'_> {
    /// Trains one network, which begins with the gene `vectors` if it is new, or goes on with it.
    ///
    /// # Errors
    /// If the network cannot begin, and everything that stops [`fit`].
    pub(crate) fn train(
        self,
        task: &impl Task,
        start: &StartingNetwork,
        vectors: impl FnOnce() -> Result<Option<GeneVectors>>,
    ) -> Result<Trained> {
        let Run { mut options, training, device, watch } = self;
        // Killed before the first checkpoint, it begins anew; of several repeats the later ones may
        // not have begun.
        options.resume &= has_checkpoint(options.folder);
        let model = start.build(training.seed, device)?;
        // A run that goes on has the weights in its checkpoint.
        let is_new = !options.resume && !start.is_fine_tuned();
        let model = match if is_new { vectors()? } else { None } {
            Some(vectors) => vectors.give_to(model, device),
            None => model,
        };
        let (network, preprocess) = (start.config.clone(), start.preprocess);
        let outcome = fit(task, model, &network, training, &options, device, watch)?;
        let history = RunHistory::read(options.folder)?;
        Ok(Trained { network, preprocess, outcome, history, advice: None })
    }
}
