//! Token state and input value → expression.

use burn::{
    prelude::*,
    tensor::activation::{relu, sigmoid, softplus, tanh},
};
use scgpt_kernels::Format;

use super::{Expression, GepHead, GepHeadConfig};
use crate::config::Activation;

/// Predicts `a · value + b`, with `a` and `b` from the token's state, so that a perturbed cell is
/// predicted as a change of its control.
///
/// # Reference
/// `generation_model.py`, `AffineExprDecoder`. Differs: the probability of a value that is not
/// zero exists once, not twice with one copy unused; `tanh_coeff`, without effect there, is gone.
#[derive(Module, Debug)]
pub struct AffineHead {
    /// The head that gives `a`, and the probability of a value that is not zero.
    pub coefficient: GepHead,
    /// The head that gives `b`.
    pub bias: GepHead,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    adaptive_bias: bool,
}

/// The shape and the switches of an [`AffineHead`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AffineHeadConfig {
    /// The shape of the part that gives `a`; that of `b` is the same without a probability.
    pub(crate) coefficient: GepHeadConfig,
    /// The function that both `a` and `b` pass through.
    pub(crate) activation: Activation,
    /// Whether `b` is multiplied by the mean of the cell's non-zero input values.
    pub(crate) adaptive_bias: bool,
}

impl AffineHeadConfig {
    /// A freshly initialised head.
    pub(crate) fn init(self, device: &Device) -> AffineHead {
        let bias = GepHeadConfig { zero_probability: false, ..self.coefficient };
        AffineHead {
            coefficient: self.coefficient.init(device),
            bias: bias.init(device),
            activation: self.activation,
            adaptive_bias: self.adaptive_bias,
        }
    }
}

impl AffineHead {
    /// Predicts the expression of every token from its state and its input value.
    ///
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

    /// See [`Scgpt::computing_in`](crate::Scgpt::computing_in).
    pub(crate) fn compute_in(&mut self, format: Option<Format>) {
        for head in [&mut self.coefficient, &mut self.bias] {
            head.compute_in(format);
        }
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
