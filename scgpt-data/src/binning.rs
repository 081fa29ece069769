//! [`Binner`]: turns the non-zero values of one cell into value bins.

use serde::{Deserialize, Serialize};

use crate::{error::Result, setting::Setting};

/// How a value that lies on several bin edges chooses among the bins between them.
///
/// A value `x` may take the bins `R + 1..=L`, with `L` the number of edges `<= x` and `R` the number
/// of edges `< x`; where no edge equals `x`, `L == R` is its bin in every mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "snake_case"))]
#[serde(rename_all = "lowercase")]
pub enum TieMode {
    /// The highest bin: deterministic, as the released models were trained.
    #[default]
    Upper,
    /// Any of the bins, keyed by seed and cell.
    ///
    /// Uniformly, as the reference fine-tunes and embeds.
    Random,
    /// The middle one.
    ///
    /// What `Random` gives when every draw is one half.
    Midpoint,
}

/// Per-cell quantile binning: zero is bin 0, non-zero values take the bins `1..n_bins`.
///
/// The `n_bins - 1` edges are quantiles of the non-zero values of the cell, so bins say how a gene
/// ranks within its cell and do not change when the cell is scaled.
///
/// # Reference
/// `scgpt/preprocess.py`, `binning`, bit for bit: the difference of neighbours is
/// taken in f32, the edges are f64. Differs: random draws are keyed by the caller instead of taken
/// from a global generator, and cells without values are fine.
///
/// ```
/// use scgpt_data::{BinScratch, Binner, TieMode};
///
/// let mut values = [0.0, 1.0, 2.0, 9.0];
/// Binner::new(4, TieMode::Upper)?.bin(&mut values, |_| 0.0, &mut BinScratch::default());
/// assert_eq!((values[0], values[3]), (0.0, 3.0));
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binner {
    /// Number of bins, including bin 0.
    pub n_bins: u16,
    /// What happens to values on an edge.
    pub tie_mode: TieMode,
}

impl Default for Binner {
    /// 51 bins, as all released models.
    fn default() -> Self {
        Self { n_bins: 51, tie_mode: TieMode::default() }
    }
}

/// Buffers of [`Binner::bin`], kept between cells.
#[derive(Clone, Debug, Default)]
pub struct BinScratch {
    /// Ordered bits of a value above its position.
    sorted: Vec<u64>,
    edges: Vec<f64>,
}

impl BinScratch {
    /// The edges of the cell binned last; empty if it had no values.
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }
}

impl Binner {
    /// A binner with `n_bins` bins, bin 0 for zero among them.
    ///
    /// # Errors
    /// If `n_bins` is below 2: one bin for zero and one for everything else are the least.
    pub fn new(n_bins: u16, tie_mode: TieMode) -> Result<Self> {
        let binner = Self { n_bins, tie_mode };
        binner.validate()?;
        Ok(binner)
    }

    pub(crate) fn validate(self) -> Result<()> {
        if self.n_bins < 2 {
            let problem = format!("is {}, expected at least 2", self.n_bins);
            return Err(Setting("n_bins").wrong(problem).into());
        }
        Ok(())
    }

    /// Replaces the values of one cell by their bins.
    ///
    /// `draw` gives a number in `[0, 1)` for a position of `values`; only [`TieMode::Random`] calls it.
    pub fn bin(&self, values: &mut [f32], draw: impl Fn(usize) -> f64, scratch: &mut BinScratch) {
        let BinScratch { sorted, edges } = scratch;
        sorted.clear();
        edges.clear();
        if !sort_counts(values, sorted) {
            sorted.clear();
            sorted.extend((0..).zip(values.iter()).filter(|&(_, &value)| value != 0.0).map(entry));
            sorted.sort_unstable();
        }
        if sorted.is_empty() {
            return;
        }
        quantiles(sorted, usize::from(self.n_bins) - 1, edges);

        let [mut below, mut upto] = [0, 0];
        for &entry in sorted.iter() {
            let value = f64::from(from_ordered(entry));
            // Both counts only grow: values and edges are walked together.
            while edges.get(below).is_some_and(|&edge| edge < value) {
                below += 1;
            }
            upto = below.max(upto);
            while edges.get(upto).is_some_and(|&edge| edge <= value) {
                upto += 1;
            }
            #[allow(clippy::cast_possible_truncation, reason = "the lower half on purpose")]
            let position = entry as u32 as usize;
            values[position] = match self.tie_mode {
                TieMode::Upper => upto as f32,
                TieMode::Midpoint => between(below, upto, 0.5),
                TieMode::Random if below == upto => upto as f32,
                TieMode::Random => between(below, upto, draw(position)),
            };
        }
    }
}

/// A value and its position, such that entries sort by value, then position.
fn entry((position, &value): (u64, &f32)) -> u64 {
    u64::from(to_ordered(value)) << 32 | position
}

/// Counts below this are sorted by counting; few of a cell are larger.
const SMALL: usize = 256;

/// Fills `sorted` with the entries of all values but zeros, in order, if these are whole numbers:
/// raw counts repeat so much that counting them is several times faster than sorting.
fn sort_counts(values: &[f32], sorted: &mut Vec<u64>) -> bool {
    let mut places = [0_usize; SMALL + 1];
    for &value in values {
        let Some(place) = place(value) else { return false };
        places[place] += 1;
    }
    // From the number of entries to the place of the first one; zeros have none.
    let mut begin = 0;
    for place in &mut places[1..] {
        begin += std::mem::replace(place, begin);
    }
    let large = places[SMALL];
    sorted.resize(begin, 0);
    for item in (0..).zip(values) {
        if let Some(place @ 1..) = place(*item.1) {
            sorted[places[place]] = entry(item);
            places[place] += 1;
        }
    }
    sorted[large..].sort_unstable();
    true
}

/// A whole number, at most [`SMALL`]; `None` if it is none.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "whether the cast loses anything is the question"
)]
fn place(value: f32) -> Option<usize> {
    let whole = value as u32;
    (whole as f32 == value).then_some((whole as usize).min(SMALL))
}

/// `ceil(upto + u * (below - upto))`, kept above `below` where rounding could reach it.
#[allow(clippy::cast_possible_truncation, reason = "a bin is a small integer")]
fn between(below: usize, upto: usize, u: f64) -> f32 {
    let bin = (u * (below as f64 - upto as f64) + upto as f64).ceil() as f32;
    bin.max((below + 1).min(upto) as f32)
}

/// `n` quantiles, evenly spaced from the smallest to the largest value, by linear interpolation.
fn quantiles(sorted: &[u64], n: usize, edges: &mut Vec<f64>) {
    let last = sorted.len() - 1;
    let step = 1.0 / (n - 1) as f64;
    for edge in 0..n {
        let level = match edge {
            0 => 0.0,
            _ if edge == n - 1 => 1.0,
            _ => edge as f64 * step,
        };
        let place = last as f64 * level;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a position in the cell"
        )]
        let floor = place.floor() as usize;
        let t = place - floor as f64;
        let low = from_ordered(sorted[floor]);
        let high = from_ordered(sorted[(floor + 1).min(last)]);
        // f32 on purpose: the reference subtracts in the type of the data.
        let difference = f64::from(high - low);
        edges.push(if t < 0.5 {
            f64::from(low) + difference * t
        } else {
            f64::from(high) - difference * (1.0 - t)
        });
    }
}

/// Bits that sort as the values do.
fn to_ordered(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

/// The value whose ordered bits are the upper half of `entry`.
fn from_ordered(entry: u64) -> f32 {
    let bits = (entry >> 32) as u32;
    f32::from_bits(if bits >> 31 == 1 { bits & !(1 << 31) } else { !bits })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "exact by construction")]

    use super::*;

    fn bin(n_bins: u16, tie_mode: TieMode, draw: f64, values: &[f32]) -> Vec<f32> {
        let mut values = values.to_vec();
        Binner::new(n_bins, tie_mode).unwrap().bin(
            &mut values,
            |_| draw,
            &mut BinScratch::default(),
        );
        values
    }

    #[test]
    fn counting_is_sorting() {
        let counts = [3.0, 0.0, 300.0, 1.0, -0.0, 255.0, 256.0, 1.0, 5e8, 3.0, 299.0];
        let mut sorted = Vec::new();
        assert!(sort_counts(&counts, &mut sorted));
        let mut expected: Vec<u64> =
            (0..).zip(&counts).filter(|&(_, &value)| value != 0.0).map(entry).collect();
        expected.sort_unstable();
        assert_eq!(sorted, expected);
        for other in [0.5, -1.0, f32::NAN, f32::INFINITY] {
            assert!(!sort_counts(&[1.0, other], &mut Vec::new()), "{other}");
        }
    }

    #[test]
    fn distinct_values_spread_over_the_bins_in_every_mode() {
        let values = [3.0, 0.0, 1.0, 5.0, 2.0, 4.0];
        for mode in [TieMode::Upper, TieMode::Random, TieMode::Midpoint] {
            // Three edges: 1, 3 and 5. The values on an edge lie on one edge only.
            assert_eq!(bin(4, mode, 0.3, &values), [2.0, 0.0, 1.0, 3.0, 1.0, 2.0]);
        }
    }

    #[test]
    fn ties_take_a_bin_of_their_range() {
        // 60 ones, 30 twos, 10 fives: the example of the specification.
        let values: Vec<f32> = [(1.0, 60), (2.0, 30), (5.0, 10)]
            .iter()
            .flat_map(|&(value, n)| vec![value; n])
            .collect();
        let of = |mode, draw| {
            let bins = bin(51, mode, draw, &values);
            [bins[0], bins[60], bins[99]]
        };
        assert_eq!(of(TieMode::Upper, 0.0), [30.0, 45.0, 50.0]);
        assert_eq!(of(TieMode::Random, 0.0), [30.0, 45.0, 50.0]);
        assert_eq!(of(TieMode::Random, 1.0 - f64::EPSILON / 2.0), [1.0, 31.0, 46.0]);
        assert_eq!(of(TieMode::Midpoint, 0.0), of(TieMode::Random, 0.5));
    }

    #[test]
    fn degenerate_cells() {
        assert!(bin(51, TieMode::Random, 0.0, &[]).is_empty());
        assert_eq!(bin(51, TieMode::Random, 0.0, &[0.0, 0.0]), [0.0, 0.0]);
        assert_eq!(bin(51, TieMode::Upper, 0.0, &[0.0, 7.0]), [0.0, 50.0]);
        assert_eq!(bin(51, TieMode::Upper, 0.0, &[2.0, 2.0]), [50.0, 50.0]);
        assert_eq!(bin(51, TieMode::Random, 0.99, &[2.0, 2.0]), [1.0, 1.0]);
        assert_eq!(bin(2, TieMode::Upper, 0.0, &[1.0, 2.0, 0.0]), [1.0, 1.0, 0.0]);
    }

    #[test]
    fn ordered_bits_keep_the_order_and_the_value() {
        let values = [-2.5_f32, -1e-30, 1e-30, 0.5, 1.0, f32::MAX];
        assert!(values.is_sorted_by_key(|&value| to_ordered(value)));
        for value in values {
            assert_eq!(from_ordered(u64::from(to_ordered(value)) << 32), value);
        }
    }

    #[test]
    fn one_bin_is_refused() {
        assert!(Binner::new(1, TieMode::Upper).unwrap_err().to_string().contains("at least 2"));
    }
}
