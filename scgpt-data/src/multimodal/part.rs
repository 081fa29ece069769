//! [`Part`]: one source among those of multimodal cells.

use std::ops::Range;

use super::examples;
use crate::{
    cell_source::CellSource,
    error::{Error, Result},
    modality::Modalities,
    setting::{Advice, Setting},
    summary::Layer,
};

/// Rows that are read without need where that saves a second access.
const GAP: usize = 64;

/// One source, and where its features and cells are in the whole.
pub(super) struct Part {
    source: Box<dyn CellSource>,
    /// For each feature of the source its column in the whole; `None` for one that is left out.
    columns: Vec<Option<u32>>,
    /// For each cell of the whole its row in the source; `None` for a cell that it does not have.
    rows: Vec<Option<u32>>,
    /// Whether all features are genes.
    is_rna: bool,
}

/// What is to be done about values that are no counts.
pub(super) const COUNTS: &str = "use raw counts: values centred or normalised by CLR or DSB are negative, and the model bins the values of every cell itself";

/// Columns and values of a cell.
pub(super) type Row = Vec<(u32, f32)>;

impl Part {
    pub(super) fn new(
        source: Box<dyn CellSource>,
        columns: Vec<Option<u32>>,
        rows: Vec<Option<u32>>,
        is_rna: bool,
    ) -> Self {
        Self { source, columns, rows, is_rna }
    }

    /// Leaves out all cells of the whole but those of these numbers.
    pub(super) fn keep(&mut self, cells: &[usize]) {
        self.rows = cells.iter().map(|&cell| self.rows[cell]).collect();
    }

    /// Whether the source has the cell.
    pub(super) fn has(&self, cell: usize) -> bool {
        self.rows[cell].is_some()
    }

    /// The modality of all features that are kept, if they have only one.
    pub(super) fn only_modality(&self, modalities: &Modalities) -> Option<usize> {
        let mut of = self.columns.iter().flatten().map(|&column| modalities.of(column as usize));
        let first = of.next()??;
        of.all(|modality| modality == Some(first)).then_some(first)
    }

    /// Appends the values that the source has of `cells` to their `rows`.
    pub(super) fn read(
        &mut self,
        layer: &Layer,
        cells: Range<usize>,
        rows: &mut [Row],
    ) -> Result<()> {
        let layer = if self.source.summary().matrices.iter().any(|matrix| matrix.layer == *layer) {
            layer
        } else {
            &Layer::X
        };
        let of = self.rows[cells].iter().enumerate();
        let mut wanted: Vec<(usize, usize)> =
            of.filter_map(|(place, row)| Some(((*row)? as usize, place))).collect();
        wanted.sort_unstable();
        for run in wanted.chunk_by(|a, b| b.0 - a.0 <= GAP) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let block =
                self.source.read(layer, first.0..last.0 + 1).map_err(|error| self.remedy(error))?;
            for &(row, place) in run {
                let cell = block.row(row - first.0);
                rows[place].extend(cell.indices.iter().zip(cell.values).filter_map(
                    |(&feature, &value)| Some((self.columns[feature as usize]?, value)),
                ));
            }
        }
        Ok(())
    }

    /// Adds the remedy for negative values, which depends on what is measured.
    fn remedy(&self, error: Error) -> Error {
        match &error {
            Error::Invalid { problem, .. } if !self.is_rna && problem.starts_with("negative") => {
                error.with_hint(COUNTS)
            }
            _ => error,
        }
    }
}

/// Checks that no cell has a feature in two of the parts.
pub(super) fn check_overlap(parts: &[Part], cells: &[String], features: &[String]) -> Result<()> {
    for (number, part) in parts.iter().enumerate() {
        let mut is_here = vec![false; features.len()];
        for &column in part.columns.iter().flatten() {
            is_here[column as usize] = true;
        }
        for other in &parts[number + 1..] {
            let of = other.columns.iter().flatten();
            let Some(feature) = of.copied().find(|&column| is_here[column as usize]) else {
                continue;
            };
            let twice: Vec<&str> = (0..cells.len())
                .filter(|&cell| part.has(cell) && other.has(cell))
                .map(|cell| cells[cell].as_str())
                .collect();
            if twice.is_empty() {
                continue;
            }
            let [path, before] = [other, part].map(|part| part.source.summary().path.clone());
            let problem = format!(
                "the cells {} are in `{}`, too, and so is the feature `{}`: it would be measured twice",
                examples(twice.into_iter()),
                before.display(),
                features[feature as usize]
            );
            return Err(Error::invalid(path, "obs", problem).with_hint(
                Advice::from("inputs are joined by the names of cells; if these are cells of other samples, name the sample of every input by ")
                    + Setting("sample")
                    + ", such as lane1,lane2, and the names are unique: `AAAC-1` becomes `AAAC-1-lane1`",
            ));
        }
    }
    Ok(())
}
