//! [`Truth`]: the same cells, measured in every modality, with which generated values are compared.

use std::collections::{HashMap, HashSet};

use scgpt_data::{CellKey, CellSource, CellTokens, CsrRow, Layer, TokenScratch, Tokenizer};

use crate::error::{Error, Result};

/// Checks that `truth` has some of the cells and all of the features, since a feature that it lacks
/// would count as zero.
pub(in crate::integrate) fn check_truth(
    truth: &dyn CellSource,
    cells: &[String],
    features: &[String],
) -> Result<()> {
    let path = truth.summary().path.display();
    let (obs, var) = (truth.obs()?.index, truth.var(&Layer::X)?.index);
    let [known_cells, known_features] =
        [&obs, &var].map(|index| index.iter().collect::<HashSet<&String>>());
    if !cells.iter().any(|cell| known_cells.contains(cell)) {
        return Err(Error::option(format!(
            "`{path}` has none of the cells, expected the same with what was not measured: their names must be those \
             of the input"
        )));
    }
    let lacking: Vec<&String> =
        features.iter().filter(|name| !known_features.contains(name)).collect();
    match lacking.first() {
        None => Ok(()),
        Some(first) => Err(Error::option(format!(
            "`{path}` lacks {} of the {} features, such as `{first}`, expected all of the input by the same names",
            lacking.len(),
            features.len()
        ))),
    }
}

/// The true values: the same cells, measured in every modality.
pub(super) struct Truth<'a> {
    source: &'a mut dyn CellSource,
    /// For each cell, its row in the truth.
    rows: Vec<Option<usize>>,
    /// For each column of the truth, its place among the features.
    columns: Vec<Option<u32>>,
    scratch: TokenScratch,
}

impl<'a> Truth<'a> {
    /// Finds cells and features by their names.
    pub(super) fn new(
        source: &'a mut dyn CellSource,
        cells: &[String],
        features: &[String],
    ) -> Result<Self> {
        let places: HashMap<&str, u32> = features.iter().map(String::as_str).zip(0..).collect();
        let names = source.var(&Layer::X)?.index;
        let columns: Vec<Option<u32>> =
            names.iter().map(|name| places.get(name.as_str()).copied()).collect();
        let obs = source.obs()?.index;
        let rows: HashMap<&str, usize> = obs.iter().map(String::as_str).zip(0..).collect();
        let rows: Vec<Option<usize>> =
            cells.iter().map(|cell| rows.get(cell.as_str()).copied()).collect();
        Ok(Self { source, rows, columns, scratch: TokenScratch::default() })
    }

    /// The tokens of a cell as it was measured in every modality, with columns in the order of the
    /// features; `None` if the truth lacks the cell.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn cell(
        &mut self,
        cell: usize,
        tokenizer: &Tokenizer,
    ) -> Result<Option<CellTokens>> {
        let Some(row) = self.rows[cell] else { return Ok(None) };
        let block = self.source.read(&Layer::X, row..row + 1)?;
        let found = block.row(0);
        let entries = found.indices.iter().zip(found.values);
        let mut entries: Vec<(u32, f32)> = entries
            .filter_map(|(&column, &value)| Some((self.columns[column as usize]?, value)))
            .collect();
        entries.sort_unstable_by_key(|entry| entry.0);
        let (indices, values): (Vec<u32>, Vec<f32>) = entries.into_iter().unzip();
        let row = CsrRow { indices: &indices, values: &values };
        Ok(Some(tokenizer.cell(row, CellKey::Content, &mut self.scratch)))
    }
}
