//! [`ClassSize`]: how many cells of a class are in which part of them.
//!
//! Parts are drawn class by class, so that small classes are in all of them.

use serde::Serialize;

use crate::training::part_sizes;

/// Numbers of cells of one class.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ClassSize {
    /// Name of the class.
    pub name: String,
    /// Number of cells trained on.
    pub training: usize,
    /// Number of cells that selected the network and calibrated it.
    pub validation: usize,
    /// Number of cells that judged it.
    pub test: usize,
}

impl ClassSize {
    /// Numbers of cells in each part: trained on, validated on, judged on.
    pub(super) fn parts(&self) -> [usize; 3] {
        [self.training, self.validation, self.test]
    }
}

/// How many cells of each class, by number, are in the three parts.
pub(super) fn class_sizes(names: &[String], codes: &[u32], parts: [&[usize]; 3]) -> Vec<ClassSize> {
    let sizes = part_sizes(names.len(), |cell| codes[cell] as usize, parts);
    let size = |(name, [training, validation, test]): (&String, [usize; 3])| ClassSize {
        name: name.clone(),
        training,
        validation,
        test,
    };
    names.iter().zip(sizes).map(size).collect()
}
