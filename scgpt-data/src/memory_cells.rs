//! [`MemoryCells`]: a matrix in memory, with the names of its cells and genes, as a source.

use std::{borrow::Cow, ops::Range};

use crate::{
    cell_source::CellSource,
    check,
    csr::Csr,
    error::{Error, Result},
    frame::Frame,
    summary::{Layer, MatrixSummary, Summary},
};

/// Cells in memory: compressed sparse rows and annotations, lent by the caller or owned. What is
/// lent is not copied as a whole, only block by block as it is read.
///
/// Values are checked when they are read: they are finite, and those of a gene that a cell has
/// several times are added up. They may be negative, as scaled and predicted ones are.
///
/// ```
/// use scgpt_data::{CellSource as _, Frame, Layer, MemoryCells};
///
/// // Two cells, three genes: the arrays of `scipy.sparse.csr_matrix`.
/// let (indptr, indices, values) = ([0, 2, 3], [0, 2, 1], [4.0, 1.0, 2.0]);
/// let obs = Frame::of_names(["cell_1", "cell_2"]);
/// let var = Frame::of_names(["CD3D", "CD4", "CD8A"]);
/// let mut cells = MemoryCells::new(&indptr, &indices, &values, &obs, &var)?;
/// assert_eq!(cells.summary().shape(&Layer::X)?, (2, 3));
/// assert_eq!(cells.read(&Layer::X, 1..2)?.row(0).values, [2.0]);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemoryCells<'a> {
    obs: Cow<'a, Frame>,
    var: Cow<'a, Frame>,
    /// Beside the matrices of the summary.
    matrices: Vec<Rows<'a>>,
    summary: Summary,
}

/// Compressed sparse rows; see [`Csr`].
#[derive(Clone, Debug)]
struct Rows<'a> {
    indptr: Cow<'a, [usize]>,
    indices: Cow<'a, [u32]>,
    values: Cow<'a, [f32]>,
}

impl<'a> MemoryCells<'a> {
    /// Cells whose row `i` is `indptr[i]..indptr[i + 1]` of `indices` (genes) and `values`, and whose
    /// annotations are `obs` and `var`; the matrix is [`Layer::X`].
    ///
    /// # Errors
    /// If the offsets do not ascend to the number of values, or lengths differ. Indices and values
    /// are checked when they are read.
    pub fn new(
        indptr: &'a [usize],
        indices: &'a [u32],
        values: &'a [f32],
        obs: &'a Frame,
        var: &'a Frame,
    ) -> Result<Self> {
        let rows = Rows { indptr: indptr.into(), indices: indices.into(), values: values.into() };
        Self::empty(Cow::Borrowed(obs), Cow::Borrowed(var)).with(Layer::X, rows)
    }

    /// As [`new`](Self::new), for a matrix and annotations that are given away; the matrix is
    /// [`Layer::X`].
    ///
    /// # Errors
    /// If the matrix has not a row for each of `obs` and a column for each of `var`.
    pub fn of(matrix: Csr, obs: Frame, var: Frame) -> Result<MemoryCells<'static>> {
        MemoryCells::empty(Cow::Owned(obs), Cow::Owned(var)).with_layer(Layer::X, matrix)
    }

    /// Adds a further matrix of the same cells and genes.
    ///
    /// # Errors
    /// If its cells or genes differ in number, or there is a matrix of that name.
    pub fn with_layer(self, layer: Layer, matrix: Csr) -> Result<Self> {
        if matrix.n_genes() != self.var.len() {
            let problem = format!("{} columns, but {} genes", matrix.n_genes(), self.var.len());
            return Err(Error::invalid(&self.summary.path, layer.to_string(), problem));
        }
        let (indptr, indices, values) = matrix.into_parts();
        let rows = Rows { indptr: indptr.into(), indices: indices.into(), values: values.into() };
        self.with(layer, rows)
    }

    /// Gives the cells a path to be called by in messages, in place of `cells in memory`.
    #[must_use]
    pub fn named(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.summary.path = path.into();
        self
    }

    fn empty(obs: Cow<'a, Frame>, var: Cow<'a, Frame>) -> Self {
        let summary = Summary {
            path: "cells in memory".into(),
            format: "memory".into(),
            n_cells: obs.len(),
            matrices: Vec::new(),
            elements: Vec::new(),
            chosen: None,
            values: None,
        };
        Self { obs, var, matrices: Vec::new(), summary }
    }

    fn with(mut self, layer: Layer, rows: Rows<'a>) -> Result<Self> {
        let [n_cells, n_stored] = [self.obs.len(), rows.values.len()];
        let problem = if rows.indptr.len() != n_cells + 1 {
            format!("{} offsets, but {n_cells} cells: one more was expected", rows.indptr.len())
        } else if rows.indices.len() != n_stored {
            format!("{} indices, but {n_stored} values", rows.indices.len())
        } else if rows.indptr.first() != Some(&0) || rows.indptr.last() != Some(&n_stored) {
            format!("the offsets do not go from 0 to {n_stored}, the number of values")
        } else if !rows.indptr.is_sorted() {
            "the offsets do not ascend".into()
        } else if self.summary.matrices.iter().any(|matrix| matrix.layer == layer) {
            "there is such a matrix already".into()
        } else {
            self.summary.matrices.push(MatrixSummary {
                layer,
                n_genes: self.var.len(),
                n_stored: n_stored as u64,
                encoding: "csr",
                dtype: "float32".into(),
            });
            self.matrices.push(rows);
            return Ok(self);
        };
        Err(Error::invalid(&self.summary.path, layer.to_string(), problem))
    }

    fn rows(&self, layer: &Layer) -> Result<&Rows<'a>> {
        let place = self.summary.matrices.iter().position(|matrix| matrix.layer == *layer);
        place.and_then(|place| self.matrices.get(place)).ok_or_else(|| self.summary.missing(layer))
    }
}

impl CellSource for MemoryCells<'_> {
    crate::absent!(read_obsm, read_lists, unread);

    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn obs(&self) -> Result<Frame> {
        Ok(self.obs.clone().into_owned())
    }

    fn var(&self, layer: &Layer) -> Result<Frame> {
        self.rows(layer)?;
        Ok(self.var.clone().into_owned())
    }

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
        self.summary.check_rows(layer, &rows)?;
        let matrix = self.rows(layer)?;
        let offsets = &matrix.indptr[rows.start..=rows.end];
        let (begin, end) = (offsets[0], offsets[offsets.len() - 1]);
        let parts = (
            offsets.iter().map(|offset| offset - begin).collect(),
            matrix.indices[begin..end].to_vec(),
            matrix.values[begin..end].to_vec(),
        );
        let place = layer.to_string();
        check::block(&self.summary.path, &place, &rows, (self.var.len(), f32::MIN), parts, |gene| {
            self.var.index.get(gene).cloned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReadBlocks as _;

    fn names(names: &[&str]) -> Frame {
        Frame::of_names(names.iter().copied())
    }

    #[test]
    fn what_is_lent_and_what_is_owned_read_the_same() {
        let (indptr, indices, values) =
            ([0, 2, 2, 3, 5], [2, 0, 1, 0, 1], [1.0, 2.0, 3.0, 4.0, 5.0]);
        let (obs, var) = (names(&["a", "b", "c", "d"]), names(&["x", "y", "z"]));
        let mut lent = MemoryCells::new(&indptr, &indices, &values, &obs, &var).unwrap();
        let whole = Csr::new(3, indptr.to_vec(), indices.to_vec(), values.to_vec()).unwrap();
        let mut owned = MemoryCells::of(whole.clone(), obs.clone(), var.clone()).unwrap();
        assert_eq!(lent.read(&Layer::X, 0..4).unwrap(), whole);
        for n in 1..6 {
            let blocks = |cells: &mut dyn CellSource| -> Vec<_> {
                cells.blocks(&Layer::X, n).map(Result::unwrap).collect()
            };
            let read = blocks(&mut lent);
            assert_eq!(read, blocks(&mut owned));
            assert_eq!(read.iter().map(|(cells, _)| cells.len()).sum::<usize>(), 4);
            let rows: Vec<_> = read.iter().flat_map(|(_, block)| block.rows()).collect();
            assert_eq!(rows, whole.rows().collect::<Vec<_>>());
        }
        assert_eq!(lent.var(&Layer::X).unwrap(), var);
        assert!(lent.var(&Layer::Raw).is_err() && lent.read(&Layer::X, 3..5).is_err());
        let mut layered = owned.with_layer(Layer::Raw, whole.clone()).unwrap().named("here");
        assert_eq!(layered.read(&Layer::Raw, 0..4).unwrap(), whole);
        let again = layered.with_layer(Layer::Raw, whole).unwrap_err().to_string();
        assert!(again.contains("here") && again.contains("already"), "{again}");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let (obs, var) = (names(&["a", "b"]), names(&["x"]));
        let error = |indptr: &[usize], indices: &[u32], values: &[f32]| {
            let cells = MemoryCells::new(indptr, indices, values, &obs, &var);
            let read = cells.and_then(|mut cells| {
                assert!(cells.blocks(&Layer::X, 1).filter(Result::is_err).count() == 1);
                cells.read(&Layer::X, 0..2)
            });
            read.unwrap_err().to_string()
        };
        assert!(error(&[0, 1], &[0], &[1.0]).contains("2 offsets, but 2 cells"));
        assert!(error(&[0, 1, 2], &[0], &[1.0, 2.0]).contains("1 indices"));
        assert!(error(&[0, 1, 3], &[0, 0], &[1.0, 2.0]).contains("from 0 to 2"));
        assert!(error(&[0, 3, 2], &[0, 0], &[1.0, 2.0]).contains("ascend"));
        assert!(error(&[0, 1, 2], &[1, 0], &[1.0, 2.0]).contains("only 1 columns"));
        assert!(
            error(&[0, 1, 2], &[0, 0], &[1.0, f32::NAN]).contains("NaN in cell 1, gene 0 (`x`)")
        );
        let wide = Csr::of_rows(2, [(vec![], vec![]), (vec![], vec![])]).unwrap();
        assert!(MemoryCells::of(wide, obs.clone(), var.clone()).is_err());
    }
}
