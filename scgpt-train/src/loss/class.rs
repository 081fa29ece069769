//! Cross-entropy of class scores (cell types; batches in DAR).

use burn::{prelude::*, tensor::activation::log_softmax};

/// Mean cross-entropy of the true classes.
///
/// # Shapes
/// - logits: `[b, y]`
/// - classes: `[b]`, below `y`
/// - output: `[1]`, in nats
///
/// # Reference
/// `torch.nn.CrossEntropyLoss`. Differs: none.
pub fn cross_entropy(logits: Tensor<2>, classes: Tensor<1, Int>) -> Tensor<1> {
    -log_softmax(logits, 1).gather(1, classes.unsqueeze_dim(1)).mean()
}
