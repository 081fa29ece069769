//! Cross-entropy of class scores (cell types; batches in DAR).

use burn::{prelude::*, tensor::activation::log_softmax};

/// Mean cross-entropy of the true classes, where each cell is multiplied by its weight if there are
/// weights.
///
/// # Shapes
/// - logits: `[b, y]`
/// - classes: `[b]`, below `y`
/// - weights: `[b]`
/// - output: `[1]`, in nats
///
/// # Reference
/// `torch.nn.CrossEntropyLoss`. Differs: the weighted mean divides by the number of cells, not by
/// their weights, so that parts of a batch add up to the whole.
pub fn cross_entropy(
    logits: Tensor<2>,
    classes: Tensor<1, Int>,
    weights: Option<Tensor<1>>,
) -> Tensor<1> {
    let of_cells = -log_softmax(logits, 1).gather(1, classes.unsqueeze_dim(1)); // [b, 1]
    match weights {
        Some(weights) => (of_cells * weights.unsqueeze_dim(1)).mean(),
        None => of_cells.mean(),
    }
}
