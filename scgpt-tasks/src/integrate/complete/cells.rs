//! [`Cells`]: the cells that are completed, and where a network puts them.

use std::collections::BTreeMap;

use scgpt_data::{CellTokens, Measured, Silent, Tokenizer};
use scgpt_eval::Labels;
use scgpt_stats::unit_rows;

use super::columns::Columns;
use crate::{error::Result, stream::Rows};

/// What is known of all cells.
pub(super) struct Cells<'a> {
    /// The network, prepared for cell embeddings.
    pub(super) space: Rows<'a>,
    /// The tokenizer of the columns.
    pub(super) tokenizer: &'a Tokenizer,
    pub(super) columns: Columns<'a>,
    /// What each cell was measured in.
    pub(super) measured: &'a [Measured],
    /// The batch of each cell.
    pub(super) domains: &'a [usize],
    /// The type of each cell, if it is known.
    pub(super) labels: Option<&'a Labels>,
    pub(super) seed: u64,
}

/// Some cells, by their numbers, with their tokens.
pub(super) type Kept = BTreeMap<usize, CellTokens>;

impl Cells<'_> {
    /// Width of the embeddings.
    pub(super) fn d(&self) -> usize {
        self.space.encoder.d_model()
    }

    /// Numbers of the cells that lack a modality, ascending.
    pub(super) fn lacking(&self, modality: usize) -> Vec<usize> {
        (0..self.measured.len()).filter(|&cell| !self.measured[cell].contains(modality)).collect()
    }

    /// Whether a cell was measured in a modality and in another.
    pub(super) fn is_paired(&self, cell: usize, modality: usize) -> bool {
        self.measured[cell].contains(modality) && self.measured[cell].len() > 1
    }

    /// The type of a cell, if it is known.
    pub(super) fn of_type(&self, cell: usize) -> Option<usize> {
        Some(self.labels?.codes[cell]? as usize)
    }

    /// Cell embeddings of unit length, `[n, d]`, of cells by their numbers and tokens.
    pub(super) fn places(&self, numbers: &[usize], cells: &[CellTokens]) -> Result<Vec<f32>> {
        let domains: Vec<usize> = numbers.iter().map(|&cell| self.domains[cell]).collect();
        let rows = self.space.of(cells, Some(&domains), &Silent)?;
        Ok(unit_rows(&rows, self.d()))
    }
}
