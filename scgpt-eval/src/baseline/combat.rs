//! [`Combat`]: gives each gene the same mean and variance in all batches.
//!
//! A gene standardised over all cells has in batch `b` the shift `γ` and the variance `δ²`. Both are
//! shrunk towards their distribution over all genes of the batch, normal for `γ` and inverse gamma for
//! `δ²`, whose parameters are found by moments (empirical Bayes); then
//!
//! ```text
//! x' = mean + spread · (z − γ) / δ,   z = (x − mean) / spread
//! ```
//!
//! which is a scale and a shift for each gene and batch, so that sparse cells need not be made dense.

/// Most rounds in which an estimate is refined, and the relative change that ends them.
const ROUNDS: usize = 1000;
const CHANGE: f64 = 1e-4;

/// For each batch, sums over its cells of the values of genes and of their squares.
pub(super) struct BatchMoments {
    n_genes: usize,
    /// Number of cells of each batch.
    cells: Vec<f64>,
    /// Sums of values, `[batches, genes]`.
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl BatchMoments {
    pub(super) fn new(n_batches: usize, n_genes: usize) -> Self {
        let zeros = || vec![0.0; n_batches * n_genes];
        Self { n_genes, cells: vec![0.0; n_batches], sums: zeros(), squares: zeros() }
    }

    /// Adds a cell, given by the numbers and values of its non-zero genes.
    pub(super) fn add(&mut self, batch: usize, genes: &[u32], values: &[f32]) {
        self.cells[batch] += 1.0;
        for (&gene, &x) in genes.iter().zip(values) {
            let place = batch * self.n_genes + gene as usize;
            self.sums[place] += f64::from(x);
            self.squares[place] += f64::from(x).powi(2);
        }
    }

    /// Cells of a batch.
    pub(super) fn n_cells(&self, batch: usize) -> f64 {
        self.cells[batch]
    }

    /// The mean of each gene over the cells of all batches.
    pub(super) fn means(&self) -> Vec<f64> {
        let n = self.cells.iter().sum::<f64>().max(1.0);
        let of = |gene: usize| self.sums[gene..].iter().step_by(self.n_genes).sum::<f64>() / n;
        (0..self.n_genes).map(of).collect()
    }

    /// Sums of the genes in a batch.
    fn sums(&self, batch: usize) -> &[f64] {
        &self.sums[batch * self.n_genes..(batch + 1) * self.n_genes]
    }
}

/// A value of a gene in a batch becomes `scale · value + shift`.
///
/// # Reference
/// Johnson, Li and Rabinovic 2007 without covariates, parametric; `scanpy.pp.combat`. Differs: the
/// rounds of each gene end by themselves; a batch of one cell is only shifted.
pub(super) struct Combat {
    n_genes: usize,
    /// The factor of each gene in each batch, `[batches, genes]`.
    scales: Vec<f64>,
    shifts: Vec<f64>,
}

impl Combat {
    pub(super) fn new(moments: &BatchMoments) -> Self {
        let (n_genes, n_batches) = (moments.n_genes, moments.cells.len());
        let n: f64 = moments.cells.iter().sum();
        let sum = |of: &[f64], gene: usize| of[gene..].iter().step_by(n_genes).sum::<f64>();
        let means: Vec<f64> = (0..n_genes).map(|gene| sum(&moments.sums, gene) / n).collect();
        // What is left of the variance within batches.
        let pooled = |gene: usize| {
            let of_batch = |batch: usize| {
                let sum = moments.sums[batch * n_genes + gene];
                sum.powi(2) / moments.cells[batch].max(1.0)
            };
            let within = sum(&moments.squares, gene) - (0..n_batches).map(of_batch).sum::<f64>();
            if within > 1e-12 * sum(&moments.squares, gene) { (within / n).sqrt() } else { 0.0 }
        };
        let spreads: Vec<f64> = (0..n_genes).map(pooled).collect();
        let mut combat = Self {
            n_genes,
            scales: vec![1.0; n_batches * n_genes],
            shifts: vec![0.0; n_batches * n_genes],
        };
        for batch in 0..n_batches {
            let standard = Standardised::new(moments, batch, &means, &spreads);
            let (gammas, deltas) = standard.shrunk();
            for gene in (0..n_genes).filter(|&gene| spreads[gene] > 0.0) {
                let place = batch * n_genes + gene;
                let scale = 1.0 / deltas[gene].sqrt();
                combat.scales[place] = scale;
                combat.shifts[place] =
                    means[gene] - (means[gene] + gammas[gene] * spreads[gene]) * scale;
            }
        }
        combat
    }

    /// Scales a cell of a batch, in place; shifts are the same for all its cells.
    pub(super) fn scale(&self, batch: usize, genes: &[u32], values: &mut [f32]) {
        for (x, &gene) in values.iter_mut().zip(genes) {
            #[allow(clippy::cast_possible_truncation, reason = "as narrow as the values")]
            let scaled = (f64::from(*x) * self.scales[batch * self.n_genes + gene as usize]) as f32;
            *x = scaled;
        }
    }

    /// What is added to each gene of the cells of a batch.
    pub(super) fn shifts(&self, batch: usize) -> &[f64] {
        &self.shifts[batch * self.n_genes..(batch + 1) * self.n_genes]
    }

    /// The sums of a batch's cells after they were scaled.
    pub(super) fn scaled_sums(&self, moments: &BatchMoments, batch: usize) -> Vec<f64> {
        let scales = &self.scales[batch * self.n_genes..(batch + 1) * self.n_genes];
        moments.sums(batch).iter().zip(scales).map(|(sum, scale)| sum * scale).collect()
    }
}

/// The genes of a batch, standardised by the mean of all cells and the spread within batches.
struct Standardised {
    n: f64,
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl Standardised {
    fn new(moments: &BatchMoments, batch: usize, means: &[f64], spreads: &[f64]) -> Self {
        let (n, sums) = (moments.cells[batch], moments.sums(batch));
        let squares = &moments.squares[batch * sums.len()..];
        let genes = || (0..sums.len()).map(|gene| (gene, spreads[gene]));
        let sum = |(gene, spread): (usize, f64)| {
            if spread > 0.0 { (sums[gene] - n * means[gene]) / spread } else { 0.0 }
        };
        let square = |(gene, spread): (usize, f64)| {
            let mean: f64 = means[gene];
            let about = squares[gene] - 2.0 * mean * sums[gene] + n * mean.powi(2);
            if spread > 0.0 { about / spread.powi(2) } else { 0.0 }
        };
        Self { n, sums: genes().map(sum).collect(), squares: genes().map(square).collect() }
    }

    /// Mean and variance of every gene, each drawn towards those of all genes.
    fn shrunk(&self) -> (Vec<f64>, Vec<f64>) {
        let n = self.n;
        let gammas: Vec<f64> = self.sums.iter().map(|sum| sum / n.max(1.0)).collect();
        if n < 2.0 {
            let ones = vec![1.0; gammas.len()];
            return (gammas, ones);
        }
        let delta = |(square, gamma): (&f64, &f64)| (square - n * gamma.powi(2)) / (n - 1.0);
        let deltas: Vec<f64> = self.squares.iter().zip(&gammas).map(delta).collect();
        let (gamma_mean, gamma_variance) = mean_and_variance(&gammas, 0.0);
        let (m, v) = mean_and_variance(&deltas, 1.0);
        if v <= 0.0 {
            let delta = if m > 0.0 { m } else { 1.0 };
            return (gammas, vec![delta; deltas.len()]);
        }
        let (a, b) = ((2.0 * v + m.powi(2)) / v, (m * v + m.powi(3)) / v);
        let of = |gene: usize| {
            let weight = gamma_variance * n;
            let (mut gamma, mut delta) = (gammas[gene], deltas[gene]);
            for _ in 0..ROUNDS {
                let next = (weight * gammas[gene] + delta * gamma_mean) / (weight + delta);
                // Nothing varies, in no gene: the estimate stays.
                let next = if next.is_finite() { next } else { gamma };
                let about = self.squares[gene] - 2.0 * next * self.sums[gene] + n * next.powi(2);
                let wider = (0.5 * about + b) / (n / 2.0 + a - 1.0);
                let change = ((next - gamma) / gamma).abs().max(((wider - delta) / delta).abs());
                (gamma, delta) = (next, wider);
                if change.is_nan() || change <= CHANGE {
                    break;
                }
            }
            (gamma, delta)
        };
        (0..gammas.len()).map(of).unzip()
    }
}

/// The mean, and the variance with `freedom` taken from the number of values.
fn mean_and_variance(values: &[f64], freedom: f64) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n.max(1.0);
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, squares / (n - freedom).max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_case_is_as_scanpy_has_it() {
        let cells = [
            [1.0, 0.0, 2.0],
            [3.0, 1.0, 0.0],
            [2.0, 2.0, 4.0],
            [0.0, 5.0, 1.0],
            [4.0, 3.0, 3.0],
            [2.0, 6.0, 0.0],
            [5.0, 4.0, 2.0_f32],
        ];
        // scanpy.pp.combat of scanpy 1.11.5; batches are the first three and the last four cells.
        let expected = [
            [1.527_937, 1.667_771, 2.064_041],
            [3.663_368, 2.640_992, 0.313_783],
            [2.595_652, 3.614_212, 3.814_300],
            [0.048_519, 3.748_138, 0.971_254],
            [3.268_110, 2.124_225, 2.674_670],
            [1.658_314, 4.560_094, 0.119_546],
            [4.073_007, 2.936_182, 1.822_962],
        ];
        let mut moments = BatchMoments::new(2, 3);
        for (cell, values) in cells.iter().enumerate() {
            moments.add(usize::from(cell > 2), &[0, 1, 2], values);
        }
        let combat = Combat::new(&moments);
        for (cell, values) in cells.iter().enumerate() {
            let batch = usize::from(cell > 2);
            let mut values = *values;
            combat.scale(batch, &[0, 1, 2], &mut values);
            for ((x, shift), expected) in
                values.iter().zip(combat.shifts(batch)).zip(expected[cell])
            {
                let found = f64::from(*x) + shift;
                assert!((found - expected).abs() < 1e-3, "{found} {expected}");
            }
        }
    }

    #[test]
    fn batches_of_one_cell_and_genes_without_variance_stay_finite() {
        let mut moments = BatchMoments::new(2, 2);
        for value in [1.0, 2.0, 4.0] {
            moments.add(0, &[0, 1], &[value, 3.0]);
        }
        moments.add(1, &[0, 1], &[9.0, 3.0]);
        let combat = Combat::new(&moments);
        let mut alone = [9.0, 3.0];
        combat.scale(1, &[0, 1], &mut alone);
        let moved = f64::from(alone[0]) + combat.shifts(1)[0];
        assert!(moved.is_finite() && moved < 9.0, "{moved}");
        assert_eq!((alone[1], combat.shifts(1)[1]), (3.0, 0.0));
    }
}
