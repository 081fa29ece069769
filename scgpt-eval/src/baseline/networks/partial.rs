//! Partial correlations of a correlation matrix shrunk towards independence.
//!
//! With fewer cells than genes a correlation matrix has no inverse. Shrunk by the share `λ` that makes
//! the expected squared error least (Schäfer and Strimmer 2005), it has:
//!
//! ```text
//! λ = Σ_{i≠j} Var(r_ij) / Σ_{i≠j} r_ij²,   R* = (1 − λ) R + λ I,   Ω = R*⁻¹
//! partial(i, j) = −Ω_ij / √(Ω_ii Ω_jj)
//! ```
//!
//! The inverse takes time with the cube of the genes, and twice 8 bytes a pair.

use nalgebra::{Cholesky, DMatrix, DVectorViewMut, Dyn};
use rayon::prelude::*;
use scgpt_data::{Observer, Result};

use super::{GeneProfiles, without_loops};

/// A lower triangle, and whatever is above it.
type Factors = Cholesky<f64, Dyn>;

/// Partial correlations of standardised genes, `[genes, genes]`; zeros if the matrix has no
/// inverse.
#[allow(clippy::cast_possible_truncation, reason = "computed wide, stored narrow")]
pub(super) fn correlations(
    standardised: &GeneProfiles,
    observer: &dyn Observer,
) -> Result<Vec<f32>> {
    let (p, n) = (standardised.n_genes, standardised.n_cells as f64);
    let r = standardised.products(|x| x, observer)?;
    let squares = standardised.products(|x| x * x, observer)?;
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
    let shrunken = DMatrix::from_iterator(p, p, r.iter().enumerate().map(keep));
    // Genes that are the same in all cells, and nothing to shrink: no correlation is partial.
    let Some(factors) = factors(shrunken, observer)? else { return Ok(vec![0.0; p * p]) };
    let precision = inverse(&factors, p, observer)?;
    let scale: Vec<f64> = (0..p).map(|i| precision[i * (p + 1)].max(1e-12).sqrt()).collect();
    let partial = |place: usize| -precision[place] / (scale[place / p] * scale[place % p]);
    Ok(without_loops((0..p * p).map(|place| partial(place) as f32).collect(), p))
}

/// The Cholesky factors of a matrix, column by column as `Cholesky::new` finds them, which asks nobody; `None` if it is
/// not positive definite.
fn factors(mut matrix: DMatrix<f64>, observer: &dyn Observer) -> Result<Option<Factors>> {
    for j in 0..matrix.nrows() {
        observer.check_cancelled()?;
        for k in 0..j {
            let factor = -matrix[(j, k)];
            let (mut column, before) = matrix.columns_range_pair_mut(j, k);
            column.rows_range_mut(j..).axpy(factor, &before.rows_range(j..), 1.0);
        }
        let diagonal = matrix[(j, j)];
        if diagonal.is_nan() || diagonal <= 0.0 {
            return Ok(None);
        }
        let diagonal = diagonal.sqrt();
        matrix[(j, j)] = diagonal;
        let mut below = matrix.view_range_mut(j + 1.., j);
        below /= diagonal;
    }
    Ok(Some(Cholesky::pack_dirty(matrix)))
}

/// The inverse of the matrix with these factors, `[p, p]`, as `Cholesky::inverse` finds it, which asks nobody.
fn inverse(factors: &Factors, p: usize, observer: &dyn Observer) -> Result<DMatrix<f64>> {
    let mut inverse = DMatrix::identity(p, p);
    let columns = inverse.as_mut_slice().par_chunks_mut(p.max(1));
    columns.try_for_each(|column| -> Result<()> {
        observer.check_cancelled()?;
        factors.solve_mut(&mut DVectorViewMut::from_slice(column, p));
        Ok(())
    })?;
    Ok(inverse)
}

#[cfg(test)]
mod tests {
    use scgpt_data::{Keyed, Purpose, Silent};

    use super::*;
    use crate::baseline::networks::GeneProfiles;

    #[test]
    fn three_genes_have_the_known_partial_correlations() {
        // Enough cells that nothing is shrunk to speak of: x, y = x + e, z = x + f.
        let key = Keyed::new(8, Purpose::Simulate, 0, 0);
        #[allow(clippy::cast_possible_truncation, reason = "test data")]
        let draw = |i: u64| key.uniform(i) as f32 - 0.5;
        let n = 20_000;
        let x: Vec<f32> = (0..n).map(draw).collect();
        let [y, z] = [1, 2].map(|part| -> Vec<f32> {
            (0..n).zip(&x).map(|(i, x)| x + draw(part * n + i)).collect()
        });
        let profiles = GeneProfiles::new(3, 20_000, [x, y, z].concat());
        let found = correlations(&profiles.standardised(), &Silent).unwrap();
        let products = profiles.standardised().products(|x| x, &Silent).unwrap();
        let r = [1, 2, 5].map(|place| f64::from(products[place]));
        let partial =
            |ab: f64, ac: f64, bc: f64| (ab - ac * bc) / ((1.0 - ac * ac) * (1.0 - bc * bc)).sqrt();
        for (place, expected) in [
            (1, partial(r[0], r[1], r[2])),
            (2, partial(r[1], r[0], r[2])),
            (5, partial(r[2], r[0], r[1])),
        ] {
            assert!(
                (f64::from(found[place]) - expected).abs() < 2e-3,
                "{} {expected}",
                found[place]
            );
        }
        // y and z have nothing to do with each other but x.
        assert!(found[5].abs() < 0.03);
    }

    #[test]
    fn genes_that_are_the_same_have_no_partial_correlation() {
        let same = GeneProfiles::new(2, 4, vec![1.0, 1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0]);
        let weights = correlations(&same.standardised(), &Silent).unwrap();
        assert!(weights.iter().all(|weight| weight.is_finite()), "{weights:?}");
    }

    #[test]
    fn factors_have_the_bits_of_those_that_ask_nobody() {
        let n = 40;
        let key = Keyed::new(3, Purpose::Simulate, 0, 0);
        let rows = DMatrix::from_fn(n, n, |i, j| key.uniform((i * n + j) as u64));
        let matrix = &rows * rows.transpose() + DMatrix::identity(n, n);
        let found = factors(matrix.clone(), &Silent).unwrap().unwrap();
        let expected = Cholesky::new(matrix).unwrap();
        assert_eq!(found.l(), expected.l());
        assert_eq!(inverse(&found, n, &Silent).unwrap(), expected.inverse());
        assert!(factors(DMatrix::zeros(2, 2), &Silent).unwrap().is_none());
    }
}
