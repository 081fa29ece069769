//! [`Ridge`]: a linear map from rows of numbers to rows of numbers, by regularised least squares.

use nalgebra::{DMatrix, SymmetricEigen};
use scgpt_data::{Observer, Result};

use crate::pca::dot;

/// Penalties that are tried, as powers of √10 times the largest eigenvalue of the products of the
/// columns.
const EXPONENTS: std::ops::RangeInclusive<i32> = -14..=4;

/// The map `y ≈ mean(y) + (x − mean(x)) w` with the least sum of squared errors and `penalty` times the
/// squares of `w`.
///
/// The penalty is that of least generalised cross-validation, which stands for leaving out each row
/// in turn.
///
/// # Reference
/// Golub, Heath and Wahba 1979: generalised cross-validation as a method for choosing a good ridge
/// parameter.
///
/// ```
/// use scgpt_data::Silent;
/// use scgpt_stats::Ridge;
///
/// // Five rows of one number, each mapped to its double and its negative.
/// let x = [1.0, 2.0, 3.0, 4.0, 5.0];
/// let y: Vec<f64> = x.iter().flat_map(|x| [2.0 * x, -x]).collect();
/// let mapped = Ridge::new(&x, &y, [1, 2], &Silent)?.map(&[7.0]);
/// assert!((mapped[0] - 14.0).abs() < 1e-4 && (mapped[1] + 7.0).abs() < 1e-4);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ridge {
    x_mean: Vec<f64>,
    y_mean: Vec<f64>,
    /// `[m, k]`, row-major.
    weights: Vec<f64>,
    penalty: f64,
}

impl Ridge {
    /// The map from rows of `k` to rows of `m` numbers that fits `x`, `[n, k]`, and `y`, `[n, m]`,
    /// both row-major. Without rows it maps everything to zeros.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If `x` and `y` have different numbers of rows.
    pub fn new(x: &[f64], y: &[f64], dims: [usize; 2], observer: &dyn Observer) -> Result<Self> {
        Self::by(x, y, dims, least_penalty, observer)
    }

    /// As [`new`](Self::new), with a penalty of one's own.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If `x` and `y` have different numbers of rows.
    pub fn with_penalty(
        x: &[f64],
        y: &[f64],
        dims: [usize; 2],
        penalty: f64,
        observer: &dyn Observer,
    ) -> Result<Self> {
        Self::by(x, y, dims, |_, _, _, _| penalty, observer)
    }

    /// The map with the penalty that `choose` takes, as [`least_penalty`] does.
    fn by(
        x: &[f64],
        y: &[f64],
        [k, m]: [usize; 2],
        choose: impl FnOnce(&[f64], &[f64], f64, usize) -> f64,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let n = y.len() / m.max(1);
        assert_eq!(x.len(), n * k, "x and y have different numbers of rows");
        let (x, x_mean) = centred(x, n, k);
        let (y, y_mean) = centred(y, n, m);
        let SymmetricEigen { eigenvalues, eigenvectors } =
            SymmetricEigen::new(products(&x, &x, observer)?);
        let values: Vec<f64> = eigenvalues.iter().map(|value| value.max(0.0)).collect();
        // What y has along each direction, `[k, m]`.
        let along = eigenvectors.tr_mul(&products(&x, &y, observer)?);
        let squares: Vec<f64> = along.row_iter().map(|row| row.norm_squared()).collect();
        let penalty = choose(&values, &squares, y.norm_squared(), n);
        let mut scaled = along;
        for (mut row, value) in scaled.row_iter_mut().zip(&values) {
            let sum = value + penalty;
            row *= if sum > 0.0 { sum.recip() } else { 0.0 };
        }
        // Columns of nalgebra come one after the other: `[k, m]` there is `[m, k]` here.
        let weights = (eigenvectors * scaled).as_slice().to_vec();
        Ok(Self { x_mean, y_mean, weights, penalty })
    }

    /// What a row of `k` numbers is mapped to, `[m]`.
    ///
    /// # Panics
    /// If it has another length.
    pub fn map(&self, x: &[f64]) -> Vec<f64> {
        let k = self.x_mean.len();
        assert_eq!(x.len(), k, "the row has another length");
        let centred: Vec<f64> = x.iter().zip(&self.x_mean).map(|(x, mean)| x - mean).collect();
        let to = |(column, mean): (usize, &f64)| {
            mean + dot(&centred, &self.weights[column * k..(column + 1) * k])
        };
        self.y_mean.iter().enumerate().map(to).collect()
    }

    /// The means of `y`, `[m]`, to which the mean of `x` is mapped.
    pub fn means(&self) -> &[f64] {
        &self.y_mean
    }

    /// The weights of `w`, `[m, k]`, row-major.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The penalty.
    pub fn penalty(&self) -> f64 {
        self.penalty
    }
}

/// `xᵀ y`, column by column.
fn products(x: &DMatrix<f64>, y: &DMatrix<f64>, observer: &dyn Observer) -> Result<DMatrix<f64>> {
    let mut products = DMatrix::zeros(x.ncols(), y.ncols());
    for (mut product, y) in products.column_iter_mut().zip(y.column_iter()) {
        observer.check_cancelled()?;
        x.tr_mul_to(&y, &mut product);
    }
    Ok(products)
}

/// The columns less their means, and the means.
fn centred(rows: &[f64], n: usize, width: usize) -> (DMatrix<f64>, Vec<f64>) {
    let mut matrix = DMatrix::from_row_slice(n, width, rows);
    let mut means = Vec::with_capacity(width);
    for mut column in matrix.column_iter_mut() {
        let mean = column.sum() / n.max(1) as f64;
        column.add_scalar_mut(-mean);
        means.push(mean);
    }
    (matrix, means)
}

/// The penalty of least generalised cross-validation, `n RSS / (n − df)²`, from the eigenvalues of the
/// products, the squares of what lies along each direction, and those of all that is to be told.
fn least_penalty(values: &[f64], squares: &[f64], total: f64, n: usize) -> f64 {
    let largest = values.iter().copied().fold(0.0, f64::max);
    let score = |penalty: f64| {
        let (mut error, mut degrees) = (total, 1.0);
        for (value, square) in values.iter().zip(squares) {
            let sum = value + penalty;
            error -= square * (value + 2.0 * penalty) / (sum * sum);
            degrees += value / sum;
        }
        let left = n as f64 - degrees;
        if left > 0.0 { error.max(0.0) / (left * left) } else { f64::INFINITY }
    };
    let penalties = EXPONENTS.map(|power| largest * 10_f64.powf(f64::from(power) / 2.0));
    penalties.min_by(|a, b| score(*a).total_cmp(&score(*b))).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use scgpt_data::{Keyed, Purpose, Silent};

    use super::*;
    use scgpt_fixtures::questions;

    /// Rows of three numbers and what a planted map makes of them, with noise.
    fn planted(n: u64, noise: f64) -> (Vec<f64>, Vec<f64>) {
        let key = Keyed::new(3, Purpose::Simulate, 0, 0);
        let x: Vec<f64> = (0..3 * n).map(|i| key.normal(2 * i)).collect();
        let y = x.chunks(3).enumerate().flat_map(|(row, x)| {
            let error = |i: u64| noise * key.normal(2 * (9 * n + 2 * row as u64 + i));
            [1.0 + 2.0 * x[0] - x[2] + error(0), 5.0 + 3.0 * x[1] + error(1)]
        });
        let y = y.collect();
        (x, y)
    }

    #[test]
    fn a_planted_map_is_found() {
        let (x, y) = planted(40, 0.0);
        let ridge = Ridge::new(&x, &y, [3, 2], &Silent).unwrap();
        for (x, y) in x.chunks(3).zip(y.chunks(2)) {
            let mapped = ridge.map(x);
            assert!(mapped.iter().zip(y).all(|(a, b)| (a - b).abs() < 1e-4), "{mapped:?} {y:?}");
        }
    }

    #[test]
    fn the_penalty_is_near_that_of_leaving_each_row_out() {
        let (x, y) = planted(24, 4.0);
        let ridge = Ridge::new(&x, &y, [3, 2], &Silent).unwrap();
        // With so much noise the penalty is not nothing, and with what there is to learn not all.
        let loose = Ridge::new(&planted(24, 0.0).0, &planted(24, 0.0).1, [3, 2], &Silent).unwrap();
        assert!(
            ridge.penalty() > 100.0 * loose.penalty(),
            "{} {}",
            ridge.penalty(),
            loose.penalty()
        );
        // Of noise alone nothing is learned: everything is mapped to about the mean.
        let key = Keyed::new(5, Purpose::Simulate, 0, 0);
        let noise: Vec<f64> = (0..2 * 24).map(|i| key.normal(2 * i)).collect();
        let ridge = Ridge::new(&x, &noise, [3, 2], &Silent).unwrap();
        let far = x.chunks(3).flat_map(|x| ridge.map(x)).map(f64::abs).fold(0.0, f64::max);
        assert!(far < 0.6, "{far}");
    }

    #[test]
    fn the_stronger_the_penalty_the_nearer_to_the_means() {
        let (x, y) = planted(40, 0.0);
        let free = Ridge::new(&x, &y, [3, 2], &Silent).unwrap();
        let far = |ridge: &Ridge| (ridge.map(&x[..3])[0] - ridge.means()[0]).abs();
        let held =
            Ridge::with_penalty(&x, &y, [3, 2], 1e9 * (1.0 + free.penalty()), &Silent).unwrap();
        assert!(far(&held) < 1e-3 && far(&free) > 0.1, "{} {}", far(&held), far(&free));
        let same = Ridge::with_penalty(&x, &y, [3, 2], free.penalty(), &Silent).unwrap();
        assert_eq!(same.map(&x[..3]), free.map(&x[..3]));
    }

    #[test]
    fn columns_that_never_vary_and_few_rows_are_no_harm() {
        let ridge = Ridge::new(&[2.0, 2.0], &[1.0, 3.0], [1, 1], &Silent).unwrap();
        assert_eq!(ridge.map(&[9.0]), [2.0]);
        assert_eq!(Ridge::new(&[], &[], [2, 1], &Silent).unwrap().map(&[1.0, 1.0]), [0.0]);
    }

    #[test]
    fn every_column_asks_whether_to_go_on() {
        let (x, y) = planted(24, 0.5);
        assert_eq!(questions(|observer| Ridge::new(&x, &y, [3, 2], observer)), 3 + 2);
    }
}
