//! [`EmbeddingNetworkOptions`]: which genes are compared, and how.

use scgpt_data::Setting;
use scgpt_eval::network::ProgrammeOptions;

use super::{NetworkMethod, universe::Universe};
use crate::{
    embed::{EmbedOptions, VariableOptions},
    error::Result,
};

/// Which genes are compared, and how.
///
/// ```
/// use scgpt_tasks::grn::EmbeddingNetworkOptions;
///
/// // Vectors in context, each cell type apart, at a stricter threshold.
/// let mut options = EmbeddingNetworkOptions::default();
/// options.contextual = true;
/// options.per = Some("cell_type".into());
/// options.threshold = Some(0.5);
/// assert_eq!(options.centre, None);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EmbeddingNetworkOptions {
    /// What makes the network: vectors of genes, or a simple method in their place.
    pub method: NetworkMethod,
    /// How cells become tokens; its most variable genes are those of the network.
    pub embed: EmbedOptions,
    /// The genes of the network, by name, instead of the most variable ones.
    pub genes: Option<Vec<String>>,
    /// Whether genes have the vectors that the cells make of them, instead of those of the model's table.
    pub contextual: bool,
    /// Whether the mean vector of the genes is subtracted before they are compared. `None`
    /// subtracts it from vectors in context, which share most of their length, but not from those
    /// of the table.
    pub centre: Option<bool>,
    /// Column of `obs` with cell types, each of which gets a network.
    pub per: Option<String>,
    /// Least cosine similarity of an edge, or weight by a simple method whatever its sign; `None` is 0.4 of cosines, and
    /// what a thousand pairs reach by a simple method.
    pub threshold: Option<f64>,
    /// How programmes are found; its neighbours are also those of the neighbour network.
    pub programmes: ProgrammeOptions,
    /// The genes that programmes are compared with in gene sets.
    pub universe: Universe,
    /// Genes whose most similar ones are listed; they are in the network even if they vary little.
    pub queries: Vec<String>,
    /// How many of the most similar genes are listed for each of the `queries`.
    pub n_similar: usize,
    /// Whether networks from expression alone are made of the same genes.
    pub baselines: bool,
    /// Most cells that these networks are made of; they are chosen by their names, not by their
    /// order.
    pub baseline_cells: usize,
}

impl Default for EmbeddingNetworkOptions {
    /// The 1200 most variable genes, by their vectors in the model's table.
    fn default() -> Self {
        let variable = VariableOptions::new(1200);
        Self {
            method: NetworkMethod::Network,
            embed: EmbedOptions { variable: Some(variable), ..EmbedOptions::default() },
            genes: None,
            contextual: false,
            centre: None,
            per: None,
            threshold: None,
            programmes: ProgrammeOptions::default(),
            universe: Universe::default(),
            queries: Vec::new(),
            n_similar: 20,
            baselines: true,
            baseline_cells: 1000,
        }
    }
}

impl EmbeddingNetworkOptions {
    /// Least cosine similarity of an edge.
    pub(super) fn least_cosine(&self) -> f64 {
        self.threshold.unwrap_or(0.4)
    }

    /// Checks that the options can work, with cells or without. Messages name the setting as
    /// callers of the command line know it.
    pub(super) fn check(&self, has_cells: bool) -> Result<()> {
        if !has_cells && (self.contextual || self.per.is_some()) {
            let problem = "is needed: vectors in context and cell types are of cells";
            return Err(Setting("data").wrong(problem).into());
        }
        if let Some(threshold) = self.threshold
            && !(-1.0..=1.0).contains(&threshold)
        {
            let problem = format!("is {threshold}, expected -1 to 1");
            return Err(Setting("threshold").wrong(problem).into());
        }
        if self.baselines && self.baseline_cells < 6 {
            let n = self.baseline_cells;
            let problem = format!("is {n}, expected at least 6: halves of them are compared");
            return Err(Setting("max_cells").wrong(problem).into());
        }
        if self.programmes.neighbours < 2 {
            let n = self.programmes.neighbours;
            let problem = format!("is {n}, expected at least 2: the gene itself counts");
            return Err(Setting("neighbours").wrong(problem).into());
        }
        let resolution = self.programmes.resolution;
        if !(resolution > 0.0 && resolution.is_finite()) {
            let problem = format!("is {resolution}, expected a number above 0");
            return Err(Setting("resolution").wrong(problem).into());
        }
        Ok(())
    }
}
