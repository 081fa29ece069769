//! Token state → expression.

use burn::{
    prelude::*,
    tensor::{DType, activation::sigmoid},
};

use scgpt_kernels::Format;

use super::Expression;
use crate::{fused::leaky_relu, linear::Linear};

const SLOPE: f32 = 0.01;

/// Predicts the value of each token from its state (GEP).
///
/// # Reference
/// `model.py`, `ExprDecoder`. Differs: none.
#[derive(Module, Debug)]
pub struct GepHead {
    /// The decoder of the value.
    pub value: Decoder,
    /// The decoder of the logit of the probability that the value is not zero, if there is one.
    pub nonzero: Option<Decoder>,
}

/// Three linear layers with leaky ReLUs between them.
#[derive(Module, Debug)]
pub struct Decoder {
    /// The first layer, `d_in → d`.
    pub linear1: Linear,
    /// The second layer, `d → d`.
    pub linear2: Linear,
    /// The last layer, `d → 1`.
    pub linear3: Linear,
}

/// The shape of a [`GepHead`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GepHeadConfig {
    /// Width of the states that the head reads, `d_in`.
    pub(crate) d_in: usize,
    /// Width of its hidden layers, `d`.
    pub(crate) d_model: usize,
    /// Whether it also predicts the probability that a value is not zero.
    pub(crate) zero_probability: bool,
}

impl GepHeadConfig {
    /// A freshly initialised head.
    pub(crate) fn init(self, device: &Device) -> GepHead {
        let decoder = || Decoder::new(self.d_in, self.d_model, device);
        GepHead { value: decoder(), nonzero: self.zero_probability.then(decoder) }
    }
}

impl GepHead {
    /// Predicts the expression of every token from its state.
    ///
    /// # Shapes
    /// - hidden: `[b, t, d_in]`
    /// - output: `[b, t]`
    pub fn forward(&self, hidden: Tensor<3>) -> Expression {
        let nonzero = self.nonzero.as_ref().map(|decoder| sigmoid(decoder.forward(hidden.clone())));
        Expression { value: self.value.forward(hidden), nonzero }
    }

    /// See [`Scgpt::computing_in`](crate::Scgpt::computing_in).
    pub(crate) fn compute_in(&mut self, format: Option<Format>) {
        for decoder in std::iter::once(&mut self.value).chain(&mut self.nonzero) {
            decoder.linear1.compute_in(format);
            decoder.linear2.compute_in(format);
        }
    }
}

impl Decoder {
    fn new(d_in: usize, d_model: usize, device: &Device) -> Self {
        Self {
            linear1: Linear::new(d_in, d_model, device),
            linear2: Linear::new(d_model, d_model, device),
            linear3: Linear::new(d_model, 1, device),
        }
    }

    /// What the last layer sees of every token.
    ///
    /// # Shapes
    /// - hidden: `[b, t, d_in]`
    /// - output: `[b, t, d]`
    pub fn hidden(&self, hidden: Tensor<3>) -> Tensor<3> {
        let x = leaky_relu(self.linear1.forward(hidden), SLOPE);
        leaky_relu(self.linear2.forward(x), SLOPE)
    }

    fn forward(&self, hidden: Tensor<3>) -> Tensor<2> {
        // Losses need all digits, whatever the format of the states.
        self.linear3.forward(self.hidden(hidden)).squeeze_dim(2).cast(DType::F32)
    }
}
