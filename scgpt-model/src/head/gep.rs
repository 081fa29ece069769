//! Token state → expression.

use burn::{
    nn::{Linear, LinearConfig},
    prelude::*,
    tensor::activation::leaky_relu,
};

const SLOPE: f64 = 0.01;

/// Predicts the value of each token from its state (GEP).
///
/// # Reference
/// `model.py`, `ExprDecoder.fc`. Differs: none.
#[derive(Module, Debug)]
pub struct GepHead {
    /// `d → d`.
    pub linear1: Linear,
    /// `d → d`.
    pub linear2: Linear,
    /// `d → 1`.
    pub linear3: Linear,
}

impl GepHead {
    /// A freshly initialised head.
    pub fn new(d_model: usize, device: &Device) -> Self {
        Self {
            linear1: LinearConfig::new(d_model, d_model).init(device),
            linear2: LinearConfig::new(d_model, d_model).init(device),
            linear3: LinearConfig::new(d_model, 1).init(device),
        }
    }

    /// # Shapes
    /// - hidden: `[b, t, d]`
    /// - output: `[b, t]`, in the unit of the training values
    pub fn forward(&self, hidden: Tensor<3>) -> Tensor<2> {
        let x = leaky_relu(self.linear1.forward(hidden), SLOPE);
        let x = leaky_relu(self.linear2.forward(x), SLOPE);
        self.linear3.forward(x).squeeze_dim(2)
    }
}
