//! [`RunResult`]: what one run gave.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Measure, PlannedRun};

/// What one run gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunResult {
    /// Its name.
    pub name: String,
    /// The name of its value on every axis.
    pub choices: Vec<String>,
    /// Number of cells trained on.
    pub cells: usize,
    /// Seed of its random choices.
    pub seed: u64,
    /// Optimiser steps done.
    pub steps: u64,
    /// Number of parameters of its network.
    pub parameters: usize,
    /// Time of training, in seconds, of all sessions.
    pub seconds: f64,
    /// The measures, by target.
    pub scores: BTreeMap<String, BTreeMap<Measure, f64>>,
}

impl RunResult {
    /// The result of a planned run on so many cells, with nothing measured yet.
    pub fn new(run: &PlannedRun, cells: usize) -> Self {
        Self {
            name: run.name.clone(),
            choices: run.choices.clone(),
            cells,
            seed: 0,
            steps: 0,
            parameters: 0,
            seconds: 0.0,
            scores: BTreeMap::new(),
        }
    }

    /// A measure on a target.
    pub fn score(&self, target: &str, measure: Measure) -> Option<f64> {
        self.scores.get(target)?.get(&measure).copied().filter(|value| value.is_finite())
    }
}
