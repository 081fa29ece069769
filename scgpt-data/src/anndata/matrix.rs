//! [`Matrix`]: `X`, a layer or `raw/X`, sparse by rows, sparse by columns or dense, as rows.
//!
//! By rows (csr), the entries of cells `a..b` are `data[indptr[a]..indptr[b]]`, so a block of cells
//! is one window of the file. Dense matrices are decoded a window of [`WINDOW`] elements at a time
//! and lose their zeros at once. By columns (csc) a cell is scattered over the whole file, so that
//! all of it is read once and sorted by cells outside of memory ([`RowSort`]). What does not fit
//! together, such as an `indptr` that decreases or a gene beyond the last, is an error that names
//! the array; it is never clipped.

use std::{ops::Range, path::Path};

use serde_json::{Map, Value};

use crate::{
    anndata::{
        frame::whole,
        store::{Array, Node, Store, join},
    },
    check::Rows,
    error::{Error, Result},
    narrow::narrow,
    rowsort::RowSort,
};

/// Elements decoded at once when a matrix is dense or stored by columns.
const WINDOW: usize = 2 << 20;

/// A matrix `[n_cells, n_genes]` whose arrays are open, of which no value is read yet.
pub(crate) struct Matrix {
    /// Its path in the store, such as `X` or `layers/counts`.
    pub(crate) place: String,
    pub(crate) n_cells: usize,
    pub(crate) n_genes: usize,
    form: Form,
}

/// How the matrix is stored.
enum Form {
    /// An array `[cells, genes]`.
    Dense(Box<dyn Array>),
    /// Sparse by rows: the offsets are those of cells.
    Csr(Sparse),
    /// Sparse by columns: the offsets are those of genes. The entries sorted by cells follow once
    /// cells were asked for.
    Csc(Sparse, Option<RowSort>),
}

/// The three arrays of a compressed sparse matrix. The axis that `indptr` counts is the major one,
/// cells in csr and genes in csc; `indices` are places on the other, the minor one.
pub(crate) struct Sparse {
    indptr_array: Box<dyn Array>,
    indices: Box<dyn Array>,
    data: Box<dyn Array>,
    /// The offsets, `n_major + 1` of them, read and checked on first use.
    indptr: Option<Vec<usize>>,
}

impl Matrix {
    /// Opens the matrix at `place`; `None` if nothing is there, or AnnData's null.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is no array of two axes and no sparse matrix, holds no numbers, or
    /// has an axis of more than 2³² − 1; also if one of the arrays of a sparse matrix is missing.
    pub(crate) fn open(store: &dyn Store, place: &str) -> Result<Option<Self>> {
        let invalid = |problem: String| Error::invalid(store.path(), place, problem);
        let (n_cells, n_genes, form) = match store.node(place)? {
            None => return Ok(None),
            Some(Node::Array(array)) => match array.shape() {
                &[n_cells, n_genes] => (n_cells, n_genes, Form::Dense(array)),
                // How anndata writes `None`.
                [] if store.attributes(place)?.get("encoding-type") == Some(&"null".into()) => {
                    return Ok(None);
                }
                shape => {
                    return Err(invalid(format!("shape {shape:?}, expected cells × genes")));
                }
            },
            Some(Node::Group) => {
                let attributes = store.attributes(place)?;
                let (n_cells, n_genes) = shape(&attributes)
                    .ok_or_else(|| invalid("no attribute `shape` of two numbers".into()))?;
                let encoding = ["encoding-type", "h5sparse_format"]
                    .iter()
                    .find_map(|name| attributes.get(*name)?.as_str());
                let sparse = Sparse::open(store, place)?;
                let form = match encoding {
                    Some("csr_matrix" | "csr") => Form::Csr(sparse),
                    Some("csc_matrix" | "csc") => Form::Csc(sparse, None),
                    other => {
                        return Err(invalid(format!(
                            "encoding {}, expected csr_matrix, csc_matrix or a dense array",
                            other.unwrap_or("missing")
                        )));
                    }
                };
                (n_cells, n_genes, form)
            }
        };
        // Entries have their gene, and where they are sorted by cells their cell, in 32 bits.
        let axes = [("cells", n_cells, matches!(form, Form::Csc(..))), ("genes", n_genes, true)];
        if let Some((axis, n, _)) =
            axes.iter().find(|&&(_, n, is_kept)| is_kept && u32::try_from(n).is_err())
        {
            return Err(invalid(format!("{n} {axis}, at most {} are read", u32::MAX)));
        }
        let matrix = Self { place: place.into(), n_cells, n_genes, form };
        if !matrix.values().dtype().is_numeric() {
            return Err(invalid(format!("holds {}, expected numbers", matrix.dtype())).with_hint(
                "store the counts as numbers, for example adata.X.astype(\"float32\")",
            ));
        }
        Ok(Some(matrix))
    }

    /// `csr`, `csc` or `dense`.
    pub(crate) fn encoding(&self) -> &'static str {
        match self.form {
            Form::Dense(_) => "dense",
            Form::Csr(_) => "csr",
            Form::Csc(..) => "csc",
        }
    }

    /// Name of the element type.
    pub(crate) fn dtype(&self) -> &str {
        self.values().dtype().name()
    }

    /// Number of stored entries; for a dense matrix cells × genes.
    pub(crate) fn n_stored(&self) -> u64 {
        self.values().shape().iter().map(|&length| length as u64).product()
    }

    /// The array that holds the values.
    fn values(&self) -> &dyn Array {
        match &self.form {
            Form::Dense(array) => array.as_ref(),
            Form::Csr(sparse) | Form::Csc(sparse, _) => sparse.data.as_ref(),
        }
    }

    /// The offsets, genes and values of the cells `rows`, which must exist; the values are not
    /// checked.
    ///
    /// A matrix stored by columns is read once from end to end on the first call and sorted by
    /// [`RowSort`]; the later calls read what was sorted.
    ///
    /// # Errors
    /// If an array cannot be read, its offsets do not rise from 0 to the number of entries, or an
    /// index is beyond the last gene or cell. `path` is the file, for messages.
    pub(crate) fn read(&mut self, path: &Path, rows: &Range<usize>) -> Result<Rows> {
        let place = &self.place;
        match &mut self.form {
            Form::Dense(array) => dense(array.as_ref(), path, place, rows, self.n_genes),
            Form::Csr(sparse) => sparse.rows(path, place, rows, self.n_cells, self.n_genes),
            Form::Csc(sparse, sorted) => {
                let by_row = match sorted {
                    Some(sorted) => sorted,
                    none => none.insert(sparse.sort(path, place, self.n_cells, self.n_genes)?),
                };
                by_row.read(rows.clone()).map_err(|cause| Error::read(path, place, cause))
            }
        }
    }
}

impl Sparse {
    /// Opens the arrays `data`, `indices` and `indptr` in the group at `place`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the first that is missing or no list.
    pub(crate) fn open(store: &dyn Store, place: &str) -> Result<Self> {
        let array = |name: &str| {
            let place = join(place, name);
            match store.node(&place)? {
                Some(Node::Array(array)) if array.shape().len() == 1 => Ok(array),
                _ => Err(Error::invalid(store.path(), place, "missing, or not a list of numbers")),
            }
        };
        Ok(Self {
            indptr_array: array("indptr")?,
            indices: array("indices")?,
            data: array("data")?,
            indptr: None,
        })
    }

    /// Name of the element type and number of entries.
    pub(crate) fn stored(&self) -> (&str, u64) {
        (self.data.dtype().name(), self.data.len() as u64)
    }

    /// The offsets, minor indices and values of the major rows `rows` of a matrix `[n_major,
    /// n_minor]`. The first offset is 0.
    ///
    /// # Errors
    /// As [`Matrix::read`].
    pub(crate) fn rows(
        &mut self,
        path: &Path,
        place: &str,
        rows: &Range<usize>,
        n_major: usize,
        n_minor: usize,
    ) -> Result<Rows> {
        self.load_indptr(path, place, n_major)?;
        let ends = self.indptr.as_deref().unwrap_or_default();
        let ends = &ends[rows.start..=rows.end];
        let entries = ends[0]..ends[ends.len() - 1];
        let indptr: Vec<usize> = ends.iter().map(|end| end - entries.start).collect();
        let (indices, values) = self.entries(path, place, entries, n_minor)?;
        Ok((indptr, indices, values))
    }

    /// Reads and checks the offsets, unless they are there already.
    ///
    /// # Errors
    /// [`Error::Invalid`] if their number does not fit the shape, they decrease, or they do not run
    /// from 0 to the number of entries.
    fn load_indptr(&mut self, path: &Path, place: &str, n_major: usize) -> Result<()> {
        if self.indptr.is_some() {
            return Ok(());
        }
        let n_entries = self.data.len();
        let invalid = |problem: String| {
            Err(Error::invalid(path, join(place, "indptr"), problem)
                .with_hint("the file is damaged; save it again from its source"))
        };
        if n_entries != self.indices.len() {
            return invalid(format!("{n_entries} values, but {} indices", self.indices.len()));
        }
        if self.indptr_array.len() != n_major + 1 {
            return invalid(format!(
                "{} offsets, expected {} (one more than the shape says)",
                self.indptr_array.len(),
                n_major + 1
            ));
        }
        let offsets = self.indptr_array.integers(0..n_major + 1)?;
        if let Some(row) = offsets.windows(2).position(|pair| pair[0] > pair[1]) {
            return invalid(format!(
                "offsets decrease at {row} ({} > {}); they must rise from 0 to {n_entries}",
                offsets[row],
                offsets[row + 1]
            ));
        }
        let offsets: Vec<usize> =
            offsets.into_iter().filter_map(|end| usize::try_from(end).ok()).collect();
        if offsets.len() != n_major + 1 || offsets[0] != 0 || offsets[n_major] != n_entries {
            return invalid(format!(
                "offsets do not run from 0 to {n_entries}, the number of entries"
            ));
        }
        self.indptr = Some(offsets);
        Ok(())
    }

    /// The minor indices and values of the stored entries number `entries`.
    ///
    /// # Errors
    /// If an index is not below `n_minor`, or the arrays are shorter than they claim.
    fn entries(
        &self,
        path: &Path,
        place: &str,
        entries: Range<usize>,
        n_minor: usize,
    ) -> Result<(Vec<u32>, Vec<f32>)> {
        if entries.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let raw = self.indices.integers(entries.clone())?;
        let values = self.data.floats(entries.clone())?;
        if raw.len() != entries.len() || values.len() != entries.len() {
            return Err(Error::invalid(
                path,
                place,
                "fewer entries could be read than its shape says",
            ));
        }
        let limit = u32::try_from(n_minor).unwrap_or(u32::MAX);
        let mut indices = Vec::with_capacity(raw.len());
        for (at, index) in raw.into_iter().enumerate() {
            match u32::try_from(index) {
                Ok(index) if index < limit => indices.push(index),
                _ => {
                    return Err(Error::invalid(
                        path,
                        join(place, "indices"),
                        format!("entry {} is {index}, expected 0..{n_minor}", entries.start + at),
                    )
                    .with_hint("the file is damaged; save it again from its source"));
                }
            }
        }
        Ok((indices, values))
    }

    /// Reads all entries of a matrix stored by columns, a window at a time, and sorts them by
    /// cells.
    fn sort(
        &mut self,
        path: &Path,
        place: &str,
        n_cells: usize,
        n_genes: usize,
    ) -> Result<RowSort> {
        self.load_indptr(path, place, n_genes)?;
        let ends = self.indptr.as_deref().unwrap_or_default();
        let n_entries = self.data.len();
        let mut sorted = RowSort::new(n_cells, n_entries as u64);
        let mut gene = 0;
        for begin in (0..n_entries).step_by(WINDOW) {
            let window = begin..n_entries.min(begin + WINDOW);
            let (cells, values) = self.entries(path, place, window, n_cells)?;
            for (at, (cell, value)) in cells.into_iter().zip(values).enumerate() {
                while ends[gene + 1] <= begin + at {
                    gene += 1;
                }
                let column = narrow(gene);
                sorted
                    .push(cell, column, value)
                    .map_err(|cause| Error::read(path, place, cause))?;
            }
        }
        Ok(sorted)
    }
}

/// Cells `rows` of a dense matrix, decoded a window at a time and without their zeros.
fn dense(
    array: &dyn Array,
    path: &Path,
    place: &str,
    rows: &Range<usize>,
    n_genes: usize,
) -> Result<Rows> {
    let (mut indptr, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
    let step = (WINDOW / n_genes.max(1)).max(1);
    for begin in rows.clone().step_by(step) {
        let window = begin..rows.end.min(begin + step);
        let block = array.floats(window.clone())?;
        if block.len() != window.len() * n_genes {
            return Err(Error::invalid(
                path,
                place,
                "fewer rows could be read than its shape says",
            ));
        }
        for row in block.chunks_exact(n_genes.max(1)) {
            for (gene, &value) in (0..).zip(row) {
                // NaN differs from 0 and so is kept, for the check to find.
                if value != 0.0 {
                    indices.push(gene);
                    values.push(value);
                }
            }
            indptr.push(values.len());
        }
    }
    Ok((indptr, indices, values))
}

/// The numbers of cells and genes that the attributes of a sparse matrix name, in their present or
/// their older spelling.
fn shape(attributes: &Map<String, Value>) -> Option<(usize, usize)> {
    let shape = attributes.get("shape").or_else(|| attributes.get("h5sparse_shape"))?;
    let [cells, genes] = shape.as_array()?.as_slice() else {
        return None;
    };
    Some((usize::try_from(whole(cells)?).ok()?, usize::try_from(whole(genes)?).ok()?))
}

#[cfg(feature = "zarr")]
#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::zarr::{ZarrStore, by_hand};

    #[test]
    fn genes_beyond_32_bits_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = |place: &str, file: &str, metadata| {
            by_hand(folder.path(), place, file, &metadata);
        };
        let array = |length: usize, dtype: &str| {
            json!({
                "zarr_format": 2, "shape": [length], "chunks": [3], "dtype": dtype,
                "fill_value": 0, "order": "C", "filters": null, "compressor": null,
            })
        };
        write("", ".zgroup", json!({"zarr_format": 2}));
        write("X", ".zgroup", json!({"zarr_format": 2}));
        write("X/indptr", ".zarray", array(3, "<i4"));
        write("X/indices", ".zarray", array(0, "<i4"));
        write("X/data", ".zarray", array(0, "<f4"));
        let open = |n_genes: u64| {
            let shape = [2, n_genes];
            write("X", ".zattrs", json!({"encoding-type": "csr_matrix", "shape": shape}));
            Matrix::open(&ZarrStore::open(folder.path()).unwrap(), "X")
        };
        assert!(open(5).unwrap().is_some());
        let error = open(5_000_000_000).err().unwrap().to_string();
        assert!(error.contains("5000000000 genes, at most 4294967295"), "{error}");
    }
}
