//! [`harmony`]: batches removed from principal components by soft clusters.
//!
//! Rounds of two steps. *Clustering* assigns cells to clusters by cosine distance with an entropy of
//! width σ, less to clusters in which their batch is over-represented:
//!
//! ```text
//! share(cell, k) ∝ exp(−distance(cell, k) / σ) · (expected(k, batch) / observed(k, batch))^θ
//! ```
//!
//! *Correction* takes from every cell, by its shares in the clusters, the shift that its batch has in
//! each: a ridge regression of the original positions on batches with the penalty λ. A round takes time
//! with cells · clusters · dimensions.

use rayon::prelude::*;
use scgpt_data::{Keyed, Observer, Purpose, Result};
use scgpt_stats::{KMeans, k_means, unit_rows};

/// Cells for each cluster, and most clusters.
const CELLS_OF_CLUSTER: f64 = 30.0;
const MOST_CLUSTERS: f64 = 100.0;
/// Width of a soft assignment, and the penalty of batches that fill a cluster unevenly.
const SIGMA: f64 = 0.1;
const THETA: f64 = 2.0;
/// Ridge penalty of a batch's shift.
const LAMBDA: f64 = 1.0;
/// Rounds of k-means, of correction, and of clustering in each.
const STARTS: usize = 25;
const ROUNDS: usize = 10;
const CLUSTER_ROUNDS: usize = 20;
/// Rounds of clustering whose objectives are compared.
const WINDOW: usize = 3;
/// Relative change of the objective at which rounds of clustering, and of correction, end.
const CLUSTERED: f64 = 1e-5;
const CORRECTED: f64 = 1e-4;
/// Share of the cells that are assigned anew together.
const BLOCK: f64 = 0.05;

/// Positions of cells without the shifts that batches make inside soft clusters. Both `rows` and
/// the result are `[n, d]` row-major.
///
/// `batches` are `0..`. The result depends on the seed alone.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Panics
/// If there are not `d` values a cell.
///
/// # Reference
/// Korsunsky et al. 2019, with the settings of `harmonypy` 0.0.10. Differs: k-means starts from a
/// keyed choice of cells.
pub fn harmony(
    rows: &[f32],
    d: usize,
    batches: &[usize],
    seed: u64,
    observer: &dyn Observer,
) -> Result<Vec<f32>> {
    assert_eq!(rows.len(), batches.len() * d, "{d} values a cell");
    let mut corrected = rows.to_vec();
    if batches.is_empty() || d == 0 {
        return Ok(corrected);
    }
    let mut clusters = Clusters::new(&unit_rows(rows, d), d, batches, seed, observer)?;
    let mut objective = f64::INFINITY;
    for round in 0..ROUNDS {
        clusters.assign(&unit_rows(&corrected, d), seed.wrapping_add(round as u64))?;
        corrected = clusters.correct(rows)?;
        let change = (objective - clusters.objective) / objective.abs();
        objective = clusters.objective;
        if round > 0 && change < CORRECTED {
            break;
        }
    }
    Ok(corrected)
}

/// Soft clusters of cells.
struct Clusters<'a> {
    d: usize,
    k: usize,
    batches: &'a [usize],
    /// The share of each batch.
    shares: Vec<f64>,
    /// How much each cell belongs to each cluster, `[n, k]`.
    belongs: Vec<f64>,
    /// Cells of each batch in each cluster, `[k, batches]`.
    observed: Vec<f64>,
    objective: f64,
    observer: &'a dyn Observer,
}

impl<'a> Clusters<'a> {
    fn new(
        unit: &[f32],
        d: usize,
        batches: &'a [usize],
        seed: u64,
        observer: &'a dyn Observer,
    ) -> Result<Self> {
        let n = batches.len();
        let mut shares = vec![0.0; batches.iter().max().map_or(0, |last| last + 1)];
        for &batch in batches {
            shares[batch] += 1.0 / n as f64;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 100")]
        let k = (n as f64 / CELLS_OF_CLUSTER).round().clamp(1.0, MOST_CLUSTERS) as usize;
        let centres = k_means(unit, d, &KMeans { k, rounds: STARTS, seed }, observer)?;
        let k = centres.len() / d;
        let mut clusters = Self {
            d,
            k,
            batches,
            observed: vec![0.0; k * shares.len()],
            shares,
            belongs: vec![0.0; n * k],
            objective: f64::INFINITY,
            observer,
        };
        clusters.belongs = clusters.affinities(unit, &unit_rows(&centres, d))?;
        clusters.belongs.par_chunks_mut(k).for_each(normalise);
        for cell in 0..n {
            clusters.count(cell, 1.0);
        }
        Ok(clusters)
    }

    /// Adds a cell to the counts of its batch, or takes it out.
    fn count(&mut self, cell: usize, sign: f64) {
        let batch = self.batches[cell];
        for (cluster, share) in self.belongs[cell * self.k..(cell + 1) * self.k].iter().enumerate()
        {
            self.observed[cluster * self.shares.len() + batch] += sign * share;
        }
    }

    /// Assigns the cells until the objective changes no more; a cluster with too many cells of a
    /// batch takes fewer of its cells.
    fn assign(&mut self, unit: &[f32], seed: u64) -> Result<()> {
        let n = self.batches.len();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of n")]
        let block = ((n as f64 * BLOCK).ceil() as usize).max(1);
        let mut objectives: Vec<f64> = Vec::new();
        for round in 0..CLUSTER_ROUNDS {
            let centres = self.centres(unit)?;
            let affinities = self.affinities(unit, &centres)?;
            let key = Keyed::new(seed, Purpose::Cluster, round as u64, 0);
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by_key(|&cell| key.bits(cell as u64));
            for cells in order.chunks(block) {
                self.observer.check_cancelled()?;
                for &cell in cells {
                    self.count(cell, -1.0);
                }
                let penalties = self.penalties();
                let k = self.k;
                let assigned: Vec<Vec<f64>> = cells
                    .par_iter()
                    .map(|&cell| {
                        let of_batch = &penalties[self.batches[cell] * k..][..k];
                        let affinities = &affinities[cell * k..(cell + 1) * k];
                        let mut belongs: Vec<f64> =
                            affinities.iter().zip(of_batch).map(|(a, b)| a * b).collect();
                        normalise(&mut belongs);
                        belongs
                    })
                    .collect();
                for (&cell, belongs) in cells.iter().zip(assigned) {
                    self.belongs[cell * k..(cell + 1) * k].copy_from_slice(&belongs);
                    self.count(cell, 1.0);
                }
            }
            objectives.push(self.objective(unit, &centres)?);
            if objectives.len() > WINDOW + 1 {
                let sum = |last: usize| objectives[last - WINDOW..last].iter().sum::<f64>();
                let (old, new) = (sum(objectives.len() - 1), sum(objectives.len()));
                if (old - new).abs() / old.abs() < CLUSTERED {
                    break;
                }
            }
        }
        self.objective = objectives.last().copied().unwrap_or(f64::INFINITY);
        Ok(())
    }

    /// Unit centres by what belongs to each, `[k, d]`.
    fn centres(&self, unit: &[f32]) -> Result<Vec<f32>> {
        let (k, d) = (self.k, self.d);
        let of = |cluster: usize| -> Result<Vec<f32>> {
            self.observer.check_cancelled()?;
            let mut sum = vec![0.0_f64; d];
            for (row, belongs) in unit.chunks(d).zip(self.belongs.chunks(k)) {
                let share = belongs[cluster];
                sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += share * f64::from(x));
            }
            #[allow(clippy::cast_possible_truncation, reason = "as narrow as the rows")]
            let narrow = sum.into_iter().map(|x| x as f32).collect();
            Ok(narrow)
        };
        let centres: Vec<Vec<f32>> = (0..k).into_par_iter().map(of).collect::<Result<_>>()?;
        Ok(unit_rows(&centres.concat(), d))
    }

    /// How near cells are to centres, the nearest 1, `[n, k]`.
    fn affinities(&self, unit: &[f32], centres: &[f32]) -> Result<Vec<f64>> {
        let mut affinities = vec![0.0; self.belongs.len()];
        let cells = affinities.par_chunks_mut(self.k).zip(unit.par_chunks(self.d));
        cells.try_for_each(|(near, row)| -> Result<()> {
            self.observer.check_cancelled()?;
            for (near, centre) in near.iter_mut().zip(centres.chunks(self.d)) {
                *near = -distance(row, centre) / SIGMA;
            }
            let most = near.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            for x in near {
                *x = (*x - most).exp();
            }
            Ok(())
        })?;
        Ok(affinities)
    }

    /// Cells that each batch would have in a cluster if batches were alike.
    fn expected(&self, cluster: usize, batch: usize) -> f64 {
        let b = self.shares.len();
        self.observed[cluster * b..(cluster + 1) * b].iter().sum::<f64>() * self.shares[batch]
    }

    /// Factors of each batch in each cluster, `[batches, k]`.
    fn penalties(&self) -> Vec<f64> {
        let b = self.shares.len();
        let of = |batch: usize, cluster: usize| {
            let (expected, observed) =
                (self.expected(cluster, batch), self.observed[cluster * b + batch]);
            ((expected + 1.0) / (observed + 1.0)).powf(THETA)
        };
        (0..b).flat_map(|batch| (0..self.k).map(move |cluster| of(batch, cluster))).collect()
    }

    /// What assigning makes smaller: distances, less their entropy, and the diversity of clusters.
    fn objective(&self, unit: &[f32], centres: &[f32]) -> Result<f64> {
        let b = self.shares.len();
        let diversity: Vec<f64> = (0..self.k * b)
            .map(|i| ((self.observed[i] + 1.0) / (self.expected(i / b, i % b) + 1.0)).ln() * THETA)
            .collect();
        let of = |((row, belongs), &batch): ((&[f32], &[f64]), &usize)| -> Result<f64> {
            self.observer.check_cancelled()?;
            let term = |(cluster, (&share, centre)): (usize, (&f64, &[f32]))| {
                let entropy = if share > 0.0 { share * share.ln() } else { 0.0 };
                share * distance(row, centre)
                    + SIGMA * (entropy + share * diversity[cluster * b + batch])
            };
            Ok(belongs.iter().zip(centres.chunks(self.d)).enumerate().map(term).sum())
        };
        let cells = unit.par_chunks(self.d).zip(self.belongs.par_chunks(self.k));
        let terms: Vec<f64> = cells.zip(self.batches).map(of).collect::<Result<_>>()?;
        Ok(terms.iter().sum())
    }

    /// The cells without what their batch adds inside each cluster: a ridge regression of the
    /// positions on the batches, weighted by what belongs to the cluster.
    fn correct(&self, rows: &[f32]) -> Result<Vec<f32>> {
        let (k, d, b) = (self.k, self.d, self.shares.len());
        // Shifts of each batch in each cluster, [k, b, d].
        let of = |cluster: usize| -> Result<Vec<f64>> {
            self.observer.check_cancelled()?;
            let mut sums = vec![0.0; b * d];
            let mut weights = vec![0.0; b];
            for ((row, belongs), &batch) in
                rows.chunks(d).zip(self.belongs.chunks(k)).zip(self.batches)
            {
                let share = belongs[cluster];
                weights[batch] += share;
                let sums = &mut sums[batch * d..(batch + 1) * d];
                sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += share * f64::from(x));
            }
            let all: f64 = weights.iter().map(|weight| weight / (weight + LAMBDA)).sum();
            for i in 0..d {
                let parts = weights.iter().enumerate();
                let common: f64 =
                    parts.map(|(batch, weight)| sums[batch * d + i] / (weight + LAMBDA)).sum();
                let common = if all > 0.0 { common / all } else { 0.0 };
                for (batch, weight) in weights.iter().enumerate() {
                    let sum = &mut sums[batch * d + i];
                    *sum = (*sum - weight * common) / (weight + LAMBDA);
                }
            }
            Ok(sums)
        };
        let shifts: Vec<Vec<f64>> = (0..k).into_par_iter().map(of).collect::<Result<_>>()?;
        let mut corrected = vec![0.0; rows.len()];
        let cells = corrected.par_chunks_mut(d).zip(rows.par_chunks(d));
        let cells = cells.zip(self.belongs.par_chunks(k)).zip(self.batches);
        cells.try_for_each(|(((corrected, row), belongs), &batch)| -> Result<()> {
            self.observer.check_cancelled()?;
            let mut row: Vec<f64> = row.iter().copied().map(f64::from).collect();
            for (share, shifts) in belongs.iter().zip(&shifts) {
                let shift = &shifts[batch * d..(batch + 1) * d];
                row.iter_mut().zip(shift).for_each(|(x, shift)| *x -= share * shift);
            }
            for (corrected, x) in corrected.iter_mut().zip(row) {
                #[allow(clippy::cast_possible_truncation, reason = "as narrow as the rows")]
                let narrow = x as f32;
                *corrected = narrow;
            }
            Ok(())
        })?;
        Ok(corrected)
    }
}

/// The squared distance of two unit vectors.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    2.0 * (1.0 - a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>())
}

/// Makes shares of one cell sum up to 1.
fn normalise(shares: &mut [f64]) {
    let sum: f64 = shares.iter().sum();
    for share in shares.iter_mut() {
        *share /= sum.max(f64::MIN_POSITIVE);
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;
    use scgpt_stats::{batch_mixing, label_separation};

    use super::*;
    use scgpt_fixtures::questions;

    #[test]
    fn batches_are_mixed_and_types_stay_apart() {
        // Three types, two batches that differ by a shift, and one type that is in one batch alone.
        let key = Keyed::new(1, Purpose::Simulate, 0, 0);
        let (n, d) = (600, 6);
        let (mut rows, mut labels, mut batches) = (Vec::new(), Vec::new(), Vec::new());
        for cell in 0..n {
            let label = cell % 3;
            let batch = if label == 2 { 0 } else { cell / 3 % 2 };
            for i in 0..d {
                let centre = if i == label { 6.0 } else { 0.0 };
                let shift = if i == 4 { 3.0 * batch as f64 } else { 0.0 };
                #[allow(clippy::cast_possible_truncation, reason = "test data")]
                rows.push((centre + shift + key.uniform((cell * d + i) as u64)) as f32);
            }
            labels.push(label);
            batches.push(batch);
        }
        let corrected = harmony(&rows, d, &batches, 0, &Silent).unwrap();
        let mixed =
            |rows: &[f32]| batch_mixing(rows, d, &labels, &batches, &Silent).unwrap().unwrap();
        assert!(mixed(&rows) < 0.4 && mixed(&corrected) > 0.9, "{}", mixed(&corrected));
        assert!(label_separation(&corrected, d, &labels, &Silent).unwrap() > 0.85);
        assert_eq!(corrected, harmony(&rows, d, &batches, 0, &Silent).unwrap());
        // With one batch nothing changes.
        let same = harmony(&rows, d, &vec![0; n], 0, &Silent).unwrap();
        assert!(rows.iter().zip(&same).all(|(a, b)| (a - b).abs() < 1e-3));
    }

    #[test]
    fn every_cell_and_every_cluster_asks_whether_to_go_on() {
        let rows: Vec<f32> = (0..240_u8).map(|x| f32::from(x % 17)).collect();
        let batches: Vec<usize> = (0..120).map(|cell| cell % 2).collect();
        let asked = questions(|observer| harmony(&rows, 2, &batches, 0, observer));
        assert!(asked > ROUNDS * batches.len(), "{asked}");
    }
}
