//! The choices that the fields of a configuration have.

use serde::{Deserialize, Serialize};

/// How a value becomes part of a token's embedding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueEncoding {
    /// A small network on the value: `LN(W₂ relu(W₁ min(x, 512)))`.
    #[default]
    Continuous,
    /// A table with one row per value bin.
    Binned {
        /// Rows of the table: one a bin, one for padding and one for hidden values.
        n_inputs: usize,
    },
    /// The value scales the gene embedding.
    Scaling,
}

/// How token states become one cell embedding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellPooling {
    /// The state of the `<cls>` token.
    #[default]
    Cls,
    /// The mean over tokens.
    Mean,
    /// The sum over tokens weighted by their values, scaled to unit length.
    Weighted,
    /// The mean over tokens weighted by their values, to which tokens with a hidden, unknown or
    /// zero value add nothing. A new network then need not first learn which tokens matter.
    ValueMean,
}

/// What padded positions contribute to [`CellPooling::Mean`] and [`CellPooling::Weighted`].
///
/// The reference lets padding into both, with states that depend on the attention library it
/// ran on; the two variants that reproduce it exist for parity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaddedStates {
    /// Nothing: a cell embedding does not depend on the batch it was in.
    #[default]
    Excluded,
    /// Reference, packed layout: the attention context of a padded query is zero.
    PackedLayout,
    /// Reference, plain layout: in evaluation mode the final state of a padded token is zero, unless
    /// the number of heads is odd; then, and in training mode, padded queries look at the known tokens.
    PlainLayout,
}

/// Where the norms of a block stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormScheme {
    /// After each residual sum: `x ← LN(x + f(x))`. Every released model.
    #[default]
    Post,
    /// Before each residual sum, with the residual taken from the normalised state: `x ← LN(x); x ←
    /// x + f(x)`. The reference calls it "pre"; it is not the usual pre-norm.
    Normed,
}

/// How a query mixes the values of the keys that it sees.
///
/// All but [`Exact`](Self::Exact) take time and memory in proportion to the number of tokens. In all of
/// them a query sees the known tokens, an unknown one also itself, and nobody padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum AttentionKind {
    /// `softmax(q kᵀ / √k) v`.
    #[default]
    Exact,
    /// `φ(q) φ(k)ᵀ v`, rows scaled to sum to 1, with `φ(x) = elu(x) + 1` (Katharopoulos et al., 2020).
    Linear,
    /// As [`Linear`](Self::Linear) with positive orthogonal random features, by which the expected
    /// weights are those of [`Exact`](Self::Exact) (Performer, Choromanski et al., 2021).
    Favor,
    /// [`Exact`](Self::Exact) among a few means of keys and of values, to which each gene belongs by
    /// learned weights (after Linformer, Wang et al., 2020).
    Linformer,
}

impl AttentionKind {
    /// What it is called in a configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Linear => "linear",
            Self::Favor => "favor",
            Self::Linformer => "linformer",
        }
    }
}

/// Batch normalisation of the token embeddings, before the transformer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum InputNorm {
    /// The embeddings are not normalised.
    #[default]
    None,
    /// By the statistics of all cells.
    ///
    /// With learned scale and shift (first-generation models).
    Batch,
    /// By those of the cell's batch.
    ///
    /// One a batch label, without learned parameters (DSBN).
    #[cfg_attr(feature = "clap", value(alias = "domain-specific"))]
    #[serde(alias = "domain-specific")]
    DomainSpecific,
}

/// How the GEPC head makes a query of a gene and joins it with the cell embedding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GepcStyle {
    /// `⟨W σ(Q g + b), cell⟩`.
    #[default]
    InnerProduct,
    /// As [`InnerProduct`](Self::InnerProduct), but no gradient reaches the gene vectors.
    InnerProductDetached,
    /// A small network on query and cell embedding side by side.
    Concat,
    /// A small network on the sum of query and cell embedding.
    Sum,
}

/// The function through which slope and bias of the affine head pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x` as it is.
    #[default]
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `1 / (1 + e⁻ˣ)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `ln(1 + eˣ)`.
    Softplus,
}

/// How token states become expression (GEP).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GepStyle {
    /// The predicted value itself.
    #[default]
    Direct,
    /// `a · value + b` of the token's own input value, for perturbations.
    Affine {
        /// The function that both `a` and `b` pass through.
        activation: Activation,
        /// Whether `b` is scaled by the mean of the cell's non-zero input values.
        adaptive_bias: bool,
    },
}
