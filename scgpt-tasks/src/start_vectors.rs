//! [`StartVectors`]: gene vectors of a network before its first step, beside its weights.
//!
//! They tell what training has added to the co-expression that a network began with.

use std::path::Path;

use scgpt_model::{Weights, save_tensors};

use crate::error::{Error, Result};

/// The file of a model directory with the vectors, and the name of its only tensor, `[vocabulary, d]`.
pub(crate) const START: &str = "start.safetensors";
const TENSOR: &str = "genes";
/// Why a model may have none, for people.
pub const NO_START: &str = "not known: the model did not begin with the co-expression of its cells, or has no record of it";

/// Gene vectors of a network before its first step, after their norm, as those of a trained network are
/// looked at.
#[derive(Clone, Debug)]
pub(crate) struct StartVectors {
    /// `[vocabulary, width]`, row-major.
    rows: Vec<f32>,
    width: usize,
}

impl StartVectors {
    /// Vectors of all gene tokens, `[vocabulary, width]`.
    pub(crate) fn new(rows: Vec<f32>, width: usize) -> Self {
        Self { rows, width }
    }

    /// Writes them as safetensors.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn save(&self, path: &Path) -> scgpt_model::Result<()> {
        let shape = vec![self.rows.len() / self.width.max(1), self.width];
        save_tensors(path, vec![(TENSOR.into(), shape, self.rows.clone())])
    }

    /// Reads vectors that are `width` wide.
    ///
    /// # Errors
    /// If the file cannot be read or has another shape.
    pub(crate) fn open(path: &Path, width: usize) -> Result<Self> {
        let weights = Weights::open(path)?;
        match weights.shape(TENSOR) {
            Some([_, d]) if *d == width => Ok(Self { rows: weights.read(TENSOR)?, width }),
            found => {
                let problem =
                    format!("`{TENSOR}` has the shape {found:?}, expected rows of {width} numbers");
                Err(Error::Artefact { path: path.into(), problem })
            }
        }
    }

    /// The vector of a gene token, `[width]`; `None` beyond the vocabulary.
    pub(crate) fn of(&self, token: usize) -> Option<&[f32]> {
        self.rows.chunks(self.width.max(1)).nth(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_come_back_and_another_width_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(START);
        StartVectors::new(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2).save(&path).unwrap();
        let vectors = StartVectors::open(&path, 2).unwrap();
        assert_eq!((vectors.of(2), vectors.of(3)), (Some(&[5.0, 6.0][..]), None));
        let error = StartVectors::open(&path, 3).unwrap_err().to_string();
        assert!(error.contains("start.safetensors") && error.contains("3 numbers"), "{error}");
    }
}
