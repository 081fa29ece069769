//! [`EmbedReport`]: what happened, for people (the page) and programs (JSON, `uns["scgpt"]`).

use scgpt_data::{AlignmentSummary, InputState, VariableFlavour};
use scgpt_model::ScgptConfig;
use serde::Serialize;

use super::EmbedOptions;
use crate::known_genes::KnownGenes;

/// Everything worth knowing about a run of [`Embedder::embed`](super::Embedder::embed).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EmbedReport {
    /// Version of this crate.
    pub version: String,
    /// Cells embedded.
    pub n_cells: usize,
    /// Genes of the data.
    pub n_genes: usize,
    /// Width of an embedding.
    pub width: usize,
    /// Which genes the model knows.
    pub genes: AlignmentSummary,
    /// How many of the genes that the model was made for the data has.
    pub known_genes: KnownGenes,
    /// What the values looked like.
    pub input_state: InputState,
    /// The selection of variable genes, if there was one.
    pub variable: Option<VariableReport>,
    /// Tokens per cell.
    pub tokens: TokenCounts,
    /// Most tokens a cell could have.
    pub max_length: usize,
    /// Cells per second, from the first cell read to the last embedded. Times are for whoever waits:
    /// outputs hold none, so that the same run writes the same bytes.
    #[serde(skip)]
    pub cells_per_second: f64,
    /// Where the time went.
    #[serde(skip)]
    pub timings: Timings,
    /// The options of the run.
    pub options: EmbedOptions,
    /// The model.
    pub model: ModelReport,
}

impl EmbedReport {
    /// How many genes are known, of those of the data and of those of the model.
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

/// Which model it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelReport {
    /// SHA-256 of the weights file, hexadecimal; none for a model from memory.
    pub sha256: Option<String>,
    /// The network.
    pub config: ScgptConfig,
}

/// A selection of variable genes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VariableReport {
    /// The measure that was used.
    pub flavour: VariableFlavour,
    /// Genes selected.
    pub n_selected: usize,
    /// Those of them that the model knows.
    pub n_known: usize,
}

/// Seconds; stages overlap, so they add up to more than the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Timings {
    /// From the first cell read to the last embedded.
    pub total: f64,
    /// Reading and decoding.
    pub reading: f64,
    /// Binning, sampling and tokenising.
    pub tokenising: f64,
    /// The network.
    pub computing: f64,
}

/// Tokens per cell in a fixed number of equal classes, so that memory does not grow with cells.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenCounts {
    /// Cells per class; class `i` has `i * width + 1 ..= (i + 1) * width` tokens.
    pub histogram: Vec<u64>,
    /// Tokens a class spans.
    pub width: usize,
    /// Fewest tokens of a cell.
    pub min: usize,
    /// Most tokens of a cell.
    pub max: usize,
    /// Tokens of all cells.
    pub total: u64,
    /// Cells that express no known gene: `<cls>` alone, or tokens of zeros.
    pub n_empty: u64,
    /// Cells with more known expressed genes than fit, of which some were sampled.
    pub n_shortened: u64,
}

impl TokenCounts {
    /// No cells yet, at most `max_length` tokens each.
    pub(crate) fn new(max_length: usize) -> Self {
        let width = max_length.div_ceil(40).max(1);
        Self {
            histogram: vec![0; max_length.div_ceil(width)],
            width,
            min: usize::MAX,
            max: 0,
            total: 0,
            n_empty: 0,
            n_shortened: 0,
        }
    }

    /// One more cell of `n_tokens` tokens, of which there could be `n_available` besides `<cls>`; empty
    /// if it expresses no known gene, though there may be tokens of zeros.
    pub(crate) fn add(&mut self, n_tokens: usize, n_available: usize, is_empty: bool) {
        if let Some(count) = self.histogram.get_mut(n_tokens.saturating_sub(1) / self.width) {
            *count += 1;
        }
        self.min = self.min.min(n_tokens);
        self.max = self.max.max(n_tokens);
        self.total += n_tokens as u64;
        self.n_empty += u64::from(is_empty);
        self.n_shortened += u64::from(n_available + 1 > n_tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_fall_into_their_classes() {
        let mut counts = TokenCounts::new(120);
        assert_eq!((counts.width, counts.histogram.len()), (3, 40));
        for (n_tokens, n_available) in [(1, 0), (3, 2), (4, 3), (120, 500)] {
            counts.add(n_tokens, n_available, n_available == 0);
        }
        assert_eq!(counts.histogram[..2], [2, 1]);
        assert_eq!(counts.histogram[39], 1);
        assert_eq!((counts.min, counts.max, counts.total), (1, 120, 128));
        assert_eq!((counts.n_empty, counts.n_shortened), (1, 1));
    }
}
