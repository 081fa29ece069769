//! [`LoggedCells`]: cells as logarithms of normalised counts, whatever the file has.

use crate::{
    cell_source::{CellSource, ReadBlocks as _},
    csr::Csr,
    error::{Error, Result},
    normalize::LogScale,
    observer::{Observer, Watched},
    setting::Advice,
    state::{InputState, InputValues, StateDetector},
    summary::Layer,
    vocab::GeneNames,
};

/// Cells read at a time.
const BLOCK: usize = 4096;
/// The first cells of a file, so many of them, whose values tell the [`InputState`].
pub const STATE_CELLS: usize = 2048;
/// The sum of every cell before the logarithm, wherever logarithms are asked for.
pub const TOTAL: f64 = 1e4;

/// What the values of `layer` are and the sum that cells have, judged by its first [`STATE_CELLS`]
/// cells; of a part of a source, by the first of all.
///
/// # Errors
/// If they cannot be read.
pub fn input_values(source: &mut dyn CellSource, layer: &Layer) -> Result<InputValues> {
    if let Some((known, values)) = &source.summary().values
        && known == layer
    {
        return Ok(*values);
    }
    let mut detector = StateDetector::default();
    let n = source.summary().n_cells.min(STATE_CELLS);
    detector.observe(&source.read(layer, 0..n)?);
    Ok(detector.values())
}

/// As [`input_values`], without the sum.
///
/// # Errors
/// If they cannot be read.
pub fn input_state(source: &mut dyn CellSource, layer: &Layer) -> Result<InputState> {
    Ok(input_values(source, layer)?.state)
}

/// What the values of `layer` are, as [`input_values`] finds, where negative ones are an error.
///
/// # Errors
/// If some are negative, which neither the model nor a logarithm can take; if they cannot be read.
pub fn unscaled(source: &mut dyn CellSource, layer: &Layer) -> Result<InputValues> {
    let values = input_values(source, layer)?;
    if values.state == InputState::Scaled {
        let problem = format!(
            "`{layer}` of `{}` has negative values, expected counts or log1p",
            source.summary().path.display()
        );
        return Err(Error::unsuited(problem, Advice::before_scaling()));
    }
    Ok(values)
}

/// The columns of `layer` that are genes, ascending.
///
/// # Errors
/// If there is no such matrix.
pub fn gene_columns(
    source: &dyn CellSource,
    layer: &Layer,
    names: &GeneNames,
) -> Result<Vec<usize>> {
    let is_gene = names.are_genes(&source.var(layer)?);
    Ok((0..is_gene.len()).filter(|&column| is_gene[column]).collect())
}

/// A matrix, and how its values become logarithms.
#[derive(Clone, Debug)]
pub struct LoggedCells {
    /// The matrix.
    pub layer: Layer,
    /// How its values become logarithms.
    pub scale: LogScale,
}

impl LoggedCells {
    /// The cells of `layer`, whose values are `from`, as logarithms of values that sum to
    /// [`TOTAL`].
    pub fn new(layer: &Layer, from: InputValues) -> Self {
        Self { layer: layer.clone(), scale: LogScale { from, total: TOTAL } }
    }

    /// Calls `visit` with all cells of `source` in blocks, each with the number of its first cell:
    /// normalised and logged as `scale` says. `stage` is what the observer is told.
    ///
    /// # Errors
    /// If the source cannot be read; [`Error::Cancelled`] if the observer says so.
    pub fn each(
        &self,
        source: &mut dyn CellSource,
        stage: &str,
        observer: &dyn Observer,
        visit: &mut dyn FnMut(usize, &Csr),
    ) -> Result<()> {
        observer.begin(stage, source.summary().n_cells);
        for block in (Watched { source, observer }).blocks(&self.layer, BLOCK) {
            let (cells, mut block) = block?;
            self.scale.apply(&mut block);
            visit(cells.start, &block);
        }
        Ok(())
    }
}
