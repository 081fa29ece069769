//! What scGPT is used for: one module a question.
//!
//! - [`Embedder`]: which vector stands for each cell?
//! - [`Pretraining`]: what can be learned from cells alone?
//! - [`Simulation`]: what would cells of known types look like?
//!
//! [`Page`] is the room where every task's report is made.
//!
//! Tasks report their progress to an [`Observer`] and print nothing.

mod embed;
mod error;
mod observe;
mod pretrain;
mod projection;
mod report;
mod simulate;

pub use crate::{
    embed::{
        EmbedOptions, EmbedReport, Embedder, Embedding, ModelReport, Timings, TokenCounts,
        VariableOptions, VariableReport, input_state, obs_column,
    },
    error::{Error, Result},
    observe::{Observer, Silent, Watched},
    pretrain::{
        MeanExpression, NetworkConfig, Preset, PretrainConfig, PretrainOptions, PretrainReport,
        Pretraining,
    },
    projection::{principal_components, subsample},
    report::{Bar, Group, Page},
    simulate::{SimulateOptions, Simulation},
};

/// The example of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
