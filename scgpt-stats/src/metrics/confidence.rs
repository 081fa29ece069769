//! How much confidence, prediction sets and rejection scores are worth.

use scgpt_data::{Observer, Result};
use serde::{Deserialize, Serialize};

use crate::order::order;

/// Cells of similar confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Number of cells.
    pub n: usize,
    /// Their mean confidence.
    pub confidence: f64,
    /// Share of them that are right.
    pub accuracy: f64,
}

/// Sorts cells by confidence into `n_bins` equal parts of 0 to 1; a value on an edge is in the
/// lower part. `is_right` says which answers are right.
///
/// # Panics
/// If there are not as many answers as confidences.
pub fn reliability(confidence: &[f32], is_right: &[bool], n_bins: usize) -> Vec<ReliabilityBin> {
    assert_eq!(confidence.len(), is_right.len(), "an answer for each confidence");
    let mut sums = vec![(0_usize, 0.0, 0_usize); n_bins];
    for (&confidence, &is_right) in confidence.iter().zip(is_right) {
        let position = (f64::from(confidence) * n_bins as f64).ceil().max(1.0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to n")]
        let sum = &mut sums[(position as usize).min(n_bins) - 1];
        sum.0 += 1;
        sum.1 += f64::from(confidence);
        sum.2 += usize::from(is_right);
    }
    let bin = |(n, confidence, right): (usize, f64, usize)| ReliabilityBin {
        n,
        confidence: confidence / n.max(1) as f64,
        accuracy: right as f64 / n.max(1) as f64,
    };
    sums.into_iter().map(bin).collect()
}

/// Expected calibration error: how far confidence and accuracy are apart in the bins, weighted by
/// their cells.
///
/// # Reference
/// Guo et al. 2017.
pub fn expected_calibration_error(bins: &[ReliabilityBin]) -> f64 {
    let n: usize = bins.iter().map(|bin| bin.n).sum();
    let apart = |bin: &ReliabilityBin| (bin.confidence - bin.accuracy).abs() * bin.n as f64;
    bins.iter().map(apart).sum::<f64>() / n.max(1) as f64
}

/// How often sets of plausible classes hold the true one.
///
/// ```
/// use scgpt_stats::Coverage;
///
/// let coverage = Coverage::new(&[0, 1], &[vec![0, 1], vec![0]], 2);
/// assert_eq!((coverage.overall, coverage.mean_size), (0.5, 1.5));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Share of the cells whose set holds their class.
    pub overall: f64,
    /// That share among the cells of each class; `None` for a class without cells.
    pub by_class: Vec<Option<f64>>,
    /// Mean number of classes in a set.
    pub mean_size: f64,
}

impl Coverage {
    /// Compares the true class of each cell, below `n_classes`, with its set of classes.
    ///
    /// # Panics
    /// If there are not as many sets as truths, or a truth is no class.
    pub fn new(truth: &[u32], sets: &[impl AsRef<[u32]>], n_classes: usize) -> Self {
        assert_eq!(truth.len(), sets.len(), "a set for each cell");
        let (mut held, mut of_class, mut size) = (vec![0; n_classes], vec![0; n_classes], 0);
        for (&class, set) in truth.iter().zip(sets) {
            of_class[class as usize] += 1;
            held[class as usize] += usize::from(set.as_ref().contains(&class));
            size += set.as_ref().len();
        }
        let share = |held: usize, n: usize| held as f64 / n.max(1) as f64;
        let by_class = held.iter().zip(&of_class);
        Self {
            overall: share(held.iter().sum(), truth.len()),
            by_class: by_class.map(|(&held, &n)| (n > 0).then(|| share(held, n))).collect(),
            mean_size: share(size, truth.len()),
        }
    }
}

/// Area under the receiver operating characteristic: how often a positive scores higher than a
/// negative, a tie counting half; `None` unless there are both.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Panics
/// If there are not as many answers as scores.
pub fn area_under_roc(
    scores: &[f32],
    is_positive: &[bool],
    observer: &dyn Observer,
) -> Result<Option<f64>> {
    assert_eq!(scores.len(), is_positive.len(), "an answer for each score");
    let order = order(scores, f32::total_cmp, observer)?;
    let mut rank_sum = 0.0;
    let mut first = 0;
    for ties in order.chunk_by(|&a, &b| scores[a].total_cmp(&scores[b]).is_eq()) {
        // Ties share their mean rank, counted from 1.
        let rank = first as f64 + (ties.len() + 1) as f64 / 2.0;
        rank_sum += rank * ties.iter().filter(|&&cell| is_positive[cell]).count() as f64;
        first += ties.len();
    }
    let positives = is_positive.iter().filter(|&&is_positive| is_positive).count() as f64;
    let negatives = scores.len() as f64 - positives;
    let pairs = positives * negatives;
    Ok((pairs > 0.0).then(|| (rank_sum - positives * (positives + 1.0) / 2.0) / pairs))
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;

    #[test]
    fn calibration_error_is_the_weighted_gap() {
        let confidence = [0.95, 0.95, 0.9, 0.55, 0.52, 0.0];
        let is_right = [true, true, false, true, false, false];
        let bins = reliability(&confidence, &is_right, 10);
        assert_eq!([bins[9].n, bins[8].n, bins[5].n, bins[0].n], [2, 1, 2, 1]);
        // (2 · 0.05 + 1 · 0.9 + 2 · 0.035 + 0) / 6.
        assert!((expected_calibration_error(&bins) - 1.07 / 6.0).abs() < 1e-6);
        assert!(expected_calibration_error(&reliability(&[], &[], 5)).abs() < 1e-12);
    }

    #[test]
    fn coverage_is_by_class() {
        let coverage = Coverage::new(&[0, 0, 1], &[vec![0, 1], vec![1], vec![1]], 3);
        assert!((coverage.overall - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(coverage.by_class, [Some(0.5), Some(1.0), None]);
        assert!((coverage.mean_size - 4.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn area_counts_pairs() {
        // Values of sklearn.metrics.roc_auc_score.
        let area =
            |scores: &[f32], answers: &[bool]| area_under_roc(scores, answers, &Silent).unwrap();
        assert_eq!(area(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]), Some(0.75));
        assert_eq!(area(&[1.0, 1.0, 1.0], &[true, false, false]), Some(0.5));
        assert_eq!(area(&[0.2, 0.3], &[true, true]), None);
    }
}
