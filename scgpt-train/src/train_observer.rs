//! [`TrainObserver`]: what training tells, as values.

use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    metric::{Metric, or_nan},
    terms::Term,
};

/// Watches a training run; also asked whether to stop.
pub trait TrainObserver: Sync {
    /// Is called for everything that happens, in order.
    fn event(&self, event: &Event<'_>) {
        let _ = event;
    }

    /// Whether training should save its state and stop; asked after every step.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl TrainObserver for Unwatched {}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Training begins at a step.
    Begin {
        /// Steps done in former sessions.
        step: u64,
        /// Steps of the whole run.
        total_steps: u64,
    },
    /// Steps and rate are far from what a network needs; training goes on all the same.
    Undertrained {
        /// By how much, and what helps.
        advice: &'a str,
    },
    /// A checkpoint could not be used, so an older one is.
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
}

/// The numbers of one optimiser step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Steps done, this one included.
    pub step: u64,
    /// Epoch, from 0.
    pub epoch: u64,
    /// Sum of weighted losses; not finite, like the gradients, in a step of f16 that overflowed.
    #[serde(deserialize_with = "or_nan")]
    pub loss: f64,
    /// Losses without their weights.
    #[serde(deserialize_with = "terms_or_nan")]
    pub terms: Vec<(Term, f64)>,
    /// Global norm of the gradients before clipping.
    #[serde(deserialize_with = "or_nan")]
    pub gradient_norm: f64,
    /// Learning rate.
    pub lr: f64,
    /// Cells of this step.
    pub cells: usize,
    /// Cells per second, of this step; none in a history, which is the same whenever it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells_per_second: Option<f64>,
}

/// The numbers of one validation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationRecord {
    /// Steps done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// The metrics, the selecting one first.
    pub metrics: Vec<Metric>,
    /// Whether this is the best so far.
    pub is_best: bool,
}

fn terms_or_nan<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(Term, f64)>, D::Error> {
    let terms: Vec<(Term, Option<f64>)> = Vec::deserialize(from)?;
    Ok(terms.into_iter().map(|(term, loss)| (term, loss.unwrap_or(f64::NAN))).collect())
}
