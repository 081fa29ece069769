//! [`MatrixArgs`]: which matrix of a file is read, and what its genes are called.

use clap::Args;
use scgpt_data::Layer;
use serde::Serialize;

/// Options of every command that reads expression.
#[derive(Clone, Debug, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct MatrixArgs {
    /// Column of var with gene names, or index [default: the one with most known genes]
    #[arg(long, value_name = "NAME", env = "SCGPT_GENE_COLUMN")]
    pub(crate) gene_column: Option<String>,
    /// Matrix to read: X, raw, or the name of a layer
    #[arg(long, value_name = "NAME", default_value = "X", env = "SCGPT_LAYER")]
    layer: String,
}

impl MatrixArgs {
    /// The matrix.
    pub(crate) fn layer(&self) -> Layer {
        layer(&self.layer)
    }
}

/// The matrix of that name.
pub(crate) fn layer(name: &str) -> Layer {
    match name {
        "X" => Layer::X,
        "raw" | "raw/X" => Layer::Raw,
        name => Layer::Named(name.into()),
    }
}
