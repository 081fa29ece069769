//! [`TrainObserver`]: is told what happens in training, as values.

use std::path::Path;

use scgpt_data::Observer;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    metric::{Metric, or_nan},
    rehearsal::Rehearsal,
    term::Term,
};

/// Watches a training run, and is asked whether it should stop.
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// use scgpt_train::{Event, TrainObserver};
///
/// /// Stops once the loss is small.
/// #[derive(Default)]
/// struct UntilSmall(AtomicBool);
///
/// impl TrainObserver for UntilSmall {
///     fn event(&self, event: &Event<'_>) {
///         if let Event::Step(record) = event {
///             self.0.store(record.loss < 0.1, Ordering::Relaxed);
///         }
///     }
///
///     fn is_cancelled(&self) -> bool {
///         self.0.load(Ordering::Relaxed)
///     }
/// }
/// # assert!(!UntilSmall::default().is_cancelled());
/// ```
pub trait TrainObserver: Sync {
    /// Called for everything that happens, in order.
    fn event(&self, event: &Event<'_>) {
        let _ = event;
    }

    /// Whether training should save its state and stop; asked after every step, and while one process trains by itself
    /// also on another thread: on a CPU, a step or a validation is left in its midst then, and done again when the run
    /// goes on.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Work around the steps asks as well whether to go on; how far it is, is not told.
impl Observer for &dyn TrainObserver {
    fn is_cancelled(&self) -> bool {
        TrainObserver::is_cancelled(*self)
    }
}

/// An observer that ignores all events and never stops a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl TrainObserver for Unwatched {}

/// What happened in a run.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Training begins at a step.
    Begin {
        /// Steps done in earlier sessions.
        step: u64,
        /// Steps of the whole run.
        total_steps: u64,
    },
    /// Number of steps and learning rate are far from what the network needs; training goes on all
    /// the same.
    Undertrained {
        /// How far they are, and what helps.
        advice: &'a str,
    },
    /// A checkpoint could not be used, so an older one is used.
    Damaged {
        /// The checkpoint.
        path: &'a Path,
        /// What is wrong with it.
        problem: &'a str,
    },
    /// An optimiser step is done.
    Step(&'a StepRecord),
    /// A validation is done.
    Validation(&'a ValidationRecord),
    /// A checkpoint is written.
    Checkpoint {
        /// Its folder.
        path: &'a Path,
    },
    /// A rehearsal is done; the run ends as if it was stopped.
    Rehearsed(&'a Rehearsal),
}

/// The numbers of one optimiser step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Steps done, this one included.
    pub step: u64,
    /// Epoch of this step, counted from 0.
    pub epoch: u64,
    /// Weighted sum of the losses. Like the gradients it is not finite in an f16 step that
    /// overflowed.
    #[serde(deserialize_with = "or_nan")]
    pub loss: f64,
    /// Losses without their weights.
    #[serde(deserialize_with = "terms_or_nan")]
    pub terms: Vec<(Term, f64)>,
    /// Global norm of the gradients before clipping.
    #[serde(deserialize_with = "or_nan")]
    pub gradient_norm: f64,
    /// Learning rate of this step, after the schedule.
    pub lr: f64,
    /// Cells that this step learned from.
    pub cells: usize,
    /// Cells per second in this step; `None` in a history, which is the same whenever it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells_per_second: Option<f64>,
}

/// The numbers of one validation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationRecord {
    /// Steps done by then.
    pub step: u64,
    /// Epochs done by then.
    pub epoch: u64,
    /// The metrics, as [`Task::validate`](crate::Task::validate) gives them.
    pub metrics: Vec<Metric>,
    /// Whether this is the best validation so far.
    pub is_best: bool,
}

fn terms_or_nan<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(Term, f64)>, D::Error> {
    let terms: Vec<(Term, Option<f64>)> = Vec::deserialize(from)?;
    Ok(terms.into_iter().map(|(term, loss)| (term, loss.unwrap_or(f64::NAN))).collect())
}
