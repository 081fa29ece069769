//! [`BatchSize`] and [`ModalitySize`]: how many cells of a batch are in which part of them, and of a modality in which
//! batch.

use serde::Serialize;

use crate::training::part_sizes;

/// Cells of one batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BatchSize {
    /// Its name.
    pub name: String,
    /// Cells trained on.
    pub training: usize,
    /// Cells that selected the network.
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

    /// Cells in each part: trained on, validated on.
    pub(super) fn parts(&self) -> [usize; 2] {
        [self.training, self.validation]
    }
}

/// One of several modalities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ModalitySize {
    /// Its name.
    pub name: String,
    /// Its features that cells are compared by.
    pub features: usize,
    /// Cells measured in it, of each batch.
    pub cells: Vec<usize>,
}
