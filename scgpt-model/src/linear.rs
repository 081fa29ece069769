//! [`Linear`]: products with weights, which kernels of the CPU compute in the format asked for.

mod adapter;
#[cfg(feature = "flex")]
mod flex;
mod lora;
mod packed;

use burn::{
    module::Param,
    nn::{Linear as Unpacked, LinearConfig},
    prelude::*,
    tensor::module::linear,
};
use scgpt_kernels::Format;

pub(crate) use self::adapter::add_product;
use self::packed::Packed;
pub use self::{adapter::Adapter, lora::Lora};
#[cfg(feature = "flex")]
use crate::fused::add_bias;

/// `x W + b`, and what an adapter adds.
///
/// It is burn's layer until a network is told to [compute in](crate::Scgpt::computing_in) bf16 numbers:
/// then the CPU multiplies by weights that are packed when they are first used.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[d_in, d_out]`.
    pub weight: Param<Tensor<2>>,
    /// `[d_out]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// What learns instead of the weight, if the network [has adapters](crate::Scgpt::with_adapters).
    pub adapter: Option<Adapter>,
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
        Self { weight, bias, adapter: None, packed: None }
    }

    /// `x W + b`, and `s (x A) B` of an adapter.
    ///
    /// # Shapes
    /// - x: `[…, d_in]`
    /// - output: `[…, d_out]`
    ///
    /// # Panics
    /// If the last axis of `x` is not `d_in`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match &self.adapter {
            Some(adapter) => self.product(x.clone()) + adapter.forward(x),
            None => self.product(x),
        }
    }

    fn product<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (weight, bias) = (self.weight.val(), self.bias.as_ref().map(Param::val));
        #[cfg(feature = "flex")]
        if let Some(packed) = self.packed.as_ref().filter(|_| crate::flex::serves(&x)) {
            return flex::linear(x, weight, bias, packed.clone());
        }
        match bias {
            #[cfg(feature = "flex")]
            Some(bias) if crate::flex::serves(&x) => add_bias(linear(x, weight, None), bias),
            bias => linear(x, weight, bias),
        }
    }

    /// Computes in that format from now on, or as burn does with `None`.
    pub(crate) fn compute_in(&mut self, format: Option<Format>) {
        let shape = self.weight.dims();
        let is_frozen = !self.weight.is_require_grad();
        self.packed = format.and_then(|format| match self.adapter.as_ref().filter(|_| is_frozen) {
            Some(adapter) => adapter.packed(format, shape),
            None => Packed::new(format, shape),
        });
    }

    /// See [`Scgpt::with_adapters`](crate::Scgpt::with_adapters).
    pub(crate) fn adapt(&mut self, lora: Lora) {
        let shape = self.weight.lazy_shape();
        let shape = [shape[0], shape[1]];
        self.adapter = Some(Adapter::new(lora, shape, &self.weight.lazy_device()));
    }

    /// See [`Scgpt::merged`](crate::Scgpt::merged).
    pub(crate) fn merge(&mut self) {
        if let Some(adapter) = self.adapter.take() {
            self.weight = self.weight.clone().map(|weight| adapter.merged(weight));
        }
    }
}

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests;
