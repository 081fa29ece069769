//! Results to a verdict: what a model's answers are worth, and what simple methods answer to the
//! same question.
//!
//! - [`baseline`]: variable genes and principal components, Harmony, ComBat, logistic regression,
//!   neighbours, correlation and trees;
//! - [`IntegrationScores`], [`LabelEvaluation`]: scIB's scores of embeddings, scores of labels;
//! - [`network`]: edges of genes, gene sets, enrichment, null distributions, programmes, the truth;
//! - [`perturbation`]: designs, splits, scores and judges of responses;
//! - [`simulate`]: cells with planted types, batches, modalities and perturbations;
//! - [`study`]: what many pre-training runs tell of cells, contexts and networks;
//! - [`BatchesTold`]: whether batches can be told apart at all;
//! - [`Labels`], [`LabelSummary`], [`CellMap`], [`CellColours`], [`Separation`], [`doubts()`]: labels of
//!   cells, maps of them and what colours these, how well an embedding separates them, and what may be
//!   wrong.
//!
//! Cells come from any [`CellSource`](scgpt_data::CellSource) in blocks; nothing holds a whole matrix.
//!
//! ```
//! use scgpt_data::Silent;
//! use scgpt_eval::{baseline::{BaselineOptions, hvg_pca}, simulate::{SimulateOptions, Simulation}};
//! use scgpt_stats::{ClusterOptions, cluster_scores};
//!
//! let mut cells = SimulateOptions::new(300, 200);
//! (cells.types, cells.seed) = (3, 1);
//! let mut source = Simulation::new(&cells, None)?;
//! let mut options = BaselineOptions::default();
//! (options.n_genes, options.n_components) = (100, 10);
//! let pca = hvg_pca(&mut source, &options, &Silent)?;
//! let types: Vec<usize> = (0..300).map(|cell| source.truth(cell).0).collect();
//! let clusters = ClusterOptions::default();
//! let scores = cluster_scores(&pca.rows, pca.n_components, &types, &clusters, &Silent)?;
//! assert!(scores.nmi > 0.9);
//! # Ok::<(), scgpt_data::Error>(())
//! ```

pub mod baseline;
mod cell_colours;
mod cell_map;
mod cell_space;
mod doubts;
mod evaluation;
mod label_summary;
mod labels;
mod map_genes;
mod neighbourhood;
pub mod network;
pub mod perturbation;
mod separation;
pub mod simulate;
pub mod study;
mod told;

pub use crate::{
    cell_colours::{CellColours, ColourChoice, added_colours, label_colours},
    cell_map::{AXES, CellMap},
    cell_space::CellSpace,
    doubts::{doubts, doubts_of_shards},
    evaluation::{
        CalibrationScores, CellColumn, IntegrationComparison, IntegrationScores, LabelEvaluation,
        LabelMap, MapCell, PredictedLabels, ScoredEmbedding, UnknownScores,
    },
    label_summary::LabelSummary,
    labels::{Labels, join_labels, likely_colour, likely_types, split_labels},
    neighbourhood::{Neighbourhood, NeighbourhoodOptions},
    separation::Separation,
    told::BatchesTold,
};
