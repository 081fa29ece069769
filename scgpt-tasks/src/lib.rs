//! What scGPT is used for: one module a question.
//!
//! - [`Embedder`]: which vector stands for each cell?
//! - [`Generator`]: which values do unknown genes have?
//! - [`Pretraining`]: what can be learned from cells alone?
//! - [`Annotation`] and [`Artefact`]: which type is each cell?
//! - [`ReferenceIndex`]: what do its neighbours in a reference say?
//! - [`Integration`]: where do cells lie, whatever their batch and modality?
//! - [`EmbeddingNetworks`] and [`AttentionNetworks`]: which genes belong together?
//! - [`Perturbation`]: how do cells respond to the perturbation of genes, and which one explains a state?
//! - [`cluster_scores`] and [`IntegrationScores`]: do cells of one type lie together, and batches mix?
//! - [`hvg_pca`]: what is there to see without a model?
//! - [`Simulation`]: what would cells of known types look like?
//!
//! [`Page`] is the room where every task's report is made.
//!
//! Tasks report their progress to an [`Observer`] and print nothing.

pub mod annotate;
mod artefact;
pub mod embed;
mod error;
mod folder_kind;
pub mod generate;
pub mod grn;
pub mod integrate;
mod known_genes;
mod limit;
pub mod map;
mod model_folder;
pub mod perturb;
pub mod pretrain;
mod stream;
mod training;
mod usage;

pub use crate::{
    error::{Error, Result},
    folder_kind::{FolderKind, open_model},
    known_genes::KnownGenes,
    model_folder::write_model,
    training::{LearnOptions, NetworkConfig, Recipe, TRAINING, UNFINISHED, clear_training},
};

/// The example of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
