//! [`TrainConfig`]: how a network is trained, whatever the task.

use scgpt_data::Setting;
use scgpt_model::ScgptConfig;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    freeze::Part,
    optimizer::OptimizerConfig,
    precision::Precision,
    schedule::Schedule,
};

/// The settings that decide what is learned. Two runs with equal settings, data and seed have equal
/// weights; a run is resumed only with equal ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the cells.
    pub epochs: u64,
    /// Stops earlier, after that many optimiser steps.
    pub max_steps: Option<u64>,
    /// Batches whose gradients are added up before each optimiser step.
    pub accumulate: u64,
    /// Most the global norm of the gradients may be; larger ones are scaled down.
    pub clip_norm: Option<f64>,
    /// Number format of the forward and backward pass; weights and optimiser stay f32.
    pub precision: Precision,
    /// Parts of the network that do not learn.
    pub freeze: Vec<Part>,
    /// Adam.
    pub optimizer: OptimizerConfig,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Optimiser steps between validations; at every epoch's end if none.
    pub validate_every: Option<u64>,
    /// The metric of the validations that selects the best network; their first if none.
    pub select_by: Option<String>,
    /// Validations without a better value of the selecting metric after which training stops.
    pub patience: Option<u64>,
    /// Seed of every random choice.
    pub seed: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 1,
            max_steps: None,
            accumulate: 1,
            clip_norm: Some(1.0),
            precision: Precision::default(),
            freeze: Vec::new(),
            optimizer: OptimizerConfig::default(),
            schedule: Schedule::default(),
            validate_every: None,
            select_by: None,
            patience: None,
            seed: 0,
        }
    }
}

/// Most epochs and steps: products of them with numbers of cells are whole numbers still.
const MOST: u64 = 1_000_000_000_000;

impl TrainConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Config`] with all mistakes at once.
    pub fn validate(&self, network: &ScgptConfig) -> Result<()> {
        let mut problems = Vec::new();
        for (field, value) in [
            ("epochs", Some(self.epochs)),
            ("max_steps", self.max_steps),
            ("accumulate", Some(self.accumulate)),
            ("validate_every", self.validate_every),
            ("patience", self.patience),
        ] {
            match value {
                Some(0) => problems.push(Setting(field).zero()),
                Some(n) if n > MOST => {
                    let problem = format!("is {n}, expected at most {MOST}");
                    problems.push(Setting(field).wrong(problem));
                }
                _ => {}
            }
        }
        if let Some(norm) = self.clip_norm.filter(|norm| *norm <= 0.0 || norm.is_nan()) {
            let problem = format!("is {norm}, expected a positive number");
            problems.push(Setting("clip_norm").wrong(problem));
        }
        self.optimizer.problems(&mut problems);
        problems.extend(self.schedule.problem());
        for part in &self.freeze {
            problems.extend(part.problem(network));
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Config(problems)) }
    }
}
