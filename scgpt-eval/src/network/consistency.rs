//! [`Consistency`]: do two replicates give the same network?

use scgpt_data::{Observer, Result};
use scgpt_stats::{order, pearson, ranks_in};
use serde::{Deserialize, Serialize};

/// How well two lists of edge weights agree.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Consistency {
    /// Rank correlation of all weights.
    pub spearman: f64,
    /// Jaccard index of the `top` strongest edges of each: edges in both lists over edges in
    /// either.
    pub jaccard: f64,
    /// What [`jaccard`](Self::jaccard) is expected to be for two random choices of edges.
    pub chance: f64,
    /// Number of strongest edges compared.
    pub top: usize,
    /// Number of edges whose weight both replicates know.
    pub n: usize,
}

impl Consistency {
    /// Compares the weights of the same edges in two replicates; edges of which one is NaN are left
    /// out. `None` if fewer than three edges are left, or one replicate has no weight other than
    /// zero.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If the two differ in length.
    pub fn of(a: &[f32], b: &[f32], top: usize, observer: &dyn Observer) -> Result<Option<Self>> {
        assert_eq!(a.len(), b.len(), "the same edges");
        let known = a.iter().zip(b).filter(|(a, b)| !a.is_nan() && !b.is_nan());
        let (a, b): (Vec<f32>, Vec<f32>) = known.map(|(&a, &b)| (a, b)).unzip();
        let n = a.len();
        if n < 3 {
            return Ok(None);
        }
        // Edges without weight are in no order that could agree.
        let weighed = |side: &[f32]| side.iter().filter(|&&weight| weight != 0.0).count();
        let top = top.min(weighed(&a)).min(weighed(&b));
        if top == 0 {
            return Ok(None);
        }
        let [order_a, order_b] = [descending(&a, observer)?, descending(&b, observer)?];
        let mut is_top = vec![false; n];
        order_a[..top].iter().for_each(|&edge| is_top[edge] = true);
        let common = order_b[..top].iter().filter(|&&edge| is_top[edge]).count();
        let share = |common: f64| common / (2.0 * top as f64 - common);
        Ok(Some(Self {
            spearman: pearson(&ranks_in(&order_a, &a), &ranks_in(&order_b, &b)),
            jaccard: share(common as f64),
            chance: share(top as f64 * top as f64 / n as f64),
            top,
            n,
        }))
    }

    /// As [`of`](Self::of), for weights with signs: the rank correlation is that of the weights,
    /// and the strongest edges are those of the largest absolute weight.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    ///
    /// # Panics
    /// If the two differ in length.
    pub fn signed(
        a: &[f32],
        b: &[f32],
        top: usize,
        observer: &dyn Observer,
    ) -> Result<Option<Self>> {
        let sizes = |side: &[f32]| side.iter().map(|weight| weight.abs()).collect::<Vec<f32>>();
        let Some(Self { spearman, .. }) = Self::of(a, b, top, observer)? else { return Ok(None) };
        let of_sizes = Self::of(&sizes(a), &sizes(b), top, observer)?;
        Ok(of_sizes.map(|of_sizes| Self { spearman, ..of_sizes }))
    }
}

/// Numbers of the weights, the largest first; of equal ones the earlier.
fn descending(weights: &[f32], observer: &dyn Observer) -> Result<Vec<usize>> {
    order(weights, |a, b| b.total_cmp(a), observer)
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;

    #[test]
    fn known_values() {
        // scipy.stats.spearmanr([1, 2, 2, 4], [1, 3, 2, 4]) = 0.948683
        let it = Consistency::of(
            &[1.0, 2.0, 2.0, 4.0, f32::NAN],
            &[1.0, 3.0, 2.0, 4.0, 9.0],
            2,
            &Silent,
        )
        .unwrap();
        let it = it.unwrap();
        assert!((it.spearman - 0.948_683_298).abs() < 1e-8, "{}", it.spearman);
        // Both have edges 3 and 1, the earlier of two equal ones.
        assert_eq!((it.jaccard, it.top, it.n), (1.0, 2, 4));
        assert!((it.chance - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(Consistency::of(&[1.0, f32::NAN, 2.0], &[1.0; 3], 1, &Silent).unwrap(), None);
        assert_eq!(Consistency::of(&[0.0; 4], &[1.0, 2.0, 3.0, 4.0], 2, &Silent).unwrap(), None);
        let reversed =
            Consistency::of(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0], 1, &Silent).unwrap().unwrap();
        assert!((reversed.spearman + 1.0).abs() < 1e-12 && reversed.jaccard == 0.0);
        let turned = Consistency::signed(&[1.0, -3.0, 2.0], &[-1.0, 3.0, -2.0], 1, &Silent)
            .unwrap()
            .unwrap();
        assert!((turned.spearman + 1.0).abs() < 1e-12 && turned.jaccard > 0.999);
    }
}
