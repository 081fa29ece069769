//! [`Scored`]: class scores and embeddings of cells: all that a network, or a simple method, says of them.

use scgpt_data::{CellTokens, Observer};
use scgpt_eval::baseline::ClassMethod;
use scgpt_model::CellEncoder;
use scgpt_stats::{SparseCell, unit_rows};

use crate::{error::Result, stream::Rows};

/// One row a cell: a logit for each class, then the cell embedding, of unit length if it is that of a network.
#[derive(Clone, Debug, Default)]
pub(super) struct Scored {
    /// Number of logits in a row, one a class.
    pub(super) n_classes: usize,
    /// Width of an embedding.
    pub(super) width: usize,
    pub(super) rows: Vec<f32>,
}

impl Scored {
    /// Computes the scores of cells that are given as tokens.
    pub(super) fn of(
        rows: Rows<'_>,
        cells: &[CellTokens],
        observer: &dyn Observer,
    ) -> Result<Self> {
        let computed = rows.of(cells, None, observer)?;
        let width = rows.encoder.d_model();
        let rows = score(rows.encoder, &computed);
        let n_classes = rows.len().checked_div(cells.len()).unwrap_or(width) - width;
        Ok(Self { n_classes, width, rows })
    }

    /// What a simple method says of cells, which it also places.
    pub(super) fn of_method(
        method: &ClassMethod,
        cells: &[SparseCell],
        observer: &dyn Observer,
    ) -> Result<Self> {
        let (n_classes, width) = (method.n_classes(), method.space().width());
        let positions = method.space().positions(cells);
        let said = method.scores(cells, observer)?;
        let rows = said.iter().zip(positions.chunks_exact(width.max(1)));
        let rows = rows.flat_map(|(cell, position)| cell.scores.iter().chain(position));
        Ok(Self { n_classes, width, rows: rows.copied().collect() })
    }

    /// Appends the cells of another.
    pub(super) fn extend(&mut self, other: Self) {
        self.rows.extend(other.rows);
        (self.n_classes, self.width) = (other.n_classes, other.width);
    }

    /// Logits and embedding of each cell.
    pub(super) fn cells(&self) -> impl ExactSizeIterator<Item = (&[f32], &[f32])> {
        let cells = self.rows.chunks_exact((self.n_classes + self.width).max(1));
        cells.map(|row| row.split_at(self.n_classes))
    }
}

/// Rows of [`Scored`], from cell embeddings `[n, d]` as the network gives them.
///
/// # Panics
/// If the network has no class head, which opening an artefact has checked.
pub(super) fn score(encoder: &CellEncoder, cells: &[f32]) -> Vec<f32> {
    let d = encoder.d_model();
    let Some(logits) = encoder.classify(cells) else {
        panic!("the network has no class head");
    };
    let k = logits.len().checked_div(cells.len() / d).unwrap_or(1).max(1);
    let unit = unit_rows(cells, d);
    let both = logits.chunks_exact(k).zip(unit.chunks_exact(d));
    both.flat_map(|(logits, unit)| logits.iter().chain(unit)).copied().collect()
}
