//! [`TrainStep`]: losses, backward pass, clipping and Adam, as the training loop runs them.

use burn::prelude::*;
use scgpt_model::{AttentionMask, InputNorm, ModelInput, Scgpt, ScgptConfig};
use scgpt_tasks::{Recipe, integrate::IntegrateConfig};
use scgpt_train::{NamedGradients, Objectives, Optimizer, OptimizerConfig, Precision, Targets};

/// A network, its optimiser and one batch.
#[allow(missing_debug_implementations, reason = "the optimiser has none")]
pub struct TrainStep {
    model: Option<Scgpt>,
    optimizer: Optimizer,
    objectives: Objectives,
    input: ModelInput,
    targets: Targets,
    precision: Precision,
}

impl TrainStep {
    /// `n_cells × n_tokens` tokens of which none is unknown, on a device that records gradients:
    /// fine-tuning by GEP and GEPC.
    pub fn new(config: &ScgptConfig, [n_cells, n_tokens]: [usize; 2], device: &Device) -> Self {
        let (genes, values) = crate::tokens(n_cells, n_tokens, config.vocab_size);
        let shape = [n_cells, n_tokens];
        let values = Tensor::<2>::from_data(TensorData::new(values, shape), device);
        let genes = Tensor::from_data(TensorData::new(genes, shape), device);
        let mask = AttentionMask::padding(vec![n_tokens; n_cells], n_tokens);
        Self {
            model: Some(config.init(device).unwrap()),
            optimizer: Optimizer::new(&OptimizerConfig { epsilon: 1e-4, ..Default::default() }),
            objectives: Objectives { gep: 1.0, gepc: 1.0, ..Objectives::default() },
            targets: Targets {
                values: values.clone() / 50.0,
                is_target: values.ones_like(),
                class_weights: None,
                classes: None,
                domains: None,
            },
            input: ModelInput::new(genes, values, mask),
            precision: Precision::F32,
        }
    }

    /// The same, whose passes are in another precision.
    #[must_use]
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Cells of one batch, by all objectives of integration at once; the network gets the heads they
    /// need, and two batches.
    pub fn integration(config: &ScgptConfig, shape: [usize; 2], device: &Device) -> Self {
        let mut step = Self::new(&integrating(config), shape, device);
        step.objectives = IntegrateConfig::of(Recipe::Scratch).objectives;
        let batches = Tensor::<1, Int>::zeros([shape[0]], device);
        step.input.conditions.batches = Some(batches.clone());
        step.targets.domains = Some(batches);
        step
    }

    /// One step on the batch; the loss before it.
    pub fn step(&mut self) -> f32 {
        let model = self.model.take().unwrap();
        let working = self.precision.working_copy(&model, &self.input.genes.device());
        let used = working.as_ref().unwrap_or(&model);
        let loss = self.objectives.terms(used, &self.input, &self.targets).total().unwrap();
        let mut gradients = NamedGradients::take(loss.backward(), used);
        let norm = gradients.norm().unwrap();
        gradients.clip(&norm, 1.0);
        self.model = Some(self.optimizer.step(1e-4, model, &gradients));
        loss.into_scalar()
    }
}

/// That network with what the reference's integration adds to it.
fn integrating(config: &ScgptConfig) -> ScgptConfig {
    ScgptConfig {
        zero_probability: true,
        n_batches: 2,
        n_domains: 2,
        input_norm: InputNorm::DomainSpecific,
        dar: true,
        ..config.clone()
    }
}
