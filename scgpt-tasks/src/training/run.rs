//! [`Run`]: the training of one network in a folder of its own, whatever the task.

use burn::prelude::Device;
use scgpt_model::{Preprocess, Scgpt, ScgptConfig};
use scgpt_train::{
    Outcome, RunHistory, RunOptions, Task, TrainConfig, TrainObserver, fit, has_checkpoint,
};

use super::{spectral::GeneVectors, start::StartingNetwork, thinning::ThinnedCells};
use crate::error::Result;

/// Where a network learns, and everything that decides what it learns.
pub(crate) struct Run<'a> {
    /// The folder of checkpoints and logs, and the settings that have to be the same if the run is
    /// to go on.
    pub(crate) options: RunOptions<'a>,
    /// How long, how fast, and from which seed.
    pub(crate) training: &'a TrainConfig,
    /// The cells whose halves are to find each other in every validation, if there are any.
    pub(crate) thinned: Option<ThinnedCells>,
    pub(crate) device: &'a Device,
    pub(crate) watch: &'a dyn TrainObserver,
}

/// A trained network, and how it was trained.
pub(crate) struct Trained {
    pub(crate) network: ScgptConfig,
    pub(crate) preprocess: Preprocess,
    pub(crate) outcome: Outcome,
    pub(crate) history: RunHistory,
    /// Advice about steps and rate, if there is any.
    pub(crate) advice: Option<String>,
    /// The cells whose halves were to find each other in every validation, if there were any.
    pub(crate) thinned: Option<ThinnedCells>,
    /// Says that the network before the first step was kept, if no later one was better.
    pub(crate) kept_start: Option<String>,
}

impl Trained {
    /// The trained network.
    pub(crate) fn model(&self) -> &Scgpt {
        &self.outcome.model
    }
}

impl Run<'_> {
    /// Trains one network, or goes on with its training. A new network begins with the gene
    /// `vectors`, if there are any.
    ///
    /// # Errors
    /// If the network cannot begin, and everything that stops [`fit`].
    pub(crate) fn train(
        self,
        task: &impl Task,
        start: &StartingNetwork,
        vectors: impl FnOnce() -> Result<Option<GeneVectors>>,
    ) -> Result<Trained> {
        let Run { mut options, training, thinned, device, watch } = self;
        // Killed before the first checkpoint, it begins anew; of several repeats the later ones may
        // not have begun.
        options.resume &= has_checkpoint(options.folder);
        // A run that goes on has the weights in its checkpoint.
        let vectors = || if options.resume { Ok(None) } else { vectors() };
        let model = start.begin(training.seed, device, vectors)?;
        let (network, preprocess) = (start.config.clone(), start.preprocess);
        let outcome = fit(task, model, &network, training, &options, device, watch)?;
        let history = RunHistory::read(options.folder)?;
        let kept_start =
            thinned.and_then(|cells| cells.kept_start(outcome.best.as_ref(), &history.validations));
        Ok(Trained { network, preprocess, outcome, history, advice: None, thinned, kept_start })
    }
}

impl StartingNetwork {
    /// The network before its first step: if it is new, with the gene `vectors`, if there are any.
    ///
    /// # Errors
    /// Those of [`build`](Self::build), and of `vectors`.
    pub(crate) fn begin(
        &self,
        seed: u64,
        device: &Device,
        vectors: impl FnOnce() -> Result<Option<GeneVectors>>,
    ) -> Result<Scgpt> {
        let model = self.build(seed, device)?;
        Ok(match if self.is_fine_tuned() { None } else { vectors()? } {
            Some(vectors) => vectors.give_to(model, device),
            None => model,
        })
    }
}
