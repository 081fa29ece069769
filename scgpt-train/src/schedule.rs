//! [`Schedule`]: the learning rate as a function of the step.

use std::fmt;

use scgpt_data::{Setting, SettingProblem};
use serde::{Deserialize, Serialize};

/// How the learning rate changes. It is a pure function of step and epoch, so that a resumed run
/// needs no state of it.
///
/// ```
/// use scgpt_train::{Progress, Schedule};
///
/// let schedule = Schedule::WarmupCosine { warmup: 0.1 };
/// let at = |step| schedule.factor(Progress { step, epoch: 0, total_steps: 100 });
/// assert_eq!([at(0), at(5), at(10)], [0.0, 0.5, 1.0]);
/// assert!(at(99) < 0.001);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// The rate stays as it is.
    #[default]
    Constant,
    /// The rate is multiplied by `gamma` after every `every` epochs.
    EpochStep {
        /// The factor.
        gamma: f64,
        /// Number of epochs between two changes.
        #[serde(default = "one")]
        every: u64,
    },
    /// The rate rises linearly from 0 over the warm-up, then falls as half a cosine to 0 at the last step.
    WarmupCosine {
        /// Length of the warm-up: in steps if at least 1, else as a share of all steps.
        warmup: f64,
    },
}

/// Writes the schedule in words, as reports show it.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Constant => write!(f, "constant"),
            Self::EpochStep { gamma, every: 1 } => write!(f, "times {gamma} after every epoch"),
            Self::EpochStep { gamma, every } => {
                write!(f, "times {gamma} after every {every} epochs")
            }
            Self::WarmupCosine { warmup } if warmup < 1.0 => {
                write!(f, "half a cosine after a warm-up of {} % of the steps", 100.0 * warmup)
            }
            Self::WarmupCosine { warmup } => {
                write!(f, "half a cosine after a warm-up of {warmup} steps")
            }
        }
    }
}

fn one() -> u64 {
    1
}

/// How far training is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Optimiser steps done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
}

impl Schedule {
    /// The factor by which the base learning rate is multiplied for the next step.
    ///
    /// # Reference
    /// `torch.optim.lr_scheduler.StepLR` stepped once an epoch, and `pretrain.py`,
    /// `get_cosine_schedule_with_warmup`. Differs: none.
    pub fn factor(self, progress: Progress) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::EpochStep { gamma, every } => {
                gamma.powi(i32::try_from(progress.epoch / every.max(1)).unwrap_or(i32::MAX))
            }
            Self::WarmupCosine { warmup } => {
                let total = progress.total_steps as f64;
                let warmup = if warmup < 1.0 { (total * warmup).floor() } else { warmup.floor() };
                let step = progress.step as f64;
                if step < warmup {
                    return step / warmup.max(1.0);
                }
                let done = (step - warmup) / (total - warmup).max(1.0);
                f64::midpoint(1.0, (std::f64::consts::PI * done).cos())
            }
        }
    }

    /// The same decay spread over `times` as many epochs; what depends on a share of all steps
    /// needs no change.
    pub(crate) fn stretched(self, times: u64) -> Self {
        match self {
            Self::EpochStep { gamma, every } => {
                Self::EpochStep { gamma, every: every.saturating_mul(times) }
            }
            Self::Constant | Self::WarmupCosine { .. } => self,
        }
    }

    /// What is wrong with the schedule, if anything.
    pub(crate) fn problem(self) -> Option<SettingProblem> {
        match self {
            Self::EpochStep { gamma, every } if !(gamma > 0.0 && gamma <= 1.0) || every == 0 => {
                Some(Setting("schedule").wrong(format!(
                    "has gamma {gamma} every {every} epochs: expected 0 < gamma <= 1 and at least 1"
                )))
            }
            Self::WarmupCosine { warmup } if !(warmup >= 0.0 && warmup.is_finite()) => {
                Some(Setting("schedule").wrong(format!(
                    "has a warm-up of {warmup}: expected a share or a number of steps"
                )))
            }
            _ => None,
        }
    }
}
