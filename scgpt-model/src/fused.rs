//! Operators between the products of a block, each of which takes one pass over memory on the CPU.
//!
//! On other devices, and in other precisions than f32, they are composed of burn's operations as
//! their documentation says.

#[cfg(feature = "flex")]
mod flex;

use burn::{
    nn::{Dropout, LayerNorm},
    prelude::*,
    tensor::activation::{self, relu},
};

#[cfg(feature = "flex")]
pub(crate) use self::flex::add_bias;
#[cfg(feature = "flex")]
use crate::flex::serves;

/// A use of dropout: what it drops is drawn from the generator of the device, or was drawn before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropping<'a> {
    dropout: &'a Dropout,
    #[cfg(feature = "flex")]
    drawn: Option<Drawn>,
}

/// What a use of dropout drops, if anything.
#[cfg(feature = "flex")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawn(Option<flex::Drop>);

#[cfg(feature = "flex")]
impl Drawn {
    /// Draws for a use on that device.
    pub(crate) fn of(dropout: &Dropout, device: &Device) -> Self {
        Self(flex::draw(dropout, device))
    }
}

impl<'a> From<&'a Dropout> for Dropping<'a> {
    fn from(dropout: &'a Dropout) -> Self {
        Self {
            dropout,
            #[cfg(feature = "flex")]
            drawn: None,
        }
    }
}

impl<'a> Dropping<'a> {
    /// Drops what was drawn.
    #[cfg(feature = "flex")]
    pub(crate) fn again(dropout: &'a Dropout, drawn: Drawn) -> Self {
        Self { dropout, drawn: Some(drawn) }
    }

    #[cfg(feature = "flex")]
    fn drop(self, device: &Device) -> Option<flex::Drop> {
        self.drawn.unwrap_or_else(|| Drawn::of(self.dropout, device)).0
    }

    /// Drops states where no kernel does.
    pub(crate) fn forward(self, x: Tensor<3>) -> Tensor<3> {
        self.dropout.forward(x)
    }
}

/// `norm(x + dropout(update))`.
///
/// # Shapes
/// - x, update, output: `[b, t, d]`
pub(crate) fn add_norm(
    x: Tensor<3>,
    update: Tensor<3>,
    norm: &LayerNorm,
    dropping: Dropping<'_>,
) -> Tensor<3> {
    #[cfg(feature = "flex")]
    if let Some(beta) = norm.beta.as_ref().filter(|_| serves(&x) && serves(&update)) {
        let drop = dropping.drop(&update.device());
        return flex::add_norm(x, update, norm.gamma.val(), beta.val(), drop);
    }
    norm.forward(x + dropping.forward(update))
}

/// `dropout(relu(x))`.
///
/// # Shapes
/// - x, output: `[b, t, f]`
pub(crate) fn relu_drop(x: Tensor<3>, dropping: Dropping<'_>) -> Tensor<3> {
    #[cfg(feature = "flex")]
    if serves(&x) {
        let drop = dropping.drop(&x.device());
        return flex::relu_drop(x, drop);
    }
    dropping.forward(relu(x))
}

/// `x` where it is not negative, else `slope · x`; the slope is positive.
pub(crate) fn leaky_relu<const D: usize>(x: Tensor<D>, slope: f32) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if serves(&x) {
        return flex::leaky_relu(x, slope);
    }
    activation::leaky_relu(x, slope.into())
}

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests;
