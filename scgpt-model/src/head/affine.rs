//! Token state and input value → expression.

use burn::{
    prelude::*,
    tensor::activation::{relu, sigmoid, softplus, tanh},
};

use super::{Expression, GepHead};
use crate::config::Activation;

/// Predicts `a · value + b`, with `a` and `b` from the token's state: a perturbed cell as a change
/// of its control.
///
/// # Reference
/// `generation_model.py`, `AffineExprDecoder`. Differs: the probability of a value that is not
/// zero exists once, not twice with one copy unused; `tanh_coeff`, without effect there, is gone.
#[derive(Module, Debug)]
pub struct AffineHead {
    /// `a`, and the probability of a value that is not zero.
    pub coefficient: GepHead,
    /// `b`.
    pub bias: GepHead,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    adaptive_bias: bool,
}

impl AffineHead {
    /// A freshly initialised head on states of width `d_in`.
    pub fn new(
        d_in: usize,
        d_model: usize,
        zero_probability: bool,
        (activation, adaptive_bias): (Activation, bool),
        device: &Device,
    ) -> Self {
        Self {
            coefficient: GepHead::new(d_in, d_model, zero_probability, device),
            bias: GepHead::new(d_in, d_model, false, device),
            activation,
            adaptive_bias,
        }
    }

    /// # Shapes
    /// - hidden: `[b, t, d_in]`
    /// - values: `[b, t]`
    /// - output: `[b, t]`
    pub fn forward(&self, hidden: Tensor<3>, values: Tensor<2>) -> Expression {
        let Expression { value: coefficient, nonzero } = self.coefficient.forward(hidden.clone());
        let bias = self.activation.apply(self.bias.forward(hidden).value);
        let bias = if self.adaptive_bias {
            let n = values.clone().not_equal_elem(0.0).float().sum_dim(1).clamp_min(1.0); // [b, 1]
            bias * (values.clone().sum_dim(1) / n)
        } else {
            bias
        };
        Expression { value: self.activation.apply(coefficient) * values + bias, nonzero }
    }
}

impl Activation {
    fn apply(self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Identity => x,
            Self::Relu => relu(x),
            Self::Sigmoid => sigmoid(x),
            Self::Tanh => tanh(x),
            Self::Softplus => softplus(x, 1.0),
        }
    }
}
