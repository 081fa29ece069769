//! [`matching_accuracy`]: whether two views of the same cells find each other.

use crate::neighbours::Neighbours;

/// How often the row of a cell in one view is nearest to that of the same cell in the other, 0 to 1: the
/// mean of both directions. Chance is one in the number of cells.
///
/// `first` and `second` are `[n, d]` row-major, and cell `i` is row `i` of both. Nearest is by Euclidean
/// distance, which between rows of unit length is by cosine; of equal distances that of the lower number
/// counts, so that views in which all cells are alike have chance. Without cells it is not a number. It
/// takes `2 · n² · d` multiplications.
///
/// # Panics
/// If the views are not of equally many rows of `d` values.
///
/// # Reference
/// The top-1 accuracy of matching cells across modalities, as in Luecken et al., *A sandbox for prediction
/// and integration of DNA, RNA, and proteins in single cells*, NeurIPS 2021.
///
/// ```
/// use scgpt_stats::matching_accuracy;
///
/// // The first two of three cells have changed places in the second view.
/// let (first, second) = ([0.0, 1.0, 5.0], [1.0, 0.0, 5.5]);
/// assert_eq!(matching_accuracy(&first, &second, 1), 1.0 / 3.0);
/// ```
pub fn matching_accuracy(first: &[f32], second: &[f32], d: usize) -> f64 {
    assert!(first.len() == second.len() && first.len().is_multiple_of(d), "{d} values a cell");
    let found = |from: &[f32], to: &[f32]| {
        let nearest = Neighbours::among(from, to, d, 1);
        nearest.cells().enumerate().filter(|(cell, found)| found[0].1 == *cell).count()
    };
    let n = first.len() / d.max(1);
    (found(first, second) + found(second, first)) as f64 / (2 * n) as f64
}

#[cfg(test)]
mod tests {
    use scgpt_data::{Keyed, Purpose};

    use super::*;

    #[allow(clippy::cast_possible_truncation, reason = "test data")]
    fn random(n: u64, d: u64, view: u64) -> Vec<f32> {
        let key = Keyed::new(5, Purpose::Simulate, view, 0);
        (0..n * d).map(|i| key.normal(2 * i) as f32).collect()
    }

    #[test]
    fn a_view_finds_itself_and_an_unrelated_one_is_found_by_chance() {
        let (first, other) = (random(400, 8, 0), random(400, 8, 1));
        let found = |second: &[f32]| matching_accuracy(&first, second, 8);
        assert!((found(&first) - 1.0).abs() < 1e-12);
        // Two of 800 are expected.
        assert!(found(&other) < 0.02, "{}", found(&other));
        let blurred: Vec<f32> =
            first.iter().zip(&other).map(|(x, noise)| x + 0.5 * noise).collect();
        assert!((0.1..0.95).contains(&found(&blurred)), "{}", found(&blurred));
        // A network that says the same of all cells tells none of them apart.
        let same = vec![0.5; 400 * 8];
        assert!((matching_accuracy(&same, &same, 8) - 1.0 / 400.0).abs() < 1e-12);
        assert!(matching_accuracy(&[], &[], 8).is_nan());
    }
}
