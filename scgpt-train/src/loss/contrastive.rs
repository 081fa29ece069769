//! The contrastive objective between two passes of the same cells (CCE).

use burn::{prelude::*, tensor::DType};

use super::cross_entropy;

const TEMPERATURE: f64 = 0.5;
const SHORTEST: f64 = 1e-8;

/// Cross-entropy of finding each cell of the second pass among all cells by cosine similarity.
///
/// # Shapes
/// - first, second: `[b, d]`, cell embeddings under two draws of dropout
/// - output: `[1]`, in nats; 0 for one cell
///
/// # Reference
/// `model.py`, `Similarity` with temperature 0.5 and `forward` with `CCE`. Differs: none.
pub fn contrastive(first: Tensor<2>, second: Tensor<2>) -> Tensor<1> {
    let unit = |x: Tensor<2>| {
        let x = x.cast(DType::F32);
        // The root is not differentiable at zero, so the floor comes before it.
        let length = x.clone().square().sum_dim(1).clamp_min(SHORTEST * SHORTEST).sqrt();
        x / length
    };
    let device = first.device();
    let n = i64::try_from(first.dims()[0]).unwrap_or(i64::MAX);
    let logits = unit(first).matmul(unit(second).transpose()) / TEMPERATURE;
    cross_entropy(logits, Tensor::arange(0..n, &device), None)
}
