//! [`Optimizer`]: Adam, with its state under the names of the parameters.

use std::collections::BTreeMap;

use burn::{
    module::Param,
    optim::{AdamW, AdamWConfig, AdamWState, Optimizer as _},
    prelude::*,
};
use scgpt_data::{Setting, SettingProblem};
use scgpt_model::{MapNamed, ParameterName, Scgpt};
use serde::{Deserialize, Serialize};

use crate::gradients::NamedGradients;

/// Adam, or with weight decay AdamW (decoupled).
///
/// ```
/// use scgpt_train::OptimizerConfig;
///
/// let adam_w = OptimizerConfig { lr: 3e-4, weight_decay: 0.01, ..OptimizerConfig::default() };
/// assert_eq!(adam_w.beta2, 0.999);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Learning rate before the schedule.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment. The reference's fine-tuning recipes use 10⁻⁴ with
    /// half precision, which changes results; its pre-training 10⁻⁸.
    pub epsilon: f32,
    /// Decoupled weight decay; 0 is Adam.
    pub weight_decay: f32,
}

impl Default for OptimizerConfig {
    /// PyTorch's Adam at the reference's learning rate.
    fn default() -> Self {
        Self { lr: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 }
    }
}

impl OptimizerConfig {
    pub(crate) fn problems(&self, problems: &mut Vec<SettingProblem>) {
        if !(self.lr > 0.0 && self.lr.is_finite()) {
            let problem = format!("is {}, expected a positive number", self.lr);
            problems.push(Setting("optimizer.lr").wrong(problem));
        }
        for (field, beta) in [("optimizer.beta1", self.beta1), ("optimizer.beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                let problem = format!("is {beta}, expected 0 up to below 1");
                problems.push(Setting(field).wrong(problem));
            }
        }
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            let problem = format!("is {}, expected a positive number", self.epsilon);
            problems.push(Setting("optimizer.epsilon").wrong(problem));
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            let problem = format!("is {}, expected 0 or more", self.weight_decay);
            problems.push(Setting("optimizer.weight_decay").wrong(problem));
        }
    }
}

/// Adam, with the moments of every parameter that has had a gradient. [`NamedGradients`] has an
/// example.
#[allow(missing_debug_implementations, reason = "burn's optimisers cannot be printed")]
pub struct Optimizer {
    adam: AdamW,
    states: BTreeMap<String, AdamWState<1>>,
}

impl Optimizer {
    /// An optimiser without moments yet.
    pub fn new(config: &OptimizerConfig) -> Self {
        let adam = AdamWConfig::new()
            .with_beta_1(config.beta1)
            .with_beta_2(config.beta2)
            .with_epsilon(config.epsilon)
            .with_weight_decay(config.weight_decay)
            .build();
        Self { adam, states: BTreeMap::new() }
    }

    /// Returns `model` after one step along `gradients` at the learning rate `lr`; parameters
    /// without a gradient stay as they are.
    #[must_use]
    pub fn step(&mut self, lr: f64, model: Scgpt, gradients: &NamedGradients) -> Scgpt {
        model.map_named(&mut Step { optimizer: self, lr, gradients })
    }

    /// Steps taken, first and second moment of every parameter, in the order of names.
    pub(crate) fn moments(&self) -> impl Iterator<Item = (&str, usize, [Tensor<1>; 2])> {
        self.states.iter().map(|(name, AdamWState { momentum })| {
            (name.as_str(), momentum.time, [momentum.moment_1.clone(), momentum.moment_2.clone()])
        })
    }

    /// Takes back what [`moments`](Self::moments) gave.
    pub(crate) fn restore(&mut self, name: String, time: usize, [first, second]: [Tensor<1>; 2]) {
        let momentum = burn::optim::AdaptiveMomentumState::new(time, first, second);
        self.states.insert(name, AdamWState { momentum });
    }
}

struct Step<'a> {
    optimizer: &'a mut Optimizer,
    lr: f64,
    gradients: &'a NamedGradients,
}

impl MapNamed for Step<'_> {
    fn map<const D: usize>(
        &mut self,
        name: ParameterName,
        parameter: Param<Tensor<D>>,
    ) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.get(&name.key) else { return parameter };
        let id = parameter.id;
        let value = parameter.val().inner();
        let shape = value.dims();
        let n = value.shape().num_elements();
        let state = self.optimizer.states.remove(&name.key);
        let (value, state) =
            self.optimizer.adam.step(self.lr, value.reshape([n]), gradient.clone(), state);
        if let Some(state) = state {
            self.optimizer.states.insert(name.key, state);
        }
        let value = Tensor::<D>::from_inner(value.reshape(shape));
        Param::initialized(id, value.require_grad())
    }
}
