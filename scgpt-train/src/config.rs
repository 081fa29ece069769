//! [`TrainConfig`]: how a network is trained, whatever the task.

use scgpt_data::Setting;
use scgpt_model::{Lora, ScgptConfig};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    freeze::Part,
    lora,
    optimizer::OptimizerConfig,
    precision::Precision,
    schedule::{Progress, Schedule},
};

/// The settings that decide what is learned. Two runs with equal settings, data and seed have equal
/// weights; a run is resumed only with equal ones.
///
/// ```
/// use scgpt_model::ScgptConfig;
/// use scgpt_train::{OptimizerConfig, Schedule, TrainConfig};
///
/// let config = TrainConfig {
///     epochs: 3,
///     optimizer: OptimizerConfig { lr: 1e-3, ..OptimizerConfig::default() },
///     schedule: Schedule::WarmupCosine { warmup: 0.1 },
///     ..TrainConfig::default()
/// };
/// assert!(config.validate(&ScgptConfig::new(60)).is_ok());
/// assert_eq!(config.total_steps(20), 60);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Number of passes over the cells.
    pub epochs: u64,
    /// Optimiser steps after which training stops at the latest.
    pub max_steps: Option<u64>,
    /// Fewest optimiser steps, as far as `max_steps` allows: if there are few cells, more epochs
    /// than `epochs` are made, see [`in_force`](Self::in_force).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least_steps: Option<u64>,
    /// Batches whose gradients are added up before each optimiser step.
    pub accumulate: u64,
    /// Whether objectives between cells (ECS, contrastive) see the cells of all batches of a step, as those of one
    /// large batch, not of one batch at a time. Where a process has several batches of a step, it computes their
    /// forward passes twice. Every batch computes the similarities of all cells of the step.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gather_cells: bool,
    /// Largest global norm of the gradients; larger gradients are scaled down to it.
    pub clip_norm: Option<f64>,
    /// Number format of the forward and backward pass; weights and optimiser stay f32.
    pub precision: Precision,
    /// Parts of the network that do not learn.
    pub freeze: Vec<Part>,
    /// Adapters that learn instead of the weights of the blocks and of gene vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<Lora>,
    /// Learning rate, moments and weight decay of Adam.
    pub optimizer: OptimizerConfig,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Optimiser steps between validations; `None` validates at the end of every epoch.
    pub validate_every: Option<u64>,
    /// Name of the metric that selects the best network; `loss`, and `None`, take the first of the
    /// validation. By `thinning` and `foscttm`, and where it begins fitted, the network before the first step is
    /// a candidate, too; by `thinning`, of networks that are equally good the one with the lower loss is
    /// better.
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
            least_steps: None,
            accumulate: 1,
            gather_cells: false,
            clip_norm: Some(1.0),
            precision: Precision::default(),
            freeze: Vec::new(),
            lora: None,
            optimizer: OptimizerConfig::default(),
            schedule: Schedule::default(),
            validate_every: None,
            select_by: None,
            patience: None,
            seed: 0,
        }
    }
}

/// Largest number of epochs and of steps, so that their products with numbers of cells stay exact.
const MOST: u64 = 1_000_000_000_000;
/// Most steps whose learning rates are computed.
const LOOKED_AT: u64 = 1 << 20;

impl TrainConfig {
    /// The settings in force if an epoch has that many batches. If `epochs` would make fewer than
    /// `least_steps`, there are more epochs, and the decay of the rate and the validations are
    /// spread over them as they were over the given ones.
    #[must_use]
    pub fn in_force(&self, batches_per_epoch: u64) -> Self {
        let per_epoch = self.steps_per_epoch(batches_per_epoch);
        let most = self.max_steps.unwrap_or(u64::MAX);
        let epochs = self.least_steps.unwrap_or(0).min(most).div_ceil(per_epoch);
        if epochs <= self.epochs {
            return self.clone();
        }
        let given = self.epochs.max(1);
        let times = (epochs + given / 2) / given;
        Self {
            epochs,
            schedule: self.schedule.stretched(times),
            validate_every: self.validate_every.or((times > 1).then_some(times * per_epoch)),
            ..self.clone()
        }
    }

    /// Number of optimiser steps of a whole run whose epochs have that many batches.
    pub fn total_steps(&self, batches_per_epoch: u64) -> u64 {
        let steps = self.steps_per_epoch(batches_per_epoch).saturating_mul(self.epochs);
        steps.min(self.max_steps.unwrap_or(u64::MAX))
    }

    /// The sum of the learning rates of all steps: about as far as Adam can move a weight, whose
    /// steps are hardly longer than the rate. If there are very many steps, some stand for all.
    pub fn reach(&self, batches_per_epoch: u64) -> f64 {
        let per_epoch = self.steps_per_epoch(batches_per_epoch);
        let total_steps = self.total_steps(batches_per_epoch);
        let factor =
            |step| self.schedule.factor(Progress { step, epoch: step / per_epoch, total_steps });
        let stands_for = total_steps.div_ceil(LOOKED_AT).max(1);
        let looked_at = (0..total_steps.div_ceil(stands_for)).map(|number| number * stands_for);
        self.optimizer.lr * stands_for as f64 * looked_at.map(factor).sum::<f64>()
    }

    pub(crate) fn steps_per_epoch(&self, batches_per_epoch: u64) -> u64 {
        batches_per_epoch.div_ceil(self.accumulate.max(1)).max(1)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Config`] with all mistakes at once.
    pub fn validate(&self, network: &ScgptConfig) -> Result<()> {
        let mut problems = Vec::new();
        for (field, value) in [
            ("epochs", Some(self.epochs)),
            ("max_steps", self.max_steps),
            ("least_steps", self.least_steps),
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
        if let Some(lora) = self.lora {
            problems.extend(lora::problem(lora, &self.freeze, network));
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Config(problems)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> TrainConfig {
        TrainConfig {
            epochs: 10,
            least_steps: Some(600),
            schedule: Schedule::EpochStep { gamma: 0.9, every: 1 },
            ..TrainConfig::default()
        }
    }

    #[test]
    fn few_cells_are_passed_over_more_often() {
        let few = config().in_force(18);
        assert_eq!((few.epochs, few.total_steps(18)), (34, 612));
        // As often as in ten epochs: the rate falls and the network is validated.
        assert_eq!(few.schedule, Schedule::EpochStep { gamma: 0.9, every: 3 });
        assert_eq!(few.validate_every, Some(3 * 18));
        assert_eq!(few.in_force(18), few, "nothing more is to be added");
        // Ten epochs of many cells are enough, and what is given is not changed.
        assert_eq!(config().in_force(60), config());
        let accumulating = TrainConfig { accumulate: 2, ..config() }.in_force(18);
        assert_eq!(accumulating.total_steps(18), 603);
    }

    #[test]
    fn given_numbers_win() {
        let most = TrainConfig { max_steps: Some(100), ..config() };
        assert_eq!(most.in_force(18), most);
        assert_eq!(most.in_force(18).total_steps(18), 100);
        let short = TrainConfig { least_steps: None, epochs: 2, ..config() };
        assert_eq!(short.in_force(18), short);
        let often = TrainConfig { validate_every: Some(7), ..config() };
        assert_eq!(often.in_force(18).validate_every, Some(7));
    }

    #[test]
    fn reach_is_the_sum_of_the_rates() {
        let config = TrainConfig { least_steps: None, epochs: 2, ..config() };
        let expected = config.optimizer.lr * (5.0 + 0.9 * 5.0);
        assert!((config.reach(5) - expected).abs() < 1e-12);
        let half = TrainConfig { max_steps: Some(5), ..config.clone() };
        assert!((half.reach(5) - half.optimizer.lr * 5.0).abs() < 1e-12);
        // The most epochs there can be take no longer.
        let endless = TrainConfig { epochs: MOST, schedule: Schedule::Constant, ..config };
        let expected = endless.optimizer.lr * 5.0 * MOST as f64;
        assert!((endless.reach(5) / expected - 1.0).abs() < 1e-3);
    }
}
