//! [`Discriminant`]: linear scores of classes, from their means and a covariance that they share.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use scgpt_data::{Observer, Result};

/// Parts of the rows, each of which judges what is learned from the others.
const FOLDS: usize = 5;
/// How far the covariance may be shrunk towards a multiple of the identity.
const SHRINKAGES: [f64; 6] = [0.01, 0.03, 0.1, 0.3, 0.6, 1.0];
/// What scores may be multiplied by. Those of few rows are too sure of themselves.
const SCALES: [f64; 7] = [1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12];

/// Linear discriminant analysis: the logarithm of the probability of each class, up to what all have in
/// common, if every class is normal around its own mean with one covariance.
///
/// The covariance is shrunk towards a multiple of the identity, and scores are made smaller, by what is of
/// least cross-entropy over five folds of the rows, in which each class counts by its prior.
///
/// # Reference
/// Fisher 1936; Friedman 1989, *Regularized discriminant analysis*. Differs: one covariance for all classes.
///
/// ```
/// use scgpt_data::Silent;
/// use scgpt_stats::Discriminant;
///
/// // Two classes along the first number; the second says nothing.
/// let rows = [0.0, 5.0, 1.0, -5.0, 9.0, 5.0, 8.0, -5.0_f32];
/// let found = Discriminant::new(&rows, &[0, 0, 1, 1], &[0.5, 0.5], &Silent)?;
/// let [left, right] = [0.4, 8.1].map(|x| found.scores(&[x, 3.0]));
/// assert!(left[0] > left[1] && right[1] > right[0]);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Discriminant {
    /// `[y, k]`, row-major.
    weights: Vec<f64>,
    biases: Vec<f64>,
    shrinkage: f64,
    scale: f64,
}

impl Discriminant {
    /// The discriminant of `rows`, `[n, k]`, row-major, of which each has one of the `y` classes that have
    /// `priors`: how frequent they are, on any scale, but more than zero. A class without rows lies at the
    /// mean of all.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If there are no rows, they are not as long as each other, or a class is not among the `y`.
    pub fn new(
        rows: &[f32],
        classes: &[u32],
        priors: &[f64],
        observer: &dyn Observer,
    ) -> Result<Self> {
        let n = classes.len();
        assert!(n > 0 && rows.len().is_multiple_of(n), "rows are [n, k], one for each class");
        let rows = DMatrix::from_iterator(rows.len() / n, n, rows.iter().map(|&x| f64::from(x)));
        let total: f64 = priors.iter().sum();
        let logs: Vec<f64> = priors.iter().map(|prior| (prior / total).ln()).collect();
        let (shrinkage, scale) = least_loss(&rows, classes, priors, &logs, observer)?;
        let all = Normals::of(&rows, classes, logs.len(), |_| true);
        let factors = all.inverse(shrinkage);
        let mut weights = all.means.clone();
        for mut mean in weights.column_iter_mut() {
            mean.component_mul_assign(&factors);
        }
        let half: Vec<f64> = weights
            .column_iter()
            .zip(all.means.column_iter())
            .map(|(a, b)| 0.5 * a.dot(&b))
            .collect();
        let weights = &all.directions * weights * scale;
        let bias = |(class, log): (usize, &f64)| {
            scale * (log - half[class]) - weights.column(class).dot(&all.mean)
        };
        let biases = logs.iter().enumerate().map(bias).collect();
        Ok(Self { weights: weights.as_slice().to_vec(), biases, shrinkage, scale })
    }

    /// The score of each of the `y` classes for a row of `k` numbers.
    ///
    /// # Panics
    /// If it has another length.
    pub fn scores(&self, row: &[f32]) -> Vec<f64> {
        let weights = self.weights.chunks_exact(row.len().max(1));
        assert_eq!(weights.len(), self.biases.len(), "the row has another length");
        let score = |(weights, bias): (&[f64], &f64)| {
            bias + row.iter().zip(weights).map(|(x, w)| f64::from(*x) * w).sum::<f64>()
        };
        weights.zip(&self.biases).map(score).collect()
    }

    /// What every number counts for every class, `[y, k]`, row-major.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// What is added to the score of each class, `[y]`.
    pub fn biases(&self) -> &[f64] {
        &self.biases
    }

    /// How far the covariance was shrunk: 0 not at all, 1 to a multiple of the identity.
    pub fn shrinkage(&self) -> f64 {
        self.shrinkage
    }

    /// What scores were multiplied by.
    pub fn scale(&self) -> f64 {
        self.scale
    }
}

/// Classes around their means, with the covariance that they share.
struct Normals {
    /// Of all rows, `[k]`.
    mean: DVector<f64>,
    /// Number of the rows of each class.
    counts: Vec<usize>,
    /// Variances within the classes along `directions`, `[k, k]`, one a column.
    variances: DVector<f64>,
    directions: DMatrix<f64>,
    /// The means of the classes less that of all, along the directions, `[k, y]`.
    means: DMatrix<f64>,
}

impl Normals {
    /// Those of some of the `rows`, `[k, n]`.
    fn of(rows: &DMatrix<f64>, classes: &[u32], y: usize, has: impl Fn(usize) -> bool) -> Self {
        let width = rows.nrows();
        let chosen: Vec<usize> = (0..classes.len()).filter(|&at| has(at)).collect();
        let mut counts = vec![0_usize; y];
        let mut means = DMatrix::<f64>::zeros(width, y);
        for &at in &chosen {
            let class = classes[at] as usize;
            counts[class] += 1;
            means.column_mut(class).axpy(1.0, &rows.column(at), 1.0);
        }
        let n = chosen.len().max(1) as f64;
        let mean = means.column_sum() / n;
        for (mut of_class, &n) in means.column_iter_mut().zip(&counts) {
            if n > 0 {
                of_class /= n as f64;
                of_class -= &mean;
            }
        }
        let mut within = DMatrix::zeros(width, chosen.len());
        for (mut column, &at) in within.column_iter_mut().zip(&chosen) {
            let of_class = means.column(classes[at] as usize);
            column.copy_from(&(rows.column(at) - &mean - of_class));
        }
        let there = counts.iter().filter(|n| **n > 0).count() as f64;
        let covariance = &within * within.transpose() / (n - there).max(1.0);
        let SymmetricEigen { eigenvalues, eigenvectors } = SymmetricEigen::new(covariance);
        let means = eigenvectors.tr_mul(&means);
        Self { mean, counts, variances: eigenvalues, directions: eigenvectors, means }
    }

    /// The inverse of the variance along every direction, shrunk; 1 if nothing varies within the classes.
    fn inverse(&self, shrinkage: f64) -> DVector<f64> {
        let mean = self.variances.mean().max(0.0);
        let shrunk = |x: f64| (1.0 - shrinkage) * x.max(0.0) + shrinkage * mean;
        self.variances.map(|x| if mean > 0.0 { shrunk(x).recip() } else { 1.0 })
    }
}

/// The shrinkage and the scale of least cross-entropy.
fn least_loss(
    rows: &DMatrix<f64>,
    classes: &[u32],
    priors: &[f64],
    logs: &[f64],
    observer: &dyn Observer,
) -> Result<(f64, f64)> {
    // Every class is dealt to the folds on its own.
    let mut seen = vec![0_usize; priors.len()];
    let deal = |&class: &u32| {
        seen[class as usize] += 1;
        seen[class as usize] % FOLDS
    };
    let folds: Vec<usize> = classes.iter().map(deal).collect();
    let mut losses = [[0.0; SCALES.len()]; SHRINKAGES.len()];
    for fold in 0..FOLDS {
        observer.check_cancelled()?;
        let others = Normals::of(rows, classes, priors.len(), |at| folds[at] != fold);
        // A class that the others have no row of is not to be guessed.
        let is_judged = |at: &usize| folds[*at] == fold && others.counts[classes[*at] as usize] > 0;
        let judged: Vec<usize> = (0..classes.len()).filter(is_judged).collect();
        let along = |&at: &usize| others.directions.tr_mul(&(rows.column(at) - &others.mean));
        let along: Vec<DVector<f64>> = judged.iter().map(along).collect();
        for (losses, shrinkage) in losses.iter_mut().zip(SHRINKAGES) {
            observer.check_cancelled()?;
            let factors = others.inverse(shrinkage);
            let half = |mean: nalgebra::DVectorView<'_, f64>| {
                0.5 * mean.component_mul(&mean).dot(&factors)
            };
            let offsets: Vec<f64> =
                others.means.column_iter().zip(logs).map(|(mean, log)| log - half(mean)).collect();
            for (&at, along) in judged.iter().zip(&along) {
                let class = classes[at] as usize;
                let mut scores = others.means.tr_mul(&along.component_mul(&factors));
                scores.iter_mut().zip(&offsets).for_each(|(score, offset)| *score += offset);
                let weight = priors[class] / seen[class] as f64;
                for (loss, scale) in losses.iter_mut().zip(SCALES) {
                    *loss += weight * surprise(&scores, class, scale);
                }
            }
        }
    }
    let all = SHRINKAGES.iter().zip(&losses);
    let all = all.flat_map(|(&shrinkage, losses)| {
        SCALES.iter().zip(losses).map(move |(&scale, &loss)| (loss, shrinkage, scale))
    });
    let best = all.min_by(|a, b| a.0.total_cmp(&b.0));
    Ok(best.map_or((1.0, 1.0), |(_, shrinkage, scale)| (shrinkage, scale)))
}

/// The negative logarithm of the probability of a class, by scores times `scale`.
fn surprise(scores: &DVector<f64>, class: usize, scale: f64) -> f64 {
    let highest = scores.max();
    let sum: f64 = scores.iter().map(|score| (scale * (score - highest)).exp()).sum();
    sum.ln() - scale * (scores[class] - highest)
}

#[cfg(test)]
mod tests {
    use scgpt_data::{Keyed, Purpose, Silent};

    use super::*;

    /// Rows of `width` numbers of two classes, which differ in the first by `apart`, while the last follows it.
    #[allow(clippy::cast_possible_truncation, reason = "rows are f32")]
    fn planted(n: usize, width: usize, apart: f64) -> (Vec<f32>, Vec<u32>) {
        let key = Keyed::new(5, Purpose::Simulate, 0, 0);
        let classes: Vec<u32> = (0..n).map(|at| u32::from(at % 3 == 0)).collect();
        let row = |(at, class): (usize, &u32)| -> Vec<f32> {
            let mut row: Vec<f64> =
                (0..width).map(|i| key.normal(2 * (at * width + i) as u64)).collect();
            row[width - 1] = row[0] + 0.1 * row[width - 1];
            row[0] += apart * f64::from(*class);
            row.into_iter().map(|x| x as f32).collect()
        };
        (classes.iter().enumerate().flat_map(row).collect(), classes)
    }

    fn right((rows, classes): &(Vec<f32>, Vec<u32>), of: &Discriminant, width: usize) -> f64 {
        let right = rows.chunks(width).zip(classes).filter(|(row, class)| {
            let scores = of.scores(row);
            u32::from(scores[1] > scores[0]) == **class
        });
        right.count() as f64 / classes.len() as f64
    }

    #[test]
    fn what_classes_share_is_taken_off() {
        // Half a deviation apart, but the last number says where a row would be without its class.
        let (width, both) = (4, planted(600, 4, 0.5));
        let found = Discriminant::new(&both.0, &both.1, &[400.0, 200.0], &Silent).unwrap();
        assert!(right(&both, &found, width) > 0.97, "{}", right(&both, &found, width));
        assert!(found.shrinkage() < 0.05, "{}", found.shrinkage());
    }

    #[test]
    fn scores_are_logarithms_of_probabilities() {
        // Of a class that is frequent nine times of ten, the score is higher by the logarithm of nine.
        let both = planted(300, 2, 1.0);
        let [even, uneven] = [[1.0, 1.0], [9.0, 1.0]].map(|priors| {
            let scores =
                Discriminant::new(&both.0, &both.1, &priors, &Silent).unwrap().scores(&[0.3, 0.1]);
            scores[0] - scores[1]
        });
        assert!((uneven - even - 9_f64.ln()).abs() < 1e-9, "{even} {uneven}");
    }

    #[test]
    fn rows_that_say_nothing_of_their_classes_are_not_believed() {
        // More numbers than rows tell any classes apart, but not those of other rows.
        let width = 60;
        let few = planted(45, width, 0.0);
        let found = Discriminant::new(&few.0, &few.1, &[30.0, 15.0], &Silent).unwrap();
        assert!(found.scale() < 0.3, "{}", found.scale());
    }

    #[test]
    fn classes_without_rows_and_rows_that_never_vary_are_no_harm() {
        let found = Discriminant::new(&[1.0, 1.0, 1.0], &[0, 0, 0], &[3.0, 0.5], &Silent).unwrap();
        let scores = found.scores(&[1.0]);
        assert!(scores.iter().all(|x| x.is_finite()) && scores[0] > scores[1], "{scores:?}");
    }
}
