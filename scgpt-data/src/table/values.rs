//! [`Values`]: what a table is written of.

use std::borrow::Cow;

use crate::frame::Column;

/// The values of one column in a block of rows.
#[derive(Debug)]
pub(crate) enum Values<'a> {
    Column(Cow<'a, Column>),
    /// Numbers that have half the digits, none of them missing.
    Single(Vec<f32>),
}

impl Values<'_> {
    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Column(column) => column.len(),
            Self::Single(values) => values.len(),
        }
    }
}
