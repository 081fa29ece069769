//! [`Means`]: the mean value of every feature, of all cells and of each type.

use scgpt_data::{CellTokens, Measured};

use super::columns::Columns;

/// Sums of values, and the numbers of cells that were measured in each modality.
pub(super) struct Means {
    /// Of all cells, then of each type.
    groups: Vec<Group>,
    n_columns: usize,
}

#[derive(Clone)]
struct Group {
    sums: Vec<f64>,
    /// For each modality.
    cells: Vec<usize>,
}

impl Means {
    /// Of no cells yet, which will be of `n_types` types.
    pub(super) fn new(columns: &Columns<'_>, n_types: usize) -> Self {
        let cells = vec![0; columns.modalities.names().len()];
        let group = Group { sums: vec![0.0; columns.len()], cells };
        Self { groups: vec![group; 1 + n_types], n_columns: columns.len() }
    }

    /// Adds a cell, of a type if that is known.
    pub(super) fn add(
        &mut self,
        columns: &Columns<'_>,
        cell: &CellTokens,
        measured: Measured,
        of_type: Option<usize>,
    ) {
        for group in [Some(0), of_type.map(|it| it + 1)].into_iter().flatten() {
            let Group { sums, cells } = &mut self.groups[group];
            columns.entries(cell).for_each(|(column, value)| sums[column] += f64::from(value));
            for (modality, n) in cells.iter_mut().enumerate() {
                *n += usize::from(measured.contains(modality));
            }
        }
    }

    /// The means of a modality's columns over all cells that were measured in it, zeros included.
    pub(super) fn of_all(&self, columns: &Columns<'_>, modality: usize) -> Vec<f64> {
        self.groups[0].means(columns, modality).unwrap_or_else(|| vec![0.0; self.n_columns])
    }

    /// The same of a type; `None` if no cell of it was measured in the modality.
    pub(super) fn of_type(
        &self,
        columns: &Columns<'_>,
        modality: usize,
        of_type: usize,
    ) -> Option<Vec<f64>> {
        self.groups[of_type + 1].means(columns, modality)
    }
}

impl Group {
    fn means(&self, columns: &Columns<'_>, modality: usize) -> Option<Vec<f64>> {
        let n = self.cells[modality];
        let mean = |column: usize| self.sums[column] / n as f64;
        (n > 0).then(|| columns.of(modality).into_iter().map(mean).collect())
    }
}
