//! What similarities would be if genes had nothing to do with each other.
//!
//! Embeddings of genes lie in a narrow cone and vary most along few directions, so that the cosines of
//! most genes are far from 0, and more so the more strongly genes are expressed. A cosine of 0.3 means
//! nothing by itself: it has to be compared with what shuffled genes have in the same cloud.

use std::collections::BTreeMap;

use rayon::prelude::*;
use scgpt_data::{Keyed, Observer, Purpose, Result};
use scgpt_stats::{column_means, dot, largest_eigenpairs};

use super::pairs::GenePairs;
use crate::network::{benjamini_hochberg, p_values};

/// Repetitions of a null, at most, and pairs of all of them, about.
const ROUNDS: u64 = 20;
const NULL_PAIRS: usize = 20_000_000;

/// How surprising the number of every pair is: one entry a pair, in the order of [`GenePairs::values`].
#[derive(Clone, Debug, PartialEq)]
pub struct Significance {
    /// The chance of a number as large, under the null (one-sided).
    pub p: Vec<f64>,
    /// False-discovery rates.
    pub q: Vec<f64>,
}

impl Significance {
    /// Compares `observed` with repetitions of a null, each of which `null` makes of its number.
    /// Pairs are compared with pairs of the same two strata; `strata` has one entry a gene.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If there is not one stratum a gene, or the null has other pairs.
    pub fn new(
        observed: &GenePairs,
        null: impl Fn(u64) -> Result<GenePairs>,
        strata: &[usize],
        observer: &dyn Observer,
    ) -> Result<Self> {
        assert_eq!(observed.n(), strata.len(), "one stratum a gene");
        let n = observed.values().len();
        let rounds = u64::try_from(NULL_PAIRS / n.max(1)).unwrap_or(ROUNDS).clamp(1, ROUNDS);
        let class = |i: usize, j: usize| (strata[i].min(strata[j]), strata[i].max(strata[j]));
        let mut members: BTreeMap<(usize, usize), (Vec<usize>, Vec<f32>)> = BTreeMap::new();
        for (pair, (i, j, _)) in observed.iter().enumerate() {
            members.entry(class(i, j)).or_default().0.push(pair);
        }
        for round in 0..rounds {
            observer.check_cancelled()?;
            let null = null(round)?;
            assert_eq!(null.values().len(), n, "the same pairs");
            for (pairs, scores) in members.values_mut() {
                scores.extend(pairs.iter().map(|&pair| null.values()[pair]));
            }
        }
        let mut p = vec![1.0; n];
        for (pairs, mut scores) in members.into_values() {
            let of_class: Vec<f32> = pairs.iter().map(|&pair| observed.values()[pair]).collect();
            let of_class = p_values(&of_class, &mut scores, observer)?;
            for (pair, of_pair) in pairs.into_iter().zip(of_class) {
                p[pair] = of_pair;
            }
        }
        let q = benjamini_hochberg(&p, n, observer)?;
        Ok(Self { p, q })
    }
}

/// A cloud of vectors in its principal axes.
///
/// Its null keeps the shape of the cloud and shuffles where in it the genes are: along each axis
/// genes of a stratum exchange their places. The similarity that is left is what the few directions
/// of most variance, the common centre, and the strata (how strongly genes are expressed) explain.
///
/// ```
/// use scgpt_data::Silent;
/// use scgpt_eval::network::{Cloud, GenePairs, Significance};
///
/// // Forty genes of one stratum, the first two of which lie together.
/// let (d, strata) = (8, [0; 40]);
/// let number = |i: u32| ((i * 37 + i * i % 251) % 101) as f32 / 50.0 - 1.0;
/// let mut vectors: Vec<f32> = (0..320).map(number).collect();
/// vectors.copy_within(0..d, d);
///
/// let cloud = Cloud::new(&vectors, d, &strata, &Silent)?;
/// let observed = GenePairs::cosines(&vectors, d, &Silent)?;
/// let shuffled = |round| cloud.shuffled(0, round, &Silent);
/// let found = Significance::new(&observed, shuffled, &strata, &Silent)?;
/// assert!(found.p[0] < 0.01 && found.p.iter().sum::<f64>() / found.p.len() as f64 > 0.3);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cloud {
    d: usize,
    /// The centre, along the axes.
    centre: Vec<f64>,
    /// Places relative to it, `[axes, genes]`.
    places: Vec<Vec<f64>>,
    strata: Vec<Vec<usize>>,
}

impl Cloud {
    /// Finds the principal axes of `rows`, `[n, d]` row-major and finite; `of_rows` has the stratum of
    /// each row, `0..`.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If there are not `d` values a row.
    pub fn new(rows: &[f32], d: usize, of_rows: &[usize], observer: &dyn Observer) -> Result<Self> {
        let n = of_rows.len();
        let column = |axis: usize| (0..n).map(move |row| f64::from(rows[row * d + axis]));
        let mean = column_means(rows.chunks_exact(d.max(1)).take(n), d);
        let columns: Vec<Vec<f64>> =
            (0..d).map(|axis| column(axis).map(|x| x - mean[axis]).collect()).collect();
        let product = |i: usize| {
            observer.check_cancelled()?;
            Ok(dot(&columns[i / d], &columns[i % d]))
        };
        let products: Vec<f64> = (0..d * d).into_par_iter().map(product).collect::<Result<_>>()?;
        let pairs = largest_eigenpairs(&products, d, d, observer)?;
        let axes: Vec<Vec<f64>> = pairs.into_iter().map(|(_, axis)| axis).collect();
        let along = |axis: &Vec<f64>| {
            observer.check_cancelled()?;
            let mut places = vec![0.0; n];
            for (column, loading) in columns.iter().zip(axis) {
                places.iter_mut().zip(column).for_each(|(place, x)| *place += loading * x);
            }
            Ok(places)
        };
        let mut strata = vec![Vec::new(); of_rows.iter().max().map_or(0, |last| last + 1)];
        for (row, &stratum) in of_rows.iter().enumerate() {
            strata[stratum].push(row);
        }
        Ok(Self {
            d: axes.len(),
            centre: axes.iter().map(|axis| dot(axis, &mean)).collect(),
            places: axes.par_iter().map(along).collect::<Result<_>>()?,
            strata,
        })
    }

    /// The cosine similarities of genes whose places were shuffled: repetition `round` of the null with
    /// that `seed`.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn shuffled(&self, seed: u64, round: u64, observer: &dyn Observer) -> Result<GenePairs> {
        let n: usize = self.strata.iter().map(Vec::len).sum();
        let shuffled = |(axis, places): (usize, &Vec<f64>)| {
            observer.check_cancelled()?;
            let key = Keyed::new(seed, Purpose::Permute, round, axis as u64);
            let mut to = vec![0.0; n];
            for stratum in &self.strata {
                let mut order = stratum.clone();
                order.sort_unstable_by_key(|&row| key.bits(row as u64));
                stratum.iter().zip(order).for_each(|(&row, other)| to[row] = places[other]);
            }
            Ok(to)
        };
        let places = self.places.par_iter().enumerate().map(shuffled);
        let places: Vec<Vec<f64>> = places.collect::<Result<_>>()?;
        let mut rows = vec![0.0_f32; n * self.d];
        for (axis, (places, centre)) in places.iter().zip(&self.centre).enumerate() {
            for (row, place) in places.iter().enumerate() {
                #[allow(clippy::cast_possible_truncation, reason = "as wide as the vectors")]
                let value = (centre + place) as f32;
                rows[row * self.d + axis] = value;
            }
        }
        GenePairs::cosines(&rows, self.d.max(1), observer)
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;

    /// Genes around a common centre; the first `2 · twins` are pairs that differ by little.
    #[allow(clippy::cast_possible_truncation, reason = "test data")]
    fn rows(n: usize, d: usize, twins: usize) -> Vec<f32> {
        let key = Keyed::new(5, Purpose::Simulate, 0, 0);
        let random = |row: usize, i: usize| key.uniform((row * d + i) as u64) as f32;
        let value = |row: usize, i: usize| {
            let own = if row < 2 * twins { row / 2 } else { row };
            random(own, i) + 0.05 * random(n + row, i) + 0.3
        };
        (0..n * d).map(|at| value(at / d, at % d)).collect()
    }

    #[test]
    fn twins_are_found_and_chance_is_not() {
        let (n, d) = (120, 16);
        let rows = rows(n, d, 10);
        let cloud = Cloud::new(&rows, d, &vec![0; n], &Silent).unwrap();
        let observed = GenePairs::cosines(&rows, d, &Silent).unwrap();
        let found = Significance::new(
            &observed,
            |round| cloud.shuffled(1, round, &Silent),
            &vec![0; n],
            &Silent,
        )
        .unwrap();
        let is_twin = |i: usize, j: usize| j == i + 1 && i.is_multiple_of(2) && j < 20;
        let mut others = 0;
        for ((i, j, _), q) in observed.iter().zip(&found.q) {
            if is_twin(i, j) {
                assert!(*q < 0.05, "{i} {j}: {q}");
            } else {
                others += usize::from(*q < 0.05);
            }
        }
        assert!(others <= 2, "{others} of {} chance pairs", observed.values().len());
        assert_eq!(cloud.shuffled(1, 3, &Silent).unwrap(), cloud.shuffled(1, 3, &Silent).unwrap());
        assert_ne!(cloud.shuffled(1, 3, &Silent).unwrap(), cloud.shuffled(1, 4, &Silent).unwrap());
    }

    #[test]
    fn the_null_keeps_the_shape_of_the_cloud() {
        let (n, d) = (200, 8);
        let rows = rows(n, d, 0);
        let mean =
            |pairs: &GenePairs| pairs.values().iter().sum::<f32>() / pairs.values().len() as f32;
        let cloud = Cloud::new(&rows, d, &vec![0; n], &Silent).unwrap();
        let (before, after) = (
            mean(&GenePairs::cosines(&rows, d, &Silent).unwrap()),
            mean(&cloud.shuffled(0, 0, &Silent).unwrap()),
        );
        assert!((before - after).abs() < 0.01, "{before} {after}");
        // Alone in its stratum, a gene stays where it is.
        let alone: Vec<usize> = (0..n).collect();
        let same = Cloud::new(&rows, d, &alone, &Silent).unwrap().shuffled(0, 0, &Silent).unwrap();
        let apart = GenePairs::cosines(&rows, d, &Silent).unwrap();
        let gap = same.values().iter().zip(apart.values()).map(|(a, b)| (a - b).abs());
        assert!(gap.fold(0.0, f32::max) < 1e-5);
    }
}
