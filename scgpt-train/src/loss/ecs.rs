//! Elastic cell similarity (ECS).

use burn::{prelude::*, tensor::DType};

const SHORTEST: f64 = 1e-12;

/// Mean of `1 − (c − β)²` over all pairs of cells, where `c` is their cosine similarity, or 0 if
/// that is negative and for a cell with itself: similar cells are drawn together, dissimilar ones
/// apart.
///
/// # Shapes
/// - cell: `[b, d]`
/// - threshold: β, from 0 to 1
/// - output: `[1]`; the constant `1 − β²` for one cell
///
/// # Reference
/// Methods, "elastic cell similarity"; `model.py`, `forward` with `ECS`. Differs: none.
pub fn elastic_cell_similarity(cell: Tensor<2>, threshold: f64) -> Tensor<1> {
    let cell = cell.cast(DType::F32);
    let n = cell.dims()[0];
    let device = cell.device();
    // The root is not differentiable at zero, so the floor comes before it.
    let length = cell.clone().square().sum_dim(1).clamp_min(SHORTEST * SHORTEST).sqrt();
    let unit = cell / length;
    let similarity = unit.clone().matmul(unit.transpose()); // [b, b]
    let is_self = Tensor::<2>::eye(n, &device).bool();
    let similarity = similarity.mask_fill(is_self, 0.0).clamp_min(0.0);
    (-(similarity - threshold).square() + 1.0).mean()
}
