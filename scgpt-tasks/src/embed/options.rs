//! [`EmbedOptions`]: how cells are embedded.

use std::path::PathBuf;

use scgpt_data::{GeneNames, Layer, Sampling, Setting, TieMode, VariableFlavour};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// How cells are read and embedded.
///
/// ```
/// use scgpt_data::Layer;
/// use scgpt_tasks::embed::{EmbedOptions, VariableOptions};
///
/// // The counts of a layer, and of its genes the 1200 that vary most.
/// let mut options = EmbedOptions::default();
/// options.layer = Layer::Named("counts".into());
/// options.variable = Some(VariableOptions::new(1200));
/// assert_eq!(options.batch_size, 8);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EmbedOptions {
    /// Number of cells computed at once: affects speed and memory, never results.
    pub batch_size: usize,
    /// Most tokens per cell, `<cls>` included; `None` takes the model's own number.
    pub max_length: Option<usize>,
    /// What happens to values on a bin edge.
    pub tie_mode: TieMode,
    /// Which genes are kept when a cell has more than fit.
    pub sampling: Sampling,
    /// Seed of every random choice.
    pub seed: u64,
    /// Where the genes' names are, and how many of them have to be known.
    #[serde(flatten)]
    pub gene_names: GeneNames,
    /// The matrix that is read.
    #[serde(skip)]
    pub layer: Layer,
    /// Which of the most variable genes alone are used; `None` uses all genes.
    pub variable: Option<VariableOptions>,
    /// Folder of the temporary file that collects the embeddings; `None` is the system's.
    #[serde(skip)]
    pub temporary: Option<PathBuf>,
}

/// Which genes count as most variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VariableOptions {
    /// Number of genes that are kept.
    pub n_top: usize,
    /// The measure of variability; `None` takes `seurat_v3` for counts and `cell_ranger` otherwise.
    pub flavour: Option<VariableFlavour>,
    /// Column of `obs` with batches: the genes that vary within most of them are kept. With `None`
    /// they are those that vary among all cells.
    pub batch_key: Option<String>,
}

impl EmbedOptions {
    /// Checks what can be told before a cell is read.
    ///
    /// # Errors
    /// If no cell is to be computed at once.
    pub(crate) fn check(&self) -> Result<()> {
        match self.batch_size {
            0 => Err(Setting("batch_size").zero().into()),
            _ => Ok(()),
        }
    }
}

impl VariableOptions {
    /// Takes the `n_top` genes that vary most among all cells, by the measure that fits the values.
    pub fn new(n_top: usize) -> Self {
        Self { n_top, flavour: None, batch_key: None }
    }
}

impl Default for EmbedOptions {
    fn default() -> Self {
        Self {
            batch_size: 8,
            max_length: None,
            tie_mode: TieMode::default(),
            sampling: Sampling::default(),
            seed: 0,
            gene_names: GeneNames::BEST,
            layer: Layer::X,
            variable: None,
            temporary: None,
        }
    }
}
