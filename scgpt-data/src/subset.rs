//! [`CellSubset`]: some cells of a source, as a source.

use std::{ops::Range, path::Path};

use crate::{
    cell_source::CellSource,
    csr::Csr,
    error::{Error, Result},
    frame::Frame,
    logged::input_values,
    summary::{CellChoice, Layer, Summary},
};

/// Rows of the whole source that are read at a time, of which the chosen are kept.
const BLOCK: usize = 4096;

/// Cells of a source for which a condition is true.
#[derive(Clone, Debug)]
pub struct ChosenCells {
    /// The condition, and how many there are.
    pub choice: CellChoice,
    /// Their numbers, ascending.
    pub cells: Vec<usize>,
    /// A sentence for each text that a column is compared with and no cell has.
    pub absent: Vec<String>,
}

impl ChosenCells {
    /// Checks that there are any, in the file at `path`.
    ///
    /// # Errors
    /// If not; the message has what a condition may have misspelled.
    pub fn some_of(self, path: &Path) -> Result<Self> {
        if !self.cells.is_empty() {
            return Ok(self);
        }
        let CellChoice { condition, of, .. } = &self.choice;
        let mut problem = vec![format!("none of {of} cells where {condition}")];
        problem.extend(self.absent.iter().cloned());
        Err(Error::invalid(path, "obs", problem.join("; "))
            .with_hint("`scgpt inspect` lists the columns of obs and what they hold"))
    }
}

/// Chosen cells of another source, lent or owned, in its order: as a file that holds only these. Rows
/// between two chosen ones of a block are read with them, blocks without any are not read. Memory: the
/// cells asked for, and one block.
///
/// ```
/// use scgpt_data::{CellSource as _, CellSubset, Csr, Frame, MemoryCells};
///
/// let matrix = Csr::of_rows(2, [(vec![0], vec![3.0]), (vec![1], vec![5.0])])?;
/// let (obs, var) = (Frame::of_names(["a", "b"]), Frame::of_names(["CD3D", "CD4"]));
/// let mut all = MemoryCells::of(matrix, obs, var)?;
///
/// let second = CellSubset::new(&mut all, vec![1]);
/// assert_eq!(second.obs()?.index, ["b"]);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CellSubset<S> {
    source: S,
    cells: Vec<usize>,
    summary: Summary,
}

impl<S: CellSource> CellSubset<S> {
    /// A view of the `cells` of `source`, in ascending order.
    ///
    /// # Panics
    /// If they do not ascend, or there is no such cell.
    pub fn new(source: S, cells: Vec<usize>) -> Self {
        assert!(cells.is_sorted_by(|a, b| a < b), "cells ascend");
        let n = source.summary().n_cells;
        assert!(cells.last().is_none_or(|&last| last < n), "one of {n} cells");
        let summary = Summary { n_cells: cells.len(), ..source.summary().clone() };
        Self { source, cells, summary }
    }

    /// As [`new`](Self::new), for cells chosen by a condition, which the summary tells.
    pub(crate) fn chosen(source: S, ChosenCells { choice, cells, .. }: ChosenCells) -> Self {
        let mut subset = Self::new(source, cells);
        subset.summary.chosen = Some(choice);
        subset
    }

    /// The consecutive cells `rows` of `source`, of which the matrix `layer` is what it is in all of them. Of the
    /// others the first few are read for that, and no more.
    ///
    /// # Errors
    /// If these cannot be read.
    ///
    /// # Panics
    /// If there are no such rows.
    pub fn part(mut source: S, rows: Range<usize>, layer: &Layer) -> Result<Self> {
        let is_there = source.summary().matrices.iter().any(|matrix| matrix.layer == *layer);
        let values = is_there.then(|| input_values(&mut source, layer)).transpose()?;
        let mut part = Self::new(source, rows.collect());
        part.summary.values = values.map(|values| (layer.clone(), values));
        Ok(part)
    }

    /// The source that has all cells.
    pub fn whole(&self) -> &S {
        &self.source
    }

    /// As [`whole`](Self::whole), to be changed; not in its number of cells.
    pub(crate) fn whole_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// The numbers of the cells in the source that has all, ascending.
    pub fn cells(&self) -> &[usize] {
        &self.cells
    }

    /// Each block that has chosen cells, and their places in it.
    fn blocks(&self, rows: Range<usize>) -> impl Iterator<Item = (Range<usize>, Vec<usize>)> {
        let chosen = &self.cells[rows];
        chosen.chunk_by(|a, b| a / BLOCK == b / BLOCK).map(|cells| {
            let (first, last) = (cells[0], cells[cells.len() - 1]);
            (first..last + 1, cells.iter().map(|cell| cell - first).collect())
        })
    }
}

impl<S: CellSource> CellSource for CellSubset<S> {
    crate::forward!(source: var, read_lists, unread);

    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn obs(&self) -> Result<Frame> {
        Ok(self.source.obs()?.pick(&self.cells))
    }

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
        let (_, n_genes) = self.summary.shape(layer)?;
        let blocks: Vec<_> = self.blocks(rows).collect();
        let (mut indptr, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
        for (range, places) in blocks {
            let block = self.source.read(layer, range)?;
            for place in places {
                let row = block.row(place);
                indices.extend_from_slice(row.indices);
                values.extend_from_slice(row.values);
                indptr.push(indices.len());
            }
        }
        Csr::new(n_genes, indptr, indices, values)
            .map_err(|problem| Error::invalid(&self.summary.path, layer.to_string(), problem))
    }

    fn read_obsm(&mut self, name: &str, rows: Range<usize>) -> Result<(Vec<f32>, usize)> {
        let blocks: Vec<_> = self.blocks(rows).collect();
        if blocks.is_empty() {
            return self.source.read_obsm(name, 0..0);
        }
        let (mut values, mut width) = (Vec::new(), 0);
        for (range, places) in blocks {
            let (block, columns) = self.source.read_obsm(name, range)?;
            width = columns;
            for place in places {
                values.extend_from_slice(&block[place * columns..(place + 1) * columns]);
            }
        }
        Ok((values, width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        frame::Column, logged::unscaled, memory_cells::MemoryCells, summary::MatrixSummary,
    };

    /// Cell `i` expresses gene `i % 7` by `i + 1`.
    struct Cells {
        summary: Summary,
    }

    impl Cells {
        fn new(n_cells: usize) -> Self {
            let matrix = MatrixSummary {
                layer: Layer::X,
                n_genes: 7,
                n_stored: n_cells as u64,
                encoding: "csr",
                dtype: "float32".into(),
            };
            let summary = Summary {
                path: "cells".into(),
                format: "test".into(),
                n_cells,
                matrices: vec![matrix],
                elements: vec!["obsm/X_a".into()],
                chosen: None,
                values: None,
            };
            Self { summary }
        }
    }

    impl CellSource for Cells {
        crate::absent!(read_lists, unread);

        fn summary(&self) -> &Summary {
            &self.summary
        }

        fn obs(&self) -> Result<Frame> {
            let cells = 0..self.summary.n_cells;
            let codes = cells.clone().map(|cell| u32::try_from(cell % 2).ok()).collect();
            let categories = vec!["even".into(), "odd".into()];
            Ok(Frame {
                index_name: "index".into(),
                index: cells.map(|cell| format!("c{cell}")).collect(),
                columns: vec![(
                    "kind".into(),
                    Column::Categorical { codes, categories, ordered: false },
                )],
            })
        }

        fn var(&self, _: &Layer) -> Result<Frame> {
            Ok(Frame::default())
        }

        fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
            self.summary.check_rows(layer, &rows)?;
            assert!(rows.len() <= BLOCK, "blocks are small");
            let n = rows.len();
            let genes = rows.clone().map(|cell| u32::try_from(cell % 7).unwrap()).collect();
            #[allow(clippy::cast_precision_loss, reason = "test data")]
            let values = rows.map(|cell| cell as f32 + 1.0).collect();
            Ok(Csr::new(7, (0..=n).collect(), genes, values).unwrap())
        }

        fn read_obsm(&mut self, _: &str, rows: Range<usize>) -> Result<(Vec<f32>, usize)> {
            #[allow(clippy::cast_precision_loss, reason = "test data")]
            let values = rows.flat_map(|cell| [cell as f32, 0.5]).collect();
            Ok((values, 2))
        }
    }

    #[test]
    fn chosen_cells_are_a_source() {
        let mut all = Cells::new(10_000);
        let mut subset = CellSubset::new(&mut all, vec![3, 5, 4095, 4096, 9000, 9999]);
        assert_eq!(subset.summary().n_cells, 6);
        let read = subset.read(&Layer::X, 1..6).unwrap();
        assert_eq!(read.values(), [6.0, 4096.0, 4097.0, 9001.0, 10_000.0]);
        assert_eq!(read.indices()[0], 5);
        assert_eq!(subset.read_obsm("X_a", 4..5).unwrap(), (vec![9000.0, 0.5], 2));
        assert_eq!(subset.read_obsm("X_a", 3..3).unwrap(), (Vec::new(), 2));
        let obs = subset.obs().unwrap();
        assert_eq!(obs.index, ["c3", "c5", "c4095", "c4096", "c9000", "c9999"]);
        let kinds: Vec<_> = obs.columns[0].1.labels().into_iter().flatten().collect();
        assert_eq!(kinds, ["odd", "odd", "odd", "even", "even", "odd"]);
        assert_eq!(subset.read(&Layer::X, 2..2).unwrap().n_cells(), 0);
    }

    #[test]
    fn the_values_of_a_part_are_what_those_of_all_cells_are() {
        let rows = [0.5, 3.5, 700.0, 41.0].map(|value| (vec![0], vec![value]));
        let (obs, var) = (Frame::of_names(["a", "b", "c", "d"]), Frame::of_names(["CD4"]));
        let cells = || {
            let matrix = Csr::of_rows(1, rows.clone()).unwrap();
            MemoryCells::of(matrix, obs.clone(), var.clone()).unwrap()
        };
        let whole = unscaled(&mut cells(), &Layer::X).unwrap();
        let mut part = CellSubset::part(cells(), 2..4, &Layer::X).unwrap();
        assert_eq!(unscaled(&mut part, &Layer::X).unwrap(), whole);
        let mut alone = CellSubset::new(cells(), vec![2, 3]);
        assert_ne!(unscaled(&mut alone, &Layer::X).unwrap(), whole, "alone they look like counts");
        assert_eq!(part.obs().unwrap().index, ["c", "d"]);
        let other = Layer::Named("counts".into());
        assert!(CellSubset::part(cells(), 0..4, &other).unwrap().summary().values.is_none());
    }
}
