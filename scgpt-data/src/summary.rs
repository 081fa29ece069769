//! [`Summary`]: which matrices ([`Layer`]) a source of cells has, and their sizes.

use std::{ops::Range, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    names::similar_names,
    setting::{Advice, Setting},
    state::InputValues,
};

/// A matrix of expression values inside a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layer {
    /// The main matrix, `X`.
    #[default]
    X,
    /// `layers[name]`.
    Named(String),
    /// `raw.X`, with the genes of `raw.var`.
    Raw,
}

impl From<&str> for Layer {
    /// The matrix that users call `X`, `raw` (or `raw/X`), or by the name of a layer.
    fn from(name: &str) -> Self {
        match name {
            "X" => Self::X,
            "raw" | "raw/X" => Self::Raw,
            name => Self::Named(name.into()),
        }
    }
}

/// What a file holds, found without reading a matrix.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// The file or folder.
    pub path: PathBuf,
    /// Format in words: `h5ad`, `AnnData-zarr v3`, `10x h5 (v3)`, `10x mtx`…
    pub format: String,
    /// Number of cells.
    pub n_cells: usize,
    /// The matrices.
    pub matrices: Vec<MatrixSummary>,
    /// Names of further elements (`obsm/X_pca`, `uns/neighbors`…).
    pub elements: Vec<String>,
    /// Which of the cells of the file these are, if they were chosen by a condition.
    pub chosen: Option<CellChoice>,
    /// What the values of a matrix are, where that was found by more cells than these: of a part of a file it is
    /// what the file's are, so that no part is taken for something else.
    pub values: Option<(Layer, InputValues)>,
}

/// Cells that were chosen by a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellChoice {
    /// The condition, in SQL.
    #[serde(rename = "where")]
    pub condition: String,
    /// Number of cells for which it is true.
    pub kept: usize,
    /// Number of cells there were.
    pub of: usize,
}

/// One matrix of a [`Summary`].
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSummary {
    /// Where it is.
    pub layer: Layer,
    /// Number of genes.
    pub n_genes: usize,
    /// Stored entries (cells × genes for a dense matrix).
    pub n_stored: u64,
    /// Encoding in words: `csr`, `csc`, `dense`.
    pub encoding: &'static str,
    /// Element type: `float32`, `int64`…
    pub dtype: String,
}

impl std::fmt::Display for CellChoice {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} of {} cells where {}", self.kept, self.of, self.condition)
    }
}

impl std::fmt::Display for Layer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::X => formatter.write_str("X"),
            Self::Named(name) => write!(formatter, "layers/{name}"),
            Self::Raw => formatter.write_str("raw/X"),
        }
    }
}

impl Summary {
    /// The numbers of cells and of genes of `layer`, neither of them 0.
    ///
    /// # Errors
    /// If there is no such matrix (the message lists those there are), no cell, or no gene.
    pub fn shape(&self, layer: &Layer) -> Result<(usize, usize)> {
        let found = self.matrices.iter().find(|matrix| matrix.layer == *layer);
        let n_genes = found.ok_or_else(|| self.missing(layer))?.n_genes;
        let empty = |what: &str| {
            Error::invalid(
                &self.path,
                layer.to_string(),
                format!("no {what}: {} × {n_genes}", self.n_cells),
            )
            .with_hint(
                "check the filters that made this file: at least one cell and one gene are needed",
            )
        };
        match (self.n_cells, n_genes) {
            (0, _) => Err(empty("cells")),
            (_, 0) if found.is_some_and(|matrix| matrix.n_stored > 0) => Err(self.no_genes(layer)),
            (_, 0) => Err(empty("genes")),
            shape => Ok(shape),
        }
    }

    /// The error for a matrix whose features are not genes.
    fn no_genes(&self, layer: &Layer) -> Error {
        let problem = format!("no genes: it has {}", self.elements.join(", "));
        Error::invalid(&self.path, layer.to_string(), problem).with_hint(
            "use the file or folder of the run that has features of type `Gene Expression`; to integrate proteins with genes, give both to `scgpt integrate`",
        )
    }

    /// Names of the matrices in `obsm`.
    pub fn obsm(&self) -> impl Iterator<Item = &str> {
        self.elements.iter().filter_map(|element| element.strip_prefix("obsm/"))
    }

    /// The error for a matrix of `obsm` that is not there; it names those there are.
    pub fn missing_obsm(&self, name: &str) -> Error {
        let there: Vec<&str> = self.obsm().collect();
        let has = if there.is_empty() { "nothing".into() } else { there.join(", ") };
        let similar = similar_names(name, there.iter().copied()).hint();
        let problem = format!("not found (obsm has {has}){similar}");
        Error::invalid(&self.path, format!("obsm/{name}"), problem)
            .with_hint("name one of those there are, or embed the cells first: scgpt embed")
    }

    /// The error for a matrix that is not there; it names those there are.
    pub fn missing(&self, layer: &Layer) -> Error {
        let there: Vec<String> =
            self.matrices.iter().map(|matrix| format!("`{}`", matrix.layer)).collect();
        let (problem, hint) = if there.is_empty() {
            (
                "no such matrix; the file holds no matrix at all".to_owned(),
                Advice::from("use a file with counts in X"),
            )
        } else {
            let named = |layer: &Layer| match layer {
                Layer::Named(name) => Some(name.clone()),
                Layer::X | Layer::Raw => None,
            };
            let names: Vec<String> =
                self.matrices.iter().filter_map(|matrix| named(&matrix.layer)).collect();
            let similar =
                |name: String| similar_names(&name, names.iter().map(String::as_str)).hint();
            let similar = named(layer).map_or_else(String::new, similar);
            let has_raw = self.matrices.iter().any(|matrix| matrix.layer == Layer::Raw);
            let raw = if has_raw { " (`raw` is raw/X)" } else { "" };
            let there = there.join(", ");
            (
                format!("no such matrix; the file has {there}{similar}"),
                Advice::from("choose one of these by ") + Setting("layer") + raw,
            )
        };
        Error::invalid(&self.path, layer.to_string(), problem).with_hint(hint)
    }

    /// Checks that `rows` are rows of `layer`.
    ///
    /// # Errors
    /// If they are not.
    pub fn check_rows(&self, layer: &Layer, rows: &Range<usize>) -> Result<()> {
        if rows.start > rows.end || rows.end > self.n_cells {
            return Err(Error::Option(format!(
                "cells {}..{} of `{layer}` were asked for, there are {}",
                rows.start, rows.end, self.n_cells
            )));
        }
        Ok(())
    }
}
