//! Dispersion relative to that of genes with similar mean (flavours `seurat` and `cell_ranger`).

use std::cmp::Ordering;

use super::{VariableGenes, mean, moments::Moments};
use crate::normalize::median;

/// Median absolute deviation of a normal distribution with standard deviation 1.
const NORMAL_MAD: f64 = 0.674_489_750_196_081_7;

/// Mean, dispersion and normalised dispersion of a gene in one batch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Dispersion {
    pub(super) mean: f64,
    pub(super) raw: f64,
    /// NaN where it is not defined.
    pub(super) normalised: f64,
}

/// Selects by number of batches in which a gene is among the `n_top`, then by
/// normalised dispersion; genes that no cell of a batch expresses count there as 0.
pub(super) fn select(
    batches: &[Moments],
    measure: fn(&[(f64, f64)]) -> Vec<Dispersion>,
    has_batches: bool,
    n_top: usize,
) -> VariableGenes {
    let n_genes = batches.first().map_or(0, Moments::n_genes);
    let mut n_batches = vec![0; n_genes];
    let mut tables = Vec::with_capacity(batches.len());
    for batch in batches {
        let moments = batch.mean_and_variance();
        let genes: Vec<usize> =
            (0..n_genes).filter(|&gene| !has_batches || batch.is_expressed(gene)).collect();
        let measured = measure(&genes.iter().map(|&gene| moments[gene]).collect::<Vec<_>>());
        let mut sorted: Vec<f64> = measured
            .iter()
            .map(|gene| gene.normalised)
            .filter(|normalised| !normalised.is_nan())
            .collect();
        sorted.sort_unstable_by(|a, b| b.total_cmp(a));
        // Genes that tie with the last one are in.
        let least = sorted.get(n_top.min(sorted.len()).saturating_sub(1));
        let mut table = vec![Dispersion::default(); n_genes];
        for (gene, measured) in genes.into_iter().zip(measured) {
            n_batches[gene] +=
                usize::from(least.is_some_and(|&least| measured.normalised >= least));
            table[gene] = measured;
        }
        tables.push(table);
    }
    let average = |of: fn(&Dispersion) -> f64| -> Vec<f64> {
        (0..n_genes).map(|gene| mean(tables.iter().map(|table| of(&table[gene])))).collect()
    };
    let normalised = average(|gene| gene.normalised);
    let mut selected: Vec<usize> = (0..n_genes).collect();
    selected.sort_by(|&a, &b| {
        let last = |gene: usize| normalised[gene].is_nan();
        n_batches[b]
            .cmp(&n_batches[a])
            .then(last(a).cmp(&last(b)))
            .then(normalised[b].partial_cmp(&normalised[a]).unwrap_or(Ordering::Equal))
    });
    let n_top = if has_batches { n_top } else { n_batches.iter().sum() };
    selected.truncate(n_top);
    VariableGenes {
        selected,
        means: average(|gene| gene.mean),
        dispersions: average(|gene| gene.raw),
        normalised,
        n_batches,
        ranks: None,
    }
}

/// Variance over mean, centred and scaled by median and absolute deviation within bins of the
/// mean at its percentiles 10, 15, … 100.
pub(super) fn cell_ranger(moments: &[(f64, f64)]) -> Vec<Dispersion> {
    let mut genes: Vec<Dispersion> =
        moments.iter().map(|&(mean, variance)| ratio(mean, variance)).collect();
    let mut means: Vec<f64> = genes.iter().map(|gene| gene.mean).collect();
    means.sort_unstable_by(f64::total_cmp);
    // Percentiles that coincide make an empty bin here, and an error in the reference.
    let edges: Vec<f64> = (2..=20).map(|step| quantile(&means, f64::from(step) / 20.0)).collect();
    let bin = |mean: f64| edges.partition_point(|&edge| edge < mean);
    normalise(&mut genes, edges.len() + 1, bin, |dispersions| {
        dispersions.sort_unstable_by(f64::total_cmp);
        let centre = median(dispersions).unwrap_or(f64::NAN);
        let mut deviations: Vec<f64> = dispersions.iter().map(|d| (d - centre).abs()).collect();
        deviations.sort_unstable_by(f64::total_cmp);
        (centre, median(&deviations).unwrap_or(f64::NAN) / NORMAL_MAD)
    });
    genes
}

/// Logarithm of variance over mean of the values before `log1p`, centred and scaled by mean and
/// standard deviation within 20 equally wide bins of the logarithm of the mean.
pub(super) fn seurat(moments: &[(f64, f64)]) -> Vec<Dispersion> {
    const BINS: usize = 20;
    let mut genes: Vec<Dispersion> = moments
        .iter()
        .map(|&(mean, variance)| {
            let Dispersion { mean, raw, .. } = ratio(mean, variance);
            Dispersion {
                mean: mean.ln_1p(),
                raw: if raw == 0.0 { f64::NAN } else { raw.ln() },
                normalised: f64::NAN,
            }
        })
        .collect();
    let low = genes.iter().map(|gene| gene.mean).fold(f64::INFINITY, f64::min);
    let high = genes.iter().map(|gene| gene.mean).fold(f64::NEG_INFINITY, f64::max);
    let width = (high - low) / BINS as f64;
    let edges: Vec<f64> = (1..BINS).map(|edge| low + width * edge as f64).collect();
    let bin = |mean: f64| edges.partition_point(|&edge| edge < mean);
    normalise(&mut genes, BINS, bin, |dispersions| {
        let n = dispersions.len() as f64;
        let centre = dispersions.iter().sum::<f64>() / n;
        let squares: f64 = dispersions.iter().map(|d| (d - centre).powi(2)).sum();
        // A gene alone in its bin gets the normalised dispersion 1.
        match dispersions.len() {
            1 => (0.0, centre),
            _ => (centre, (squares / (n - 1.0)).sqrt()),
        }
    });
    genes
}

/// Variance over mean. A mean of 0 is taken for 1e-12, as scanpy does, so that the ratio is 0.
fn ratio(mean: f64, variance: f64) -> Dispersion {
    let mean = if mean == 0.0 { 1e-12 } else { mean };
    Dispersion { mean, raw: variance / mean, normalised: f64::NAN }
}

/// Centres and scales the dispersions of each bin by what `statistics` says of the defined ones.
fn normalise(
    genes: &mut [Dispersion],
    n_bins: usize,
    bin: impl Fn(f64) -> usize,
    statistics: impl Fn(&mut [f64]) -> (f64, f64),
) {
    let mut bins = vec![Vec::new(); n_bins];
    for gene in genes.iter() {
        if !gene.raw.is_nan() {
            bins[bin(gene.mean)].push(gene.raw);
        }
    }
    let statistics: Vec<(f64, f64)> = bins.iter_mut().map(|bin| statistics(bin)).collect();
    for gene in genes {
        let (centre, scale) = statistics[bin(gene.mean)];
        gene.normalised = (gene.raw - centre) / scale;
    }
}

/// A quantile of ascending numbers by linear interpolation; NaN if there are none.
fn quantile(sorted: &[f64], level: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = last as f64 * level;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a position among the numbers"
    )]
    let floor = place.floor() as usize;
    let [low, high] = [sorted[floor], sorted[(floor + 1).min(last)]];
    low + (high - low) * (place - floor as f64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "exact by construction")]

    use super::*;

    #[test]
    fn a_gene_alone_in_its_bin_is_one_and_a_silent_gene_is_undefined() {
        let genes = seurat(&[(0.0, 0.0), (1.0, 5.0), (1.0, 7.0), (50.0, 99.0)]);
        assert!(genes[0].normalised.is_nan());
        assert_eq!(genes[3].normalised, 1.0);
        assert!((genes[1].normalised + genes[2].normalised).abs() < 1e-12);
    }

    #[test]
    fn the_outlier_of_a_bin_stands_out() {
        let mut moments = vec![(1.0, 1.0), (1.0, 1.1), (1.0, 0.9), (1.0, 9.0)];
        moments.extend([(2.0, 2.0); 3]);
        let genes = cell_ranger(&moments);
        assert!(genes[3].normalised > 10.0);
        assert!(genes[..3].iter().all(|gene| gene.normalised.abs() < 1.5));
    }
}
