//! [`Readout`]: values of a modality by a linear map from rows that say where cells lie.
//!
//! Where the network has one space for all modalities, cells that were measured in two of them tell how a place in
//! it goes with values of either. That takes few such cells, and nothing that training has to find.

use scgpt_data::{Observer, Result};
use scgpt_stats::Ridge;

/// Penalties that cells choose among, as multiples of that of generalised cross-validation.
const STRENGTHS: [f64; 4] = [1.0, 10.0, 100.0, 1000.0];

/// Cells of which both is known.
pub(super) struct Examples {
    /// Where they lie, `[n, d]`.
    pub(super) rows: Vec<f64>,
    /// Their values, `[n, features]`.
    pub(super) values: Vec<f64>,
}

/// A map from rows of `d` numbers to values of features.
pub(super) struct Readout {
    ridge: Ridge,
    /// What it says beyond the means is multiplied by this.
    share: f64,
}

impl Examples {
    pub(super) fn new(rows: &[f32], values: &[f32]) -> Self {
        Self { rows: wide(rows), values: wide(values) }
    }
}

impl Readout {
    /// The regression on the examples as it is.
    pub(super) fn plain(
        examples: &Examples,
        dims: [usize; 2],
        observer: &dyn Observer,
    ) -> Result<Self> {
        let ridge = Ridge::new(&examples.rows, &examples.values, dims, observer)?;
        Ok(Self { ridge, share: 1.0 })
    }

    /// The regression on the examples `fitted`. How strongly it is penalised, and how much of what it says is
    /// believed, the examples `choosing` tell: gene vectors were made from the cells that it is fitted to, so
    /// that these seem easier to tell than others.
    pub(super) fn chosen(
        fitted: &Examples,
        choosing: &Examples,
        dims: [usize; 2],
        observer: &dyn Observer,
    ) -> Result<Self> {
        let mut best = Self::plain(fitted, dims, observer)?.calibrated(choosing, dims);
        let mut least = best.error(choosing, dims);
        let plain = best.ridge.penalty();
        for strength in &STRENGTHS[1..] {
            let (x, y) = (&fitted.rows, &fitted.values);
            let ridge = Ridge::with_penalty(x, y, dims, strength * plain, observer)?;
            let readout = Self { ridge, share: 1.0 }.calibrated(choosing, dims);
            let error = readout.error(choosing, dims);
            if error < least {
                (best, least) = (readout, error);
            }
        }
        Ok(best)
    }

    /// The values of a cell, `[features]`; none below zero, as there are no such bins.
    fn values(&self, row: &[f64]) -> Vec<f64> {
        let value = |(found, mean): (f64, &f64)| (mean + self.share * (found - mean)).max(0.0);
        self.ridge.map(row).into_iter().zip(self.ridge.means()).map(value).collect()
    }

    /// The values of cells, `[n, features]`, by their rows, `[n, d]`.
    #[allow(clippy::cast_possible_truncation, reason = "values are bins")]
    pub(super) fn of_all(&self, rows: &[f32], d: usize) -> Vec<f32> {
        let of_cell = |row: &[f32]| self.values(&wide(row));
        rows.chunks(d.max(1)).flat_map(of_cell).map(|value| value as f32).collect()
    }

    /// Mean squared error.
    pub(super) fn error(&self, of: &Examples, dims: [usize; 2]) -> f64 {
        let squares = of.cells(dims).flat_map(|(row, values)| {
            self.values(row).into_iter().zip(values).map(|(x, y)| (x - y).powi(2))
        });
        squares.sum::<f64>() / of.values.len().max(1) as f64
    }

    /// The same map, of which as much is believed as is best for examples by least squares.
    fn calibrated(self, by: &Examples, dims: [usize; 2]) -> Self {
        let (mut product, mut square) = (0.0, 0.0);
        for (row, values) in by.cells(dims) {
            for ((found, mean), value) in
                self.ridge.map(row).iter().zip(self.ridge.means()).zip(values)
            {
                product += (found - mean) * (value - mean);
                square += (found - mean).powi(2);
            }
        }
        let share = if square > 0.0 { (product / square).max(0.0) } else { 0.0 };
        Self { share, ..self }
    }
}

impl Examples {
    fn cells(&self, [d, features]: [usize; 2]) -> impl Iterator<Item = (&[f64], &[f64])> {
        self.rows.chunks(d.max(1)).zip(self.values.chunks(features.max(1)))
    }
}

pub(super) fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().copied().map(f64::from).collect()
}

#[cfg(test)]
mod tests {
    use scgpt_data::{Keyed, Purpose, Silent};

    use super::*;

    /// Cells whose value is the first of twenty numbers, with noise, above 10.
    fn examples(n: u64, seed: u64, noise: f64) -> Examples {
        let key = Keyed::new(seed, Purpose::Simulate, 0, 0);
        let rows: Vec<f64> = (0..20 * n).map(|i| key.normal(2 * i)).collect();
        let error = |cell: u64| noise * key.normal(2 * (20 * n + cell));
        let values = rows.chunks(20).zip(0..).map(|(row, cell)| 10.0 + row[0] + error(cell));
        let values = values.collect();
        Examples { rows, values }
    }

    #[test]
    fn cells_that_it_was_not_fitted_to_keep_it_from_saying_too_much() {
        let (fitted, choosing, others) =
            (examples(40, 1, 4.0), examples(200, 2, 4.0), examples(400, 3, 4.0));
        let dims = [20, 1];
        // A penalty that is far too weak, as where the rows were made from the values.
        let loose = Readout {
            ridge: Ridge::with_penalty(&fitted.rows, &fitted.values, dims, 1e-6, &Silent).unwrap(),
            share: 1.0,
        };
        let before = loose.error(&others, dims);
        let calibrated = loose.calibrated(&choosing, dims);
        assert!(calibrated.share < 0.7, "{}", calibrated.share);
        assert!(calibrated.error(&others, dims) < before);
        let chosen = Readout::chosen(&fitted, &choosing, dims, &Silent).unwrap();
        assert!(
            chosen.error(&choosing, dims)
                <= Readout::plain(&fitted, dims, &Silent).unwrap().error(&choosing, dims)
        );
    }

    #[test]
    fn what_is_plain_is_found_and_nothing_is_below_zero() {
        let (fitted, choosing) = (examples(100, 1, 0.0), examples(50, 2, 0.0));
        let readout = Readout::chosen(&fitted, &choosing, [20, 1], &Silent).unwrap();
        assert!((readout.share - 1.0).abs() < 0.01 && readout.error(&choosing, [20, 1]) < 1e-3);
        let mut row = vec![0.0; 20];
        row[0] = -50.0;
        assert_eq!(readout.values(&row), [0.0]);
    }
}
