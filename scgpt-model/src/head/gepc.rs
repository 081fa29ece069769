//! Cell embedding × gene query → expression.

use burn::{
    nn::{Linear, LinearConfig},
    prelude::*,
    tensor::activation::sigmoid,
};

/// Predicts the value of each gene from the cell embedding and the gene's own vector (GEPC).
///
/// ```text
/// ŷ = ⟨W σ(Q g + b), cell⟩
/// ```
///
/// # Reference
/// `model.py`, `MVCDecoder` with `arch_style="inner product"`. Differs: none.
#[derive(Module, Debug)]
pub struct GepcHead {
    /// `d → d`.
    pub gene_to_query: Linear,
    /// `d → d`, without bias.
    pub weight: Linear,
}

impl GepcHead {
    /// A freshly initialised head.
    pub fn new(d_model: usize, device: &Device) -> Self {
        Self {
            gene_to_query: LinearConfig::new(d_model, d_model).init(device),
            weight: LinearConfig::new(d_model, d_model).with_bias(false).init(device),
        }
    }

    /// # Shapes
    /// - cell: `[b, d]`
    /// - genes: `[b, t, d]`, the normalised gene vectors of the same tokens
    /// - output: `[b, t]`, in the unit of the training values
    pub fn forward(&self, cell: Tensor<2>, genes: Tensor<3>) -> Tensor<2> {
        let query = sigmoid(self.gene_to_query.forward(genes)); // [b, t, d]
        self.weight.forward(query).matmul(cell.unsqueeze_dim(2)).squeeze_dim(2)
    }
}
