//! [`hvg_pca`]: variable genes and principal components, what every embedding is compared with.

use scgpt_data::{
    CellSource, Csr, InputState, Layer, VariableConfig, VariableFlavour, log1p, normalise_total,
    variable_genes,
};
use serde::{Deserialize, Serialize};

use crate::{
    embed::input_state,
    error::{Error, Result},
    observe::{Observer, Watched},
    pca::{Products, SparseCell},
};

/// Cells read at once.
const BLOCK: usize = 4096;
/// Sum to which counts are normalised.
const TOTAL: f64 = 1e4;

/// How the baseline is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaselineOptions {
    /// The matrix.
    #[serde(skip)]
    pub layer: Layer,
    /// Number of most variable genes.
    pub n_genes: usize,
    /// By which measure; `seurat_v3` for counts and `cell_ranger` otherwise if none.
    pub flavour: Option<VariableFlavour>,
    /// Number of principal components, at most.
    pub n_components: usize,
}

impl Default for BaselineOptions {
    fn default() -> Self {
        Self { layer: Layer::X, n_genes: 2000, flavour: None, n_components: 50 }
    }
}

/// Positions of cells by principal components of variable genes.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// `[n, n_components]`, row-major, in the order of the source.
    pub rows: Vec<f32>,
    /// Components: as many as asked for, at most one a variable gene.
    pub n_components: usize,
    /// Share of the variance of the variable genes that each component explains.
    pub shares: Vec<f64>,
    /// Columns of the variable genes, ascending.
    pub genes: Vec<usize>,
    /// What the values were before.
    pub input_state: InputState,
}

/// Normalises cells to 10 000, takes `log1p`, keeps the most variable genes and finds their
/// principal components, streaming: the source is read three or four times, and memory holds one
/// block, `n_genes²` numbers and the result.
///
/// Values that are normalised or logged already are not so again.
///
/// # Errors
/// If the source cannot be read, has no cells or negative values; if an option is zero;
/// [`Error::Cancelled`] if the observer says so.
///
/// # Reference
/// `scanpy.pp.normalize_total`, `log1p`, `highly_variable_genes` and `pca`, as in the baseline
/// "PCA" of Luecken et al. 2022.
pub fn hvg_pca(
    source: &mut dyn CellSource,
    options: &BaselineOptions,
    observer: &dyn Observer,
) -> Result<Baseline> {
    let (n_cells, n_all) = source.summary().shape(&options.layer)?;
    for (name, number) in [("n_genes", options.n_genes), ("n_components", options.n_components)] {
        if number == 0 {
            return Err(Error::Option(format!("{name} is 0, expected at least 1")));
        }
    }
    let state = input_state(source, &options.layer)?;
    if state == InputState::Scaled {
        return Err(Error::Option(
            "some values are negative, so variable genes cannot be found; choose a layer with counts"
                .into(),
        ));
    }
    let is_counts = state == InputState::Counts;
    let flavour = options.flavour.unwrap_or(if is_counts {
        VariableFlavour::SeuratV3
    } else {
        VariableFlavour::CellRanger
    });
    let normalise =
        (state != InputState::Log1p && flavour != VariableFlavour::SeuratV3).then_some(TOTAL);
    let config = VariableConfig { normalise, ..VariableConfig::new(options.n_genes, flavour) };
    observer.begin("selecting variable genes", 0);
    let watched = &mut Watched { source: &mut *source, observer };
    let mut genes = variable_genes(watched, &options.layer, None, &config)?.selected;
    genes.sort_unstable();

    let mut columns = vec![None; n_all];
    for (number, &gene) in (0..).zip(&genes) {
        columns[gene] = Some(number);
    }
    let mut each = |stage: &str, visit: &mut dyn FnMut(Vec<SparseCell>)| -> Result<()> {
        observer.begin(stage, n_cells);
        let watched = &mut Watched { source: &mut *source, observer };
        for first in (0..n_cells).step_by(BLOCK) {
            let mut block = watched.read(&options.layer, first..n_cells.min(first + BLOCK))?;
            if state != InputState::Log1p {
                normalise_total(&mut block, TOTAL);
                log1p(&mut block);
            }
            visit(chosen(&block, &columns));
        }
        Ok(())
    };
    let mut products = Products::new(genes.len());
    each("finding principal components", &mut |cells| products.add(&cells))?;
    let principal = products.principal(options.n_components);
    let mut rows = Vec::with_capacity(n_cells * principal.n());
    each("projecting cells", &mut |cells| {
        for (genes, values) in &cells {
            rows.extend(principal.project(genes, values));
        }
    })?;
    Ok(Baseline {
        rows,
        n_components: principal.n(),
        shares: principal.shares().to_vec(),
        genes,
        input_state: state,
    })
}

/// Of every cell the chosen genes, by their number among the chosen.
fn chosen(block: &Csr, columns: &[Option<u32>]) -> Vec<SparseCell> {
    let cell = |row: scgpt_data::CsrRow<'_>| {
        let pairs = row.indices.iter().zip(row.values);
        pairs.filter_map(|(&gene, &x)| columns[gene as usize].map(|number| (number, x))).unzip()
    };
    block.rows().map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClusterOptions, SimulateOptions, Simulation, cluster_scores, observe::Silent};

    const SIMULATED: SimulateOptions =
        SimulateOptions { cells: 600, genes: 500, types: 4, batches: 1, seed: 1 };

    #[test]
    fn planted_types_are_clusters_of_the_baseline() {
        let mut source = Simulation::new(&SIMULATED, None).unwrap();
        let options = BaselineOptions { n_genes: 200, n_components: 20, ..Default::default() };
        let baseline = hvg_pca(&mut source, &options, &Silent).unwrap();
        assert_eq!((baseline.n_components, baseline.rows.len()), (20, 600 * 20));
        assert_eq!((baseline.genes.len(), baseline.input_state), (200, InputState::Counts));
        assert!(baseline.genes.is_sorted() && baseline.shares.is_sorted_by(|a, b| a >= b));
        let labels: Vec<usize> = (0..600).map(|cell| source.truth(cell).0).collect();
        let scores =
            cluster_scores(&baseline.rows, 20, &labels, &ClusterOptions::default()).unwrap();
        assert!(scores.ari > 0.95, "{scores:?}");
        assert_eq!(baseline, hvg_pca(&mut source, &options, &Silent).unwrap());
    }

    #[test]
    fn there_are_no_more_components_than_genes() {
        let mut source = Simulation::new(&SIMULATED, None).unwrap();
        let options = BaselineOptions { n_genes: 7, ..Default::default() };
        assert_eq!(hvg_pca(&mut source, &options, &Silent).unwrap().n_components, 7);
        let none = BaselineOptions { n_components: 0, ..options };
        assert!(hvg_pca(&mut source, &none, &Silent).is_err());
    }
}
