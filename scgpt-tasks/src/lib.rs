//! What scGPT is used for: one module a question.
//!
//! - [`Embedder`]: which vector stands for each cell?
//! - [`Generator`]: which values do unknown genes have?
//! - [`Pretraining`]: what can be learned from cells alone?
//! - [`cluster_scores`]: do cells of one type lie together?
//! - [`hvg_pca`]: what is there to see without a model?
//! - [`Simulation`]: what would cells of known types look like?
//!
//! [`Page`] is the room where every task's report is made.
//!
//! Tasks report their progress to an [`Observer`] and print nothing.

mod baseline;
mod cluster;
mod embed;
mod error;
mod generate;
mod metrics;
mod observe;
mod pca;
mod pretrain;
mod projection;
mod report;
mod separation;
mod simulate;
mod training;

pub use crate::{
    baseline::{Baseline, BaselineOptions, hvg_pca},
    cluster::{ClusterOptions, ClusterScores, Graph, Neighbours, cluster_scores, leiden},
    embed::{
        EmbedOptions, EmbedReport, Embedder, Embedding, ModelReport, Timings, TokenCounts,
        VariableOptions, VariableReport, input_state, obs_column,
    },
    error::{Error, Result},
    generate::{
        Ask, GenerateOptions, GenerateReport, GeneratedCells, Generator, RoundReport, Scores,
    },
    metrics::{adjusted_rand_index, label_codes, normalised_mutual_information},
    observe::{Observer, Silent, Watched},
    pretrain::{
        MeanExpression, Preset, PretrainConfig, PretrainOptions, PretrainReport, Pretraining,
    },
    projection::{principal_components, subsample},
    report::{Bar, Group, Page, Scale, Series},
    separation::Separation,
    simulate::{SimulateOptions, Simulation},
    training::NetworkConfig,
};

/// The example of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
