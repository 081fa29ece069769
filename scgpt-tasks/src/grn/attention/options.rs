//! [`AttentionOptions`]: which cells and genes are looked at, and how.

use scgpt_data::{GeneNames, Layer};
use scgpt_eval::network::{GeneNetwork, GeneSets};

use super::NetworkMethod;

/// Which cells and genes are looked at, and how.
///
/// ```
/// use scgpt_tasks::grn::AttentionOptions;
///
/// // Which genes does the model connect otherwise where GATA1 is knocked out?
/// let genes = ["GATA1".to_owned()];
/// let mut options = AttentionOptions::default();
/// options.condition_key = Some("condition");
/// options.control = Some("ctrl");
/// options.genes = &genes;
/// assert_eq!((options.n_variable, options.max_cells, options.permutations), (1200, 500, 20));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AttentionOptions<'a> {
    /// What makes the networks: attention, or a simple method in its place.
    pub method: NetworkMethod,
    /// Column of `obs` with groups of cells; with `None` all cells are one group.
    pub condition_key: Option<&'a str>,
    /// The group that others are compared with; with `None` a single network is made.
    pub control: Option<&'a str>,
    /// The other group. `None` takes the one in which the only one of `genes` is perturbed alone,
    /// or else all cells except the controls.
    pub group: Option<&'a str>,
    /// Genes whose targets are asked for; they are in the panel even if they vary little.
    pub genes: &'a [String],
    /// Layer of the network, counted from 0; `None` takes the last.
    pub layer: Option<usize>,
    /// Number of most variable genes in the panel.
    pub n_variable: usize,
    /// Most cells of a group; of more a sample is taken.
    pub max_cells: usize,
    /// Number of permutations for the null hypothesis; 0 for no p values.
    pub permutations: usize,
    /// Whether networks from expression alone are made of the same genes and cells.
    pub baselines: bool,
    /// Known regulations to judge all networks by.
    pub truth: Option<&'a GeneNetwork>,
    /// Gene sets in which lists of targets are looked up.
    pub gene_sets: &'a [GeneSets],
    /// The matrix that is read.
    pub matrix: &'a Layer,
    /// Where the genes' names are, and how many of them have to be known.
    pub gene_names: &'a GeneNames,
    /// Number of cells computed at once: affects speed and memory, never results.
    pub batch_size: usize,
    /// Seed of every random choice.
    pub seed: u64,
}

impl Default for AttentionOptions<'_> {
    /// All cells as one group, the 1200 most variable genes, the last layer, 20 permutations.
    fn default() -> Self {
        Self {
            method: NetworkMethod::Network,
            condition_key: None,
            control: None,
            group: None,
            genes: &[],
            layer: None,
            n_variable: 1200,
            max_cells: 500,
            permutations: 20,
            baselines: true,
            truth: None,
            gene_sets: &[],
            matrix: &Layer::X,
            gene_names: &GeneNames::BEST,
            batch_size: 2,
            seed: 0,
        }
    }
}
