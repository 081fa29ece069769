//! Attention over a packed projection of all cells, and its gradient.

mod backward;
mod exp;
mod forward;
mod product;

pub use self::{backward::AttentionGradient, forward::attend};

/// Everything but numbers that attention needs to know.
#[derive(Clone, Debug)]
pub struct AttentionPlan {
    /// Heads, each `d / n_heads` wide.
    pub n_heads: usize,
    /// Rows of the result: the first `n` tokens.
    pub n: usize,
    /// For each cell, the number of keys that all its queries see.
    pub known: Vec<usize>,
    /// For each cell, the number of tokens that are not padding; from `known` on they also see
    /// themselves.
    pub used: Vec<usize>,
    /// For each cell, the number of queries that attend, at most `n`.
    pub queries: Vec<usize>,
}
