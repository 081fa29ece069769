//! Library-size normalisation and `log1p` of blocks, and the reference's test for logged data.

use serde::{Deserialize, Serialize};

use crate::{
    csr::Csr,
    state::{InputState, InputValues, StateDetector},
};

/// How values become logarithms, `log1p`, of values that sum to `total` in every cell.
///
/// ```
/// use scgpt_data::{Csr, InputState, LogScale};
///
/// let mut block = Csr::of_rows(2, [(vec![0, 1], vec![1.0, 3.0])])?;
/// LogScale { from: InputState::Counts.into(), total: 8.0 }.apply(&mut block);
/// let expected = [2_f32.ln_1p(), 6_f32.ln_1p()];
/// assert!(block.values().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6));
/// # Ok::<_, String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogScale {
    /// What the values are.
    pub from: InputValues,
    /// The sum they are to have before the logarithm.
    pub total: f64,
}

impl LogScale {
    /// Whether values stay as they are: they are logarithms of values with that sum, or with a sum
    /// that is not known because some genes of the normalised cells are missing.
    pub fn is_done(&self) -> bool {
        let is_other = |total: f64| (total / self.total - 1.0).abs() > 1e-3;
        self.from.state == InputState::Log1p && !self.from.total.is_some_and(is_other)
    }

    /// Brings the values of a block to this scale: each cell to the same total, then `log1p`. Negative values,
    /// which are no expression, stay as they are.
    pub fn apply(&self, block: &mut Csr) {
        if self.is_done() {
            return;
        }
        let InputValues { state, total } = self.from;
        match (state, total) {
            (InputState::Scaled, _) => return,
            (InputState::Log1p, Some(total)) => {
                each(block, |x| (x.exp_m1() * self.total / total).ln_1p());
                return;
            }
            (InputState::LoggedCounts, _) => each(block, |x| x.exp_m1().round()),
            _ => {}
        }
        normalise_total(block, self.total);
        log1p(block);
    }
}

/// Replaces every value.
fn each(block: &mut Csr, change: impl Fn(f64) -> f64) {
    for cell in 0..block.n_cells() {
        for value in block.row_values_mut(cell) {
            *value = narrow(change(f64::from(*value)));
        }
    }
}

/// Sums of the cells over the genes of the block, one a cell.
pub fn totals(block: &Csr) -> impl Iterator<Item = f64> + '_ {
    block.rows().map(|row| row.values.iter().map(|&value| f64::from(value)).sum())
}

/// Scales every cell to the sum `target`; cells whose sum is 0 stay as they are.
///
/// # Reference
/// `scanpy.pp.normalize_total`. Differs: every number is honoured as a
/// target. In the reference a whole number silently means the median, which here is asked for by
/// passing [`median_total`]; and the result is not shared with the logged layer.
pub fn normalise_total(block: &mut Csr, target: f64) {
    let totals: Vec<f64> = totals(block).collect();
    for (cell, total) in totals.into_iter().enumerate() {
        if total > 0.0 {
            let divisor = total / target;
            for value in block.row_values_mut(cell) {
                *value = narrow(f64::from(*value) / divisor);
            }
        }
    }
}

/// Replaces every value `x` by `ln(1 + x)`.
pub fn log1p(block: &mut Csr) {
    each(block, f64::ln_1p);
}

/// Median of the positive `totals` of all cells, a target for [`normalise_total`]; 1 if none is
/// positive.
pub fn median_total(mut totals: Vec<f64>) -> f64 {
    totals.retain(|&total| total > 0.0);
    totals.sort_unstable_by(f64::total_cmp);
    median(&totals).unwrap_or(1.0)
}

/// Median of numbers in ascending order; `None` without any.
pub(crate) fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let high = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 { high } else { f64::midpoint(sorted[middle - 1], high) })
}

/// Whether the reference takes the values for logged: none negative, none above 30, and the
/// smallest non-zero one below 1.
///
/// # Reference
/// `scgpt/preprocess.py`, `Preprocessor._check_log`. To find out what a
/// file holds use [`input_state`](crate::input_state), which is not misled by shallow cells.
pub fn check_logged(block: &Csr) -> bool {
    let mut detector = StateDetector::default();
    detector.observe(block);
    detector.check_logged()
}

#[allow(clippy::cast_possible_truncation, reason = "computed wide, stored narrow")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "exact by construction")]

    use super::*;

    fn block() -> Csr {
        Csr::new(2, vec![0, 2, 2, 3], vec![0, 1, 1], vec![1.0, 3.0, 5.0]).unwrap()
    }

    #[test]
    fn cells_are_scaled_to_the_target_and_empty_cells_stay() {
        let mut block = block();
        normalise_total(&mut block, 2.0);
        assert_eq!(block.values(), [0.5, 1.5, 2.0]);
        assert_eq!(totals(&block).collect::<Vec<_>>(), [2.0, 0.0, 2.0]);
        log1p(&mut block);
        assert_eq!(block.values()[0], 1.5_f32.ln());
    }

    #[test]
    fn all_ways_lead_to_the_same_logarithms() {
        let mut expected = block();
        normalise_total(&mut expected, 1e4);
        log1p(&mut expected);
        let scale = |state, total| LogScale { from: InputValues { state, total }, total: 1e4 };
        let check = |mut block: Csr, scale: LogScale| {
            scale.apply(&mut block);
            for (a, b) in block.values().iter().zip(expected.values()) {
                assert!((a - b).abs() < 1e-5, "{scale:?}: {a} {b}");
            }
        };
        check(block(), scale(InputState::Counts, None));
        let mut normalised = block();
        normalise_total(&mut normalised, 1e6);
        check(normalised.clone(), scale(InputState::Normalised, Some(1e6)));
        log1p(&mut normalised);
        check(normalised, scale(InputState::Log1p, Some(1e6)));
        check(expected.clone(), scale(InputState::Log1p, None));
        let mut logged = block();
        log1p(&mut logged);
        check(logged, scale(InputState::LoggedCounts, None));
    }

    #[test]
    fn the_median_is_of_positive_totals() {
        assert_eq!(median_total(vec![4.0, 0.0, 5.0]), 4.5);
        assert_eq!(median_total(vec![7.0, 4.0, 5.0]), 5.0);
        assert_eq!(median_total(vec![0.0]), 1.0);
    }
}
