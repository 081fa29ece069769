//! [`CellSpace`]: where an embedding puts the cells.

use std::borrow::Cow;

use scgpt_stats::Graph;

/// Where an embedding puts the cells: coordinates, or neighbours alone.
#[derive(Clone, Debug)]
pub enum CellSpace<'a> {
    /// Every cell has coordinates.
    Rows {
        /// The coordinates, `[n, width]`, row-major.
        rows: Cow<'a, [f32]>,
        /// Number of coordinates of a cell.
        width: usize,
    },
    /// Only neighbours are known: a graph with one node a cell.
    Graph(Cow<'a, Graph>),
}

impl<'a> CellSpace<'a> {
    /// Cells at `rows`, `[n, width]`, row-major.
    pub fn rows(rows: impl Into<Cow<'a, [f32]>>, width: usize) -> Self {
        Self::Rows { rows: rows.into(), width }
    }
}
