//! [`Linear`]: products with weights, which kernels of the CPU compute in the format asked for.

#[cfg(feature = "flex")]
mod flex;
mod packed;

use burn::{
    module::Param,
    nn::{Linear as Unpacked, LinearConfig},
    prelude::*,
    tensor::module::linear,
};
use scgpt_kernels::Format;

use self::packed::Packed;

/// `x W + b`.
///
/// It is burn's layer until a network is told to [compute in](crate::Scgpt::computing_in) bf16 numbers:
/// then the CPU multiplies by weights that are packed when they are first used.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[d_in, d_out]`.
    pub weight: Param<Tensor<2>>,
    /// `[d_out]`.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    packed: Option<Packed>,
}

impl Linear {
    /// Freshly drawn weights, uniform in ±√(1 / d_in), as those of `torch.nn.Linear`.
    pub fn new(d_in: usize, d_out: usize, device: &Device) -> Self {
        Self::drawn(&LinearConfig::new(d_in, d_out), device)
    }

    /// As [`new`](Self::new), drawn as the configuration says.
    pub(crate) fn drawn(config: &LinearConfig, device: &Device) -> Self {
        let Unpacked { weight, bias } = config.init(device);
        Self { weight, bias, packed: None }
    }

    /// `x W + b`.
    ///
    /// # Shapes
    /// - x: `[…, d_in]`
    /// - output: `[…, d_out]`
    ///
    /// # Panics
    /// If the last axis of `x` is not `d_in`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (weight, bias) = (self.weight.val(), self.bias.as_ref().map(Param::val));
        #[cfg(feature = "flex")]
        if let Some(packed) = self.packed.as_ref().filter(|_| crate::flex::serves(&x)) {
            return flex::linear(x, weight, bias, packed.clone());
        }
        linear(x, weight, bias)
    }

    /// Computes in that format from now on, or as burn does with `None`.
    pub(crate) fn compute_in(&mut self, format: Option<Format>) {
        self.packed = format.and_then(|format| Packed::new(format, self.weight.dims()));
    }
}

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests;
