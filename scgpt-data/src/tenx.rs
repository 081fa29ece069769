//! [`TenX`]: the output of 10x Genomics' Cell Ranger, as `.h5` or as a folder of `matrix.mtx`.
//!
//! ```text
//! filtered_feature_bc_matrix/
//!   matrix.mtx.gz       features × cells, one entry a line          Cell Ranger 3 and later
//!   features.tsv.gz     Ensembl ID, symbol, feature type
//!   barcodes.tsv.gz     one cell a line
//! filtered_gene_bc_matrices/hg19/
//!   matrix.mtx, genes.tsv, barcodes.tsv                             Cell Ranger 2
//! ```
//!
//! Files that were uploaded to GEO have a prefix of the sample, `GSM123_matrix.mtx.gz`, which the
//! three of them share. The layout of `.h5` is told in [`h5`].
//!
//! Genes are the features of type "Gene Expression"; antibody, CRISPR and other features are left
//! out unless [`TenX::keep_all`] is asked for.
//!
//! A cell's row comes from the stored matrix with all its features ([`Features::rows`]); those that
//! are no genes are taken out, and what is left gets numbers among the genes alone. The row then
//! passes the gate of all formats, which finds values below zero or not finite.
//!
//! `obs` of these files has names alone: barcodes such as `AAACCTGAGAAACCAT-1`, whose suffix is the
//! number of the GEM well.

pub(crate) mod h5;
mod mtx;
mod tables;

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use crate::{
    cell_source::CellSource,
    check::{self, Rows},
    csr::Csr,
    error::Result,
    frame::{Column, Frame},
    h5::H5Store,
    summary::{Layer, MatrixSummary, Summary},
};

/// The feature type that is kept.
const GENE_EXPRESSION: &str = "Gene Expression";

/// Cell Ranger output, one matrix [`Layer::X`]. `obs` has no columns; `var` is indexed by gene
/// symbol and has, named as scanpy names them, `gene_ids` (Ensembl) and, where the file has them,
/// `feature_types` and `genome`.
pub struct TenX {
    summary: Summary,
    /// Names of the cells.
    barcodes: Vec<String>,
    /// The features that are kept: genes, or all.
    genes: Frame,
    /// All features.
    table: Frame,
    /// Gene index of each feature, `None` where the feature is left out.
    kept: Vec<Option<u32>>,
    /// Where the rows come from.
    features: Box<dyn Features>,
}

impl fmt::Debug for TenX {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("TenX").field(&self.summary).finish()
    }
}

/// A matrix of cells × features of any type.
///
/// It differs between the two forms; which features are genes does not.
trait Features: Send {
    /// The offsets, features and values of the cells `rows`; the values are not checked.
    ///
    /// Columns are numbers of features, in no particular order within a cell.
    fn rows(&mut self, rows: &Range<usize>) -> Result<Rows>;
}

/// What each form of Cell Ranger output opens to.
struct Parts {
    path: PathBuf,
    format: &'static str,
    /// Entries, of all features.
    n_stored: u64,
    /// Element type of the values, for the summary.
    dtype: String,
    /// Names of the cells.
    barcodes: Vec<String>,
    /// All features: symbols as the index, with what else is known of them.
    table: Frame,
    features: Box<dyn Features>,
}

impl TenX {
    /// Opens the genome groups of an HDF5 file.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) naming the array that is missing, or not of the
    /// length that `shape` says.
    pub(crate) fn open_h5(
        store: &H5Store,
        format: &'static str,
        groups: &[String],
    ) -> Result<Self> {
        h5::open(store, format, groups).map(Self::new)
    }

    /// Opens a folder that holds `matrix.mtx` or `matrix.mtx.gz`, with or without a prefix.
    ///
    /// # Errors
    /// If it holds none or several matrices, or as [`open_matrix`](Self::open_matrix).
    pub(crate) fn open_folder(path: &Path) -> Result<Self> {
        Self::open_matrix(&tables::find_matrix(path)?)
    }

    /// Whether a folder holds a `matrix.mtx` or `matrix.mtx.gz`.
    pub(crate) fn recognises(folder: &Path) -> bool {
        tables::find_matrix(folder).is_ok()
    }

    /// Opens a `matrix.mtx` or `matrix.mtx.gz` whose tables are beside it.
    ///
    /// # Errors
    /// If a table is missing, or the matrix has another number of features or barcodes than they
    /// have.
    pub(crate) fn open_matrix(path: &Path) -> Result<Self> {
        mtx::open(path).map(Self::new)
    }

    /// Keeps the features that are genes, and names the others in the summary.
    fn new(parts: Parts) -> Self {
        let (genes, kept) = select(parts.table.clone());
        let summary = Summary {
            path: parts.path,
            format: parts.format.into(),
            n_cells: parts.barcodes.len(),
            matrices: vec![MatrixSummary {
                layer: Layer::X,
                n_genes: genes.len(),
                n_stored: parts.n_stored,
                encoding: "csr",
                dtype: parts.dtype,
            }],
            elements: left_out(&parts.table),
            chosen: None,
            values: None,
        };
        Self {
            summary,
            barcodes: parts.barcodes,
            genes,
            table: parts.table,
            kept,
            features: parts.features,
        }
    }

    /// Takes features of all types, not genes alone.
    ///
    /// For modalities, of which antibodies are one: each feature keeps its type in `feature_types`.
    pub(crate) fn keep_all(&mut self) {
        self.genes = self.table.clone();
        self.kept = (0..).take(self.genes.len()).map(Some).collect();
        self.summary.matrices[0].n_genes = self.genes.len();
        self.summary.elements.clear();
    }
}

/// Features that are no genes, in words: how many of each type.
fn left_out(features: &Frame) -> Vec<String> {
    let mut types: BTreeMap<String, usize> = BTreeMap::new();
    let labels = features.column("feature_types").map(Column::labels).unwrap_or_default();
    for label in labels.into_iter().map(Option::unwrap_or_default) {
        if label != GENE_EXPRESSION {
            *types.entry(label).or_default() += 1;
        }
    }
    types.into_iter().map(|(name, n)| format!("{n} features of type `{name}`")).collect()
}

/// The rows of `features` that are genes, and where each feature went.
///
/// Without types all are genes, as in files of Cell Ranger 2. In a file of antibodies alone none
/// is, and the summary says what there is.
fn select(mut features: Frame) -> (Frame, Vec<Option<u32>>) {
    let types = features.column("feature_types").map(Column::labels);
    let is_gene: Vec<bool> = (0..features.len())
        .map(|row| {
            types.as_ref().is_none_or(|types| types[row].as_deref() == Some(GENE_EXPRESSION))
        })
        .collect();
    let mut next = 0..;
    let kept = is_gene.iter().map(|&gene| if gene { next.next() } else { None }).collect();
    retain(&mut features.index, &is_gene);
    for (_, column) in &mut features.columns {
        if let Column::Text(values) = column {
            retain(values, &is_gene);
        }
    }
    (features, kept)
}

/// Keeps the rows of which `keep`, as long as `rows`, says so.
fn retain<T>(rows: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    rows.retain(|_| keep.next() == Some(&true));
}

impl CellSource for TenX {
    crate::absent!(read_obsm, read_lists, unread);

    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn obs(&self) -> Result<Frame> {
        Ok(Frame { index_name: "_index".into(), index: self.barcodes.clone(), columns: Vec::new() })
    }

    fn var(&self, layer: &Layer) -> Result<Frame> {
        match layer {
            Layer::X => Ok(self.genes.clone()),
            _ => Err(self.summary.missing(layer)),
        }
    }

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
        if *layer != Layer::X {
            return Err(self.summary.missing(layer));
        }
        self.summary.check_rows(layer, &rows)?;
        let (mut indptr, mut columns, mut values) = self.features.rows(&rows)?;
        if self.kept.len() > self.genes.len() {
            let mut kept = 0;
            let mut begin = 0;
            for end in &mut indptr[1..] {
                for entry in begin..*end {
                    if let Some(gene) = self.kept[columns[entry] as usize] {
                        columns[kept] = gene;
                        values[kept] = values[entry];
                        kept += 1;
                    }
                }
                begin = std::mem::replace(end, kept);
            }
            columns.truncate(kept);
            values.truncate(kept);
        }
        let parts = (indptr, columns, values);
        check::block(&self.summary.path, "matrix", &rows, (self.genes.len(), 0.0), parts, |gene| {
            self.genes.index.get(gene).cloned()
        })
    }
}
