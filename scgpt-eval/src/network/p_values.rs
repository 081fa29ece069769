//! p-values: from a null distribution, and adjusted for their number.

use rayon::prelude::*;
use scgpt_data::{Observer, Result};
use scgpt_stats::order;

/// For each of the `observed` scores the chance, under the null, of one at least as large: `(1 +
/// null scores at least as large) / (1 + null scores)`, so never 0. NaN gets 1.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Reference
/// Phipson and Smyth 2010.
pub fn p_values(observed: &[f32], null: &mut [f32], observer: &dyn Observer) -> Result<Vec<f64>> {
    null.par_sort_unstable_by(f32::total_cmp);
    let null = &*null;
    let p = |&score: &f32| {
        observer.check_cancelled()?;
        if score.is_nan() {
            return Ok(1.0);
        }
        let below = null.partition_point(|x| *x < score);
        Ok((1 + null.len() - below) as f64 / (1 + null.len()) as f64)
    };
    observed.par_iter().map(p).collect()
}

/// False-discovery rates of the p-values `p`, one each. `n` is the number of all tests; those whose
/// p-value is 1 may be left out of `p`. The rates are one-sided or two-sided, as `p` is.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Reference
/// Benjamini and Hochberg 1995; `statsmodels.stats.multitest.multipletests(method="fdr_bh")`.
pub fn benjamini_hochberg(p: &[f64], n: usize, observer: &dyn Observer) -> Result<Vec<f64>> {
    let order = order(p, |a, b| b.total_cmp(a), observer)?;
    let mut least = 1.0_f64;
    let mut q = vec![1.0; p.len()];
    for (place, &test) in order.iter().enumerate() {
        least = least.min(p[test] * n as f64 / (p.len() - place) as f64);
        q[test] = least;
    }
    Ok(q)
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;

    #[test]
    fn rates_of_known_values() {
        // statsmodels: multipletests([0.01, 0.04, 0.03, 0.5], method="fdr_bh")
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        let q = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.5], 4, &Silent).unwrap();
        assert!(close(&q, &[0.04, 0.16 / 3.0, 0.16 / 3.0, 0.5]), "{q:?}");
        // Two further tests whose p is 1.
        let q = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.5], 6, &Silent).unwrap();
        assert!(close(&q, &[0.06, 0.08, 0.08, 0.75]), "{q:?}");
        assert!(benjamini_hochberg(&[], 3, &Silent).unwrap().is_empty());
    }

    #[test]
    fn ranks_among_the_null() {
        let p = p_values(&[0.9, 0.5, -1.0, f32::NAN], &mut [0.5, 0.1, 0.7, 0.2], &Silent).unwrap();
        assert_eq!(p, [0.2, 0.6, 1.0, 1.0]);
    }
}
