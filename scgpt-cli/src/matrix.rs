//! [`MatrixArgs`]: which matrix of a file is read, and what its genes are called.

use clap::Args;
use scgpt_data::{GeneNames, Layer};
use serde::Serialize;

use crate::choice::ChoiceArgs;

/// Options of every command that reads expression.
#[derive(Clone, Debug, Args, Serialize)]
pub(crate) struct MatrixArgs {
    /// Column of var with gene names, or index [default: the one with most known genes]
    #[arg(long, value_name = "NAME", env = "SCGPT_GENE_COLUMN")]
    gene_column: Option<String>,
    /// Take features that var/feature_types calls antibodies, peaks or guides for genes, too
    #[arg(long)]
    all_features: bool,
    /// Know genes by the names of the model alone, not by ids of Ensembl, previous symbols, aliases, orthologs in the
    /// mouse or in other case
    #[arg(long)]
    genes_as_they_are: bool,
    /// Least share of genes that have to be known, 0 for none [default: a tenth of the file's or of
    /// the vocabulary's, and a twentieth of what the model sees of a cell; half of those of the
    /// artefact of an integration]
    #[arg(long, value_name = "SHARE", env = "SCGPT_MIN_GENES", value_parser = share)]
    min_genes: Option<f64>,
    /// Matrix to read: X, raw, or the name of a layer
    #[arg(long, value_name = "NAME", default_value = "X", env = "SCGPT_LAYER")]
    layer: String,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) choice: ChoiceArgs,
}

impl MatrixArgs {
    /// Where the names of genes are, and how many have to be known.
    pub(crate) fn gene_names(&self) -> GeneNames {
        GeneNames {
            column: self.gene_column.clone(),
            all_features: self.all_features,
            min_genes: self.min_genes,
            genes_as_they_are: self.genes_as_they_are,
        }
    }

    /// The name of an option that was given, among those that say what the genes are.
    pub(crate) fn gene_option(&self) -> Option<&'static str> {
        [
            ("--gene-column", self.gene_column.is_some()),
            ("--all-features", self.all_features),
            ("--min-genes", self.min_genes.is_some()),
            ("--genes-as-they-are", self.genes_as_they_are),
        ]
        .into_iter()
        .find_map(|(option, is_given)| is_given.then_some(option))
    }

    /// The matrix that is read.
    pub(crate) fn layer(&self) -> Layer {
        Layer::from(self.layer.as_str())
    }
}

/// Takes a number from 0 to 1.
fn share(text: &str) -> Result<f64, &'static str> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or("expected a number from 0 to 1")
}
