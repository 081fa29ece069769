//! [`Thinning`]: whether a network tells cells apart, measured without labels.
//!
//! ```text
//! counts of a cell ─ two random halves ─ tokens of each, nothing hidden ─ network ─ rows of unit length
//!     ─ is the other half of a cell the nearest of all other halves? ─ the share of which it is
//! ```
//!
//! The losses say how well values are predicted, which a network can learn while it forgets which cells
//! are alike. The halves are the same in every validation, so that its numbers can be compared. Each costs
//! two embeddings a cell, of at most [`CELLS`](Thinning::CELLS) cells.

use scgpt_data::Silent;
use scgpt_model::CellEncoder;
use scgpt_stats::{matching_accuracy, subsample, unit_rows};
use scgpt_train::{Best, Metric, Result, ValidationRecord};
use serde::Serialize;

use super::TrainingCells;

/// The metric and what it is called in a chart.
pub(crate) const THINNING_CURVE: (&str, &str) = (Metric::THINNING, "halves that find each other");

/// Some of the validation cells.
pub(crate) struct Thinning {
    /// By their numbers in the shards, ascending.
    cells: Vec<usize>,
    by_coin: usize,
}

/// The cells whose counts were divided at random, so that their halves find each other if the network tells
/// cells apart: `thinning` is the share of the halves that do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ThinnedCells {
    /// Number of cells.
    pub cells: usize,
    /// Those of them that hold values which are no counts, so that whole features were divided.
    pub by_coin: usize,
}

impl Thinning {
    /// Most cells that are thinned.
    const CELLS: usize = 1000;

    /// Some of the `validation` cells, the same for a seed.
    ///
    /// # Errors
    /// If the shards are broken.
    pub(crate) fn new(cells: &TrainingCells<'_>, validation: &[usize]) -> Result<Self> {
        let chosen = subsample(validation.len(), Self::CELLS, cells.seed);
        let chosen: Vec<usize> = chosen.into_iter().map(|place| validation[place]).collect();
        let mut by_coin = 0;
        for &cell in &chosen {
            by_coin += usize::from(cells.thinned(cell)?.by_coin);
        }
        Ok(Self { cells: chosen, by_coin })
    }

    /// How many cells there are; none if there are none to validate on.
    pub(crate) fn sizes(&self) -> Option<ThinnedCells> {
        let (cells, by_coin) = (self.cells.len(), self.by_coin);
        (cells > 0).then_some(ThinnedCells { cells, by_coin })
    }

    /// How many halves find each other as the network embeds them, `batch_size` at once. `domains` are those of
    /// all cells of the shards; without them all are of the first.
    ///
    /// # Errors
    /// If the shards are broken.
    pub(crate) fn measure(
        &self,
        cells: &TrainingCells<'_>,
        encoder: &CellEncoder,
        batch_size: usize,
        domains: Option<&[usize]>,
    ) -> Result<Metric> {
        let rows = cells.rows(encoder, batch_size);
        let own = |domains: &[usize]| self.cells.iter().map(|&cell| domains[cell]).collect();
        let domains: Option<Vec<usize>> = domains.map(own);
        let embed = |tokens| {
            let rows = rows.of(tokens, domains.as_deref(), &Silent)?;
            Ok::<_, scgpt_train::Error>(unit_rows(&rows, encoder.d_model()))
        };
        let [first, second] = cells.halves(&self.cells)?;
        let [first, second] = [embed(&first)?, embed(&second)?];
        let share = matching_accuracy(&first, &second, encoder.d_model(), &Silent)?;
        Ok(Metric::share(Metric::THINNING, share, self.cells.len()))
    }
}

impl ThinnedCells {
    /// What the number is, for a page.
    pub(crate) fn sentence(self) -> String {
        let Self { cells, by_coin } = self;
        let of_coin = match by_coin {
            0 => String::new(),
            n => format!(
                " Values of {n} of these cells are no counts, so their expressed features were divided instead."
            ),
        };
        format!(
            "The counts of {cells} validation cells were divided at random into two halves each; thinning is the \
             share of the halves to which, of the other halves of all cells, that of the same cell is nearest. By \
             chance it is {:.3}.{of_coin}",
            1.0 / cells as f64
        )
    }

    /// What the best of the validations found, and the first if that was before training, for a card.
    pub(crate) fn line(self, validations: &[ValidationRecord]) -> Option<String> {
        let best = validations.iter().rev().find(|record| record.is_best)?;
        let before = validations.first().filter(|record| record.step == 0);
        let before = before
            .and_then(|record| value(record, Metric::THINNING))
            .map_or(String::new(), |share| format!(", before the first step {share:.2}"));
        let Self { cells, .. } = self;
        Some(format!(
            "{:.2} of the random halves of {cells} validation cells find each other by their embeddings{before}",
            value(best, Metric::THINNING)?
        ))
    }
}

/// What is to be said if the network before the first step was never surpassed, and is the result.
pub(crate) fn kept_start(best: Option<&Best>, validations: &[ValidationRecord]) -> Option<String> {
    let Best { metric, .. } = best.filter(|best| best.step == 0)?;
    let later = validations.iter().filter(|record| record.step > 0);
    let later = later.filter_map(|record| value(record, &metric.name));
    let later = later.reduce(if metric.lower_is_better { f64::min } else { f64::max })?;
    Some(format!(
        "no checkpoint is clearly better than the start (`{}` {:.3}, {later:.3} at the best checkpoint): the start is kept",
        metric.name, metric.value
    ))
}

/// What a validation has found by a metric.
fn value(record: &ValidationRecord, name: &str) -> Option<f64> {
    Some(record.metrics.iter().find(|metric| metric.name == name)?.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(shares: &[(u64, f64, bool)]) -> Vec<ValidationRecord> {
        let record = |&(step, share, is_best): &(u64, f64, bool)| ValidationRecord {
            step,
            epoch: 0,
            metrics: vec![Metric::loss("gep", 9.0), Metric::score(Metric::THINNING, share)],
            is_best,
        };
        shares.iter().map(record).collect()
    }

    #[test]
    fn what_is_said_of_a_start_that_was_kept_and_of_one_that_was_not() {
        let cells = ThinnedCells { cells: 1000, by_coin: 3 };
        assert!(cells.sentence().contains("3 of these cells are no counts"));
        let validations = records(&[(0, 0.81, true), (9, 0.74, false), (18, 0.3, false)]);
        let at = |step| Best { step, metric: Metric::score(Metric::THINNING, 0.81) };
        let said = kept_start(Some(&at(0)), &validations).unwrap();
        assert!(said.contains("`thinning` 0.810, 0.740 at the best checkpoint"), "{said}");
        assert_eq!(kept_start(Some(&at(9)), &validations), None);
        let line = cells.line(&records(&[(0, 0.5, true), (9, 0.6, true)])).unwrap();
        assert!(line.starts_with("0.60") && line.ends_with("before the first step 0.50"), "{line}");
    }
}
