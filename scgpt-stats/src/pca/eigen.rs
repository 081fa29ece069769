//! [`largest_eigenpairs`] of a symmetric matrix.

use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;
use scgpt_data::{Keyed, Observer, Purpose, Result};

use super::dot;

/// Directions tried for every one that is asked for, and further ones. The spectrum of cells
/// decays slowly: with these the last of 50 components of 2000 genes is right to five digits.
const TRIED: usize = 6;
const FURTHER: usize = 100;
/// A direction of this length, relative to the matrix, is rounding.
const ROUNDING: f64 = 1e-13;

/// Up to `n` eigenvalues of a symmetric `[d, d]` matrix, the largest first, with vectors of
/// length 1 whose largest entry is positive.
///
/// Few of many are found by Lanczos' method with complete reorthogonalisation (Golub and Van Loan,
/// 10.3), which projects the matrix on ever more directions, in which it is tridiagonal; nalgebra finds
/// whole spectra alone.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Panics
/// If the matrix has fewer than `d²` entries.
pub fn largest_eigenpairs(
    matrix: &[f64],
    d: usize,
    n: usize,
    observer: &dyn Observer,
) -> Result<Vec<(f64, Vec<f64>)>> {
    let n = n.min(d);
    let steps = TRIED * n + FURTHER;
    if steps >= d {
        let mut pairs = all_eigenpairs(DMatrix::from_row_slice(d, d, &matrix[..d * d]));
        pairs.truncate(n);
        for (_, vector) in &mut pairs {
            orient(vector);
        }
        return Ok(pairs);
    }
    let size = matrix.iter().fold(f64::MIN_POSITIVE, |most, x| x.abs().max(most));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(steps);
    let (mut diagonal, mut beside) = (Vec::with_capacity(steps), Vec::with_capacity(steps));
    let mut next = vec![0.0; d];
    for step in 0..steps {
        observer.check_cancelled()?;
        let mut length = orthogonalise(&mut next, &basis);
        if length <= ROUNDING * size {
            // Nothing is left in this direction: go on in another, which is not coupled to it.
            length = 0.0;
            let key = Keyed::new(0, Purpose::Cluster, step as u64, 0);
            next = (0..d as u64).map(|i| key.uniform(i) - 0.5).collect();
            let fresh = orthogonalise(&mut next, &basis);
            scale(&mut next, fresh);
        } else {
            scale(&mut next, length);
        }
        if step > 0 {
            beside.push(length);
        }
        let image: Vec<f64> =
            matrix.par_chunks_exact(d.max(1)).map(|row| dot_in_lanes(row, &next)).collect();
        diagonal.push(dot(&next, &image));
        basis.push(std::mem::replace(&mut next, image));
    }
    let projected = DMatrix::from_fn(steps, steps, |i, j| match i.abs_diff(j) {
        0 => diagonal[i],
        1 => beside[i.min(j)],
        _ => 0.0,
    });
    let mut pairs = all_eigenpairs(projected);
    pairs.truncate(n);
    let back = |weights: Vec<f64>| {
        let mut vector = vec![0.0; d];
        for (weight, direction) in weights.iter().zip(&basis) {
            vector.iter_mut().zip(direction).for_each(|(v, x)| *v += weight * x);
        }
        let length = dot(&vector, &vector).sqrt();
        scale(&mut vector, length);
        orient(&mut vector);
        vector
    };
    Ok(pairs.into_iter().map(|(value, weights)| (value, back(weights))).collect())
}

/// Reverses a vector whose largest entry is negative.
pub(super) fn orient(vector: &mut [f64]) {
    let largest =
        vector.iter().copied().fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
    if largest < 0.0 {
        for x in vector.iter_mut() {
            *x = -*x;
        }
    }
}

/// Removes from `vector` what lies in the `basis`, and returns the length of the rest.
pub(super) fn orthogonalise(vector: &mut [f64], basis: &[Vec<f64>]) -> f64 {
    // Twice is enough: the second time removes what rounding left.
    for _ in 0..2 {
        for direction in basis {
            let along = dot_in_lanes(vector, direction);
            vector.iter_mut().zip(direction).for_each(|(v, x)| *v -= along * x);
        }
    }
    dot(vector, vector).sqrt()
}

fn scale(vector: &mut [f64], length: f64) {
    let factor = if length == 0.0 { 0.0 } else { 1.0 / length };
    for x in vector {
        *x *= factor;
    }
}

/// A scalar product in eight sums, which a processor computes side by side.
fn dot_in_lanes(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + dot(a_rest, b_rest)
}

/// All eigenvalues and vectors of a symmetric matrix, the largest first; nothing but NaN if the
/// matrix is not finite.
fn all_eigenpairs(matrix: DMatrix<f64>) -> Vec<(f64, Vec<f64>)> {
    let d = matrix.nrows();
    if d == 0 || matrix.iter().any(|x| !x.is_finite()) {
        return vec![(f64::NAN, vec![f64::NAN; d]); d];
    }
    let SymmetricEigen { eigenvalues, eigenvectors } = SymmetricEigen::new(matrix);
    let vectors = eigenvectors.column_iter().map(|column| column.iter().copied().collect());
    let mut pairs: Vec<(f64, Vec<f64>)> = eigenvalues.iter().copied().zip(vectors).collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    pairs
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;
    use scgpt_fixtures::questions;

    #[test]
    fn a_path_has_the_known_eigenvalues() {
        // 2 on the diagonal, -1 beside it: 2 - 2 cos(k π / (n + 1)).
        let n = 30_usize;
        let matrix: Vec<f64> = (0..n * n)
            .map(|place| match (place / n).abs_diff(place % n) {
                0 => 2.0,
                1 => -1.0,
                _ => 0.0,
            })
            .collect();
        let pairs = largest_eigenpairs(&matrix, n, n, &Silent).unwrap();
        let values = pairs.iter().rev().map(|pair| pair.0);
        for (k, value) in (1..).zip(values) {
            let expected = 2.0 - 2.0 * (f64::from(k) * std::f64::consts::PI / 31.0).cos();
            assert!((value - expected).abs() < 1e-12, "{value} {expected}");
        }
    }

    #[test]
    fn pairs_of_a_full_matrix_satisfy_their_equation() {
        for d in [1, 2, 7, 200] {
            let key = Keyed::new(9, Purpose::Simulate, 0, 0);
            let mut matrix = vec![0.0; d * d];
            for i in 0..d {
                for j in 0..=i {
                    let x = key.uniform((i * d + j) as u64) + if i == j { i as f64 } else { 0.0 };
                    matrix[i * d + j] = x;
                    matrix[j * d + i] = x;
                }
            }
            let pairs = largest_eigenpairs(&matrix, d, 5, &Silent).unwrap();
            assert_eq!(pairs.len(), d.min(5));
            for (k, (value, vector)) in pairs.iter().enumerate() {
                for (row, x) in matrix.chunks(d).zip(vector) {
                    assert!((dot(row, vector) - value * x).abs() < 1e-6 * value.abs(), "{d} {k}");
                }
                assert!((dot(vector, vector) - 1.0).abs() < 1e-10);
                assert!(pairs[..k].iter().all(|other| dot(&other.1, vector).abs() < 1e-8));
            }
        }
    }

    #[test]
    fn equal_and_vanishing_eigenvalues_are_found_too() {
        let matrix = [3.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0];
        let pairs = largest_eigenpairs(&matrix, 3, 3, &Silent).unwrap();
        let values: Vec<f64> = pairs.iter().map(|pair| pair.0).collect();
        assert!(
            values.iter().zip([3.0, 3.0, 0.0]).all(|(a, b)| (a - b).abs() < 1e-9),
            "{values:?}"
        );
        assert!(dot(&pairs[0].1, &pairs[1].1).abs() < 1e-9);
        assert!(largest_eigenpairs(&[], 0, 3, &Silent).unwrap().is_empty());
    }

    #[test]
    fn every_direction_asks_whether_to_go_on() {
        let d = FURTHER + TRIED + 1;
        let matrix: Vec<f64> = (0..d * d).map(|i| f64::from(u8::from(i % (d + 1) == 0))).collect();
        let pairs = |observer: &dyn Observer| largest_eigenpairs(&matrix, d, 1, observer);
        assert_eq!(questions(pairs), FURTHER + TRIED);
    }
}
