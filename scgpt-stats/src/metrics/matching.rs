//! [`matching_accuracy`] and [`foscttm`]: whether two views of the same cells find each other.

use rayon::prelude::*;
use scgpt_data::{Observer, Result};

use crate::neighbours::Neighbours;

/// How often the row of a cell in one view is nearest to that of the same cell in the other, 0 to 1: the
/// mean of both directions. Chance is one in the number of cells.
///
/// `first` and `second` are `[n, d]` row-major, and cell `i` is row `i` of both. Nearest is by Euclidean
/// distance, which between rows of unit length is by cosine; of equal distances that of the lower number
/// counts, so that views in which all cells are alike have chance. Without cells it is not a number. It
/// takes `2 · n² · d` multiplications.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Panics
/// If the views are not of equally many rows of `d` values.
///
/// # Reference
/// The top-1 accuracy of matching cells across modalities, as in Luecken et al., *A sandbox for prediction
/// and integration of DNA, RNA, and proteins in single cells*, NeurIPS 2021.
///
/// ```
/// use scgpt_data::Silent;
/// use scgpt_stats::matching_accuracy;
///
/// // The first two of three cells have changed places in the second view.
/// let (first, second) = ([0.0, 1.0, 5.0], [1.0, 0.0, 5.5]);
/// assert_eq!(matching_accuracy(&first, &second, 1, &Silent)?, 1.0 / 3.0);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
pub fn matching_accuracy(
    first: &[f32],
    second: &[f32],
    d: usize,
    observer: &dyn Observer,
) -> Result<f64> {
    assert!(first.len() == second.len() && first.len().is_multiple_of(d), "{d} values a cell");
    let found = |from: &[f32], to: &[f32]| -> Result<usize> {
        let nearest = Neighbours::among(from, to, d, 1, observer)?;
        Ok(nearest.cells().enumerate().filter(|(cell, found)| found[0].1 == *cell).count())
    };
    let n = first.len() / d.max(1);
    Ok((found(first, second)? + found(second, first)?) as f64 / (2 * n) as f64)
}

/// The fraction of samples closer than the true match: which share of the other cells lies nearer to the row of
/// a cell in one view than the cell itself does in the other, a mean over all cells and both directions. 0
/// if each is nearest to itself, 0.5 by chance, and where views say the same of all cells, as equal distances count
/// half.
///
/// `first` and `second` are as those of [`matching_accuracy`]. With fewer than two cells it is not a number. It takes
/// `n² · d` multiplications.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Panics
/// If the views are not of equally many rows of `d` values.
///
/// # Reference
/// FOSCTTM of Liu, Huang, Singh and others, *Jointly embedding multiple single-cell omics measurements*, WABI 2019.
///
/// ```
/// use scgpt_data::Silent;
/// use scgpt_stats::foscttm;
///
/// // The first two of three cells have changed places in the second view: each lies nearer to the other.
/// let (first, second) = ([0.0, 1.0, 5.0], [1.0, 0.0, 5.5]);
/// assert_eq!(foscttm(&first, &second, 1, &Silent)?, 1.0 / 3.0);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
pub fn foscttm(first: &[f32], second: &[f32], d: usize, observer: &dyn Observer) -> Result<f64> {
    assert!(first.len() == second.len() && first.len().is_multiple_of(d), "{d} values a cell");
    let n = first.len() / d.max(1);
    let distance = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
    };
    let nearer = |from: &[f32], to: &[f32]| -> Result<f64> {
        let of_cell = |(cell, row): (usize, &[f32])| -> Result<f64> {
            observer.check_cancelled()?;
            let own = distance(row, &to[cell * d..(cell + 1) * d]);
            let others = to.chunks(d).enumerate().filter(|other| other.0 != cell);
            let share = |(_, other)| match distance(row, other).total_cmp(&own) {
                std::cmp::Ordering::Less => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Greater => 0.0,
            };
            Ok(others.map(share).sum())
        };
        // Halves of whole numbers, so that their sum does not depend on its order.
        let shares = from.par_chunks(d).enumerate().map(of_cell);
        Ok(shares.collect::<Result<Vec<f64>>>()?.iter().sum())
    };
    Ok((nearer(first, second)? + nearer(second, first)?) / (2 * n * n.saturating_sub(1)) as f64)
}

#[cfg(test)]
mod tests {
    use scgpt_data::{Keyed, Purpose};

    use scgpt_data::Silent;

    use super::*;
    use scgpt_fixtures::questions;

    #[allow(clippy::cast_possible_truncation, reason = "test data")]
    fn random(n: u64, d: u64, view: u64) -> Vec<f32> {
        let key = Keyed::new(5, Purpose::Simulate, view, 0);
        (0..n * d).map(|i| key.normal(2 * i) as f32).collect()
    }

    #[test]
    fn a_view_finds_itself_and_an_unrelated_one_is_found_by_chance() {
        let (first, other) = (random(400, 8, 0), random(400, 8, 1));
        let found = |second: &[f32]| matching_accuracy(&first, second, 8, &Silent).unwrap();
        assert!((found(&first) - 1.0).abs() < 1e-12);
        // Two of 800 are expected.
        assert!(found(&other) < 0.02, "{}", found(&other));
        let blurred: Vec<f32> =
            first.iter().zip(&other).map(|(x, noise)| x + 0.5 * noise).collect();
        assert!((0.1..0.95).contains(&found(&blurred)), "{}", found(&blurred));
        // A network that says the same of all cells tells none of them apart.
        let same = vec![0.5; 400 * 8];
        assert!((matching_accuracy(&same, &same, 8, &Silent).unwrap() - 1.0 / 400.0).abs() < 1e-12);
        assert!(matching_accuracy(&[], &[], 8, &Silent).unwrap().is_nan());
    }

    #[test]
    fn halves_that_find_each_other_have_no_cell_between_them() {
        let (first, other) = (random(300, 8, 0), random(300, 8, 1));
        assert!(foscttm(&first, &first, 8, &Silent).unwrap() < 1e-12);
        assert!((foscttm(&first, &other, 8, &Silent).unwrap() - 0.5).abs() < 0.05);
        let same = vec![0.5; 300 * 8];
        assert!((foscttm(&same, &same, 8, &Silent).unwrap() - 0.5).abs() < 1e-12);
        assert!(foscttm(&first[..8], &other[..8], 8, &Silent).unwrap().is_nan());
    }

    #[test]
    fn every_cell_asks_whether_to_go_on() {
        let (first, second) = (random(40, 8, 1), random(40, 8, 2));
        assert_eq!(questions(|observer| foscttm(&first, &second, 8, observer)), 2 * 40);
        assert!(questions(|observer| matching_accuracy(&first, &second, 8, observer)) >= 2);
    }
}
