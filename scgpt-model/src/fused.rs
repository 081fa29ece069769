//! Operators between the products of a block, each of which takes one pass over memory on the CPU.
//!
//! On other devices, and in other precisions than f32, they are composed of burn's operations as
//! their documentation says.

#[cfg(feature = "flex")]
mod flex;

use burn::{
    nn::{Dropout, LayerNorm},
    prelude::*,
    tensor::activation::relu,
};

#[cfg(feature = "flex")]
use crate::flex::serves;

/// `norm(x + dropout(update))`.
///
/// # Shapes
/// - x, update, output: `[b, t, d]`
pub(crate) fn add_norm(
    x: Tensor<3>,
    update: Tensor<3>,
    norm: &LayerNorm,
    dropout: &Dropout,
) -> Tensor<3> {
    #[cfg(feature = "flex")]
    if let Some(beta) = norm.beta.as_ref().filter(|_| serves(&x) && serves(&update)) {
        let drop = flex::draw(dropout, &update.device());
        return flex::add_norm(x, update, norm.gamma.val(), beta.val(), drop);
    }
    norm.forward(x + dropout.forward(update))
}

/// `dropout(relu(x))`.
///
/// # Shapes
/// - x, output: `[b, t, f]`
pub(crate) fn relu_drop(x: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
    #[cfg(feature = "flex")]
    if serves(&x) {
        let drop = flex::draw(dropout, &x.device());
        return flex::relu_drop(x, drop);
    }
    dropout.forward(relu(x))
}

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests;
