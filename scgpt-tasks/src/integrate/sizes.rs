//! [`BatchSize`] and [`ModalitySize`]: numbers of cells of each batch in each part of the cells, and
//! of each modality in each batch.

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
    /// For each batch, the number of cells that were measured in it.
    pub cells: Vec<usize>,
}
