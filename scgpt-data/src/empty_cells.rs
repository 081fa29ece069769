//! [`EmptyCells`]: which of the cells that are read express none of the genes that matter.

use std::{collections::BTreeSet, ops::Range};

use crate::{
    cell_source::CellSource,
    csr::{Csr, CsrRow},
    error::Result,
    summary::Layer,
    vocab::Alignment,
};

/// Cells that were read and express none of the genes that matter: nothing can be said of them, and
/// whoever reads them has to say so.
///
/// A cell that is read several times counts once. No cell is read only to find out.
///
/// ```
/// use scgpt_data::{Csr, EmptyCells, Frame, Layer, MemoryCells, ReadBlocks as _};
///
/// let matrix = Csr::of_rows(1, [(vec![0], vec![3.0]), (vec![], vec![])])?;
/// let mut cells = MemoryCells::of(matrix, Frame::of_names(["a", "b"]), Frame::of_names(["CD4"]))?;
/// let mut empty = EmptyCells::default();
/// for block in empty.among(&mut cells, &Layer::X).blocks(&Layer::X, 1024) {
///     let _ = block?;
/// }
/// assert_eq!(empty.len(), 1);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct EmptyCells {
    /// Whether the gene in each column matters; all do if none.
    matters: Option<Vec<bool>>,
    cells: BTreeSet<usize>,
}

impl EmptyCells {
    /// Looks for cells that express none of the genes a model knows.
    pub fn of_known(alignment: &Alignment) -> Self {
        let is_known = alignment.tokens.iter().map(Option::is_some).collect();
        Self { matters: Some(is_known), cells: BTreeSet::new() }
    }

    /// How many such cells were found.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether no such cell was found.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// How many of them have an entry in `of`, which has one a cell.
    pub fn having<T>(&self, of: &[Option<T>]) -> usize {
        self.cells.iter().filter(|&&cell| of.get(cell).is_some_and(Option::is_some)).count()
    }

    /// A view of `source` that notes them in whatever is read of `layer`.
    pub fn among<'a>(
        &'a mut self,
        source: &'a mut dyn CellSource,
        layer: &'a Layer,
    ) -> impl CellSource + 'a {
        Sought { empty: self, source, layer }
    }

    fn is_one(&self, row: CsrRow<'_>) -> bool {
        let matters = |gene: u32| {
            self.matters.as_ref().is_none_or(|all| all.get(gene as usize).is_some_and(|it| *it))
        };
        !row.indices.iter().zip(row.values).any(|(&gene, &value)| value != 0.0 && matters(gene))
    }
}

/// A source whose cells are looked at as they are read.
struct Sought<'a> {
    empty: &'a mut EmptyCells,
    source: &'a mut dyn CellSource,
    layer: &'a Layer,
}

impl CellSource for Sought<'_> {
    crate::forward!(source: summary, obs, var, read_obsm, read_lists, unread);

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
        let first = rows.start;
        let block = self.source.read(layer, rows)?;
        if layer == self.layer {
            for (cell, row) in (first..).zip(block.rows()) {
                if self.empty.is_one(row) {
                    self.empty.cells.insert(cell);
                }
            }
        }
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Frame, RowSpool, SpooledCells};

    use super::*;

    #[test]
    fn cells_count_once_and_by_the_genes_that_matter() {
        let mut rows = RowSpool::new(2).unwrap();
        rows.push(&[0.0, 0.0, 3.0, 0.0, 0.0, 1.0, 0.0, 0.0]).unwrap();
        let names =
            |n: usize| Frame { index: (0..n).map(|i| i.to_string()).collect(), ..Frame::default() };
        let mut source = SpooledCells::new(names(4), names(2), rows);
        for (matters, expected) in [(None, [0, 3].as_slice()), (Some([false, true]), &[0, 1, 3])] {
            let matters = matters.map(|it| it.to_vec());
            let mut empty = EmptyCells { matters, ..EmptyCells::default() };
            let mut sought = empty.among(&mut source, &Layer::X);
            for rows in [0..4, 1..3, 3..4] {
                sought.read(&Layer::X, rows).unwrap();
            }
            drop(sought);
            assert_eq!(empty.cells.iter().copied().collect::<Vec<_>>(), expected);
            assert_eq!(empty.having(&[Some(1), None, Some(1), None]), 1);
        }
    }
}
