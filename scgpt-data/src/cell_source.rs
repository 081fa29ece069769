//! [`CellSource`]: what every source of cells offers, and its blocks of rows.

use std::{collections::BTreeMap, ops::Range};

use crate::{
    csr::Csr,
    error::Result,
    frame::Frame,
    summary::{Layer, Summary},
};

/// Cells that can be streamed in blocks of rows: a file, a computation, or a view of another source.
///
/// No implementation holds a whole file: memory is bounded by the block asked for plus what the
/// storage needs to decode one chunk.
///
/// No method has a default, so that a view of another source cannot forget what that one has.
/// [`forward!`](macro@crate::forward) writes the methods that only call the source within,
/// [`absent!`](crate::absent) those for which a source has nothing.
///
/// ```
/// use std::ops::Range;
/// use scgpt_data::{CellSource, Csr, Frame, Layer, Result, Summary};
///
/// /// Another source whose values are doubled.
/// struct Doubled<'a> {
///     source: &'a mut dyn CellSource,
/// }
///
/// impl CellSource for Doubled<'_> {
///     scgpt_data::forward!(source: summary, obs, var, read_obsm, read_lists, unread);
///
///     fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
///         let mut block = self.source.read(layer, rows)?;
///         for cell in 0..block.n_cells() {
///             block.row_values_mut(cell).iter_mut().for_each(|value| *value *= 2.0);
///         }
///         Ok(block)
///     }
/// }
/// ```
pub trait CellSource: Send {
    /// What the source holds: number of cells, matrices, further elements.
    fn summary(&self) -> &Summary;

    /// The annotations of the cells, one row a cell.
    ///
    /// # Errors
    /// If the table is missing or broken.
    fn obs(&self) -> Result<Frame>;

    /// The annotations of the genes of `layer`, one row a gene.
    ///
    /// # Errors
    /// If the table is missing or broken.
    fn var(&self, layer: &Layer) -> Result<Frame>;

    /// The cells `rows` of `layer`, in order: a block `[rows, genes]`.
    ///
    /// # Errors
    /// If the matrix is missing, or its offsets or indices are not valid.
    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr>;

    /// The rows `rows` of `obsm[name]`, row-major, and the number of its columns.
    ///
    /// # Errors
    /// If there is no such matrix, or it is broken or not finite.
    fn read_obsm(&mut self, name: &str, rows: Range<usize>) -> Result<(Vec<f32>, usize)>;

    /// The lists of names of the dictionary `uns[name]`, by key; none if there is no such dictionary.
    /// Members that are no lists of names are left out. Where `uns[name]` is a list of names itself,
    /// such as `cell_type_colors`, it is the only one, by that name.
    ///
    /// # Errors
    /// If it is broken.
    fn read_lists(&self, name: &str) -> Result<BTreeMap<String, Vec<String>>>;

    /// Columns of `obs` and `var` that [`obs`](Self::obs) and [`var`](Self::var) leave out, because
    /// their kind is not known, each with what it is.
    ///
    /// # Errors
    /// If a table is missing or broken.
    fn unread(&self) -> Result<Vec<String>>;
}

impl<S: CellSource + ?Sized> CellSource for &mut S {
    fn summary(&self) -> &Summary {
        (**self).summary()
    }

    fn obs(&self) -> Result<Frame> {
        (**self).obs()
    }

    fn var(&self, layer: &Layer) -> Result<Frame> {
        (**self).var(layer)
    }

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
        (**self).read(layer, rows)
    }

    fn read_obsm(&mut self, name: &str, rows: Range<usize>) -> Result<(Vec<f32>, usize)> {
        (**self).read_obsm(name, rows)
    }

    fn read_lists(&self, name: &str) -> Result<BTreeMap<String, Vec<String>>> {
        (**self).read_lists(name)
    }

    fn unread(&self) -> Result<Vec<String>> {
        (**self).unread()
    }
}

/// Reading any source in blocks; every [`CellSource`] has it.
pub trait ReadBlocks: CellSource {
    /// The cells of `layer` in order, `n` at a time: the numbers of those of a block, and the block.
    /// Nothing follows an error.
    ///
    /// ```
    /// use scgpt_data::{Csr, Frame, Layer, MemoryCells, ReadBlocks as _};
    ///
    /// let rows = [(vec![0], vec![3.0]), (vec![0, 1], vec![1.0, 2.0]), (vec![], vec![])];
    /// let names = |names: &[&str]| Frame::of_names(names.iter().copied());
    /// let mut cells =
    ///     MemoryCells::of(Csr::of_rows(2, rows)?, names(&["a", "b", "c"]), names(&["CD3", "CD4"]))?;
    /// let mut sum = 0.0;
    /// for block in cells.blocks(&Layer::X, 2) {
    ///     let (cells, block) = block?;
    ///     for (_cell, row) in cells.zip(block.rows()) {
    ///         sum += row.values.iter().sum::<f32>();
    ///     }
    /// }
    /// assert_eq!(sum, 6.0);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// If `n` is 0.
    fn blocks<'a>(&'a mut self, layer: &'a Layer, n: usize) -> CellBlocks<'a, Self> {
        assert!(n > 0, "a block has cells");
        let cells = 0..self.summary().n_cells;
        CellBlocks { source: self, layer, cells, n }
    }
}

impl<S: CellSource + ?Sized> ReadBlocks for S {}

/// The blocks of a source, see [`ReadBlocks::blocks`].
#[derive(Debug)]
pub struct CellBlocks<'a, S: ?Sized> {
    source: &'a mut S,
    layer: &'a Layer,
    /// Cells that are still to be read.
    cells: Range<usize>,
    n: usize,
}

impl<S: CellSource + ?Sized> Iterator for CellBlocks<'_, S> {
    type Item = Result<(Range<usize>, Csr)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.cells.is_empty() {
            return None;
        }
        let end = self.cells.end.min(self.cells.start.saturating_add(self.n));
        let cells = self.cells.start..end;
        let block = self.source.read(self.layer, cells.clone());
        self.cells.start = if block.is_ok() { end } else { self.cells.end };
        Some(block.map(|block| (cells, block)))
    }
}
