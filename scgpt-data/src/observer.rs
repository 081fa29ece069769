//! [`Observer`]: how far a task is, reported as values, never as text on a terminal.

use std::ops::Range;

use crate::{
    cell_source::CellSource,
    csr::Csr,
    error::{Error, Result},
    summary::Layer,
};

/// Watches a task. All methods have a default that does nothing, and may be called from any thread.
pub trait Observer: Sync {
    /// A stage begins, in which `total` cells are worked on.
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

    /// Ends the task if it should stop; called several times a second.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if [`is_cancelled`](Self::is_cancelled).
    fn check_cancelled(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// Watches nothing and never cancels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}

/// A source whose reads are watched: work that knows no observer, such as
/// [`export`](crate::export), advances one by the cells it reads and can be cancelled by it.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
///
/// use scgpt_data::{Csr, Frame, Layer, MemoryCells, Observer, ReadBlocks as _, Watched};
///
/// struct Count(AtomicUsize);
///
/// impl Observer for Count {
///     fn advance(&self, n: usize) {
///         self.0.fetch_add(n, Relaxed);
///     }
/// }
///
/// let matrix = Csr::of_rows(1, [(vec![0], vec![3.0]), (vec![], vec![])])?;
/// let source = &mut MemoryCells::of(matrix, Frame::of_names(["a", "b"]), Frame::of_names(["CD4"]))?;
/// let observer = &Count(AtomicUsize::new(0));
/// for block in (Watched { source, observer }).blocks(&Layer::X, 1) {
///     let _ = block?;
/// }
/// assert_eq!(observer.0.load(Relaxed), 2);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[allow(missing_debug_implementations, reason = "neither part can be printed")]
pub struct Watched<'a> {
    /// The source whose cells are read.
    pub source: &'a mut dyn CellSource,
    /// The observer that is told of the reads and asked whether to go on.
    pub observer: &'a dyn Observer,
}

impl CellSource for Watched<'_> {
    crate::forward!(source: summary, obs, var, read_lists, unread);

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
        self.observer.check_cancelled()?;
        let n = rows.len();
        let block = self.source.read(layer, rows)?;
        self.observer.advance(n);
        Ok(block)
    }

    fn read_obsm(&mut self, name: &str, rows: Range<usize>) -> Result<(Vec<f32>, usize)> {
        self.observer.check_cancelled()?;
        self.source.read_obsm(name, rows)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use super::*;
    use crate::{Frame, MemoryCells};

    /// Cells of a file that has an embedding, lists and a column that is not read.
    struct Rich {
        cells: MemoryCells<'static>,
    }

    impl CellSource for Rich {
        crate::forward!(cells: summary, obs, var, read);

        fn read_obsm(&mut self, _: &str, rows: Range<usize>) -> Result<(Vec<f32>, usize)> {
            Ok((vec![0.5; rows.len()], 1))
        }

        fn read_lists(&self, name: &str) -> Result<BTreeMap<String, Vec<String>>> {
            Ok(BTreeMap::from([(name.into(), vec!["CD4".into()])]))
        }

        fn unread(&self) -> Result<Vec<String>> {
            Ok(vec!["obs/when".into()])
        }
    }

    /// Counts cells, and cancels after so many.
    struct Until(AtomicUsize, usize);

    impl Observer for Until {
        fn advance(&self, n: usize) {
            self.0.fetch_add(n, Relaxed);
        }

        fn is_cancelled(&self) -> bool {
            self.0.load(Relaxed) >= self.1
        }
    }

    #[test]
    fn what_is_watched_has_all_that_its_source_has() {
        let matrix = Csr::of_rows(1, [(vec![0], vec![1.0]), (vec![], vec![])]).unwrap();
        let cells =
            MemoryCells::of(matrix, Frame::of_names(["a", "b"]), Frame::of_names(["CD4"])).unwrap();
        let source = &mut Rich { cells };
        let observer = &Until(AtomicUsize::new(0), 2);
        let mut watched = Watched { source, observer };
        assert_eq!(watched.read_obsm("X_pca", 0..2).unwrap(), (vec![0.5, 0.5], 1));
        assert_eq!(watched.read_lists("ranked").unwrap()["ranked"], ["CD4"]);
        assert_eq!(watched.unread().unwrap(), ["obs/when"]);
        assert_eq!(watched.read(&Layer::X, 0..2).unwrap().n_stored(), 1);
        assert_eq!(observer.0.load(Relaxed), 2, "cells of the matrix");
        assert!(matches!(watched.read(&Layer::X, 0..1), Err(Error::Cancelled)));
        assert!(matches!(watched.read_obsm("X_pca", 0..1), Err(Error::Cancelled)));
    }
}
