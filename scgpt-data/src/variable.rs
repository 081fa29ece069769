//! [`variable_genes`]: selects highly variable genes from a stream of cells.

mod accessibility;
mod dispersion;
mod loess;
mod moments;
mod standard;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use self::{accessibility::Weights, moments::Moments, standard::Standard};
use crate::{
    cell_source::{CellSource, ReadBlocks as _},
    csr::{Csr, CsrRow},
    error::{Error, Result},
    logged::TOTAL,
    normalize::LogScale,
    state::{InputState, InputValues},
    summary::Layer,
};

/// Cells read at a time.
const BLOCK: usize = 4096;

/// Which measure of variability is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum VariableFlavour {
    /// Of raw counts: variance of clipped counts beyond what their mean lets expect.
    ///
    /// Standardised by a local regression on the mean; reads the data twice.
    #[default]
    #[cfg_attr(feature = "clap", value(alias = "seurat-v3"))]
    #[serde(alias = "seurat-v3")]
    SeuratV3,
    /// Of log1p values: dispersion relative to genes of similar mean, by medians.
    #[cfg_attr(feature = "clap", value(alias = "cell-ranger"))]
    #[serde(alias = "cell-ranger")]
    CellRanger,
    /// Of log1p values: the same before the logarithm, by means.
    Seurat,
    /// Of peaks: the share of cells in which a feature is open, whatever its value.
    Accessibility,
    /// Of peaks: variance after TF-IDF, so that what is open everywhere comes behind.
    Tfidf,
}

impl VariableFlavour {
    /// Whether it measures logarithms of normalised values, and not the values as they are.
    pub fn wants_logarithms(self) -> bool {
        matches!(self, Self::CellRanger | Self::Seurat)
    }
}

impl fmt::Display for VariableFlavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SeuratV3 => "seurat-v3",
            Self::CellRanger => "cell-ranger",
            Self::Seurat => "seurat",
            Self::Accessibility => "accessibility",
            Self::Tfidf => "TF-IDF",
        })
    }
}

/// What to select.
///
/// ```no_run
/// use scgpt_data::{Layer, Source, VariableConfig, VariableFlavour, variable_genes};
///
/// let config = VariableConfig::new(2000, VariableFlavour::SeuratV3);
/// let found = variable_genes(&mut Source::open("counts.h5ad")?, &Layer::X, None, &config)?;
/// println!("the first of the columns chosen is {:?}", found.selected.first());
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariableConfig {
    /// Number of genes to select.
    pub n_top: usize,
    /// Measure of variability.
    pub flavour: VariableFlavour,
    /// The way to logarithms of normalised values, for flavours that want them; `None` takes the
    /// values as they are.
    pub normalise: Option<LogScale>,
    /// Share of the genes in each local regression of [`VariableFlavour::SeuratV3`].
    pub span: f64,
}

impl VariableConfig {
    /// Selects the `n_top` most variable genes by that flavour; values are taken as they are.
    pub fn new(n_top: usize, flavour: VariableFlavour) -> Self {
        Self { n_top, flavour, normalise: None, span: 0.3 }
    }
}

/// The selected genes and why. Vectors have one entry a gene.
#[derive(Clone, Debug, PartialEq)]
pub struct VariableGenes {
    /// Columns of the selected genes, the most variable first.
    pub selected: Vec<usize>,
    /// Means: of all cells (`seurat_v3`), or averaged over batches, as a logarithm for `seurat`; of weights for
    /// `tfidf`, of 1 where it is open for `accessibility`.
    pub means: Vec<f64>,
    /// Variances of all cells (`seurat_v3`), or dispersions, for peaks variances, averaged over batches.
    pub dispersions: Vec<f64>,
    /// Normalised variances or dispersions, or what peaks are measured by, averaged over batches; NaN where not
    /// defined.
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
/// `scanpy.pp.highly_variable_genes`. Differs: genes that tie keep the order of
/// the data; percentiles of the mean that coincide are no error; peaks have flavours of their own, after
/// `FindTopFeatures` and `RunTFIDF` of Signac.
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
    // Batches are renumbered without gaps: 0, 1, …
    let names: BTreeSet<u32> = batches.into_iter().flatten().copied().collect();
    let codes: BTreeMap<u32, usize> = names.into_iter().zip(0..).collect();
    let mut each = |visit: &mut dyn FnMut(usize, CsrRow<'_>)| -> Result<usize> {
        let mut n_genes = 0;
        for block in source.blocks(layer, BLOCK) {
            let (cells, mut block) = block?;
            prepare(&mut block, config);
            for (cell, row) in cells.zip(block.rows()) {
                visit(batches.map_or(0, |batches| codes[&batches[cell]]), row);
            }
            n_genes = block.n_genes();
        }
        Ok(n_genes)
    };

    let mut moments = vec![Moments::default(); codes.len().max(1)];
    let n_genes = each(&mut |batch, row| moments[batch].add(row))?;
    for batch in &mut moments {
        batch.resize(n_genes);
    }
    let (n_top, has_batches) = (config.n_top, batches.is_some());
    Ok(match config.flavour {
        VariableFlavour::SeuratV3 => {
            let standards = moments.iter().map(|batch| Standard::new(batch, config.span));
            let mut standards: Vec<Standard> = standards.collect();
            each(&mut |batch, row| standards[batch].add(row))?;
            standard::select(&moments, &standards, n_top)
        }
        VariableFlavour::CellRanger => {
            dispersion::select(&moments, dispersion::cell_ranger, has_batches, n_top)
        }
        VariableFlavour::Seurat => {
            dispersion::select(&moments, dispersion::seurat, has_batches, n_top)
        }
        VariableFlavour::Accessibility => accessibility::select(&moments, |(mean, _)| mean, n_top),
        VariableFlavour::Tfidf => {
            let weights = Weights::new(&moments);
            let mut weighed = vec![Moments::default(); moments.len()];
            each(&mut |batch, row| {
                weighed[batch].add(CsrRow { indices: row.indices, values: &weights.of(row) });
            })?;
            for batch in &mut weighed {
                batch.resize(n_genes);
            }
            accessibility::select(&weighed, |(_, variance)| variance, n_top)
        }
    })
}

/// Brings the values of a block into the form that the flavour measures.
fn prepare(block: &mut Csr, config: &VariableConfig) {
    if let Some(scale) = &config.normalise {
        scale.apply(block);
    }
    let change: fn(f32) -> f32 = match config.flavour {
        VariableFlavour::Seurat => f32::exp_m1,
        VariableFlavour::Accessibility => |value| if value > 0.0 { 1.0 } else { 0.0 },
        _ => return,
    };
    for cell in 0..block.n_cells() {
        block.row_values_mut(cell).iter_mut().for_each(|value| *value = change(*value));
    }
}

/// Mean of the numbers that are defined; NaN if none is.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (n, sum) = values
        .filter(|value| !value.is_nan())
        .fold((0.0, 0.0), |(n, sum), value| (n + 1.0, sum + value));
    sum / n
}

/// The flavour that fits values in that state, where the caller names none.
pub fn flavour_of(state: InputState) -> VariableFlavour {
    if state.is_counts() { VariableFlavour::SeuratV3 } else { VariableFlavour::CellRanger }
}

/// The flavour and the columns of the `n_top` most variable genes, the most variable first. With
/// `None` the flavour is the one that fits the state of the values ([`flavour_of`]).
///
/// # Errors
/// As [`variable_genes`].
pub fn variable_columns(
    source: &mut dyn CellSource,
    layer: &Layer,
    (n_top, flavour): (usize, Option<VariableFlavour>),
    batches: Option<&[u32]>,
    values: InputValues,
) -> Result<(VariableFlavour, Vec<usize>)> {
    let flavour = flavour.unwrap_or(flavour_of(values.state));
    let normalise = flavour.wants_logarithms().then_some(LogScale { from: values, total: TOTAL });
    let config = VariableConfig { normalise, ..VariableConfig::new(n_top, flavour) };
    Ok((flavour, variable_genes(source, layer, batches, &config)?.selected))
}
