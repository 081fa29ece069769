//! Partial correlations of a correlation matrix shrunk towards independence.

use rayon::prelude::*;

use super::{Profiles, without_loops};

/// Of standardised genes, `[genes, genes]`.
#[allow(clippy::cast_possible_truncation, reason = "computed wide, stored narrow")]
pub(super) fn correlations(standardised: &Profiles) -> Vec<f32> {
    let (p, n) = (standardised.n_genes, standardised.n_cells as f64);
    let r = standardised.products(|x| x);
    let squares = standardised.products(|x| x * x);
    // Sums over pairs of correlations squared, and of their variances.
    let (mut size, mut noise) = (0.0, 0.0);
    for (place, (&r, &squares)) in r.iter().zip(&squares).enumerate() {
        if place % (p + 1) != 0 {
            let r = f64::from(r);
            size += r * r;
            noise += (f64::from(squares) - r * r / n) * n / (n - 1.0).max(1.0);
        }
    }
    let shrunk = if size > 0.0 { (noise / size).clamp(0.0, 1.0) } else { 1.0 };
    let keep = |(place, &r): (usize, &f32)| {
        if place % (p + 1) == 0 { 1.0 } else { (1.0 - shrunk) * f64::from(r) }
    };
    let mut precision: Vec<f64> = r.iter().enumerate().map(keep).collect();
    invert(&mut precision, p);
    let scale: Vec<f64> = (0..p).map(|i| precision[i * (p + 1)].max(1e-12).sqrt()).collect();
    let partial = |place: usize| -precision[place] / (scale[place / p] * scale[place % p]);
    without_loops((0..p * p).map(|place| partial(place) as f32).collect(), p)
}

/// Inverts a positive definite `[p, p]` matrix in place, by Gauss–Jordan elimination.
fn invert(matrix: &mut [f64], p: usize) {
    for k in 0..p {
        let mut row = matrix[k * p..(k + 1) * p].to_vec();
        let pivot = std::mem::replace(&mut row[k], 1.0);
        for x in &mut row {
            *x /= pivot;
        }
        matrix.par_chunks_exact_mut(p).enumerate().for_each(|(i, other)| {
            if i != k {
                let factor = std::mem::take(&mut other[k]);
                other.iter_mut().zip(&row).for_each(|(x, y)| *x -= factor * y);
            }
        });
        matrix[k * p..(k + 1) * p].copy_from_slice(&row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverses_invert() {
        let matrix = [4.0, 1.0, 0.5, 1.0, 3.0, -1.0, 0.5, -1.0, 2.0];
        let mut inverse = matrix;
        invert(&mut inverse, 3);
        for i in 0..3 {
            for j in 0..3 {
                let entry: f64 = (0..3).map(|k| matrix[i * 3 + k] * inverse[k * 3 + j]).sum();
                assert!((entry - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
    }
}
