//! [`PretrainReport`]: what a run learned, as values.

use scgpt_train::Best;
use serde::Serialize;

use super::{PretrainConfig, PretrainOptions, task::PretrainTask};
use crate::training::{AddedGenes, Curves, NetworkConfig, ThinnedCells, Trained};

/// The result of pre-training.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct PretrainReport {
    /// The cells that it learned from.
    pub data: PretrainData,
    /// The settings that were in force.
    pub config: PretrainConfig,
    /// Optimiser steps done.
    pub steps: u64,
    /// The best validation, whose network was kept.
    pub best: Option<Best>,
    /// Whether training stopped before its end because nothing improved any more.
    pub stopped_early: bool,
    /// The cells whose halves were to find each other in every validation, if there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinned: Option<ThinnedCells>,
    /// Says that the network before the first step was kept, if no later one was better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_start: Option<String>,
    /// Genes that joined the vocabulary of the model, if they were to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_genes: Option<AddedGenes>,
    /// How losses and scores changed as the network learned.
    #[serde(flatten)]
    pub curves: Curves,
}

/// The cells of a run.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct PretrainData {
    /// Path of the folder of shards.
    pub shards: String,
    /// Paths of the files from which the shards were made.
    pub sources: Vec<String>,
    /// Number of cells trained on.
    pub training_cells: usize,
    /// Number of cells in each validation.
    pub validation_cells: usize,
    /// Number of gene tokens in the vocabulary.
    pub vocabulary: usize,
    /// The model that it continues from; `None` for a new network.
    pub from: Option<String>,
    /// Sources whose values are not counts.
    pub not_counts: Vec<String>,
}

impl PretrainData {
    /// Describes the shards, and how their cells were divided.
    pub(super) fn of(task: &PretrainTask<'_>, options: &PretrainOptions<'_>) -> Self {
        let sources = &task.cells.shards.manifest().sources;
        Self {
            shards: options.shards.display().to_string(),
            sources: sources.iter().map(|source| source.path.clone()).collect(),
            training_cells: task.split.training().len(),
            validation_cells: task.validation.len(),
            vocabulary: task.cells.network.vocab_size,
            from: task.config.model.as_ref().map(|path| path.display().to_string()),
            not_counts: sources
                .iter()
                .filter(|source| !source.input_state.is_counts())
                .map(|source| source.path.clone())
                .collect(),
        }
    }
}

impl PretrainReport {
    /// The report of a run; `config` gets the shape of the network that was trained.
    pub(super) fn new(config: &PretrainConfig, data: PretrainData, trained: &Trained) -> Self {
        let Trained { network, outcome, .. } = trained;
        Self {
            data,
            config: PretrainConfig { network: NetworkConfig::of(network), ..config.clone() },
            steps: outcome.steps,
            best: outcome.best.clone(),
            stopped_early: outcome.stopped_early,
            thinned: trained.thinned,
            kept_start: trained.kept_start.clone(),
            new_genes: trained.beginning.added.clone(),
            curves: trained.curves(),
        }
    }

    /// The value of a metric in the best validation, if it has such a metric.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let record = self.curves.validation.iter().rev().find(|record| record.is_best)?;
        Some(record.metrics.iter().find(|metric| metric.name == name)?.value)
    }
}
