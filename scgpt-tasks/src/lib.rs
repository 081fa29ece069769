//! What scGPT is used for: one module a question.
//!
//! - [`Embedder`]: which vector stands for each cell?
//!
//! Tasks report their progress to an [`Observer`] and print nothing.

mod embed;
mod error;
mod observe;

pub use crate::{
    embed::{
        EmbedOptions, EmbedReport, Embedder, Embedding, Timings, TokenCounts, VariableOptions,
        VariableReport, input_state,
    },
    error::{Error, Result},
    observe::{Observer, Silent},
};
