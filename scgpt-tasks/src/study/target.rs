//! [`TargetConfig`]: held-out cells, and what is measured on them.

use std::path::PathBuf;

use scgpt_data::{GeneNames, Layer};
use scgpt_eval::study::Measure;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Held-out cells of a file. Cells that express exactly what a cell of the corpus does are left out.
///
/// ```
/// use scgpt_tasks::study::TargetConfig;
///
/// let mut blood = TargetConfig::new("blood.h5ad");
/// blood.label = Some("cell_type".into());
/// blood.reference = Some("donor = 'D1'".into());
/// assert_eq!(blood.measures().len(), 5);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TargetConfig {
    /// File or folder of cells.
    pub file: PathBuf,
    /// Condition in SQL on `obs`: the cells of the file that are measured on; with `None`, all.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Column of `obs` with labels, which all measures but the errors of hidden genes need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Condition in SQL on `obs`: the cells whose labels the others are mapped to; with `None`, half of each label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The matrix that is read: `X`, `raw`, or the name of a layer; `X` if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// Column of `var` with gene names; with `None`, the one with most known genes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gene_column: Option<String>,
    /// Least share of genes that have to be known; with `None`, the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_genes: Option<f64>,
    /// What is measured; with `None`, everything but annotation, as far as there are labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measures: Option<Vec<Measure>>,
}

impl TargetConfig {
    /// All cells of a file, without labels.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self {
            file: file.into(),
            condition: None,
            label: None,
            reference: None,
            layer: None,
            gene_column: None,
            min_genes: None,
            measures: None,
        }
    }

    /// What is measured.
    pub fn measures(&self) -> Vec<Measure> {
        let is_usual = |measure: &Measure| {
            *measure != Measure::Annotation && (self.label.is_some() || !measure.needs_labels())
        };
        let usual = || Measure::ALL.into_iter().filter(is_usual).collect();
        self.measures.clone().unwrap_or_else(usual)
    }

    pub(super) fn measures_any(&self, some: &[Measure]) -> bool {
        self.measures().iter().any(|measure| some.contains(measure))
    }

    /// Checks that measures have what they need, and that the name can be that of a folder.
    pub(super) fn check(&self, name: &str) -> Result<()> {
        let is_plain = |it: char| it.is_alphanumeric() || "_-.".contains(it);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) {
            return Err(Error::option(format!(
                "target `{name}`: it is the name of a folder, expected letters, digits, _, - and ."
            )));
        }
        let measures = self.measures();
        if measures.is_empty() || measures.contains(&Measure::GeneMeans) {
            return Err(Error::option(format!(
                "target `{name}`: nothing is measured, or the means of genes, which come with gep"
            )));
        }
        match measures.iter().find(|measure| measure.needs_labels()) {
            Some(measure) if self.label.is_none() => Err(Error::option(format!(
                "target `{name}`: `{}` needs the column of obs with labels (label)",
                measure.name()
            ))),
            _ => Ok(()),
        }
    }

    pub(super) fn layer(&self) -> Layer {
        self.layer.as_deref().map_or(Layer::X, Layer::from)
    }

    pub(super) fn gene_names(&self) -> GeneNames {
        let (column, min_genes) = (self.gene_column.clone(), self.min_genes);
        GeneNames { column, min_genes, ..GeneNames::BEST }
    }
}
