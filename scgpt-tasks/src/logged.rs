//! [`LoggedCells`]: cells as logarithms of normalised counts, whatever the file has.

use scgpt_data::{CellSource, Csr, InputState, Layer, log1p, normalise_total};

use crate::{
    error::Result,
    observe::{Observer, Watched},
};

/// Cells read at once.
const BLOCK: usize = 4096;
/// Sum to which counts are normalised.
const TOTAL: f64 = 1e4;

/// A matrix, and what its values are.
#[derive(Clone, Debug)]
pub(crate) struct LoggedCells {
    pub(crate) layer: Layer,
    pub(crate) state: InputState,
}

impl LoggedCells {
    /// Visits all cells of `source` in blocks, each with the number of its first cell: normalised
    /// to 10 000 and logged, unless they were.
    pub(crate) fn each(
        &self,
        source: &mut dyn CellSource,
        stage: &str,
        observer: &dyn Observer,
        visit: &mut dyn FnMut(usize, &Csr),
    ) -> Result<()> {
        let n_cells = source.summary().n_cells;
        observer.begin(stage, n_cells);
        let mut watched = Watched { source, observer };
        for first in (0..n_cells).step_by(BLOCK) {
            let mut block = watched.read(&self.layer, first..n_cells.min(first + BLOCK))?;
            if self.state != InputState::Log1p {
                normalise_total(&mut block, TOTAL);
                log1p(&mut block);
            }
            visit(first, &block);
        }
        Ok(())
    }
}
