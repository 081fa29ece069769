//! [`Learned`] and [`Curves`]: what every report says of how its network was trained.

use scgpt_model::ScgptConfig;
use scgpt_train::{Best, StepRecord, TrainConfig, ValidationRecord};
use serde::Serialize;

use super::{NetworkConfig, run::Trained};

/// How a network was trained.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Learned {
    /// The network.
    pub network: ScgptConfig,
    /// Optimiser steps done.
    pub steps: u64,
    /// The best validation, whose network was kept.
    pub best: Option<Best>,
    /// Whether training stopped because nothing improved any more.
    pub stopped_early: bool,
    /// What is to be said of how it was trained: far fewer steps, or a lower rate, than it needs.
    pub advice: Option<String>,
}

/// How the losses and the scores of a network changed as it learned.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Curves {
    /// Training losses; of many steps, every second, fourth, … is kept.
    pub training: Vec<StepRecord>,
    /// What every validation found, in order.
    pub validation: Vec<ValidationRecord>,
}

impl Trained {
    /// How the network was trained.
    pub(crate) fn learned(&self) -> Learned {
        Learned {
            network: self.network.clone(),
            steps: self.outcome.steps,
            best: self.outcome.best.clone(),
            stopped_early: self.outcome.stopped_early,
            advice: self.advice.clone(),
        }
    }

    /// The settings it was trained by, and the shape it has: those that were in force, whatever was asked
    /// for.
    pub(crate) fn in_force(&self) -> (TrainConfig, NetworkConfig) {
        (self.outcome.training.clone(), NetworkConfig::of(&self.network))
    }

    /// How it learned.
    pub(crate) fn curves(&self) -> Curves {
        Curves {
            training: self.history.steps.clone(),
            validation: self.history.validations.clone(),
        }
    }
}
