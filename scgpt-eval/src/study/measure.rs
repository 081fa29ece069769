//! [`Measure`]: what is measured of a run.

use serde::{Deserialize, Serialize};

/// What is measured of a trained network on held-out cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Measure {
    /// Error of hidden genes from token states, in squared value bins.
    Gep,
    /// The same from the cell embedding.
    Gepc,
    /// Normalised mutual information of clusters of the zero-shot embedding with labels.
    Nmi,
    /// Adjusted Rand index of the same clusters.
    Ari,
    /// Share of cells whose label their neighbours in a reference say, by the zero-shot embedding.
    Mapping,
    /// Share of held-out cells whose label is predicted after fine-tuning.
    Annotation,
    /// Error of the means of genes over the cells that were learned from, beside [`Gep`](Self::Gep).
    GeneMeans,
}

impl Measure {
    /// All that can be asked for.
    pub const ALL: [Self; 6] =
        [Self::Gep, Self::Gepc, Self::Nmi, Self::Ari, Self::Mapping, Self::Annotation];

    /// Its word in settings and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gep => "gep",
            Self::Gepc => "gepc",
            Self::Nmi => "nmi",
            Self::Ari => "ari",
            Self::Mapping => "mapping",
            Self::Annotation => "annotation",
            Self::GeneMeans => "gene_means",
        }
    }

    /// What it is, as a heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Gep => "Error of hidden genes, from token states",
            Self::Gepc => "Error of hidden genes, from the cell embedding",
            Self::Nmi => "Clusters against labels, zero-shot (NMI)",
            Self::Ari => "Clusters against labels, zero-shot (ARI)",
            Self::Mapping => "Labels by neighbours, zero-shot (accuracy)",
            Self::Annotation => "Labels after fine-tuning (accuracy)",
            Self::GeneMeans => "Error of the means of genes",
        }
    }

    /// Whether less is better.
    pub fn is_error(self) -> bool {
        matches!(self, Self::Gep | Self::Gepc | Self::GeneMeans)
    }

    /// Whether it needs labels of the cells.
    pub fn needs_labels(self) -> bool {
        !self.is_error()
    }

    /// The value as an error, at least 0, that falls as a network gets better.
    pub(super) fn error(self, value: f64) -> f64 {
        if self.is_error() { value } else { 1.0 - value }
    }

    /// A value in as many digits as say something.
    pub(super) fn shown(self, value: f64) -> String {
        if self.is_error() { format!("{value:.2}") } else { format!("{value:.3}") }
    }
}
