//! [`Interval`]: a mean, and how sure of it one can be.

use rayon::prelude::*;
use scgpt_data::{Keyed, Observer, Purpose, Result};
use serde::{Deserialize, Serialize};

/// A mean with a 95 % confidence interval.
///
/// ```
/// use scgpt_stats::Interval;
///
/// let accuracy = Interval::of_repetitions(&[0.90, 0.92, 0.91]);
/// assert_eq!(accuracy.to_string(), "0.910 (0.885–0.935)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Repetitions of the bootstrap.
const SAMPLES: u64 = 1000;

/// 97.5 % quantiles of Student's t with 1, 2, … degrees of freedom.
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

impl Interval {
    /// The mean of independent repetitions, with an interval by Student's t; the interval of a single
    /// value is the value.
    ///
    /// # Panics
    /// If there is none.
    pub fn of_repetitions(values: &[f64]) -> Self {
        assert!(!values.is_empty(), "a mean of nothing");
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        if values.len() == 1 {
            return Self { mean, low: mean, high: mean };
        }
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let t = STUDENT.get(values.len() - 2).copied().unwrap_or(1.96);
        let half = t * (variance / n).sqrt();
        Self { mean, low: mean - half, high: mean + half }
    }

    /// The part of the interval between two bounds, for scores that cannot lie beyond them.
    #[must_use]
    pub fn within(self, least: f64, most: f64) -> Self {
        let Self { mean, low, high } = self;
        Self { mean, low: low.max(least), high: high.min(most) }
    }

    /// A score of `n` cells, with an interval by the percentiles of 1000 samples with replacement;
    /// `score` is given the cells of a sample. The samples are functions of the seed.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn of_cells(
        n: usize,
        seed: u64,
        score: impl Fn(&[usize]) -> f64 + Sync,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let all: Vec<usize> = (0..n).collect();
        let mean = score(&all);
        let mut scores: Vec<f64> = (0..SAMPLES)
            .into_par_iter()
            .map(|sample| {
                observer.check_cancelled()?;
                let key = Keyed::new(seed, Purpose::Sample, u64::MAX, sample);
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..n")]
                let draw = |i: usize| (key.uniform(i as u64) * n as f64) as usize;
                Ok(score(&(0..n).map(draw).collect::<Vec<_>>()))
            })
            .collect::<Result<_>>()?;
        scores.sort_by(f64::total_cmp);
        Ok(Self { mean, low: scores[24], high: scores[974] })
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3}", self.mean)?;
        if self.high > self.low {
            let (low, high) = (format!("{:.3}", self.low), format!("{:.3}", self.high));
            // A dash before a minus cannot be read.
            let between = if low.starts_with('-') { " to " } else { "–" };
            write!(f, " ({low}{between}{high})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;
    use scgpt_fixtures::questions;

    #[test]
    fn repetitions_by_students_t() {
        // scipy.stats.t.interval(0.95, 2, 0.7, sem([0.6, 0.7, 0.8])).
        let interval = Interval::of_repetitions(&[0.6, 0.7, 0.8]);
        assert!((interval.low - 0.451_587).abs() < 1e-4, "{interval:?}");
        assert!((interval.high - 0.948_413).abs() < 1e-4);
        assert_eq!(Interval::of_repetitions(&[0.5]).to_string(), "0.500");
        let of = |low, high| Interval { mean: 0.1, low, high }.to_string();
        assert_eq!(of(-0.143, -0.005), "0.100 (-0.143 to -0.005)");
        assert_eq!(of(0.0, 0.2), "0.100 (0.000–0.200)");
    }

    #[test]
    fn bootstrap_of_a_share() {
        let is_right: Vec<bool> = (0..400).map(|cell| cell % 4 != 0).collect();
        let accuracy = |cells: &[usize]| {
            cells.iter().filter(|&&cell| is_right[cell]).count() as f64 / cells.len() as f64
        };
        let interval = Interval::of_cells(400, 1, accuracy, &Silent).unwrap();
        // 1.96 · √(0.75 · 0.25 / 400) = 0.0424.
        assert!((interval.mean - 0.75).abs() < 1e-12);
        assert!((interval.high - interval.low - 0.0849).abs() < 0.01, "{interval}");
        assert_eq!(interval, Interval::of_cells(400, 1, accuracy, &Silent).unwrap());
    }

    #[test]
    fn every_sample_asks_whether_to_go_on() {
        let interval = |observer: &dyn Observer| Interval::of_cells(9, 1, |_| 0.0, observer);
        assert_eq!(questions(interval), 1000);
    }
}
