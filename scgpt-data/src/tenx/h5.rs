//! Cell Ranger `.h5`: one group `matrix` (version 3 and later), or one group a genome (before).
//!
//! ```text
//! matrix/                        GENOME/, such as hg19/
//!   shape                          shape           features, cells
//!   data, indices, indptr          the same        entries, their features, where cells begin
//!   barcodes                       barcodes        names of cells
//!   features/id                    genes           Ensembl IDs
//!   features/name                  gene_names      symbols
//!   features/feature_type                          `Gene Expression`, `Antibody Capture`, …
//!   features/genome                                left out of files with one genome by some tools
//! ```
//!
//! The stored matrix is features × cells by columns, which is cells × features by rows. Several
//! genome groups have the same cells; their genes are put side by side.
//!
//! CellBender and other tools write the newer layout with further groups and attributes beside it,
//! which are not looked at. Entries are read in windows of cells, as those of any sparse matrix in
//! HDF5; `indptr`, one number a cell, is held.

use std::{ops::Range, path::PathBuf};

use crate::{
    anndata::{
        matrix::Sparse,
        store::{Dtype, Node, Store, join},
    },
    check::Rows,
    error::{Error, Result},
    frame::{Column, Frame},
    h5::H5Store,
    narrow::narrow,
    tenx::{Features, Parts},
};

/// The format and the groups of a 10x file, or `None`.
///
/// A `matrix` without `features` is of loom or of another tool. Of the older layout any name may be
/// a genome's, so each group is asked for its genes and barcodes.
pub(crate) fn recognise(
    store: &H5Store,
    members: &[String],
) -> Result<Option<(&'static str, Vec<String>)>> {
    if store.node("matrix/features")?.is_some() {
        return Ok(Some(("10x h5 (v3)", vec!["matrix".into()])));
    }
    let mut genomes = Vec::new();
    for name in members {
        if store.node(&join(name, "genes"))?.is_some()
            && store.node(&join(name, "barcodes"))?.is_some()
        {
            genomes.push(name.clone());
        }
    }
    Ok((!genomes.is_empty()).then_some(("10x h5 (v2)", genomes)))
}

/// Opens the groups found by [`recognise`].
///
/// # Errors
/// [`Error::Invalid`] if an array is missing, of another type, or not as long as `shape` says; or
/// if genomes have different cells.
pub(super) fn open(store: &H5Store, format: &'static str, groups: &[String]) -> Result<Parts> {
    let (mut genomes, mut table, mut barcodes) = (Vec::new(), Frame::default(), None);
    let (mut n_stored, mut dtype) = (0, String::new());
    table.index_name = "gene_symbols".into();
    let (mut ids, mut types, mut genome_names) = (Vec::new(), Vec::new(), Vec::new());
    for group in groups {
        let shape = numbers(store, &join(group, "shape"))?;
        let &[n_features, n_cells] = shape.as_slice() else {
            return Err(Error::invalid(store.path(), join(group, "shape"), "expected two numbers"));
        };
        let text = |name: &str, length| texts(store, &join(group, name), length);
        let cells = text("barcodes", n_cells)?;
        if barcodes.as_ref().is_some_and(|others| *others != cells) {
            return Err(Error::invalid(store.path(), group, "the genomes have different cells")
                .with_hint("write one genome to a file of its own, for example with scanpy.read_10x_h5(path, genome=…)"));
        }
        barcodes = Some(cells);
        if group == "matrix" && store.node("matrix/features")?.is_some() {
            table.index.extend(text("features/name", n_features)?);
            // Probe-level files have the probe in `id` and its gene in `gene_id`.
            let is_probes = store.node("matrix/features/gene_id")?.is_some();
            let id = if is_probes { "features/gene_id" } else { "features/id" };
            ids.extend(text(id, n_features)?);
            types.extend(text("features/feature_type", n_features)?);
            if store.node("matrix/features/genome")?.is_some() {
                genome_names.extend(text("features/genome", n_features)?);
            }
        } else {
            table.index.extend(text("gene_names", n_features)?);
            ids.extend(text("genes", n_features)?);
            genome_names.extend(std::iter::repeat_n(group.clone(), n_features));
        }
        let sparse = Sparse::open(store, group)?;
        n_stored += sparse.stored().1;
        sparse.stored().0.clone_into(&mut dtype);
        genomes.push(Genome { group: group.clone(), sparse, n_features });
    }
    for (name, values) in [("gene_ids", ids), ("feature_types", types), ("genome", genome_names)] {
        if !values.is_empty() {
            table.columns.push((name.into(), Column::Text(values.into_iter().map(Some).collect())));
        }
    }
    let barcodes = barcodes.unwrap_or_default();
    Ok(Parts {
        path: store.path().into(),
        format,
        n_stored,
        dtype,
        table,
        features: Box::new(Genomes {
            path: store.path().into(),
            n_cells: barcodes.len(),
            members: genomes,
        }),
        barcodes,
    })
}

/// The matrices of all groups, side by side.
struct Genomes {
    path: PathBuf,
    n_cells: usize,
    members: Vec<Genome>,
}

/// One group.
struct Genome {
    group: String,
    sparse: Sparse,
    n_features: usize,
}

impl Features for Genomes {
    fn rows(&mut self, rows: &Range<usize>) -> Result<Rows> {
        let mut blocks = Vec::with_capacity(self.members.len());
        let mut first = 0;
        for Genome { group, sparse, n_features } in &mut self.members {
            let mut block = sparse.rows(&self.path, group, rows, self.n_cells, *n_features)?;
            block.1.iter_mut().for_each(|feature| *feature += first);
            first += narrow(*n_features);
            blocks.push(block);
        }
        if blocks.len() == 1 {
            return Ok(blocks.swap_remove(0));
        }
        let (mut indptr, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
        for row in 0..rows.len() {
            for (ends, block_columns, block_values) in &blocks {
                columns.extend_from_slice(&block_columns[ends[row]..ends[row + 1]]);
                values.extend_from_slice(&block_values[ends[row]..ends[row + 1]]);
            }
            indptr.push(values.len());
        }
        Ok((indptr, columns, values))
    }
}

/// The whole numbers of an array, each a length or a place.
///
/// # Errors
/// If it is missing, not of whole numbers, or one of them is negative.
fn numbers(store: &H5Store, place: &str) -> Result<Vec<usize>> {
    match store.node(place)? {
        Some(Node::Array(array)) if matches!(array.dtype(), Dtype::Integer(_)) => {
            let numbers = array.integers(0..array.len())?;
            let whole = |number: i64| {
                let no_place =
                    |_| Error::invalid(store.path(), place, format!("{number} is no place"));
                usize::try_from(number).map_err(no_place)
            };
            numbers.into_iter().map(whole).collect()
        }
        _ => Err(Error::invalid(store.path(), place, "missing, or not whole numbers")),
    }
}

/// An array of `length` texts.
///
/// # Errors
/// If it is missing, of another type, or has another length.
fn texts(store: &H5Store, place: &str, length: usize) -> Result<Vec<String>> {
    let texts = match store.node(place)? {
        Some(Node::Array(array)) if *array.dtype() == Dtype::Text => array.texts()?,
        _ => return Err(Error::invalid(store.path(), place, "missing, or not text")),
    };
    if texts.len() != length {
        let problem = format!("{} entries, expected {length}, as `shape` says", texts.len());
        return Err(Error::invalid(store.path(), place, problem));
    }
    Ok(texts)
}
