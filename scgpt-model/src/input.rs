//! [`ModelInput`]: the tensors of one forward pass.

use burn::prelude::*;

use crate::attention::AttentionMask;

/// What the network is told of some cells: the tensors of one forward pass.
///
/// ```
/// use burn::prelude::*;
/// use scgpt_model::{AttentionMask, Conditions, ModelInput};
///
/// let device = Device::flex();
/// let genes = Tensor::<2, Int>::from_data([[0, 7, 12]], &device);
/// let values = Tensor::<2>::from_data([[-2.0, 3.0, 50.0]], &device);
/// let mut input = ModelInput::new(genes, values, AttentionMask::padding(vec![3], 3));
/// // For a network with batch labels: this cell is of batch 2.
/// let batches = Some(Tensor::from_data([2], &device));
/// input.conditions = Conditions { batches, ..Conditions::default() };
/// ```
#[derive(Clone, Debug)]
pub struct ModelInput {
    /// Gene tokens, `[b, t]`: known ones first (`<cls>` at 0), then unknown ones, then padding.
    pub genes: Tensor<2, Int>,
    /// Values, `[b, t]`, ignored where a gene is unknown; `None` if no token has a value.
    pub values: Option<Tensor<2>>,
    /// Which tokens attend to which.
    pub mask: AttentionMask,
    /// What else is known of the cells.
    pub conditions: Conditions,
}

/// Condition tokens: those a network was not made for are ignored.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// Batch labels, `[b]`.
    pub batches: Option<Tensor<1, Int>>,
    /// Modality tokens, `[b, t]`.
    pub modalities: Option<Tensor<2, Int>>,
    /// Perturbation flags, `[b, t]`.
    pub perturbations: Option<Tensor<2, Int>>,
    /// The batch label that all cells share, for domain-specific batch norm.
    pub domain: usize,
    /// Cell embeddings to put in the place of `<cls>` (cell prompt), `[b, d]`.
    pub prompt: Option<Tensor<2>>,
}

impl ModelInput {
    /// Genes with values and no conditions.
    pub fn new(genes: Tensor<2, Int>, values: Tensor<2>, mask: AttentionMask) -> Self {
        Self { genes, values: Some(values), mask, conditions: Conditions::default() }
    }
}
