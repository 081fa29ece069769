//! [`ThinnedCell`]: the counts of a cell, divided at random between two halves.

use crate::{
    csr::CsrRow,
    keyed::{Keyed, Purpose},
};

/// What is larger is no count: 65 536 molecules of one gene in one cell are not measured.
const LARGEST: f32 = 65_536.0;

/// Two cells made of one, as if each of its molecules had been met in one of two experiments: of independent
/// noise, and of the same biology. What tells cells apart finds one half by the other.
///
/// A count is divided binomially with probability one half. A cell of values that are not counts, since one
/// of them is no whole number or above 65 536, is divided [`by_coin`](Self::by_coin): each of its
/// features is in one half alone.
///
/// # Reference
/// Binomial thinning, as in Batson, Royer and Webber, *Molecular cross-validation for single-cell RNA-seq*,
/// 2019.
///
/// ```
/// use scgpt_data::{CsrRow, ThinnedCell};
///
/// let cell = CsrRow { indices: &[3, 8], values: &[5.0, 1.0] };
/// let thinned = ThinnedCell::new(cell, 0, 42);
/// let totals = thinned.halves().map(|half| half.values.iter().sum::<f32>());
/// assert_eq!(totals[0] + totals[1], 6.0);
/// assert!(!thinned.by_coin);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ThinnedCell {
    halves: [(Vec<u32>, Vec<f32>); 2],
    /// Whether whole features were divided, as the values are no counts.
    pub by_coin: bool,
}

impl ThinnedCell {
    /// Divides the cell of that number, by the seed.
    ///
    /// What becomes of a feature depends on seed, cell, feature and value alone; zeros are in no half.
    pub fn new(row: CsrRow<'_>, seed: u64, cell: u64) -> Self {
        let key = Keyed::new(seed, Purpose::Thin, 0, cell);
        let by_coin = !row.values.iter().all(|&value| is_count(value));
        let mut halves = [(); 2].map(|()| (Vec::new(), Vec::new()));
        for (&index, &value) in row.indices.iter().zip(row.values) {
            // A count may need many numbers, so every feature has a stream of them.
            let bits = |number: u64| key.bits(u64::from(index) << 32 | number);
            let first = if by_coin { value * heads(1.0, bits) } else { heads(value, bits) };
            for ((indices, values), part) in halves.iter_mut().zip([first, value - first]) {
                if part != 0.0 {
                    indices.push(index);
                    values.push(part);
                }
            }
        }
        Self { halves, by_coin }
    }

    /// Both halves, as rows of the features of the cell; a feature is in those that have a part of it.
    pub fn halves(&self) -> [CsrRow<'_>; 2] {
        [0, 1].map(|half| {
            let (indices, values) = &self.halves[half];
            CsrRow { indices, values }
        })
    }
}

/// Whether a value can be the count of a feature.
fn is_count(value: f32) -> bool {
    value.fract() == 0.0 && (0.0..=LARGEST).contains(&value)
}

/// How many of `count` tosses are heads, by random `bits` of which each number has 64.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "whole numbers up to 65 536"
)]
fn heads(count: f32, bits: impl Fn(u64) -> u64) -> f32 {
    let count = count as u64;
    let whole: u32 = (0..count / 64).map(|number| bits(number).count_ones()).sum();
    let rest = bits(count / 64) & ((1 << (count % 64)) - 1);
    (whole + rest.count_ones()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thin(values: &[f32], cell: u64) -> ThinnedCell {
        let indices: Vec<u32> = (0..).take(values.len()).collect();
        ThinnedCell::new(CsrRow { indices: &indices, values }, 7, cell)
    }

    #[test]
    fn counts_are_divided_binomially() {
        for count in [1.0_f32, 63.0, 64.0, 1000.0, LARGEST] {
            let of = |cell: u64| -> f64 {
                let thinned = thin(&[count], cell);
                thinned.halves()[0].values.iter().map(|&x| f64::from(x)).sum()
            };
            let all: Vec<f64> = (0..2000).map(of).collect();
            let mean = all.iter().sum::<f64>() / 2000.0;
            let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 2000.0;
            let n = f64::from(count);
            // Five standard errors of the mean, and of the variance of something like a normal.
            assert!((mean - n / 2.0).abs() < 5.0 * (n / 4.0 / 2000.0).sqrt(), "{count}: {mean}");
            assert!((variance / (n / 4.0) - 1.0).abs() < 0.16, "{count}: {variance}");
        }
    }

    #[test]
    fn values_that_are_no_counts_go_to_a_half_as_a_whole() {
        let values: Vec<f32> = (1..200_u8).map(|x| f32::from(x) / 2.0).collect();
        let thinned = thin(&values, 0);
        assert!(thinned.by_coin);
        let [first, second] = thinned.halves();
        assert!(first.indices.len() + second.indices.len() == 199);
        assert!((70..130).contains(&first.indices.len()), "{}", first.indices.len());
        for half in [first, second] {
            let whole = half.indices.iter().map(|&index| &values[index as usize]);
            assert!(whole.eq(half.values));
        }
        assert!(thin(&[LARGEST * 2.0], 0).by_coin);
        assert!(!thin(&[0.0, 3.0], 0).by_coin);
    }

    #[test]
    fn seed_and_cell_decide() {
        let values = [5.0; 40];
        assert_eq!(thin(&values, 1), thin(&values, 1));
        assert_ne!(thin(&values, 1), thin(&values, 2));
    }
}
