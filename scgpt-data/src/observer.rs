//! [`Observer`]: how far a task is, reported as values, never as text on a terminal.

use std::ops::Range;

use crate::{
    csr::Csr,
    error::{Error, Result},
    frame::Frame,
    source::{CellSource, Layer, Summary},
};

/// Watches a task. All methods have a default that does nothing, and may be called from any thread.
pub trait Observer: Sync {
    /// A stage begins, of `total` cells.
    fn begin(&self, stage: &str, total: usize) {
        let _ = (stage, total);
    }

    /// `n` more cells of the stage are done.
    fn advance(&self, n: usize) {
        let _ = n;
    }

    /// Whether the task should stop with [`Error::Cancelled`].
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}

/// A source whose reads are watched: work that knows no observer, such as
/// [`export`](crate::export), advances one and can be cancelled by it.
#[allow(missing_debug_implementations, reason = "neither part can be printed")]
pub struct Watched<'a> {
    /// Where cells come from.
    pub source: &'a mut dyn CellSource,
    /// Who is told, and asked.
    pub observer: &'a dyn Observer,
}

impl CellSource for Watched<'_> {
    fn summary(&self) -> &Summary {
        self.source.summary()
    }

    fn obs(&self) -> Result<Frame> {
        self.source.obs()
    }

    fn var(&self, layer: &Layer) -> Result<Frame> {
        self.source.var(layer)
    }

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
        if self.observer.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let n = rows.len();
        let block = self.source.read(layer, rows)?;
        self.observer.advance(n);
        Ok(block)
    }
}
