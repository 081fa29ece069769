//! [`BatchSize`] and [`ModalitySize`]: numbers of cells of each batch in each part of the cells, and
//! of each modality in each batch.

use scgpt_data::VariableFlavour;
use serde::Serialize;

use crate::training::part_sizes;

/// Numbers of cells of one batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BatchSize {
    /// Name of the batch.
    pub name: String,
    /// Number of cells trained on.
    pub training: usize,
    /// Number of cells that selected the network.
    pub validation: usize,
}

impl BatchSize {
    /// How many cells of each batch, by number, are in the two parts.
    pub(super) fn of(names: &[String], domains: &[usize], parts: [&[usize]; 2]) -> Vec<Self> {
        let sizes = part_sizes(names.len(), |cell| domains[cell], parts);
        let size = |(name, [training, validation]): (&String, [usize; 2])| Self {
            name: name.clone(),
            training,
            validation,
        };
        names.iter().zip(sizes).map(size).collect()
    }

    /// Numbers of cells in each part: trained on, validated on.
    pub(super) fn parts(&self) -> [usize; 2] {
        [self.training, self.validation]
    }
}

/// The size of one of several modalities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ModalitySize {
    /// Its name.
    pub name: String,
    /// Number of its features by which cells are compared.
    pub features: usize,
    /// The measure that chose them, if it is another than that of the genes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<VariableFlavour>,
    /// For each batch, the number of cells that were measured in it.
    pub cells: Vec<usize>,
}

impl ModalitySize {
    /// The measure that chose its features, if it is another than that of the genes: ` by TF-IDF`, or nothing.
    pub fn chosen_by(&self) -> String {
        self.by.map_or_else(String::new, |by| format!(" by {by}"))
    }
}
