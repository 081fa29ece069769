//! How well weighted edges agree with true ones.

use std::cmp::Ordering;

use scgpt_data::{Observer, Result};
use serde::{Deserialize, Serialize};

use super::area_under_roc;
use crate::order::order;

/// How well edges, ranked by score, find the true ones.
///
/// ```
/// use scgpt_data::Silent;
/// use scgpt_stats::EdgeScores;
///
/// let scores = EdgeScores::new(&[0.9, 0.4, 0.2], &[true, false, false], &Silent)?.unwrap();
/// assert_eq!((scores.auprc, scores.auroc), (1.0, 1.0));
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EdgeScores {
    /// Number of candidate edges.
    pub candidates: usize,
    /// Number of true edges among them.
    pub positives: usize,
    /// Area under the curve of precision over recall, as average precision.
    pub auprc: f64,
    /// `auprc` divided by that of random scores, which is the share of true edges.
    pub auprc_ratio: f64,
    /// Share of true edges among the first `positives`.
    pub early_precision: f64,
    /// `early_precision` divided by that of random scores, which is the share of true edges.
    pub early_precision_ratio: f64,
    /// Area under the receiver operating characteristic.
    pub auroc: f64,
    /// The largest F1 over all thresholds.
    pub f1: f64,
}

impl EdgeScores {
    /// Ranks candidate edges by their scores, one each, and looks where the true ones are; `None`
    /// if no candidate is true, or all are.
    ///
    /// Equal scores share a place: where a cut falls among them, they count in proportion.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If there are not as many answers as scores.
    ///
    /// # Reference
    /// BEELINE (Pratapa et al. 2020): early precision ratio, AUPRC ratio;
    /// `sklearn.metrics.average_precision_score`. Differs: BEELINE takes in all edges that tie with
    /// the last one.
    pub fn new(scores: &[f32], is_true: &[bool], observer: &dyn Observer) -> Result<Option<Self>> {
        let Some(auroc) = area_under_roc(scores, is_true, observer)? else { return Ok(None) };
        let positives = is_true.iter().filter(|&&is_true| is_true).count();
        let order = order(scores, |a, b| b.total_cmp(a), observer)?;
        let (mut seen, mut found) = (0_usize, 0_usize);
        let (mut auprc, mut early, mut f1) = (0.0, 0.0, 0.0_f64);
        for ties in order.chunk_by(|&a, &b| scores[a].total_cmp(&scores[b]).is_eq()) {
            let hits = ties.iter().filter(|&&edge| is_true[edge]).count();
            let room = positives.saturating_sub(seen).min(ties.len());
            early += hits as f64 * room as f64 / ties.len() as f64;
            seen += ties.len();
            found += hits;
            auprc += found as f64 / seen as f64 * hits as f64 / positives as f64;
            f1 = f1.max(2.0 * found as f64 / (seen + positives) as f64);
        }
        let density = positives as f64 / scores.len() as f64;
        let early_precision = early / positives as f64;
        Ok(Some(Self {
            candidates: scores.len(),
            positives,
            auprc,
            auprc_ratio: auprc / density,
            early_precision,
            early_precision_ratio: early_precision / density,
            auroc,
            f1,
        }))
    }
}

/// Share of the pairs with the same sign, among pairs where both have one; `None` if there is no
/// such pair.
///
/// # Panics
/// If the sides differ in length.
pub fn sign_accuracy(a: &[f64], b: &[f64]) -> Option<f64> {
    assert_eq!(a.len(), b.len(), "pairs");
    let signed = a.iter().zip(b).filter(|(a, b)| **a != 0.0 && **b != 0.0);
    let (n, same) = signed
        .fold((0, 0), |(n, same), (a, b)| (n + 1, same + usize::from((*a > 0.0) == (*b > 0.0))));
    (n > 0).then(|| same as f64 / f64::from(n))
}

/// Ranks from 0, the smallest value first; values that tie share the mean of their ranks.
pub fn mean_ranks(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    ranks_in(&order, values)
}

/// Ranks from 0 of `values`, whose places in the order of their ranks are `order`; values that tie
/// share the mean of their ranks.
pub fn ranks_in(order: &[usize], values: &[f32]) -> Vec<f64> {
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for ties in order.chunk_by(|&a, &b| values[a].partial_cmp(&values[b]) == Some(Ordering::Equal))
    {
        let rank = first as f64 + (ties.len() - 1) as f64 / 2.0;
        for &place in ties {
            ranks[place] = rank;
        }
        first += ties.len();
    }
    ranks
}

/// Places of the `n` largest values, the largest first; of equal ones the earlier comes first.
pub fn largest(values: &[f32], n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    let by_value = |a: &usize, b: &usize| values[*b].total_cmp(&values[*a]).then(a.cmp(b));
    if n < order.len() {
        order.select_nth_unstable_by(n, by_value);
        order.truncate(n);
    }
    order.sort_unstable_by(by_value);
    order
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;

    #[test]
    fn scores_of_edges_are_those_of_scikit_learn_and_of_counting() {
        let scores = [0.9, 0.8, 0.8, 0.4, 0.3, 0.3, 0.1, 0.0];
        let is_true = [true, false, true, false, true, false, false, false];
        let found = EdgeScores::new(&scores, &is_true, &Silent).unwrap().unwrap();
        // average_precision_score: 1/3 · 1 + 1/3 · 2/3 + 1/3 · 3/6.
        assert!((found.auprc - 0.722_222_222_222).abs() < 1e-9, "{found:?}");
        // roc_auc_score: (5 + 4.5 + 2.5) / 15.
        assert!((found.auroc - 0.8).abs() < 1e-9, "{found:?}");
        // The first three: one, and both of the tie.
        assert!((found.early_precision - 2.0 / 3.0).abs() < 1e-9);
        assert!((found.early_precision_ratio - 16.0 / 9.0).abs() < 1e-9);
        // After three: precision and recall 2/3; after six: 1/2 and 1.
        assert!((found.f1 - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!((found.candidates, found.positives), (8, 3));
        // Half of a tie: of two places, one is a hit.
        let tied =
            EdgeScores::new(&[1.0; 4], &[true, true, false, false], &Silent).unwrap().unwrap();
        assert!((tied.early_precision - 0.5).abs() < 1e-9 && (tied.auprc - 0.5).abs() < 1e-9);
        assert_eq!(EdgeScores::new(&[1.0, 2.0], &[false, false], &Silent).unwrap(), None);
    }

    #[test]
    fn signs_are_compared_where_there_are_two() {
        assert_eq!(sign_accuracy(&[1.0, -2.0, 3.0, 0.0], &[0.5, -1.0, -1.0, 1.0]), Some(2.0 / 3.0));
        assert_eq!(sign_accuracy(&[0.0], &[1.0]), None);
    }

    #[test]
    fn ties_share_their_mean_rank() {
        assert_eq!(mean_ranks(&[3.0, 1.0, 3.0, 3.5]), [1.5, 0.0, 1.5, 3.0]);
        // scipy.stats.spearmanr.
        let [a, b] = [[1.0, 2.0, 2.0, 4.0, 5.0], [2.0, 1.0, 4.0, 3.0, 5.0]].map(|x| mean_ranks(&x));
        assert!((crate::metrics::pearson(&a, &b) - 0.666_885_9).abs() < 1e-6);
    }

    #[test]
    fn the_largest_come_first() {
        assert_eq!(largest(&[1.0, 3.0, 3.0, 2.0], 3), [1, 2, 3]);
        assert_eq!(largest(&[1.0], 3), [0]);
    }
}
