//! [`BatchSize`]: how many cells of a batch are in which part.

use serde::Serialize;

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
        let count = |part: &[usize], batch: usize| {
            part.iter().filter(|&&cell| domains[cell] == batch).count()
        };
        let size = |(batch, name): (usize, &String)| Self {
            name: name.clone(),
            training: count(parts[0], batch),
            validation: count(parts[1], batch),
        };
        names.iter().enumerate().map(size).collect()
    }
}
