//! [`EmbedReport`]: what happened, for people (the page) and programs (JSON, `uns["scgpt"]`).

use scgpt_data::{AlignmentSummary, InputState, VariableFlavour};
use scgpt_model::{InferencePrecision, ScgptConfig};
use serde::Serialize;

use super::EmbedOptions;
use crate::{
    known_genes::KnownGenes,
    stream::{Timings, TokenCounts},
};

/// Everything worth knowing about a run of [`Embedder::embed`](super::Embedder::embed).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EmbedReport {
    /// Version of this crate, which wrote the report.
    pub version: String,
    /// Number of cells embedded.
    pub n_cells: usize,
    /// Number of genes of the data.
    pub n_genes: usize,
    /// Width of an embedding.
    pub width: usize,
    /// Which genes of the data the model knows.
    pub genes: AlignmentSummary,
    /// How many of the genes that the model was made for the data has.
    pub known_genes: KnownGenes,
    /// Whether the values looked like counts, logarithms or something else.
    pub input_state: InputState,
    /// The selection of variable genes, if there was one.
    pub variable: Option<VariableReport>,
    /// Tokens per cell.
    pub tokens: TokenCounts,
    /// Most tokens that a cell could have.
    pub max_length: usize,
    /// In which numbers cells were computed: not always what was asked for.
    pub precision: InferencePrecision,
    /// Cells per second, from the first cell read to the last embedded. Times are only for whoever
    /// waits: files hold none, so that the same run writes the same bytes.
    #[serde(skip)]
    pub cells_per_second: f64,
    /// How long reading, tokenising and the network took, in seconds.
    #[serde(skip)]
    pub timings: Timings,
    /// The options of the run.
    pub options: EmbedOptions,
    /// The model; `None` if cells were told by a simple method, without a network.
    pub model: Option<ModelReport>,
}

impl EmbedReport {
    /// A line that says how many genes are known, of those of the data and of those of the model.
    pub fn genes_line(&self) -> String {
        let AlignmentSummary { matched, genes, coverage, column, .. } = &self.genes;
        let KnownGenes { matched: of_model, of_model: all, is_trained, .. } = &self.known_genes;
        let whose = if *is_trained { "it was trained on" } else { "of the model" };
        format!(
            "{matched} of {genes} known ({:.1} %), named by `{column}`; {of_model} of the {all} {whose}",
            100.0 * coverage
        )
    }
}

/// Which model was used.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModelReport {
    /// SHA-256 of the weights file, hexadecimal; `None` for a model from memory.
    pub sha256: Option<String>,
    /// The configuration of the network.
    pub config: ScgptConfig,
}

/// A selection of variable genes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VariableReport {
    /// The measure that was used.
    pub flavour: VariableFlavour,
    /// Number of genes selected.
    pub n_selected: usize,
    /// Number of those that the model knows.
    pub n_known: usize,
}
