//! [`Observer`]: how far a task is, reported as values, never as text on a terminal.

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

    /// Whether the task should stop with [`Error::Cancelled`](crate::Error::Cancelled).
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
