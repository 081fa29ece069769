//! [`Embedding`]: the embeddings of all cells.

use scgpt_data::RowSpool;

use super::EmbedReport;
use crate::error::Result;

/// The embeddings of all cells, in a temporary file, and how they were made.
#[derive(Debug)]
pub struct Embedding {
    /// One row of unit length per cell, in the order of the source.
    pub rows: RowSpool,
    /// Cells that express no known gene, ascending; their rows mean nothing.
    pub empty: Vec<usize>,
    /// What happened while the cells were embedded.
    pub report: EmbedReport,
}

/// What [`Embedder::embed_each`](super::Embedder::embed_each) returns beside the embeddings, which it has given away.
#[derive(Debug)]
pub struct Embedded {
    /// Cells that express no known gene, ascending; their rows mean nothing.
    pub empty: Vec<usize>,
    /// What happened while the cells were embedded.
    pub report: EmbedReport,
    /// What was [told](crate::stream::Sink::tell) of each cell; empty if nothing was asked.
    pub(crate) told: Vec<f32>,
}

impl Embedding {
    /// All rows in memory, `[n, d]`.
    pub(crate) fn all_rows(&self) -> Result<Vec<f32>> {
        let mut rows = Vec::new();
        self.rows.read_rows(0, self.rows.n_rows(), &mut rows)?;
        Ok(rows)
    }
}
