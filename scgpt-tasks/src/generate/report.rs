//! [`GenerateReport`]: what was generated and how well, as values.

use scgpt_data::AlignmentSummary;
use scgpt_model::InferencePrecision;
use serde::Serialize;

use super::GenerateOptions;

/// What was generated for all cells, and how good it is.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct GenerateReport {
    /// Version of this program.
    pub version: String,
    /// Number of cells.
    pub n_cells: usize,
    /// The genes of the data, and which of them the model knows.
    pub genes: AlignmentSummary,
    /// Number of cells that express no known gene.
    pub without_genes: usize,
    /// Number of predicted values.
    pub n_predicted: u64,
    /// Scores of the network, over the genes whose truth is known.
    pub network: Option<Scores>,
    /// Scores of a simple guess: the mean of each gene over the other cells that express it.
    pub gene_mean: Option<Scores>,
    /// Scores of another simple guess: the mean of the known values of the cell, for all of its
    /// genes.
    pub cell_mean: Option<Scores>,
    /// The rounds in their order.
    pub rounds: Vec<RoundReport>,
    /// The numbers that cells were computed in.
    pub precision: InferencePrecision,
    /// Genes asked for that the model does not know.
    pub missing: Vec<String>,
    /// Some pairs of truth and prediction, in value bins, for a picture.
    #[serde(skip)]
    pub pairs: Vec<[f32; 2]>,
    /// What was asked.
    pub options: GenerateOptions,
}

/// How good predictions of value bins are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Scores {
    /// Mean squared error, in squared value bins.
    pub squared_error: f64,
    /// Mean absolute error, in value bins.
    pub absolute_error: f64,
    /// Pearson correlation with the truth; `None` if one of them does not vary.
    pub correlation: Option<f64>,
}

/// One round over all cells.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RoundReport {
    /// Number of genes that were unknown, over all cells.
    pub asked: u64,
    /// Number of those that became known.
    pub moved: u64,
    /// Mean squared error of all genes that were unknown.
    pub squared_error: Option<f64>,
    /// Mean squared error of those that became known.
    pub squared_error_of_moved: Option<f64>,
}
