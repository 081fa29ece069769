//! [`Rows`]: some rows of a part, as they are written and read.

use std::{borrow::Cow, ops::Range};

use sha2::{Digest as _, Sha256};

use crate::{
    error::Result,
    frame::{Column, Frame},
    hex::hex,
    table::Values,
    write::Additions,
};

/// Consecutive rows of a part.
pub(super) struct Rows {
    /// Names of the cells.
    pub(super) names: Column,
    /// New columns of `obs`; categoricals are texts.
    pub(super) columns: Vec<Column>,
    /// New matrices of `obsm`, row-major.
    pub(super) matrices: Vec<Vec<f32>>,
}

impl Rows {
    /// Some rows of what was found of the cells of `obs`.
    pub(super) fn of(obs: &Frame, additions: &Additions, rows: Range<usize>) -> Result<Self> {
        let chosen: Vec<usize> = rows.clone().collect();
        let text = |column: Column| match column {
            Column::Categorical { .. } => Column::Text(column.labels()),
            other => other,
        };
        let mut matrices = Vec::new();
        for (_, spool) in &additions.obsm {
            let mut values = Vec::new();
            spool.read_rows(rows.start, rows.len(), &mut values)?;
            matrices.push(values);
        }
        Ok(Self {
            names: Column::Text(obs.index[rows].iter().cloned().map(Some).collect()),
            columns: additions.obs.iter().map(|(_, column)| text(column.pick(&chosen))).collect(),
            matrices,
        })
    }

    /// Names and columns, as they are written.
    pub(super) fn values(&self) -> impl Iterator<Item = Values<'_>> {
        let columns = std::iter::once(&self.names).chain(&self.columns);
        columns.map(|column| Values::Column(Cow::Borrowed(column)))
    }
}

/// A hash of rows, block by block.
#[derive(Default)]
pub(super) struct RowsHash(Sha256);

impl RowsHash {
    /// Adds a block.
    pub(super) fn add(&mut self, rows: &Rows) {
        self.column(&rows.names);
        rows.columns.iter().for_each(|column| self.column(column));
        for values in &rows.matrices {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            self.0.update(bytes);
        }
    }

    /// Each value behind a mark that says whether it is there.
    fn column(&mut self, column: &Column) {
        let mut bytes = Vec::new();
        let mut each = |value: Option<&[u8]>| {
            bytes.push(u8::from(value.is_some()));
            bytes.extend_from_slice(value.unwrap_or_default());
        };
        match column {
            Column::Float(values) => {
                for value in values {
                    each(value.map(f64::to_le_bytes).as_ref().map(|bytes| &bytes[..]));
                }
            }
            Column::Integer(values) => {
                for value in values {
                    each(value.map(i64::to_le_bytes).as_ref().map(|bytes| &bytes[..]));
                }
            }
            Column::Boolean(values) => {
                for value in values {
                    each(value.map(|is| [u8::from(is)]).as_ref().map(|bytes| &bytes[..]));
                }
            }
            text => {
                for label in text.labels() {
                    let label = label.map(|label| {
                        let length = (label.len() as u64).to_le_bytes();
                        [&length[..], label.as_bytes()].concat()
                    });
                    each(label.as_deref());
                }
            }
        }
        self.0.update(bytes);
    }

    /// The hash, hexadecimal.
    pub(super) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}
