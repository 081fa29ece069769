//! [`Linear`]: the simple method that generated values have to beat, a ridge regression on principal components of
//! the modalities that a cell has.

use scgpt_data::{CellTokens, Observer, Result, narrow};
use scgpt_stats::{Principal, SparseCell, Subspace};

use super::{
    columns::Columns,
    readout::{Examples, Readout},
};

/// Principal components, and passes over the cells to find them.
const COMPONENTS: usize = 50;
const PASSES: usize = 3;
/// Cells that are looked at between two questions to an observer.
const BLOCK: usize = 512;

/// A regression from the values of some modalities to those of another.
pub(super) struct Linear {
    principal: Principal,
    readout: Readout,
}

impl Linear {
    /// Fits values of a modality, `[cells, features]`, to the cells without it.
    pub(super) fn fit(
        columns: &Columns<'_>,
        cells: &[CellTokens],
        values: &[f32],
        features: usize,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let cells: Vec<SparseCell> = cells.iter().map(|cell| sparse(columns, cell)).collect();
        let mut subspace = Subspace::new(columns.len(), COMPONENTS, observer)?;
        for pass in 0..PASSES {
            if pass == 1 {
                subspace.standardise();
            }
            if pass > 0 {
                subspace.turn(observer)?;
            }
            for cells in cells.chunks(BLOCK) {
                observer.check_cancelled()?;
                subspace.add(cells);
            }
        }
        let principal = subspace.principal(COMPONENTS, observer)?;
        let rows = places(&principal, &cells);
        let dims = [principal.n(), features];
        let readout = Readout::plain(&Examples::new(&rows, values), dims, observer)?;
        Ok(Self { principal, readout })
    }

    /// The values of cells, `[n, features]`.
    pub(super) fn values(&self, columns: &Columns<'_>, cells: &[CellTokens]) -> Vec<f32> {
        let cells: Vec<SparseCell> = cells.iter().map(|cell| sparse(columns, cell)).collect();
        self.readout.of_all(&places(&self.principal, &cells), self.principal.n())
    }
}

fn places(principal: &Principal, cells: &[SparseCell]) -> Vec<f32> {
    cells.iter().flat_map(|(columns, values)| principal.project(columns, values)).collect()
}

/// A cell by its values above zero.
fn sparse(columns: &Columns<'_>, cell: &CellTokens) -> SparseCell {
    let mut entries: Vec<(usize, f32)> =
        columns.entries(cell).filter(|&(_, value)| value > 0.0).collect();
    entries.sort_unstable_by_key(|entry| entry.0);
    entries.into_iter().map(|(column, value)| (narrow(column), value)).unzip()
}
