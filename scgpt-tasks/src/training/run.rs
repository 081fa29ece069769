//! [`Run`]: the training of one network in a folder of its own, whatever the task.

use std::{path::Path, sync::Arc};

use burn::prelude::Device;
use scgpt_data::GeneVocab;
use scgpt_model::{ModelDir, Preprocess, Scgpt, ScgptConfig};
use scgpt_train::{
    Outcome, RunHistory, RunOptions, Task, TrainConfig, TrainObserver, fit, has_checkpoint,
};

use super::{
    beginning::{Beginning, Kept},
    spectral::CoExpression,
    start::StartingNetwork,
    thinning::{ThinnedCells, kept_start},
};
use crate::error::{Error, Result};

/// Where a network learns, and everything that decides what it learns.
pub(crate) struct Run<'a> {
    /// The folder of checkpoints and logs, and the settings that have to be the same if the run is
    /// to go on.
    pub(crate) options: RunOptions<'a>,
    /// How long, how fast, and from which seed.
    pub(crate) training: &'a TrainConfig,
    /// The cells whose halves are to find each other in every validation, if there are any.
    pub(crate) thinned: Option<ThinnedCells>,
    /// The vocabulary of the cells.
    pub(crate) vocab: &'a GeneVocab,
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
    /// What is to be known of how it began.
    pub(crate) beginning: Kept,
    /// The checkpoint that it began with, if it did.
    pub(crate) base: Option<Arc<ModelDir>>,
}

impl Trained {
    /// The trained network.
    pub(crate) fn model(&self) -> &Scgpt {
        &self.outcome.model
    }

    /// Writes its adapters and all else that training changed, if it has learned by adapters; says
    /// whether it has.
    ///
    /// # Errors
    /// If the checkpoint cannot be read or the file cannot be written.
    pub(crate) fn save_adapters(&self, path: &Path) -> scgpt_model::Result<bool> {
        let (Some(adapters), Some(base)) = (&self.outcome.adapters, &self.base) else {
            return Ok(false);
        };
        adapters.save(path, self.model(), base)?;
        Ok(true)
    }
}

impl Run<'_> {
    /// Trains one network, or goes on with its training. Gene vectors that begin with the
    /// `co_expression` of the cells, along a number of directions, ask for it; `fitted` changes the network
    /// before its first step.
    ///
    /// # Errors
    /// If the network cannot begin, and everything that stops [`fit`]; [`Error::Followed`] if this worker is not the
    /// first.
    pub(crate) fn train(
        self,
        task: &impl Task,
        start: &StartingNetwork,
        co_expression: impl FnOnce(usize) -> Result<CoExpression>,
        fitted: impl FnOnce(Scgpt) -> Result<Scgpt>,
    ) -> Result<Trained> {
        let Run { mut options, training, thinned, vocab, device, watch } = self;
        let workers = options.workers;
        // Killed before the first checkpoint, it begins anew; of several repeats the later ones may
        // not have begun.
        let resumes = options.resume && has_checkpoint(options.folder);
        options.resume = workers.first_says(|| Ok::<_, Error>(resumes))?;
        let Beginning { model, kept } = if !workers.is_first() {
            // Its weights are those of the first.
            Beginning { model: start.build(training.seed, device)?, kept: Kept::default() }
        } else if options.resume {
            // Its weights are in its checkpoint.
            let kept = Kept::read(options.folder, start)?;
            Beginning { model: start.build(training.seed, device)?, kept }
        } else {
            let beginning = start.begin(training.seed, vocab, device, co_expression, &watch)?;
            beginning.kept.write(options.folder)?;
            Beginning { model: fitted(beginning.model)?, ..beginning }
        };
        let (network, preprocess) = (start.config.clone(), start.preprocess);
        let training = start.learning(training);
        let outcome = fit(task, model, &network, &training, &options, device, watch)?;
        if !workers.is_first() {
            return Err(Error::Followed);
        }
        let history = RunHistory::read(options.folder)?;
        let kept_start = kept_start(outcome.best.as_ref(), &history.validations);
        Ok(Trained {
            network,
            preprocess,
            outcome,
            history,
            advice: None,
            thinned,
            kept_start,
            beginning: kept,
            base: start.checkpoint().cloned(),
        })
    }
}
