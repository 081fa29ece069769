//! The loss functions, one a file: from tensors to one number.

mod bernoulli;
mod class;
mod contrastive;
mod ecs;
mod squared;

pub use self::{
    bernoulli::negative_log_bernoulli,
    class::cross_entropy,
    contrastive::contrastive,
    ecs::elastic_cell_similarity,
    squared::{masked_relative_error, masked_squared_error},
};

use burn::prelude::*;

/// `Σ m x / Σ m`, and 0 if nothing is masked.
fn masked_mean(x: Tensor<2>, is_masked: Tensor<2>) -> Tensor<1> {
    let n = is_masked.clone().sum().clamp_min(1.0);
    (x * is_masked).sum() / n
}
