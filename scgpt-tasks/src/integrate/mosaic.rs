//! [`MosaicScores`]: whether cells lie together whatever they were measured in.

use std::{collections::BTreeSet, fmt};

use scgpt_data::{Measured, Observer, narrow};
use scgpt_stats::{ClassScores, ClusterOptions, Neighbours, subsample};
use serde::Serialize;

use super::{Integration, Pairing, score::SpaceJudge};
use crate::error::Result;

/// Neighbours that tell the type of a cell, and most cells on either side.
const NEIGHBOURS: usize = 15;
const CELLS: usize = 10_000;

/// How cells of a mosaic lie together.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MosaicScores {
    /// Number of kinds of cell: what was measured of a cell is its kind.
    pub kinds: usize,
    /// How well kinds are mixed within types, as AvgBATCH says it of batches; `None` without types.
    pub mixing: Option<f64>,
    /// Types of cells that lack the leading modality, told by their neighbours that have it.
    pub carried: Option<CarriedTypes>,
}

/// How often types are carried right from cells of one modality to cells without it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CarriedTypes {
    /// The modality that the neighbours have.
    pub from: String,
    /// Number of cells without it.
    pub cells: usize,
    /// Share of these whose type is that of most of their nearest neighbours.
    pub accuracy: f64,
    /// Mean F1 of the types.
    pub macro_f1: f64,
    /// The accuracy of taking the type of most cells for all.
    pub largest: f64,
}

impl fmt::Display for MosaicScores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kinds of cell by what was measured", self.kinds)?;
        if let Some(mixing) = self.mixing {
            write!(f, ", mixed within types {mixing:.3} (as AvgBATCH)")?;
        }
        let Some(CarriedTypes { from, cells, accuracy, macro_f1, largest }) = &self.carried else {
            return Ok(());
        };
        write!(
            f,
            "; of {cells} cells without {from}, neighbours with it tell {:.1} % of the types (the largest alone: \
             {:.1} %), macro F1 {macro_f1:.3}",
            100.0 * accuracy,
            100.0 * largest
        )
    }
}

impl Integration<'_> {
    /// The scores of embeddings `[n, d]` of all cells; `None` if they are no mosaic.
    ///
    /// # Errors
    /// If scores cannot be computed;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub(super) fn mosaic_scores(
        &self,
        rows: &[f32],
        d: usize,
        observer: &dyn Observer,
    ) -> Result<Option<MosaicScores>> {
        let Some(cells) = self.options.modalities.filter(|it| it.pairing() != Pairing::Paired)
        else {
            return Ok(None);
        };
        let kinds: BTreeSet<Measured> = cells.measured.iter().copied().collect();
        let kinds: Vec<Measured> = kinds.into_iter().collect();
        let kind = |measured| kinds.iter().position(|kind| kind == measured).unwrap_or(0);
        let of_cells: Vec<usize> = cells.measured.iter().map(kind).collect();
        let mixing = match &self.labels {
            None => None,
            Some(labels) => {
                let all: Vec<usize> = (0..of_cells.len()).collect();
                let options = ClusterOptions::default();
                let judge = SpaceJudge::new(&all, Some(labels), &of_cells, options);
                judge.judge(rows, d, observer)?.avg_batch
            }
        };
        let leading = cells.leading()[0];
        let from = &cells.modalities.names()[leading];
        let has_it = |cell: usize| cells.measured[cell].contains(leading);
        let carried = self.carried(rows, d, from, has_it, observer)?;
        Ok(Some(MosaicScores { kinds: kinds.len(), mixing, carried }))
    }

    /// Types carried from the cells that have the modality `from` to the others.
    fn carried(
        &self,
        rows: &[f32],
        d: usize,
        from: &str,
        has_it: impl Fn(usize) -> bool,
        observer: &dyn Observer,
    ) -> Result<Option<CarriedTypes>> {
        let Some(labels) = &self.labels else { return Ok(None) };
        let labelled = (0..labels.codes.len()).filter(|&cell| labels.codes[cell].is_some());
        let (known, others): (Vec<usize>, Vec<usize>) = labelled.partition(|&cell| has_it(cell));
        let [known, others] = [known, others].map(|cells| -> Vec<usize> {
            let chosen = subsample(cells.len(), CELLS, self.config.training.seed);
            chosen.into_iter().map(|place| cells[place]).collect()
        });
        if known.len() < NEIGHBOURS || others.is_empty() {
            return Ok(None);
        }
        let of = |cells: &[usize]| -> Vec<f32> {
            cells.iter().flat_map(|&cell| &rows[cell * d..(cell + 1) * d]).copied().collect()
        };
        let codes = |cells: &[usize]| -> Vec<u32> {
            cells.iter().filter_map(|&cell| labels.codes[cell]).collect()
        };
        let (of_known, truth) = (codes(&known), codes(&others));
        let nearest = Neighbours::among(&of(&others), &of(&known), d, NEIGHBOURS, observer)?;
        let most = |codes: &mut dyn Iterator<Item = u32>| {
            let mut counts = vec![0_usize; labels.classes.len()];
            codes.for_each(|code| counts[code as usize] += 1);
            // Of equally many, the type of the lowest number.
            let largest = (0..counts.len()).rev().max_by_key(|&code| counts[code]);
            narrow(largest.unwrap_or(0))
        };
        let told: Vec<u32> = nearest
            .cells()
            .map(|found| most(&mut found.iter().map(|&(_, cell)| of_known[cell])))
            .collect();
        let largest = most(&mut of_known.iter().copied());
        let scores = ClassScores::new(&truth, &told, &labels.classes);
        Ok(Some(CarriedTypes {
            from: from.to_owned(),
            cells: truth.len(),
            accuracy: scores.accuracy,
            macro_f1: scores.macro_f1,
            largest: truth.iter().filter(|&&code| code == largest).count() as f64
                / truth.len() as f64,
        }))
    }
}
