//! [`Association`]: gene networks from expression alone, which any other network has to beat.

mod partial;
mod trees;

use std::fmt;

use ndarray::{Array2, ArrayView2, Axis, linalg::general_mat_mul};
use scgpt_data::{Observer, Result};
use scgpt_stats::mean_ranks;
use serde::{Deserialize, Serialize};

/// Genes whose products with all others are summed between two questions to an observer.
const GENES: usize = 128;

/// Expression of some genes in some cells as logarithms (log1p), `[genes, cells]`.
///
/// ```
/// use scgpt_data::Silent;
/// use scgpt_eval::baseline::{Association, GeneProfiles};
///
/// // Two genes of three cells that rise together.
/// let profiles = GeneProfiles::new(2, 3, vec![0.0, 1.0, 2.0, 1.0, 2.0, 3.0]);
/// let weights = Association::Pearson.network(&profiles, 0, &Silent)?;
/// assert!((weights[1] - 1.0).abs() < 1e-6 && weights[0] == 0.0);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GeneProfiles {
    n_genes: usize,
    n_cells: usize,
    /// `[genes, cells]`, row-major.
    values: Vec<f32>,
}

/// A rule that gives every two genes a weight, from their expression alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Association {
    /// Pearson's correlation.
    Pearson,
    /// Spearman's correlation of ranks.
    Spearman,
    /// Partial correlation, given all other genes; of a correlation matrix shrunk towards
    /// independence.
    Partial,
    /// How much trees that predict a gene from all others owe to each of them.
    Trees,
}

impl Association {
    /// All rules, in the order of reports.
    pub const ALL: [Self; 4] = [Self::Pearson, Self::Spearman, Self::Partial, Self::Trees];

    /// A short name for files, such as `pearson`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pearson => "pearson",
            Self::Spearman => "spearman",
            Self::Partial => "partial",
            Self::Trees => "trees",
        }
    }

    /// The weights of all pairs, `[sources, targets]`, row-major; 0 for a gene and itself, and for
    /// genes that do not vary. Weights of trees differ between the two directions and have no sign;
    /// those of the other rules are the same both ways.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so: trees take minutes.
    ///
    /// # Reference
    /// Partial correlation: Schäfer and Strimmer 2005, as `corpcor::pcor.shrink` with equal weights
    /// and variances left as they are. Trees: GENIE3 (Huynh-Thu et al. 2010) with extremely
    /// randomised trees (Geurts et al. 2006). Differs: fewer and shallower trees, and every random
    /// choice is keyed by (seed, target, tree).
    pub fn network(
        self,
        profiles: &GeneProfiles,
        seed: u64,
        observer: &dyn Observer,
    ) -> Result<Vec<f32>> {
        observer.check_cancelled()?;
        Ok(match self {
            Self::Pearson => correlations(&profiles.standardised(), observer)?,
            Self::Spearman => correlations(&profiles.ranked(observer)?.standardised(), observer)?,
            Self::Partial => partial::correlations(&profiles.standardised(), observer)?,
            Self::Trees => trees::importances(&profiles.standardised(), seed, observer)?,
        })
    }
}

impl fmt::Display for Association {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pearson => "Pearson correlation",
            Self::Spearman => "Spearman correlation",
            Self::Partial => "partial correlation",
            Self::Trees => "tree ensemble",
        })
    }
}

impl GeneProfiles {
    /// Makes profiles of `values`, `[n_genes, n_cells]`, row-major.
    ///
    /// # Panics
    /// If there are not that many values.
    pub fn new(n_genes: usize, n_cells: usize, values: Vec<f32>) -> Self {
        assert_eq!(values.len(), n_genes * n_cells, "values are [genes, cells]");
        Self { n_genes, n_cells, values }
    }

    /// The mean of every gene; 0 without cells.
    pub fn means(&self) -> Vec<f64> {
        let n = self.n_cells.max(1);
        let mean =
            |gene: usize| self.row(gene).iter().map(|&x| f64::from(x)).sum::<f64>() / n as f64;
        (0..self.n_genes).map(mean).collect()
    }

    /// Profiles of the same genes in some of the cells, in the given order.
    ///
    /// # Panics
    /// If there is no such cell.
    #[must_use]
    pub fn of_cells(&self, cells: &[usize]) -> Self {
        let values = self.rows().flat_map(|row| cells.iter().map(|&cell| row[cell])).collect();
        Self { n_cells: cells.len(), values, ..*self }
    }

    /// The values of each gene in turn.
    fn rows(&self) -> impl Iterator<Item = &[f32]> {
        // No cells make no chunks, and no rows either.
        self.values.chunks_exact(self.n_cells.max(1))
    }

    /// The values of a gene in all cells.
    fn row(&self, gene: usize) -> &[f32] {
        &self.values[gene * self.n_cells..(gene + 1) * self.n_cells]
    }

    /// Every gene with mean 0 and a sum of squares of 1; zeros if it does not vary.
    #[allow(clippy::cast_possible_truncation, reason = "computed wide, stored narrow")]
    fn standardised(&self) -> Self {
        let values = self.rows().flat_map(|row| {
            let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / row.len() as f64;
            let length = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>().sqrt();
            let scale = if length > 1e-6 { 1.0 / length } else { 0.0 };
            row.iter().map(move |&x| ((f64::from(x) - mean) * scale) as f32)
        });
        Self { values: values.collect(), ..*self }
    }

    /// Every gene by the ranks of its values among the cells, from 1; equal values share the mean
    /// of their ranks.
    #[allow(clippy::cast_possible_truncation, reason = "ranks are small")]
    fn ranked(&self, observer: &dyn Observer) -> Result<Self> {
        let mut values = Vec::with_capacity(self.values.len());
        for row in self.rows() {
            observer.check_cancelled()?;
            values.extend(mean_ranks(row).into_iter().map(|x| x as f32));
        }
        Ok(Self { values, ..*self })
    }

    /// `X Xᵀ`, `[genes, genes]`, of the values after `change`.
    #[expect(clippy::expect_used, reason = "the shape is that of the values")]
    fn products(&self, change: impl Fn(f32) -> f32, observer: &dyn Observer) -> Result<Vec<f32>> {
        let changed: Vec<f32> = self.values.iter().map(|&x| change(x)).collect();
        let x = ArrayView2::from_shape((self.n_genes, self.n_cells), &changed).expect("its shape");
        let mut products = Array2::zeros((self.n_genes, self.n_genes));
        let blocks = products.axis_chunks_iter_mut(Axis(0), GENES);
        for (mut products, x_block) in blocks.zip(x.axis_chunks_iter(Axis(0), GENES)) {
            observer.check_cancelled()?;
            general_mat_mul(1.0, &x_block, &x.t(), 0.0, &mut products);
        }
        Ok(products.into_raw_vec_and_offset().0)
    }
}

/// Correlations of standardised genes, with 0 for a gene and itself.
fn correlations(standardised: &GeneProfiles, observer: &dyn Observer) -> Result<Vec<f32>> {
    Ok(without_loops(standardised.products(|x| x, observer)?, standardised.n_genes))
}

/// Weights, `[n, n]`, with zeros on the diagonal.
fn without_loops(mut weights: Vec<f32>, n: usize) -> Vec<f32> {
    weights.iter_mut().step_by(n + 1).for_each(|weight| *weight = 0.0);
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use scgpt_data::{Keyed, Purpose, Silent};
    use scgpt_fixtures::questions;

    /// A chain 0 → 1 → 2 with that much noise in each step, a gene that is the opposite of 0, noise,
    /// and a constant.
    fn chain(spread: f32) -> GeneProfiles {
        let key = Keyed::new(3, Purpose::Simulate, 0, 0);
        let n = 400;
        #[allow(clippy::cast_possible_truncation, reason = "test data")]
        let noise = |gene: u64, cell: u64| key.uniform(gene * n + cell) as f32 - 0.5;
        let mut rows = vec![Vec::new(); 6];
        for cell in 0..n {
            let a = noise(0, cell);
            let b = a + spread * noise(1, cell);
            let c = b + spread * noise(2, cell);
            let values = [a, b, c, -a + 0.2 * noise(3, cell), noise(4, cell), 1.0];
            rows.iter_mut().zip(values).for_each(|(row, x)| row.push(x));
        }
        GeneProfiles::new(6, 400, rows.concat())
    }

    #[test]
    fn correlations_are_symmetric_and_partial_ones_see_through_a_chain() {
        let profiles = chain(0.5);
        for rule in [Association::Pearson, Association::Spearman, Association::Partial] {
            let weights = rule.network(&profiles, 0, &Silent).unwrap();
            for a in 0..6 {
                assert!(weights[a * 6 + a] == 0.0, "{rule}");
                assert!(weights[a * 6 + 5] == 0.0, "{rule}: a constant");
                assert!((0..6).all(|b| (weights[a * 6 + b] - weights[b * 6 + a]).abs() < 1e-5));
            }
            assert!(weights[3] < -0.4 && weights[4].abs() < 0.15, "{rule} {weights:?}");
            let through = weights[2] / weights[1];
            assert_eq!(rule == Association::Partial, through.abs() < 0.5, "{rule} {through}");
        }
    }

    #[test]
    fn correlation_is_pearsons() {
        let profiles = GeneProfiles::new(2, 4, vec![1.0, 2.0, 3.0, 5.0, 2.0, 1.0, 4.0, 3.0]);
        let weights = Association::Pearson.network(&profiles, 0, &Silent).unwrap();
        let expected = scgpt_stats::pearson(&[1.0, 2.0, 3.0, 5.0], &[2.0, 1.0, 4.0, 3.0]);
        assert!((f64::from(weights[1]) - expected).abs() < 1e-6);
        let some = profiles.of_cells(&[0, 3]);
        assert_eq!(some, GeneProfiles::new(2, 2, vec![1.0, 5.0, 2.0, 3.0]));
    }

    #[test]
    fn networks_can_be_cancelled() {
        let profiles = chain(0.5);
        // One block of products, six genes, fifty trees of each gene that varies.
        for (rule, least) in Association::ALL.into_iter().zip([2, 8, 15, 5 * 50]) {
            let asked = questions(|observer| rule.network(&profiles, 1, observer));
            assert!(asked >= least, "{rule}: {asked}");
        }
    }

    #[test]
    fn products_of_blocks_have_the_bits_of_those_of_all_at_once() {
        let (n, cells) = (2 * GENES + 9, 301);
        let key = Keyed::new(3, Purpose::Simulate, 0, 0);
        #[allow(clippy::cast_possible_truncation, reason = "test data")]
        let values = (0..n * cells).map(|i| key.uniform(i as u64) as f32).collect();
        let profiles = GeneProfiles::new(n, cells, values).standardised();
        let x = ArrayView2::from_shape((n, cells), &profiles.values).unwrap();
        let all = x.dot(&x.t()).into_raw_vec_and_offset().0;
        assert_eq!(profiles.products(|x| x, &Silent).unwrap(), all);
    }

    #[test]
    fn trees_find_what_predicts_a_gene() {
        // Gene 2 shares 59 % of its variance with 1, and 18 % with 0.
        let profiles = chain(1.5);
        let trees = |seed| Association::Trees.network(&profiles, seed, &Silent).unwrap();
        for seed in 1..6 {
            let weights = trees(seed);
            assert_eq!(weights, trees(seed));
            assert_ne!(weights, trees(seed + 1));
            let told = |source: usize, target: usize| weights[source * 6 + target];
            // What is next in the chain tells most, and noise little.
            assert!(told(1, 2) > 2.0 * told(0, 2) && told(1, 2) > 5.0 * told(4, 2), "{weights:?}");
            assert!(told(3, 0) > 2.0 * told(1, 0) && told(0, 3) > 2.0 * told(1, 3), "{weights:?}");
            assert!(told(2, 1) > told(0, 1) && told(0, 1) > 5.0 * told(4, 1), "{weights:?}");
            assert!((0..4).all(|gene| told(gene, 4) < 0.1 && told(4, gene) < 0.1), "{weights:?}");
            assert!((0..6).all(|gene| told(gene, gene) == 0.0 && told(5, gene) == 0.0));
            // Shares of a variance: none is negative, and together they are no more than all of it.
            let all = |target: usize| (0..6).map(|source| told(source, target)).sum::<f32>();
            assert!(weights.iter().all(|&weight| weight >= 0.0));
            assert!((0..6).all(|gene| all(gene) <= 1.0 && (all(gene) > 0.3) == (gene < 4)));
        }
    }
}
