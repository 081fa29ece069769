//! Heads: from token states and cell embeddings to expression, classes and batches.

mod affine;
mod class;
mod dar;
mod gep;
mod gepc;

use burn::prelude::*;

pub use self::{
    affine::AffineHead,
    class::{ClassHead, ClassLayer},
    dar::DarHead,
    gep::{Decoder, GepHead},
    gepc::{GepcHead, InnerProduct, QueryNetwork},
};
pub(crate) use self::{affine::AffineHeadConfig, gep::GepHeadConfig};

/// Predicted expression.
#[derive(Clone, Debug)]
pub struct Expression {
    /// Predicted values, `[b, t]`, in the unit of the values trained on.
    pub value: Tensor<2>,
    /// Probability that the gene is expressed at all, `[b, t]`, if the head predicts it.
    ///
    /// # Reference
    /// `mlm_zero_probs`, `mvc_zero_probs`. Differs: the name; there, too, it is the probability
    /// of a value that is *not* zero.
    pub nonzero: Option<Tensor<2>>,
}
