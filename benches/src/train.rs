//! [`TrainStep`]: forward, backward and Adam, as fine-tuning runs them.

use burn::{
    optim::{AdamConfig, GradientsParams, ModuleOptimizer},
    prelude::*,
};
use scgpt_model::{AttentionMask, Expression, ModelInput, Scgpt, ScgptConfig};

/// A network, its optimiser and one batch.
#[allow(missing_debug_implementations, reason = "the optimiser has none")]
pub struct TrainStep {
    model: Option<Scgpt>,
    optimizer: ModuleOptimizer,
    input: ModelInput,
    target: Tensor<2>,
}

impl TrainStep {
    /// `n_cells × n_tokens` tokens of which none is unknown, on a device that records gradients.
    pub fn new(config: &ScgptConfig, [n_cells, n_tokens]: [usize; 2], device: &Device) -> Self {
        let (genes, values) = crate::tokens(n_cells, n_tokens, config.vocab_size);
        let shape = [n_cells, n_tokens];
        let values = Tensor::<2>::from_data(TensorData::new(values, shape), device);
        let genes = Tensor::from_data(TensorData::new(genes, shape), device);
        let mask = AttentionMask::padding(vec![n_tokens; n_cells], n_tokens);
        let input = ModelInput::new(genes, values.clone(), mask);
        Self {
            model: Some(config.init(device).unwrap()),
            optimizer: AdamConfig::new().with_epsilon(1e-4).init(),
            input,
            target: values / 50.0,
        }
    }

    /// One step on the batch; the loss before it.
    pub fn step(&mut self) -> f32 {
        let model = self.model.take().unwrap();
        let encoded = model.encode(&self.input);
        let error = |predicted: Expression| (predicted.value - self.target.clone()).square().mean();
        let mut loss = error(model.predict(&encoded));
        if let Some(predicted) = model.predict_from_cell(&encoded) {
            loss = loss + error(predicted);
        }
        drop(encoded);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        self.model = Some(self.optimizer.step(1e-4, model, gradients));
        loss.into_scalar()
    }
}
