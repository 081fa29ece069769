//! What every model has to beat: variable genes and principal components, and simple classifiers.
//!
//! | task | simple methods | here |
//! |---|---|---|
//! | embedding | variable genes, then principal components | [`hvg_pca`] |
//! | annotation | class means, nearest neighbours, logistic regression | [`SimpleMethods`] |
//! | integration of batches | principal components, Harmony, ComBat | [`integration_baselines`] |
//! | integration of modalities | LSI, weighted neighbours, Harmony | [`multiomic_baselines`] |
//! | networks of genes | correlations, trees | [`Association`] |
//!
//! All read cells as a stream and hold only what their definition needs: principal components of
//! every cell, and for networks the profiles of the genes asked for. Each is the published method,
//! with a `Differs:` clause where it departs from it, since a baseline that is weaker than it need
//! be flatters the model.

mod classify;
mod combat;
mod harmony;
mod integration;
mod logistic;
mod lsi;
mod modalities;
mod networks;
mod projection;
mod variable_expression;
mod weighted_neighbours;

use scgpt_data::{
    Advice, CellSource, Error, InputState, Layer, Observer, ReadBlocks as _, Result, Setting,
    VariableFlavour,
};
use serde::{Deserialize, Serialize};

pub(crate) use self::logistic::LogisticRegression;
use self::variable_expression::VariableExpression;
pub use self::{
    classify::{
        CellScore, ClassBaseline, ClassMethod, ExpressionSpace, KnownCells, LabelledCells,
        SimpleMethod, SimpleMethods, SpaceReader,
    },
    harmony::harmony,
    integration::{SpaceBaseline, SpaceMethod, integration_baselines},
    lsi::{DepthComponent, Lsi, lsi},
    modalities::multiomic_baselines,
    networks::{Association, GeneProfiles},
    projection::GeneProjection,
    weighted_neighbours::{ModalitySpace, WeightedNeighbours, weighted_neighbours},
};

/// Which genes and how many principal components a baseline uses.
///
/// ```
/// use scgpt_data::Layer;
/// use scgpt_eval::baseline::BaselineOptions;
///
/// let mut options = BaselineOptions::default();
/// options.layer = Layer::Named("counts".into());
/// options.n_genes = 1000;
/// assert_eq!((options.n_components, options.flavour), (50, None));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BaselineOptions {
    /// The matrix that is read.
    #[serde(skip)]
    pub layer: Layer,
    /// Number of most variable genes.
    pub n_genes: usize,
    /// The measure of variability; `None` takes `seurat_v3` for counts and `cell_ranger` otherwise.
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
pub struct HvgPca {
    /// `[n, n_components]`, row-major, in the order of the source.
    pub rows: Vec<f32>,
    /// Number of components: as many as asked for, at most one a variable gene.
    pub n_components: usize,
    /// Share of the variance of the variable genes that each component explains.
    pub shares: Vec<f64>,
    /// Columns of the variable genes, ascending.
    pub genes: Vec<usize>,
    /// The unit of the values as they were read.
    pub input_state: InputState,
}

/// Normalises cells to 10 000, takes `log1p`, keeps the most variable genes and finds their
/// principal components, streaming: the source is read three or four times, and memory holds one
/// block, `n_genes²` numbers and the result.
///
/// Values that are normalised or logged already are not normalised or logged again.
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
) -> Result<HvgPca> {
    let expression = VariableExpression::choose(source, options, None, observer)?;
    expression.principal(source, options.n_components, observer)
}

/// Checks that there is anything by which methods could place the cells of `source`. Reading ends at the
/// first cell that has a value.
///
/// # Errors
/// If there is no such matrix, it cannot be read, or no cell has a value in it.
pub(crate) fn check_values(source: &mut dyn CellSource, layer: &Layer) -> Result<()> {
    source.summary().shape(layer)?;
    for block in source.blocks(layer, 1024) {
        let (_, block) = block?;
        if block.rows().any(|cell| cell.values.iter().any(|&value| value != 0.0)) {
            return Ok(());
        }
    }
    Err(Error::unsuited(
        format!("no cell of `{}` has a value in `{layer}`", source.summary().path.display()),
        Advice::from("name the matrix with their values by ")
            + Setting("layer")
            + ", or leave out simple methods ("
            + Setting("baselines")
            + ")",
    ))
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;
    use scgpt_stats::{ClusterOptions, cluster_scores};

    use super::*;
    use crate::simulate::{SimulateOptions, Simulation};

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
            cluster_scores(&baseline.rows, 20, &labels, &ClusterOptions::default(), &Silent)
                .unwrap();
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
