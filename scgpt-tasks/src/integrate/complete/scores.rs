//! [`GeneratedScores`]: how far generated values are from the truth.

use serde::Serialize;

/// How far generated values are from the truth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GeneratedScores {
    /// Number of cells with a truth.
    pub cells: usize,
    /// Mean squared error, in squared value bins.
    pub error: f64,
    /// Mean squared error of a simple guess, in squared value bins: each feature's mean over the
    /// cells in which it was measured.
    pub mean_error: f64,
    /// Pearson correlation over cells, averaged over the features that vary; the mean has none.
    pub correlation: f64,
}

/// What scores are made of.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    /// Numbers of cells, and of values of theirs.
    cells: usize,
    n: f64,
    error: f64,
    mean_error: f64,
    /// For each column, the sums of x, y, x², y² and xy.
    moments: Vec<[f64; 5]>,
}

impl Sums {
    /// Sums of no cells yet, over `n_columns` columns.
    pub(super) fn new(n_columns: usize) -> Self {
        Self { cells: 0, n: 0.0, error: 0.0, mean_error: 0.0, moments: vec![[0.0; 5]; n_columns] }
    }

    /// Adds a cell: generated values, true ones, and the means of the columns.
    pub(super) fn add(&mut self, found: &[f32], truth: &[f32], means: &[f64]) {
        self.cells += 1;
        for (column, sums) in self.moments.iter_mut().enumerate() {
            let [x, y] = [found[column], truth[column]].map(f64::from);
            self.n += 1.0;
            self.error += (x - y).powi(2);
            self.mean_error += (means[column] - y).powi(2);
            for (sum, term) in sums.iter_mut().zip([x, y, x * x, y * y, x * y]) {
                *sum += term;
            }
        }
    }

    /// Means and correlations; `None` without cells. A column that does not vary in what was
    /// generated, or in truth, has no correlation.
    pub(super) fn scores(&self) -> Option<GeneratedScores> {
        let n = self.cells as f64;
        let correlation = |[x, y, xx, yy, xy]: &[f64; 5]| {
            let [vx, vy] = [xx - x * x / n, yy - y * y / n];
            (vx > 1e-9 && vy > 1e-9).then(|| (xy - x * y / n) / (vx * vy).sqrt())
        };
        let of: Vec<f64> = self.moments.iter().filter_map(correlation).collect();
        (self.cells > 0).then(|| GeneratedScores {
            cells: self.cells,
            error: self.error / self.n,
            mean_error: self.mean_error / self.n,
            correlation: of.iter().sum::<f64>() / of.len().max(1) as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_means_and_correlations_over_cells() {
        let mut sums = Sums::new(2);
        let means = [2.0, 1.0];
        sums.add(&[1.0, 3.0], &[2.0, 1.0], &means);
        sums.add(&[2.0, 5.0], &[4.0, 1.0], &means);
        let scores = sums.scores().unwrap();
        assert_eq!(scores.cells, 2);
        assert!((scores.error - (1.0 + 4.0 + 4.0 + 16.0) / 4.0).abs() < 1e-12);
        assert!((scores.mean_error - 1.0).abs() < 1e-12);
        // Column 1 does not vary in truth, column 0 rises with it.
        assert!((scores.correlation - 1.0).abs() < 1e-12);
        assert!(Sums::new(3).scores().is_none());
    }
}
