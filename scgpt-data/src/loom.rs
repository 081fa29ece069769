//! [`Loom`]: loom files (versions 2 and 3), HDF5 with a matrix of genes × cells.
//!
//! ```text
//! matrix            a dense array [genes, cells]
//! layers/NAME       further matrices of the same shape, such as `spliced` and `unspliced`
//! row_attrs/NAME    one value or one row of values a gene
//! col_attrs/NAME    the same for cells
//! row_graphs, col_graphs    edges between genes and between cells; named in the summary, not read
//! ```
//!
//! The layout has neither an index nor a fixed name for it, so the names of cells and genes are the
//! first that exists of [`CELL_NAMES`] and [`GENE_NAMES`]. One row of the file is a gene, hence a
//! matrix is turned into cells by one pass over the whole of it, when it is read first. Memory
//! holds one window of the pass and what [`RowSort`] keeps, whatever the size of the file.

use std::{collections::HashMap, ops::Range, path::Path};

use crate::{
    anndata::{
        frame::plain,
        store::{Array, Dtype, Node, Store, join},
    },
    cell_source::CellSource,
    check,
    csr::Csr,
    error::{Error, Result},
    frame::{Column, Frame},
    h5::H5Store,
    rowsort::RowSort,
    summary::{Layer, MatrixSummary, Summary},
};

/// Elements decoded at a time.
const WINDOW: usize = 2 << 20;
/// One of so many elements is expected to be non-zero.
const SPARSITY: u64 = 8;
/// Attributes that name cells and genes, the likeliest first.
const CELL_NAMES: [&str; 6] =
    ["CellID", "obs_names", "cell_names", "barcode", "Barcode", "CellIDs"];
const GENE_NAMES: [&str; 7] =
    ["Gene", "var_names", "gene_names", "gene_name", "gene_symbols", "Name", "Accession"];

/// A loom file: `matrix` is [`Layer::X`], `layers` are layers, `col_attrs` are `obs` and `row_attrs`
/// `var`, indexed by `CellID` and `Gene` as scanpy does; attributes of several columns are `obsm`.
pub struct Loom {
    summary: Summary,
    obs: Frame,
    var: Frame,
    matrices: HashMap<Layer, Matrix>,
    obsm: HashMap<String, Box<dyn Array>>,
}

impl std::fmt::Debug for Loom {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Loom").field(&self.summary).finish()
    }
}

/// A matrix `[genes, cells]`, turned into rows of cells by one pass over the file when they are
/// first asked for.
struct Matrix {
    place: String,
    genes: Box<dyn Array>,
    /// The rows, once they were asked for.
    sorted: Option<RowSort>,
}

/// What the attributes of cells or genes are.
struct Attributes {
    /// One column each: `obs` or `var`.
    table: Frame,
    /// Several columns each, such as coordinates: `obsm` of cells.
    wide: HashMap<String, Box<dyn Array>>,
}

impl Loom {
    /// Whether the root of an HDF5 file has the members of a loom file.
    pub(crate) fn recognises(members: &[String]) -> bool {
        ["matrix", "row_attrs", "col_attrs"]
            .iter()
            .all(|name| members.iter().any(|member| member == name))
    }

    /// Opens the matrices, and reads the attributes.
    ///
    /// # Errors
    /// If `matrix` is missing or no matrix of numbers, a layer has another shape, or an attribute
    /// another length.
    pub(crate) fn open(store: &H5Store) -> Result<Self> {
        let matrix = matrix(store, "matrix")?;
        let &[n_genes, n_cells] = matrix.genes.shape() else {
            return Err(not_a_matrix(store, "matrix", matrix.genes.as_ref()));
        };
        let cells = attributes(store, "col_attrs", n_cells, &CELL_NAMES, "cells")?;
        let genes = attributes(store, "row_attrs", n_genes, &GENE_NAMES, "genes")?;
        let mut matrices = HashMap::from([(Layer::X, matrix)]);
        if let Some(Node::Group) = store.node("layers")? {
            for name in store.children("layers")? {
                let layer = self::matrix(store, &join("layers", &name))?;
                if layer.genes.shape() != [n_genes, n_cells] {
                    return Err(not_a_matrix(store, &layer.place, layer.genes.as_ref()));
                }
                matrices.insert(Layer::Named(name), layer);
            }
        }
        let mut elements: Vec<String> = cells.wide.keys().map(|name| join("obsm", name)).collect();
        elements.extend(genes.wide.keys().map(|name| join("varm", name)));
        elements.sort_unstable();
        for group in ["col_graphs", "row_graphs"] {
            if let Some(Node::Group) = store.node(group)? {
                elements.extend(store.children(group)?.iter().map(|name| join(group, name)));
            }
        }
        let mut summaries: Vec<MatrixSummary> = matrices
            .iter()
            .map(|(layer, matrix)| MatrixSummary {
                layer: layer.clone(),
                n_genes,
                n_stored: n_genes as u64 * n_cells as u64,
                encoding: "dense",
                dtype: matrix.genes.dtype().name().to_owned(),
            })
            .collect();
        summaries.sort_by_key(|matrix| matrix.layer.to_string());
        let summary = Summary {
            path: store.path().into(),
            format: "loom".into(),
            n_cells,
            matrices: summaries,
            elements,
            chosen: None,
            values: None,
        };
        Ok(Self { summary, obs: cells.table, var: genes.table, matrices, obsm: cells.wide })
    }
}

/// Opens the matrix at `place`; none of its values is read yet.
fn matrix(store: &H5Store, place: &str) -> Result<Matrix> {
    match store.node(place)? {
        Some(Node::Array(genes)) if genes.dtype().is_numeric() => {
            Ok(Matrix { place: place.into(), genes, sorted: None })
        }
        Some(Node::Array(array)) => Err(not_a_matrix(store, place, array.as_ref())),
        _ => Err(Error::invalid(store.path(), place, "missing, or no matrix")),
    }
}

/// The error that says an array is no matrix of genes × cells.
fn not_a_matrix(store: &H5Store, place: &str, array: &dyn Array) -> Error {
    let problem = format!(
        "shape {:?} of {}, expected numbers of genes × cells, as many as `matrix` has",
        array.shape(),
        array.dtype().name()
    );
    Error::invalid(store.path(), place, problem)
}

/// The attributes in `group`, each of `length` entries; the index is the first of `names` there is.
///
/// If none of the names is there, the first attribute of text is the index.
///
/// # Errors
/// If an attribute has another length, or none has text.
fn attributes(
    store: &H5Store,
    group: &str,
    length: usize,
    names: &[&str],
    things: &str,
) -> Result<Attributes> {
    let mut columns = Vec::new();
    let mut wide = HashMap::new();
    for name in store.children(group)? {
        let place = join(group, &name);
        let Some(Node::Array(array)) = store.node(&place)? else { continue };
        match array.shape() {
            &[n] | &[n, _] if n != length => {
                let problem = format!("{n} entries for {length} {things}");
                return Err(Error::invalid(store.path(), place, problem));
            }
            [_, _] if array.dtype().is_numeric() => drop(wide.insert(name, array)),
            [_] => columns.extend(plain(array.as_ref())?.map(|column| (name, column))),
            _ => {}
        }
    }
    let is_text = |column: &Column| matches!(column, Column::Text(_));
    let named = names.iter().find_map(|name| columns.iter().position(|(other, _)| other == name));
    let Some(index) = named.or_else(|| columns.iter().position(|(_, column)| is_text(column)))
    else {
        let problem = format!("no names of {things}: no attribute of text");
        return Err(Error::invalid(store.path(), group, problem).with_hint(
            "add `CellID` to col_attrs or `Gene` to row_attrs, for example with loompy",
        ));
    };
    let (index_name, index) = columns.remove(index);
    let index: Vec<String> = index.labels().into_iter().map(Option::unwrap_or_default).collect();
    Ok(Attributes { table: Frame { index_name, index, columns }, wide })
}

impl Matrix {
    /// Reads genes in windows of [`WINDOW`] elements, and hands on those that are not zero.
    fn sort(&self, path: &Path, n_cells: usize) -> Result<RowSort> {
        let n_genes = self.genes.len();
        let expected = (n_genes as u64).saturating_mul(n_cells as u64) / SPARSITY;
        let mut sorted = RowSort::new(n_cells, expected);
        let step = (WINDOW / n_cells.max(1)).max(1);
        let failed = |cause: std::io::Error| Error::read(path, &self.place, cause);
        for first in (0..n_genes).step_by(step) {
            let genes = first..n_genes.min(first + step);
            let values = self.genes.floats(genes.clone())?;
            if values.len() != genes.len() * n_cells {
                let problem = "fewer rows could be read than its shape says";
                return Err(Error::invalid(path, &self.place, problem));
            }
            for (gene, values) in genes.zip(values.chunks_exact(n_cells.max(1))) {
                let column = u32::try_from(gene).map_err(|cause| {
                    Error::invalid(path, &self.place, format!("gene {gene}: {cause}"))
                })?;
                for (cell, &value) in (0..).zip(values) {
                    // NaN differs from 0 and so is kept, for the check to find.
                    if value != 0.0 {
                        sorted.push(cell, column, value).map_err(failed)?;
                    }
                }
            }
        }
        Ok(sorted)
    }
}

impl CellSource for Loom {
    crate::absent!(read_lists, unread);

    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn obs(&self) -> Result<Frame> {
        Ok(self.obs.clone())
    }

    fn var(&self, layer: &Layer) -> Result<Frame> {
        match self.matrices.get(layer) {
            Some(_) => Ok(self.var.clone()),
            None => Err(self.summary.missing(layer)),
        }
    }

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
        self.summary.check_rows(layer, &rows)?;
        let Summary { path, n_cells, .. } = &self.summary;
        let Some(matrix) = self.matrices.get_mut(layer) else {
            return Err(self.summary.missing(layer));
        };
        let sorted = match matrix.sorted.take() {
            Some(sorted) => sorted,
            None => matrix.sort(path, *n_cells)?,
        };
        let sorted = matrix.sorted.insert(sorted);
        let parts =
            sorted.read(rows.clone()).map_err(|cause| Error::read(path, &matrix.place, cause))?;
        check::block(path, &matrix.place, &rows, (self.var.len(), 0.0), parts, |gene| {
            self.var.index.get(gene).cloned()
        })
    }

    fn read_obsm(&mut self, name: &str, rows: Range<usize>) -> Result<(Vec<f32>, usize)> {
        let Some(array) = self.obsm.get(name).filter(|array| *array.dtype() != Dtype::Boolean)
        else {
            return Err(self.summary.missing_obsm(name));
        };
        let width = array.shape().get(1).copied().unwrap_or(1);
        let values = array.floats(rows.clone())?;
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => {
                let cell = rows.start + at / width.max(1);
                let problem = format!("value {} of cell {cell}, expected numbers", values[at]);
                let place = join("col_attrs", name);
                Err(Error::invalid(&self.summary.path, place, problem)
                    .with_hint("remove the cell, or make the embedding anew"))
            }
            None => Ok((values, width)),
        }
    }
}
