//! [`Crossing`]: whether the modalities of a cell lie near each other, measured without labels.

use scgpt_data::{CellTokens, Modalities, Observer};
use scgpt_stats::{foscttm, subsample, unit_rows};
use scgpt_train::Metric;

use super::{CellModalities, cross_modal::part};
use crate::{
    error::Result,
    stream::Rows,
    training::{TrainingCells, VALIDATION_EPOCH},
};

/// Most cells that are measured.
const CELLS: usize = 1000;

/// Validation cells that were measured in the modality by which others are looked at, and in another.
pub(super) struct Crossing<'a> {
    modalities: &'a Modalities,
    leading: usize,
    /// By their numbers in the shards, ascending.
    cells: Vec<usize>,
}

impl<'a> Crossing<'a> {
    /// Some of the `validation` cells, the same for a seed; `ids` are the numbers in the source of all cells of the
    /// shards, and `modalities` those of their tokens.
    pub(super) fn new(
        cells: &CellModalities,
        modalities: &'a Modalities,
        ids: &[usize],
        validation: &[usize],
        seed: u64,
    ) -> Self {
        let leading = cells.leading()[0];
        let is_linked = |&cell: &usize| {
            let measured = cells.measured[ids[cell]];
            measured.contains(leading) && measured.len() > 1
        };
        let linked: Vec<usize> = validation.iter().copied().filter(is_linked).collect();
        let chosen = subsample(linked.len(), CELLS, seed);
        let cells = chosen.into_iter().map(|place| linked[place]).collect();
        Self { modalities, leading, cells }
    }

    /// The share of other cells that lie nearer to one modality of a cell than the others of it do; `None` with
    /// fewer than two cells. `domains` are those of all cells of the shards.
    ///
    /// # Errors
    /// If the shards are broken;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub(super) fn measure(
        &self,
        cells: &TrainingCells<'_>,
        rows: &Rows<'_>,
        domains: &[usize],
        observer: &dyn Observer,
    ) -> Result<Option<Metric>> {
        if self.cells.len() < 2 {
            return Ok(None);
        }
        let domains: Vec<usize> = self.cells.iter().map(|&cell| domains[cell]).collect();
        let d = rows.encoder.d_model();
        let whole = cells.tokens(&self.cells, VALIDATION_EPOCH)?;
        let n_names = self.modalities.names().len();
        let embed = |is_kept: &dyn Fn(usize) -> bool| -> Result<Vec<f32>> {
            let tokens: Vec<CellTokens> = whole
                .iter()
                .map(|cell| part(cell, |of| of.0 as usize >= n_names || is_kept(of.0 as usize)))
                .collect();
            Ok(unit_rows(&rows.of(&tokens, Some(&domains), observer)?, d))
        };
        let leading = embed(&|modality| modality == self.leading)?;
        let others = embed(&|modality| modality != self.leading)?;
        let share = foscttm(&leading, &others, d, observer)?;
        Ok(Some(Metric::lower_share(Metric::FOSCTTM, share, self.cells.len())))
    }
}
