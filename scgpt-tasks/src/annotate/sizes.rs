//! [`ClassSize`]: how many cells of a class are in which part.

use serde::Serialize;

/// Cells of one class.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ClassSize {
    /// Its name.
    pub name: String,
    /// Cells trained on.
    pub training: usize,
    /// Cells that selected the network and calibrated it.
    pub validation: usize,
    /// Cells that judged it.
    pub test: usize,
}

/// How many cells of each class, by number, are in the three parts.
pub(super) fn class_sizes(names: &[String], codes: &[u32], parts: [&[usize]; 3]) -> Vec<ClassSize> {
    let count =
        |part: &[usize], class: u32| part.iter().filter(|&&cell| codes[cell] == class).count();
    (0..)
        .zip(names)
        .map(|(class, name)| ClassSize {
            name: name.clone(),
            training: count(parts[0], class),
            validation: count(parts[1], class),
            test: count(parts[2], class),
        })
        .collect()
}
