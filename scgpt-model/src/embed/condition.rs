//! Condition token → vector.

use burn::{
    nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig},
    prelude::*,
};

use super::{hold_row, with_zero_row};

/// One learned vector per batch label or per modality token, normalised.
///
/// # Reference
/// `model.py`, `BatchLabelEncoder` (batches and modalities). Differs: none.
#[derive(Module, Debug)]
pub struct ConditionEncoder {
    /// The vectors of all condition tokens, `[c, d]`.
    pub embedding: Embedding,
    /// The layer norm of the result, over its width.
    pub norm: LayerNorm,
    #[module(skip)]
    held: Option<usize>,
}

impl ConditionEncoder {
    /// A freshly initialised encoder of `n` tokens; the vector of `held` is zero and does not learn.
    pub fn new(n: usize, d_model: usize, held: Option<usize>, device: &Device) -> Self {
        Self {
            embedding: with_zero_row(EmbeddingConfig::new(n, d_model).init(device), held),
            norm: LayerNormConfig::new(d_model).init(device),
            held,
        }
    }

    /// The normalised vector of every condition token.
    ///
    /// # Shapes
    /// - conditions: `[b, t]`
    /// - output: `[b, t, d]`
    pub fn forward(&self, conditions: Tensor<2, Int>) -> Tensor<3> {
        let vectors = self.embedding.forward(conditions.clone());
        self.norm.forward(hold_row(vectors, conditions, self.held))
    }
}

/// One learned vector per perturbation flag, not normalised.
///
/// # Reference
/// `generation_model.py`, `TransformerGenerator.pert_encoder`. Differs: none.
#[derive(Module, Debug)]
pub struct PerturbationEncoder {
    /// The vectors of all flags, `[flags, d]`.
    pub embedding: Embedding,
    #[module(skip)]
    held: Option<usize>,
}

impl PerturbationEncoder {
    /// A freshly initialised encoder of `n` flags; the vector of `held` is zero and does not learn.
    pub fn new(n: usize, d_model: usize, held: Option<usize>, device: &Device) -> Self {
        let embedding = with_zero_row(EmbeddingConfig::new(n, d_model).init(device), held);
        Self { embedding, held }
    }

    /// The vector of every perturbation flag.
    ///
    /// # Shapes
    /// - flags: `[b, t]`
    /// - output: `[b, t, d]`
    pub fn forward(&self, flags: Tensor<2, Int>) -> Tensor<3> {
        hold_row(self.embedding.forward(flags.clone()), flags, self.held)
    }
}
