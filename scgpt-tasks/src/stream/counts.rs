//! [`TokenCounts`] and [`Timings`]: what is counted while cells go through a network.

use serde::Serialize;

/// Seconds that the cells of a source took. Stages overlap, so they add up to more than the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Timings {
    /// From the first cell read to the last embedded.
    pub total: f64,
    /// Reading and decoding.
    pub reading: f64,
    /// Binning, sampling and tokenising.
    pub tokenising: f64,
    /// The network.
    pub computing: f64,
}

/// How many tokens cells have, in a fixed number of equal classes, so that memory does not grow
/// with cells.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TokenCounts {
    /// Number of cells per class; class `i` has `i * width + 1 ..= (i + 1) * width` tokens.
    pub histogram: Vec<u64>,
    /// Number of tokens that a class spans.
    pub width: usize,
    /// Fewest tokens of a cell.
    pub min: usize,
    /// Most tokens of a cell.
    pub max: usize,
    /// Number of tokens of all cells.
    pub total: u64,
    /// Number of cells that express no known gene: `<cls>` alone, or tokens of zeros.
    pub n_empty: u64,
    /// Number of cells with more known expressed genes than fit, some of which were sampled.
    pub n_shortened: u64,
}

impl TokenCounts {
    /// Counts of no cells yet, with at most `max_length` tokens each.
    pub(crate) fn new(max_length: usize) -> Self {
        let width = max_length.div_ceil(40).max(1);
        Self {
            histogram: vec![0; max_length.div_ceil(width)],
            width,
            min: usize::MAX,
            max: 0,
            total: 0,
            n_empty: 0,
            n_shortened: 0,
        }
    }

    /// Adds a cell of `n_tokens` tokens, which could have `n_available` beside `<cls>`. It is empty
    /// if it expresses no known gene, though it may have tokens of zeros.
    pub(crate) fn add(&mut self, n_tokens: usize, n_available: usize, is_empty: bool) {
        if let Some(count) = self.histogram.get_mut(n_tokens.saturating_sub(1) / self.width) {
            *count += 1;
        }
        self.min = self.min.min(n_tokens);
        self.max = self.max.max(n_tokens);
        self.total += n_tokens as u64;
        self.n_empty += u64::from(is_empty);
        self.n_shortened += u64::from(n_available + 1 > n_tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_fall_into_their_classes() {
        let mut counts = TokenCounts::new(120);
        assert_eq!((counts.width, counts.histogram.len()), (3, 40));
        for (n_tokens, n_available) in [(1, 0), (3, 2), (4, 3), (120, 500)] {
            counts.add(n_tokens, n_available, n_available == 0);
        }
        assert_eq!(counts.histogram[..2], [2, 1]);
        assert_eq!(counts.histogram[39], 1);
        assert_eq!((counts.min, counts.max, counts.total), (1, 120, 128));
        assert_eq!((counts.n_empty, counts.n_shortened), (1, 1));
    }
}
