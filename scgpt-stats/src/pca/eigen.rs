//! [`largest_eigenpairs`] of a symmetric matrix.

use rayon::prelude::*;
use scgpt_data::{Keyed, Purpose};

use super::dot;

/// Directions tried for every one that is asked for, and further ones. The spectrum of cells
/// decays slowly: with these the last of 50 components of 2000 genes is right to five digits.
const TRIED: usize = 6;
const FURTHER: usize = 100;
/// A direction of this length, relative to the matrix, is rounding.
const ROUNDING: f64 = 1e-13;
/// Rounds for one eigenvalue of a tridiagonal matrix; it takes two or three.
const ROUNDS: usize = 60;

/// Up to `n` eigenvalues of a symmetric `[d, d]` matrix, the largest first, with vectors of
/// length 1 whose largest entry is positive.
///
/// By Lanczos' method with complete reorthogonalisation (Golub and Van Loan, 10.3): the matrix is
/// looked at through ever more directions, in which it is tridiagonal.
pub fn largest_eigenpairs(matrix: &[f64], d: usize, n: usize) -> Vec<(f64, Vec<f64>)> {
    let n = n.min(d);
    let steps = (TRIED * n + FURTHER).min(d);
    let size = matrix.iter().fold(f64::MIN_POSITIVE, |most, x| x.abs().max(most));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(steps);
    let (mut diagonal, mut beside) = (Vec::with_capacity(steps), Vec::with_capacity(steps));
    let mut next = vec![0.0; d];
    for step in 0..steps {
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
    let mut pairs = tridiagonal(diagonal, &beside);
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    pairs.truncate(n);
    let back = |weights: Vec<f64>| {
        let mut vector = vec![0.0; d];
        for (weight, direction) in weights.iter().zip(&basis) {
            vector.iter_mut().zip(direction).for_each(|(v, x)| *v += weight * x);
        }
        let largest =
            vector.iter().copied().fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
        let length = dot(&vector, &vector).sqrt();
        scale(&mut vector, if largest < 0.0 { -length } else { length });
        vector
    };
    pairs.into_iter().map(|(value, weights)| (value, back(weights))).collect()
}

/// Removes from `vector` what lies in the `basis`; the length of the rest.
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

/// All eigenvalues and vectors of the symmetric matrix with that diagonal and those entries
/// beside it, by implicit QL steps with Wilkinson's shift (Golub and Van Loan, 8.3).
fn tridiagonal(mut diagonal: Vec<f64>, beside: &[f64]) -> Vec<(f64, Vec<f64>)> {
    let n = diagonal.len();
    let mut beside = [beside, &[0.0]].concat();
    // Column `k` is vector `k`; rotations mix two neighbouring ones.
    let mut vectors: Vec<Vec<f64>> =
        (0..n).map(|k| (0..n).map(|i| if i == k { 1.0 } else { 0.0 }).collect()).collect();
    for first in 0..n {
        for _ in 0..ROUNDS {
            // The block from `first` that no entry of rounding size divides.
            let last = (first..n - 1)
                .find(|&k| {
                    beside[k].abs() <= f64::EPSILON * (diagonal[k].abs() + diagonal[k + 1].abs())
                })
                .unwrap_or(n - 1);
            if last == first {
                break;
            }
            let half = (diagonal[first + 1] - diagonal[first]) / (2.0 * beside[first]);
            let root = half.hypot(1.0).copysign(half);
            let mut bulge = diagonal[last] - diagonal[first] + beside[first] / (half + root);
            let (mut sine, mut cosine, mut shift) = (1.0, 1.0, 0.0);
            let mut is_split = false;
            for k in (first..last).rev() {
                let (over, under) = (sine * beside[k], cosine * beside[k]);
                let length = over.hypot(bulge);
                beside[k + 1] = length;
                if length == 0.0 {
                    diagonal[k + 1] -= shift;
                    beside[last] = 0.0;
                    is_split = true;
                    break;
                }
                (sine, cosine) = (over / length, bulge / length);
                let base = diagonal[k + 1] - shift;
                let turn = (diagonal[k] - base) * sine + 2.0 * cosine * under;
                shift = sine * turn;
                diagonal[k + 1] = base + shift;
                bulge = cosine * turn - under;
                let (low, high) = vectors.split_at_mut(k + 1);
                for (a, b) in low[k].iter_mut().zip(&mut high[0]) {
                    (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
                }
            }
            if !is_split {
                diagonal[first] -= shift;
                beside[first] = bulge;
                beside[last] = 0.0;
            }
        }
    }
    diagonal.into_iter().zip(vectors).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_the_known_eigenvalues() {
        // 2 on the diagonal, -1 beside it: 2 - 2 cos(k π / (n + 1)).
        let n = 30;
        let pairs = tridiagonal(vec![2.0; n], &vec![-1.0; n - 1]);
        let mut values: Vec<f64> = pairs.iter().map(|pair| pair.0).collect();
        values.sort_by(f64::total_cmp);
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
            let pairs = largest_eigenpairs(&matrix, d, 5);
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
        let pairs = largest_eigenpairs(&matrix, 3, 3);
        let values: Vec<f64> = pairs.iter().map(|pair| pair.0).collect();
        assert!(
            values.iter().zip([3.0, 3.0, 0.0]).all(|(a, b)| (a - b).abs() < 1e-9),
            "{values:?}"
        );
        assert!(dot(&pairs[0].1, &pairs[1].1).abs() < 1e-9);
        assert!(largest_eigenpairs(&[], 0, 3).is_empty());
    }
}
