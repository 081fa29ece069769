//! Tokens → vectors: a gene, its value, and the conditions it was measured under.

mod condition;
mod gene;
mod value;

use burn::{nn::Embedding, prelude::*};

pub use self::{
    condition::{ConditionEncoder, PerturbationEncoder},
    gene::GeneEncoder,
    value::{BinnedValues, ContinuousValues, ValueEncoder},
};

/// A table whose row `held`, if there is one, is zero at first, as that of a padding index is in
/// PyTorch.
fn with_zero_row(mut table: Embedding, held: Option<usize>) -> Embedding {
    if let Some(row) = held {
        table.weight = table.weight.map(|weight| {
            let d = weight.dims()[1];
            let zero = Tensor::zeros([1, d], &weight.device());
            weight.slice_assign([row..row + 1, 0..d], zero)
        });
    }
    table
}

/// Returns `vectors` unchanged, but without a gradient where the token is `held`.
///
/// # Shapes
/// - vectors, output: `[b, t, d]`
/// - tokens: `[b, t]`
fn hold_row(vectors: Tensor<3>, tokens: Tensor<2, Int>, held: Option<usize>) -> Tensor<3> {
    match held.and_then(|row| i64::try_from(row).ok()) {
        Some(row) if vectors.device().is_autodiff() => {
            let shape = vectors.dims();
            let is_held = tokens.equal_elem(row).unsqueeze_dim::<3>(2).expand(shape);
            let constant = vectors.clone().detach();
            vectors.mask_where(is_held, constant)
        }
        _ => vectors,
    }
}
