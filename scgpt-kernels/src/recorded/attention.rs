//! Attention over a packed projection of all cells, and its gradient.

mod backward;
mod exp;
mod forward;
mod product;

use crate::tokens::Tokens;

pub use self::{backward::AttentionGradient, forward::attend};

/// Everything but numbers that attention needs to know.
#[derive(Clone, Debug)]
pub struct AttentionPlan {
    /// Heads, each `d / n_heads` wide.
    pub n_heads: usize,
    /// Rows of the result: the first `n` tokens.
    pub n: usize,
    /// The tokens of each cell, of which at most `n` attend.
    pub cells: Vec<Tokens>,
}
