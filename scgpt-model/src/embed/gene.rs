//! Gene token → vector.

use burn::{
    nn::{Embedding, EmbeddingConfig, Initializer, LayerNorm, LayerNormConfig},
    prelude::*,
};

use super::hold_row;
use crate::config::ScgptConfig;

/// One learned vector per gene token, normalised.
///
/// # Reference
/// `model.py`, `GeneEncoder`. Differs: none.
#[derive(Module, Debug)]
pub struct GeneEncoder {
    /// The vectors of all gene tokens, `[g, d]`.
    pub embedding: Embedding,
    /// The layer norm of the result, over its width.
    pub norm: LayerNorm,
    #[module(skip)]
    held: Option<usize>,
}

impl GeneEncoder {
    /// A freshly initialised encoder, whose rows are uniform in ±0.1 as in the reference.
    pub fn new(config: &ScgptConfig, device: &Device) -> Self {
        let initializer = Initializer::Uniform { min: -0.1, max: 0.1 };
        Self {
            embedding: EmbeddingConfig::new(config.vocab_size, config.d_model)
                .with_initializer(initializer)
                .init(device),
            norm: LayerNormConfig::new(config.d_model).init(device),
            held: config.pad_token,
        }
    }

    /// The normalised vector of every gene token.
    ///
    /// # Shapes
    /// - genes: `[b, t]`
    /// - output: `[b, t, d]`
    pub fn forward(&self, genes: Tensor<2, Int>) -> Tensor<3> {
        let vectors = self.embedding.forward(genes.clone());
        self.norm.forward(hold_row(vectors, genes, self.held))
    }

    /// The normalised vectors of some gene tokens, without a gradient held back.
    ///
    /// # Shapes
    /// - genes: `[n]`
    /// - output: `[n, d]`
    pub(crate) fn vectors(&self, genes: Tensor<1, Int>) -> Tensor<2> {
        self.norm.forward(self.embedding.weight.val().select(0, genes))
    }

    /// The normalised vectors of all gene tokens, `[g, d]`: what [`forward`](Self::forward) looks
    /// up.
    pub fn table(&self) -> Tensor<2> {
        self.norm.forward(self.embedding.weight.val())
    }
}
