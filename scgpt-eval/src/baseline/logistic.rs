//! [`LogisticRegression`] on sparse cells.
//!
//! It is our own because `linfa-logistic` brought 52 crates for it, and wanted cells as dense rows.

mod lbfgs;

use rayon::prelude::*;
use scgpt_data::{Observer, Result};
use scgpt_stats::SparseCell;
use serde::{Deserialize, Serialize};

use self::lbfgs::minimise;

/// Strengths of the regularisation that are tried: the reciprocal of `C`.
const STRENGTHS: [f64; 4] = [0.1, 1.0, 10.0, 100.0];
/// Parts in which sums over cells are computed, the same for any number of threads, so that the
/// sums are too.
const PARTS: usize = 16;

/// Multinomial logistic regression with an L2 penalty on all weights but the intercepts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogisticRegression {
    /// The classes that cells to learn from have, ascending.
    classes: Vec<u32>,
    /// `[genes + 1, classes]`, row-major, the intercepts last.
    weights: Vec<f64>,
}

impl LogisticRegression {
    /// Fits the weights with the penalty that is most often right on `tuning`; of equals the first.
    pub(crate) fn fit(
        training: (&[SparseCell], &[u32]),
        tuning: (&[SparseCell], &[u32]),
        n_genes: usize,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let mut classes = training.1.to_vec();
        classes.sort_unstable();
        classes.dedup();
        let targets: Vec<usize> =
            training.1.iter().map(|class| classes.partition_point(|other| other < class)).collect();
        let mut best = (0, Self { weights: vec![0.0; (n_genes + 1) * classes.len()], classes });
        for (index, strength) in STRENGTHS.into_iter().enumerate() {
            let k = best.1.classes.len();
            let loss = |weights: &[f64]| loss(training.0, &targets, weights, k, strength, observer);
            let weights = minimise(loss, vec![0.0; (n_genes + 1) * k])?;
            let fitted = Self { classes: best.1.classes.clone(), weights };
            let said = fitted.predict(tuning.0);
            let right = said.iter().zip(tuning.1).filter(|(said, truth)| said.0 == **truth).count();
            if index == 0 || right > best.0 {
                best = (right, fitted);
            }
        }
        Ok(best.1)
    }

    /// The classes that cells to learn from had, ascending.
    pub(crate) fn classes(&self) -> &[u32] {
        &self.classes
    }

    /// The score of each of [these classes](Self::classes) for a cell: the logarithm of its probability, up
    /// to a number that all of them share.
    pub(crate) fn scores(&self, cell: &SparseCell) -> Vec<f64> {
        scores(cell, &self.weights, self.classes.len())
    }

    /// How much a unit of a gene's value adds to the score of each of [these classes](Self::classes).
    pub(crate) fn slopes(&self, gene: usize) -> &[f64] {
        let k = self.classes.len();
        &self.weights[gene * k..(gene + 1) * k]
    }

    /// Whether it tells classes below `n_classes` by `n_genes` genes; what was read from a file need not.
    pub(crate) fn is_of(&self, n_genes: usize, n_classes: usize) -> bool {
        self.classes.is_sorted_by(|a, b| a < b)
            && !self.classes.is_empty()
            && self.classes.iter().all(|&class| (class as usize) < n_classes)
            && Some(self.weights.len()) == (n_genes + 1).checked_mul(self.classes.len())
    }

    /// The likeliest class of each cell, and the probability that it is another.
    #[allow(clippy::cast_possible_truncation, reason = "probabilities are f32")]
    pub(crate) fn predict(&self, cells: &[SparseCell]) -> Vec<(u32, f32)> {
        let predict = |cell: &SparseCell| {
            let probabilities = probabilities(cell, &self.weights, self.classes.len()).0;
            let mut best = (0.0, 0);
            for (&class, &probability) in self.classes.iter().zip(&probabilities) {
                if probability > best.0 {
                    best = (probability, class);
                }
            }
            (best.1, (1.0 - best.0) as f32)
        };
        cells.par_iter().map(predict).collect()
    }
}

/// The penalised negative log-likelihood of the targets and its gradient; targets are classes below
/// `k`.
fn loss(
    cells: &[SparseCell],
    targets: &[usize],
    weights: &[f64],
    k: usize,
    strength: f64,
    observer: &dyn Observer,
) -> Result<(f64, Vec<f64>)> {
    let size = cells.len().div_ceil(PARTS).max(1);
    let part = |(cells, targets): (&[SparseCell], &[usize])| {
        observer.check_cancelled()?;
        let (mut loss, mut gradient) = (0.0, vec![0.0; weights.len()]);
        for (cell, &target) in cells.iter().zip(targets) {
            let (mut residuals, logarithms) = probabilities(cell, weights, k);
            loss -= logarithms[target];
            residuals[target] -= 1.0;
            for (row, x) in rows_of(cell, weights.len() / k) {
                let sums = &mut gradient[row * k..(row + 1) * k];
                sums.iter_mut().zip(&residuals).for_each(|(sum, residual)| *sum += x * residual);
            }
        }
        Ok((loss, gradient))
    };
    let parts = cells.par_chunks(size).zip(targets.par_chunks(size)).map(part);
    let parts: Vec<_> = parts.collect::<Result<_>>()?;
    let penalised = &weights[..weights.len() - k];
    let mut loss = strength / 2.0 * penalised.iter().map(|w| w * w).sum::<f64>();
    let mut gradient: Vec<f64> = penalised.iter().map(|w| strength * w).collect();
    gradient.resize(weights.len(), 0.0);
    for (of_part, sums) in parts {
        loss += of_part;
        gradient.iter_mut().zip(sums).for_each(|(sum, x)| *sum += x);
    }
    Ok((loss, gradient))
}

/// The probability of each of `k` classes, and its logarithm.
fn probabilities(cell: &SparseCell, weights: &[f64], k: usize) -> (Vec<f64>, Vec<f64>) {
    let mut scores = scores(cell, weights, k);
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total = most + scores.iter().map(|score| (score - most).exp()).sum::<f64>().ln();
    for score in &mut scores {
        *score -= total;
    }
    (scores.iter().map(|score| score.exp()).collect(), scores)
}

/// The score of each of `k` classes.
fn scores(cell: &SparseCell, weights: &[f64], k: usize) -> Vec<f64> {
    let mut scores = vec![0.0; k];
    for (row, x) in rows_of(cell, weights.len() / k) {
        let weights = &weights[row * k..(row + 1) * k];
        scores.iter_mut().zip(weights).for_each(|(score, weight)| *score += x * weight);
    }
    scores
}

/// The rows of the weights for which a cell has values; the last, that of the intercepts, has the
/// value 1.
fn rows_of((genes, values): &SparseCell, n: usize) -> impl Iterator<Item = (usize, f64)> {
    let values = values.iter().map(|&x| f64::from(x));
    genes.iter().map(|&gene| gene as usize).zip(values).chain([(n - 1, 1.0)])
}

#[cfg(test)]
mod tests {
    use scgpt_data::{Keyed, Purpose, Silent};

    use super::*;
    use scgpt_fixtures::questions;

    /// Cells of three classes, each of which has one gene of its own; labels of some are wrong.
    fn cells(n: u64) -> (Vec<SparseCell>, Vec<u32>) {
        let key = Keyed::new(5, Purpose::Simulate, 0, 0);
        let cell = |cell: u64| {
            let class = [1, 4, 5][usize::try_from(cell % 3).unwrap()];
            #[allow(clippy::cast_possible_truncation, reason = "test data")]
            let value = |gene: u32| {
                let own = if u64::from(gene) == cell % 3 { 1.0 } else { 0.0 };
                key.uniform(cell * 6 + u64::from(gene)) as f32 + own
            };
            let genes: Vec<u32> =
                (0..6).filter(|gene| !(cell + u64::from(*gene)).is_multiple_of(5)).collect();
            let values = genes.iter().map(|&gene| value(gene)).collect();
            ((genes, values), if cell.is_multiple_of(11) { 1 } else { class })
        };
        (0..n).map(cell).unzip()
    }

    #[test]
    fn the_gradient_is_that_of_the_loss_and_vanishes_at_the_end() {
        let (cells, classes) = cells(60);
        let targets: Vec<usize> = classes
            .iter()
            .map(|class| [1, 4, 5].iter().position(|c| c == class).unwrap())
            .collect();
        let of = |weights: &[f64]| loss(&cells, &targets, weights, 3, 0.7, &Silent);
        let start: Vec<f64> = (0..21).map(|i| f64::from(i % 5) / 5.0 - 0.4).collect();
        let gradient = of(&start).unwrap().1;
        for i in 0..21 {
            let moved = |by: f64| {
                let mut weights = start.clone();
                weights[i] += by;
                of(&weights).unwrap().0
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((slope - gradient[i]).abs() < 1e-5, "{i}: {slope} {}", gradient[i]);
        }
        let (least, gradient) = of(&minimise(of, vec![0.0; 21]).unwrap()).unwrap();
        assert!(gradient.iter().all(|slope| slope.abs() < 1e-3), "{gradient:?}");
        assert!([&*start, &[0.0; 21]].iter().all(|other| least < of(other).unwrap().0));
    }

    #[test]
    fn classes_without_cells_are_not_said_and_threads_do_not_matter() {
        let (cells, classes) = cells(300);
        let fit = || {
            let fitted =
                LogisticRegression::fit((&cells, &classes), (&cells, &classes), 6, &Silent)
                    .unwrap();
            fitted.predict(&cells)
        };
        let said = fit();
        assert!(said.iter().all(|(class, doubt)| [1, 4, 5].contains(class) && *doubt < 0.67));
        let right = said.iter().zip(&classes).filter(|(said, class)| said.0 == **class).count();
        assert!(right > 200, "{right} of 300");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!(pool.install(fit), said);
    }

    #[test]
    fn every_part_of_a_step_asks_whether_to_go_on() {
        let (cells, classes) = cells(60);
        let both = (&*cells, &*classes);
        let fit = |observer: &dyn Observer| LogisticRegression::fit(both, both, 6, observer);
        assert!(questions(fit) > STRENGTHS.len() * 10);
    }
}
