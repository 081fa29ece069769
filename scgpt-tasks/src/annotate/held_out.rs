//! [`HeldOut`]: held-out cells, which tell how good answers are when fewer genes are measured.
//!
//! They are kept as they were measured, tokens and values, in a file of tensors beside the network: whoever shares
//! an artefact shares them.

use std::path::Path;

use scgpt_data::CsrRow;
use scgpt_model::{Weights, save_tensors};
use scgpt_stats::subsample;

use crate::{
    error::{Error, Result},
    training::TrainingCells,
};

/// The file in an artefact.
pub(super) const HELD_OUT: &str = "held_out.safetensors";

/// Most cells that are kept: enough for the limits of a share of 0.95, and a few megabytes.
const MOST: usize = 300;

/// Cells of known classes that the network was calibrated by, as they were measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct HeldOut {
    pub(super) classes: Vec<u32>,
    /// Where the genes of each cell end.
    ends: Vec<usize>,
    /// Gene tokens, ascending within a cell.
    genes: Vec<u32>,
    values: Vec<f32>,
}

impl HeldOut {
    /// Takes some of the cells that validated a training, which are of these classes.
    pub(super) fn of(
        cells: &TrainingCells<'_>,
        validation: &[usize],
        classes: &[u32],
    ) -> Result<Self> {
        let mut held_out = Self::default();
        for place in subsample(validation.len(), MOST, cells.seed) {
            let cell = validation[place];
            let CsrRow { indices, values } = cells.shards.cell(cell)?;
            held_out.classes.push(classes[cell]);
            held_out.genes.extend(indices);
            held_out.values.extend(values);
            held_out.ends.push(held_out.genes.len());
        }
        Ok(held_out)
    }

    /// Writes the file.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        #[allow(clippy::cast_precision_loss, reason = "far fewer than 2²⁴ tokens")]
        let number = |&token: &u32| token as f32;
        let lengths = std::iter::once(&0).chain(&self.ends).zip(&self.ends);
        let tensors = [
            ("classes", self.classes.iter().map(number).collect::<Vec<f32>>()),
            ("lengths", lengths.map(|(begin, end)| (end - begin) as f32).collect()),
            ("genes", self.genes.iter().map(number).collect()),
            ("values", self.values.clone()),
        ];
        let shaped = tensors.map(|(name, values)| (name.to_owned(), vec![values.len()], values));
        Ok(save_tensors(path, shaped.into())?)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// If it is missing or its parts do not agree.
    pub(super) fn read(path: &Path, n_classes: usize, n_tokens: usize) -> Result<Self> {
        let file = Weights::open(path)?;
        let wrong = |problem: &str| Error::Artefact { path: path.into(), problem: problem.into() };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked: whole numbers below the bound"
        )]
        let whole = |name: &str, bound: usize| -> Result<Vec<u32>> {
            let is_whole = |x: &f32| x.fract() == 0.0 && *x >= 0.0 && f64::from(*x) < bound as f64;
            let numbers = file.read(name)?;
            if !numbers.iter().all(is_whole) {
                return Err(wrong(&format!("`{name}` has numbers out of range")));
            }
            Ok(numbers.into_iter().map(|x| x as u32).collect())
        };
        let classes = whole("classes", n_classes)?;
        let lengths = whole("lengths", n_tokens + 1)?;
        let genes = whole("genes", n_tokens)?;
        let values = file.read("values")?;
        let mut end = 0;
        let ends: Vec<usize> = lengths
            .iter()
            .map(|&length| {
                end += length as usize;
                end
            })
            .collect();
        if classes.len() != ends.len() || end != genes.len() || end != values.len() {
            return Err(wrong("its parts differ in length"));
        }
        Ok(Self { classes, ends, genes, values })
    }

    /// The cells, each with its gene tokens and values.
    pub(super) fn cells(&self) -> impl Iterator<Item = CsrRow<'_>> {
        let begins = std::iter::once(&0).chain(&self.ends);
        begins.zip(&self.ends).map(|(&begin, &end)| CsrRow {
            indices: &self.genes[begin..end],
            values: &self.values[begin..end],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_the_same_or_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(HELD_OUT);
        let held_out = HeldOut {
            classes: vec![1, 0, 1],
            ends: vec![2, 2, 5],
            genes: vec![3, 8, 0, 3, 9],
            values: vec![1.0, 2.5, 7.0, 1.0, 1.0],
        };
        held_out.write(&path).unwrap();
        assert_eq!(HeldOut::read(&path, 2, 10).unwrap(), held_out);
        assert_eq!(held_out.cells().map(|cell| cell.indices.len()).collect::<Vec<_>>(), [2, 0, 3]);
        for (n_classes, n_tokens) in [(1, 10), (2, 9)] {
            let error = HeldOut::read(&path, n_classes, n_tokens).unwrap_err().to_string();
            assert!(error.contains("out of range"), "{error}");
        }
        let short = HeldOut { values: vec![1.0], ..held_out };
        short.write(&path).unwrap();
        assert!(HeldOut::read(&path, 2, 10).unwrap_err().to_string().contains("length"));
    }
}
