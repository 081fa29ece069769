//! [`CellSource`]: what every input format offers, and [`Source`], the formats there are.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use crate::{csr::Csr, error::Result, frame::Frame};

/// A matrix of expression values inside a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layer {
    /// The main matrix, `X`.
    #[default]
    X,
    /// `layers[name]`.
    Named(String),
    /// `raw.X`, with the genes of `raw.var`.
    Raw,
}

/// What a file holds, found without reading a matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The file or folder.
    pub path: PathBuf,
    /// Format in words: `h5ad`, `AnnData-zarr v3`, `10x h5 (v3)`, `10x mtx`…
    pub format: String,
    /// Number of cells.
    pub n_cells: usize,
    /// The matrices.
    pub matrices: Vec<MatrixSummary>,
    /// Names of further elements (`obsm/X_pca`, `uns/neighbors`…).
    pub elements: Vec<String>,
}

/// One matrix of a [`Summary`].
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSummary {
    /// Where it is.
    pub layer: Layer,
    /// Number of genes.
    pub n_genes: usize,
    /// Stored entries (cells × genes for a dense matrix).
    pub n_stored: u64,
    /// Encoding in words: `csr`, `csc`, `dense`.
    pub encoding: &'static str,
    /// Element type: `float32`, `int64`…
    pub dtype: String,
}

/// A file of cells that can be streamed in blocks of rows.
///
/// No implementation holds a whole matrix: memory is bounded by the block asked for plus what the
/// storage needs to decode one chunk.
pub trait CellSource: Send {
    /// What the file holds.
    fn summary(&self) -> &Summary;

    /// Annotations of the cells.
    ///
    /// # Errors
    /// If the table is missing or broken.
    fn obs(&self) -> Result<Frame>;

    /// Annotations of the genes of `layer`.
    ///
    /// # Errors
    /// If the table is missing or broken.
    fn var(&self, layer: &Layer) -> Result<Frame>;

    /// Cells `rows` of `layer`, in order.
    ///
    /// # Errors
    /// If the matrix is missing, or its offsets or indices are not valid.
    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr>;
}
