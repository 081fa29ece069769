//! Variance relative to that of genes with similar mean (flavour `seurat_v3`).

use super::{VariableGenes, loess::loess, mean, moments::Moments};
use crate::{csr::CsrRow, normalize::median};

/// Second pass of `seurat_v3` over one batch: variance in units of what the regression of
/// variance on mean expects, with large values clipped.
pub(super) struct Standard {
    n_cells: f64,
    means: Vec<f64>,
    deviations: Vec<f64>,
    clips: Vec<f64>,
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl Standard {
    /// Fits the logarithm of the variance to that of the mean over the genes that vary, by `loess`
    /// with the share `span` of them around each. A value is clipped at the square root of the
    /// number of cells, in expected standard deviations above the mean, so that a few cells do not
    /// make a gene variable.
    pub(super) fn new(moments: &Moments, span: f64) -> Self {
        let n_cells = moments.n_cells();
        let moments = moments.mean_and_variance();
        let varies: Vec<usize> = (0..moments.len()).filter(|&gene| moments[gene].1 > 0.0).collect();
        let log = |of: fn(&(f64, f64)) -> f64| -> Vec<f64> {
            varies.iter().map(|&gene| of(&moments[gene]).log10()).collect()
        };
        let fitted = loess(&log(|moment| moment.0), &log(|moment| moment.1), span);
        let mut deviations = vec![1.0; moments.len()];
        for (gene, fitted) in varies.into_iter().zip(fitted) {
            deviations[gene] = 10_f64.powf(fitted).sqrt();
        }
        let means: Vec<f64> = moments.into_iter().map(|moment| moment.0).collect();
        let clips = means.iter().zip(&deviations).map(|(m, d)| d * n_cells.sqrt() + m).collect();
        Self {
            n_cells,
            clips,
            deviations,
            sums: vec![0.0; means.len()],
            squares: vec![0.0; means.len()],
            means,
        }
    }

    /// Adds a cell of the second pass. Zeros are not visited: they add nothing to either sum.
    pub(super) fn add(&mut self, row: CsrRow<'_>) {
        for (&gene, &value) in row.indices.iter().zip(row.values) {
            let gene = gene as usize;
            let clipped = f64::from(value).min(self.clips[gene]);
            self.sums[gene] += clipped;
            self.squares[gene] += clipped * clipped;
        }
    }

    /// The variance of each gene after its values were centred, clipped and divided by the
    /// deviation that its mean lets expect, from the sums of the values and of their squares.
    fn variances(&self) -> Vec<f64> {
        (0..self.means.len())
            .map(|gene| {
                let mean = self.means[gene];
                let squares =
                    self.n_cells * mean * mean + self.squares[gene] - 2.0 * mean * self.sums[gene];
                squares / ((self.n_cells - 1.0).max(1.0) * self.deviations[gene].powi(2))
            })
            .collect()
    }
}

/// Selects by median rank over the batches in which a gene is among the `n_top`.
pub(super) fn select(moments: &[Moments], standards: &[Standard], n_top: usize) -> VariableGenes {
    let all = moments
        .iter()
        .cloned()
        .reduce(|mut all, batch| {
            all.merge(&batch);
            all
        })
        .unwrap_or_default()
        .mean_and_variance();
    let normalised: Vec<Vec<f64>> = standards.iter().map(Standard::variances).collect();
    let mut kept: Vec<Vec<f64>> = vec![Vec::new(); all.len()];
    for batch in &normalised {
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by(|&a, &b| batch[b].total_cmp(&batch[a]));
        for (rank, gene) in order.into_iter().take(n_top).enumerate() {
            kept[gene].push(rank as f64);
        }
    }
    let n_batches: Vec<usize> = kept.iter().map(Vec::len).collect();
    let ranks: Vec<f64> = kept
        .into_iter()
        .map(|mut ranks| {
            ranks.sort_unstable_by(f64::total_cmp);
            median(&ranks).unwrap_or(f64::NAN)
        })
        .collect();
    let mut selected: Vec<usize> = (0..all.len()).collect();
    // NaN is above every number in this order, thus last.
    selected.sort_by(|&a, &b| ranks[a].total_cmp(&ranks[b]).then(n_batches[b].cmp(&n_batches[a])));
    selected.truncate(n_top);
    VariableGenes {
        selected,
        means: all.iter().map(|moment| moment.0).collect(),
        dispersions: all.iter().map(|moment| moment.1).collect(),
        normalised: (0..all.len())
            .map(|gene| mean(normalised.iter().map(|batch| batch[gene])))
            .collect(),
        n_batches,
        ranks: Some(ranks),
    }
}
