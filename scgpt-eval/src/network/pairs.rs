//! [`GenePairs`]: one number for every two genes.

use rayon::prelude::*;
use scgpt_data::{Observer, Result};
use scgpt_stats::column_means;

/// One number for every pair of `n` different genes, whatever their order: a similarity, a
/// correlation. It takes `n (n - 1) / 2` numbers.
///
/// ```
/// use scgpt_data::Silent;
/// use scgpt_eval::network::GenePairs;
///
/// // Vectors of three genes in two dimensions.
/// let pairs = GenePairs::cosines(&[1.0, 0.0, 2.0, 0.0, 0.0, 1.0], 2, &Silent)?;
/// assert_eq!((pairs.get(0, 1), pairs.get(2, 0)), (1.0, 0.0));
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GenePairs {
    n: usize,
    /// The numbers of the pairs `(0, 1), (0, 2), … (1, 2), …`.
    values: Vec<f32>,
}

impl GenePairs {
    /// Computes `of(i, j)` for all `i < j < n`.
    pub fn new(n: usize, of: impl Fn(usize, usize) -> f32 + Sync) -> Self {
        let of = &of;
        let row = |i: usize| (i + 1..n).map(move |j| of(i, j)).collect::<Vec<_>>();
        let rows: Vec<Vec<f32>> = (0..n).into_par_iter().map(row).collect();
        Self { n, values: rows.concat() }
    }

    /// Cosine similarities of `rows`, `[n, d]`; 0 beside a row of zeros, NaN beside one of NaN.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If `d` does not divide the number of values.
    ///
    /// # Reference
    /// `GeneEmbedding.generate_network` and `compute_similarities`, before the threshold. Differs:
    /// a gene is not compared with itself.
    pub fn cosines(rows: &[f32], d: usize, observer: &dyn Observer) -> Result<Self> {
        assert!(rows.len().is_multiple_of(d), "rows must be whole");
        let unit: Vec<f64> = rows
            .chunks_exact(d)
            .flat_map(|row| {
                let squares: f64 = row.iter().map(|&x| f64::from(x).powi(2)).sum();
                // NaN must stay NaN, and `max` would lose it.
                let length = if squares > 0.0 { squares.sqrt() } else { 1.0 };
                row.iter().map(move |&x| f64::from(x) / length)
            })
            .collect();
        let row = |i: usize| &unit[i * d..(i + 1) * d];
        let n = rows.len() / d;
        let of = |i: usize| {
            observer.check_cancelled()?;
            #[allow(clippy::cast_possible_truncation, reason = "as wide as the vectors")]
            let cosines = (i + 1..n).map(|j| dot(row(i), row(j)) as f32).collect();
            Ok(cosines)
        };
        let values: Vec<Vec<f32>> = (0..n).into_par_iter().map(of).collect::<Result<_>>()?;
        Ok(Self { n, values: values.concat() })
    }

    /// Number of genes.
    pub fn n(&self) -> usize {
        self.n
    }

    /// The numbers of all pairs, in the order `(0, 1), (0, 2), … (1, 2), …`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The number of two different genes.
    ///
    /// # Panics
    /// If they are the same, or there is no such gene.
    pub fn get(&self, a: usize, b: usize) -> f32 {
        let (i, j) = (a.min(b), a.max(b));
        assert!(i < j && j < self.n, "two different genes");
        self.values[i * (2 * self.n - i - 1) / 2 + j - i - 1]
    }

    /// Every pair `i < j` and its number, in the order of [`values`](Self::values).
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize, f32)> {
        let pairs = (0..self.n).flat_map(move |i| (i + 1..self.n).map(move |j| (i, j)));
        pairs.zip(&self.values).map(|((i, j), &value)| (i, j, value))
    }

    /// The `k` genes whose pairs with `gene` have the largest numbers, the largest first; never
    /// NaN.
    pub fn strongest(&self, gene: usize, k: usize) -> Vec<(usize, f32)> {
        let others = (0..self.n).filter(|&other| other != gene);
        let mut found: Vec<(usize, f32)> = others
            .map(|other| (other, self.get(gene, other)))
            .filter(|(_, value)| !value.is_nan())
            .collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found.truncate(k);
        found
    }
}

/// Vectors, `[n, d]` row-major, minus the mean of them all; vectors with NaN do not count for the
/// mean.
///
/// What all vectors share says nothing of any two of them, and hides what does.
pub fn centred(rows: &[f32], d: usize) -> Vec<f32> {
    let known = rows.chunks_exact(d).filter(|row| row.iter().all(|x| x.is_finite()));
    let mean = column_means(known, d);
    #[allow(clippy::cast_possible_truncation, reason = "as wide as the vectors")]
    let less = |(x, mean): (&f32, &f64)| (f64::from(*x) - mean) as f32;
    rows.chunks_exact(d).flat_map(|row| row.iter().zip(&mean).map(less)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    // In lanes, so that the sum need not wait for itself.
    let (a, b) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut lanes = [0.0; 8];
    for (a, b) in a.0.iter().zip(b.0) {
        for lane in 0..8 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum::<f64>() + a.1.iter().zip(b.1).map(|(a, b)| a * b).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;
    use scgpt_fixtures::questions;

    #[test]
    fn pairs_are_found_in_any_order() {
        let pairs = GenePairs::new(5, |i, j| (10 * i + j) as f32);
        let all: Vec<f32> = pairs.iter().map(|(i, j, _)| (10 * i + j) as f32).collect();
        assert_eq!(pairs.values(), all);
        assert_eq!((pairs.get(3, 1), pairs.get(3, 4), pairs.get(0, 4)), (13.0, 34.0, 4.0));
        assert_eq!(pairs.strongest(2, 2), [(4, 24.0), (3, 23.0)]);
        assert_eq!(
            (GenePairs::new(1, |_, _| 0.0).values().len(), GenePairs::new(0, |_, _| 0.0).n()),
            (0, 0)
        );
    }

    #[test]
    fn what_all_share_hides_what_they_do_not() {
        let rows = [101.0, 0.0, 99.0, 0.0, 100.0, 1.0, 100.0, -1.0, f32::NAN, 0.0];
        let apart = centred(&rows, 2);
        assert_eq!(apart[..8], [1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0]);
        assert!(apart[8].is_nan());
        assert!(GenePairs::cosines(&rows, 2, &Silent).unwrap().get(0, 1) > 0.99);
        let pairs = GenePairs::cosines(&apart, 2, &Silent).unwrap();
        assert_eq!((pairs.get(0, 1), pairs.get(0, 2), pairs.get(2, 3)), (-1.0, 0.0, -1.0));
    }

    #[test]
    fn cosines_of_odd_rows() {
        let rows = [3.0, 4.0, 0.0, 0.0, 6.0, 8.0, -4.0, 3.0, f32::NAN, 1.0];
        let pairs = GenePairs::cosines(&rows, 2, &Silent).unwrap();
        assert_eq!((pairs.get(0, 1), pairs.get(0, 2), pairs.get(0, 3)), (0.0, 1.0, 0.0));
        assert!(pairs.get(0, 4).is_nan());
        assert_eq!(pairs.strongest(0, 9).len(), 3);
    }

    #[test]
    fn every_gene_asks_whether_to_go_on() {
        let cosines = |observer: &dyn Observer| GenePairs::cosines(&[0.5; 60], 3, observer);
        assert_eq!(questions(cosines), 20);
    }
}
