//! Logistic regression on sparse cells.

use linfa::{
    Dataset,
    prelude::{Fit as _, Predict as _},
};
use linfa_logistic::{MultiFittedLogisticRegression, MultiLogisticRegression};
use ndarray::{Array1, Array2};
use scgpt_data::{Error, Result, narrow};
use scgpt_stats::SparseCell;

/// Most iterations of the optimiser.
const ITERATIONS: u64 = 100;
/// Gradient at which it stops.
const TOLERANCE: f64 = 1e-3;
/// Strengths of the regularisation that are tried: the reciprocal of `C`.
const STRENGTHS: [f64; 4] = [0.1, 1.0, 10.0, 100.0];

/// Multinomial logistic regression with an L2 penalty, by limited-memory BFGS.
pub(super) struct LogisticRegression {
    model: MultiFittedLogisticRegression<f64, usize>,
    n_genes: usize,
}

impl LogisticRegression {
    /// Fits the penalty strength that is most often right on `tuning`; the first of equals.
    pub(super) fn fit(
        training: (&[SparseCell], &[u32]),
        tuning: (&[SparseCell], &[u32]),
        n_genes: usize,
    ) -> Result<Self> {
        let targets: Array1<usize> = training.1.iter().map(|&class| class as usize).collect();
        let dataset = Dataset::new(dense(training.0, n_genes), targets);
        let tuned_by = dense(tuning.0, n_genes);
        let mut best: Option<(usize, Self)> = None;
        for strength in STRENGTHS {
            let model = MultiLogisticRegression::default()
                .alpha(strength)
                .max_iterations(ITERATIONS)
                .gradient_tolerance(TOLERANCE)
                .fit(&dataset)
                .map_err(|error| Error::Option(format!("logistic regression failed: {error}")))?;
            let fitted = Self { model, n_genes };
            let right = fitted
                .classes(&tuned_by)
                .iter()
                .zip(tuning.1)
                .filter(|(said, truth)| said == truth)
                .count();
            if best.as_ref().is_none_or(|(most, _)| right > *most) {
                best = Some((right, fitted));
            }
        }
        let Some((_, fitted)) = best else { unreachable!("there are strengths to try") };
        Ok(fitted)
    }

    /// The likeliest class of each cell.
    fn classes(&self, cells: &Array2<f64>) -> Vec<u32> {
        let classes = self.model.predict(cells);
        classes.iter().map(|&class| narrow(class)).collect()
    }

    /// The likeliest class of each cell, and the probability that it is another.
    #[allow(clippy::cast_possible_truncation, reason = "probabilities are f32")]
    pub(super) fn predict(&self, cells: &[SparseCell]) -> Vec<(u32, f32)> {
        let cells = dense(cells, self.n_genes);
        let probabilities = self.model.predict_probabilities(&cells);
        let most = probabilities.rows().into_iter().map(|row| row.fold(0.0, |a: f64, &b| a.max(b)));
        let doubt = most.map(|most| (1.0 - most) as f32);
        self.classes(&cells).into_iter().zip(doubt).collect()
    }
}

/// `[n, d]`.
fn dense(cells: &[SparseCell], n_genes: usize) -> Array2<f64> {
    let mut rows = Array2::zeros((cells.len(), n_genes));
    for (cell, (genes, values)) in cells.iter().enumerate() {
        for (&gene, &value) in genes.iter().zip(values) {
            rows[[cell, gene as usize]] = f64::from(value);
        }
    }
    rows
}
