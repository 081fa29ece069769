//! The tasks of scGPT, one module a question.
//!
//! - [`embed`]: which vector stands for each cell, or for each gene?
//! - [`generate`]: which values do unknown genes have?
//! - [`pretrain`]: what can be learned from cells alone?
//! - [`annotate`]: which type is each cell?
//! - [`map`]: what do its neighbours in a reference say?
//! - [`integrate`]: where do cells lie, whatever their batch and modality?
//! - [`perturb`]: how do cells respond to the perturbation of genes, and which one explains a state?
//! - [`grn`]: which genes belong together?
//! - [`study`]: what does it take, more cells, other cells, or a larger network?
//!
//! Every module begins with an example. Tasks that learn have the same three steps: settings of a
//! [`Recipe`], `prepare`, which checks all that can be checked and writes nothing, and `run`, which
//! leaves an artefact: one folder with the network and everything else that its answers need.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use burn::prelude::Device;
//! use scgpt_data::{Silent, Source};
//! use scgpt_tasks::annotate::{Artefact, PredictOptions};
//!
//! let artefact = Artefact::open(Path::new("immune.model"), &Device::default())?;
//! let mut cells = Source::open(Path::new("pbmc.h5ad"))?;
//! let annotated = artefact.annotate(&mut cells, &PredictOptions::default(), &Silent)?;
//! println!("{:?}, one of {}", annotated.prediction(0), annotated.set(0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Tasks tell an [`Observer`](scgpt_data::Observer) how far they are and print nothing. What they are
//! judged by, without a network, is `scgpt-eval`.

pub mod annotate;
mod artefact;
pub mod embed;
mod error;
mod folder_kind;
pub mod generate;
pub mod grn;
pub mod integrate;
mod known_genes;
pub mod map;
mod mean_expression;
mod model_folder;
#[cfg(feature = "cloud")]
pub mod models;
pub mod perturb;
pub mod pretrain;
mod start_vectors;
mod stream;
pub mod study;
mod training;
mod usage;

pub use crate::{
    error::{Error, Result},
    folder_kind::{TRAINING, UNFINISHED, instead_of_cells, open_model},
    known_genes::KnownGenes,
    model_folder::write_model,
    training::{
        AddedGenes, Curves, GeneStart, LearnOptions, Learned, NetworkConfig, NewGenes, Recipe,
        ThinnedCells, VectorMap, clear_training,
    },
};

/// The example of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
