//! [`variable_genes`]: selects highly variable genes from a stream of cells.

mod dispersion;
mod loess;
mod moments;

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use self::{
    dispersion::{Dispersion, cell_ranger, seurat},
    loess::loess,
    moments::Moments,
};
use crate::{
    csr::Csr,
    error::{Error, Result},
    normalize::{log1p, median, normalise_total},
    source::{CellSource, Layer},
};

/// Cells read at once.
const BLOCK: usize = 4096;

/// Which measure of variability is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VariableFlavour {
    /// Variance of clipped counts, standardised by what a local regression on the mean expects.
    /// For raw counts; reads the data twice.
    #[default]
    SeuratV3,
    /// Dispersion relative to genes of similar mean, by medians. For log1p values.
    CellRanger,
    /// Dispersion relative to genes of similar mean, by means, of the values before `log1p`. For
    /// log1p values.
    Seurat,
}

/// What to select.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariableConfig {
    /// Number of genes.
    pub n_top: usize,
    /// Measure of variability.
    pub flavour: VariableFlavour,
    /// Sum to which every cell is normalised before `log1p`, for flavours that want logged values
    /// of a file that holds counts; `None` takes the values as they are.
    pub normalise: Option<f64>,
    /// Share of the genes in each local regression of [`VariableFlavour::SeuratV3`].
    pub span: f64,
}

impl VariableConfig {
    /// The `n_top` most variable genes by that flavour, of values as they are.
    pub fn new(n_top: usize, flavour: VariableFlavour) -> Self {
        Self { n_top, flavour, normalise: None, span: 0.3 }
    }
}

/// The selected genes and why. Vectors have one entry a gene.
#[derive(Clone, Debug, PartialEq)]
pub struct VariableGenes {
    /// Columns of the selected genes, most variable first.
    pub selected: Vec<usize>,
    /// Means: of all cells (`seurat_v3`), or averaged over batches, as a logarithm for `seurat`.
    pub means: Vec<f64>,
    /// Variances of all cells (`seurat_v3`), or dispersions averaged over batches.
    pub dispersions: Vec<f64>,
    /// Normalised variances or dispersions, averaged over batches; NaN where not defined.
    pub normalised: Vec<f64>,
    /// Number of batches in which the gene is among the most variable.
    pub n_batches: Vec<usize>,
    /// Median of the ranks (from 0) in those batches, NaN if there are none; `seurat_v3` only.
    pub ranks: Option<Vec<f64>>,
}

/// Selects the most variable genes of `layer`; with `batches`, the number of the batch of every
/// cell, those most variable within most batches.
///
/// Memory is bounded by three numbers a gene and batch, plus one block of cells.
///
/// # Errors
/// If the source cannot be read, there are no cells, no genes are asked for, or there is not one
/// batch a cell.
///
/// # Reference
/// Spec section 1.4; `scanpy.pp.highly_variable_genes`. Differs: genes that tie keep the order of
/// the data; percentiles of the mean that coincide are no error.
pub fn variable_genes(
    source: &mut dyn CellSource,
    layer: &Layer,
    batches: Option<&[u32]>,
    config: &VariableConfig,
) -> Result<VariableGenes> {
    let n_cells = source.summary().n_cells;
    if n_cells == 0 || config.n_top == 0 {
        return Err(Error::Option(format!(
            "cannot select {} variable genes from {n_cells} cells",
            config.n_top
        )));
    }
    if let Some(batches) = batches
        && batches.len() != n_cells
    {
        return Err(Error::Option(format!(
            "{} batch labels for {n_cells} cells: one a cell is needed",
            batches.len()
        )));
    }
    let mut each = |visit: &mut dyn FnMut(&Csr, usize, usize)| -> Result<()> {
        for first in (0..n_cells).step_by(BLOCK) {
            let mut block = source.read(layer, first..(first + BLOCK).min(n_cells))?;
            if let Some(target) = config.normalise {
                normalise_total(&mut block, target);
                log1p(&mut block);
            }
            if config.flavour == VariableFlavour::Seurat {
                for cell in 0..block.n_cells() {
                    block.row_values_mut(cell).iter_mut().for_each(|x| *x = x.exp_m1());
                }
            }
            for cell in 0..block.n_cells() {
                visit(&block, cell, batches.map_or(0, |batches| batches[first + cell] as usize));
            }
        }
        Ok(())
    };

    let n_batches =
        batches.and_then(|batches| batches.iter().max()).map_or(1, |&last| last as usize + 1);
    let mut moments: Vec<Moments> = Vec::new();
    each(&mut |block, cell, batch| {
        if moments.is_empty() {
            moments = vec![Moments::new(block.n_genes()); n_batches];
        }
        moments[batch].add(block, cell);
    })?;
    // A number that no cell has is no batch.
    let is_used: Vec<bool> = moments.iter().map(|batch| batch.n_cells() > 0.0).collect();
    if config.flavour != VariableFlavour::SeuratV3 {
        moments.retain(|batch| batch.n_cells() > 0.0);
        return Ok(by_dispersion(&moments, batches.is_some(), config));
    }

    let mut standards: Vec<Standard> =
        moments.iter().map(|batch| Standard::new(batch, config.span)).collect();
    each(&mut |block, cell, batch| standards[batch].add(block, cell))?;
    let normalised: Vec<Vec<f64>> = standards
        .iter()
        .zip(&is_used)
        .filter(|(_, is_used)| **is_used)
        .map(|(standard, _)| standard.variances())
        .collect();
    let all = moments.into_iter().reduce(|mut all, batch| {
        all.merge(&batch);
        all
    });
    let all = all.map(|all| all.mean_and_variance()).unwrap_or_default();
    Ok(by_rank(&all, &normalised, config.n_top))
}

/// Second pass of `seurat_v3` over one batch: variance in units of what the regression of
/// variance on mean expects, with large values clipped.
struct Standard {
    n_cells: f64,
    means: Vec<f64>,
    deviations: Vec<f64>,
    clips: Vec<f64>,
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl Standard {
    fn new(moments: &Moments, span: f64) -> Self {
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

    fn add(&mut self, block: &Csr, cell: usize) {
        let row = block.row(cell);
        for (&gene, &value) in row.indices.iter().zip(row.values) {
            let gene = gene as usize;
            let clipped = f64::from(value).min(self.clips[gene]);
            self.sums[gene] += clipped;
            self.squares[gene] += clipped * clipped;
        }
    }

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

/// `seurat_v3`: by median rank over the batches in which a gene is among the `n_top`.
fn by_rank(all: &[(f64, f64)], normalised: &[Vec<f64>], n_top: usize) -> VariableGenes {
    let mut kept: Vec<Vec<f64>> = vec![Vec::new(); all.len()];
    for batch in normalised {
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

/// `cell_ranger` and `seurat`: by number of batches in which a gene is among the `n_top`, then by
/// normalised dispersion; genes that no cell of a batch expresses count there as 0.
fn by_dispersion(batches: &[Moments], has_batches: bool, config: &VariableConfig) -> VariableGenes {
    let measure = match config.flavour {
        VariableFlavour::Seurat => seurat,
        _ => cell_ranger,
    };
    let n_genes = batches.first().map_or(0, |batch| batch.mean_and_variance().len());
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
        let least = sorted.get(config.n_top.min(sorted.len()).saturating_sub(1));
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
    let n_top = if has_batches { config.n_top } else { n_batches.iter().sum() };
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

/// Mean of the numbers that are defined; NaN if none is.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (n, sum) = values
        .filter(|value| !value.is_nan())
        .fold((0.0, 0.0), |(n, sum), value| (n + 1.0, sum + value));
    sum / n
}
