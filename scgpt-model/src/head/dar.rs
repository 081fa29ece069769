//! Cell embedding → batch scores, with a reversed gradient.

use burn::prelude::*;

use super::ClassHead;

const SLOPE: f64 = 0.01;
const LAYERS: usize = 3;

/// Tells batches apart, with a reversed gradient: what the head learns, the network before it
/// unlearns (DAR).
///
/// # Reference
/// Methods, "domain adaptation by reverse back-propagation"; `model.py`,
/// `AdversarialDiscriminator` and `grad_reverse`. Differs: none.
#[derive(Module, Debug)]
pub struct DarHead {
    /// The discriminator.
    pub discriminator: ClassHead,
}

impl DarHead {
    /// A freshly initialised head.
    pub fn new(d_model: usize, n_domains: usize, device: &Device) -> Self {
        Self { discriminator: ClassHead::new(d_model, n_domains, LAYERS, device) }
    }

    /// Scores every batch for every cell; the gradient of `cell` is multiplied by −1.
    ///
    /// # Shapes
    /// - cell: `[b, d]`
    /// - output: `[b, domains]`, logits
    pub fn forward(&self, cell: Tensor<2>) -> Tensor<2> {
        self.discriminator.with_slope(reverse_gradient(cell), SLOPE)
    }
}

/// `x`, with the gradient multiplied by −1.
fn reverse_gradient(x: Tensor<2>) -> Tensor<2> {
    if x.device().is_autodiff() { x.clone().detach() * 2.0 - x } else { x }
}
