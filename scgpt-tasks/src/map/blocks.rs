//! [`each_block`]: visits the embeddings that go into an index.

use scgpt_data::{Observer, RowSpool};

use super::Found;
use crate::error::{Error, Result};

/// Rows of a spool that are read at a time.
const ROWS: usize = 16_384;

/// Calls `visit` with embeddings in blocks, each with the number of its first row.
///
/// # Errors
/// If they cannot be read or are not finite; [`Error::Cancelled`](scgpt_data::Error::Cancelled) if
/// the observer says so; whatever `visit` fails with.
pub(super) fn each_block(
    spool: &RowSpool,
    observer: &dyn Observer,
    mut visit: impl FnMut(usize, &[f32]) -> Result<()>,
) -> Result<()> {
    let (n, width) = (spool.n_rows(), spool.n_columns());
    let mut rows = Vec::new();
    for first in (0..n).step_by(ROWS) {
        observer.check_cancelled()?;
        spool.read_rows(first, ROWS.min(n - first), &mut rows)?;
        check_rows(&rows, width, first)?;
        visit(first, &rows)?;
    }
    Ok(())
}

/// Keeps the `k` nearest cells, nearest first; of equally near ones those of lower number.
pub(super) fn nearest_first(found: &mut Vec<Found>, k: usize) {
    found.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.cell.cmp(&b.cell)));
    found.truncate(k);
}

/// Checks that embeddings are whole rows of finite numbers, so that they have a direction; `first`
/// is the number of the first row, for the message.
pub(super) fn check_rows(rows: &[f32], width: usize, first: usize) -> Result<()> {
    if !rows.len().is_multiple_of(width) {
        return Err(Error::option(format!(
            "{} values are no rows of {width}, the width of the index",
            rows.len()
        )));
    }
    match rows.iter().position(|x| !x.is_finite()) {
        Some(place) => Err(Error::option(format!(
            "the embedding of cell {} has {}, so it has no neighbours",
            first + place / width,
            rows[place]
        ))),
        None => Ok(()),
    }
}
