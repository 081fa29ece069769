//! Token state → expression.

use burn::{
    nn::{Linear, LinearConfig},
    prelude::*,
    tensor::activation::{leaky_relu, sigmoid},
};

use super::Expression;

const SLOPE: f64 = 0.01;

/// Predicts the value of each token from its state (GEP).
///
/// # Reference
/// `model.py`, `ExprDecoder`. Differs: none.
#[derive(Module, Debug)]
pub struct GepHead {
    /// The value.
    pub value: Decoder,
    /// The logit of the probability that it is not zero.
    pub nonzero: Option<Decoder>,
}

/// Three linear layers with leaky ReLUs between.
#[derive(Module, Debug)]
pub struct Decoder {
    /// `d_in → d`.
    pub linear1: Linear,
    /// `d → d`.
    pub linear2: Linear,
    /// `d → 1`.
    pub linear3: Linear,
}

impl GepHead {
    /// A freshly initialised head on states of width `d_in`.
    pub fn new(d_in: usize, d_model: usize, zero_probability: bool, device: &Device) -> Self {
        Self {
            value: Decoder::new(d_in, d_model, device),
            nonzero: zero_probability.then(|| Decoder::new(d_in, d_model, device)),
        }
    }

    /// # Shapes
    /// - hidden: `[b, t, d_in]`
    /// - output: `[b, t]`
    pub fn forward(&self, hidden: Tensor<3>) -> Expression {
        let nonzero = self.nonzero.as_ref().map(|decoder| sigmoid(decoder.forward(hidden.clone())));
        Expression { value: self.value.forward(hidden), nonzero }
    }
}

impl Decoder {
    fn new(d_in: usize, d_model: usize, device: &Device) -> Self {
        Self {
            linear1: LinearConfig::new(d_in, d_model).init(device),
            linear2: LinearConfig::new(d_model, d_model).init(device),
            linear3: LinearConfig::new(d_model, 1).init(device),
        }
    }

    fn forward(&self, hidden: Tensor<3>) -> Tensor<2> {
        let x = leaky_relu(self.linear1.forward(hidden), SLOPE);
        let x = leaky_relu(self.linear2.forward(x), SLOPE);
        self.linear3.forward(x).squeeze_dim(2)
    }
}
