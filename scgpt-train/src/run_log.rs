//! [`RunLog`]: what a run tells, to several watchers at once.

use crate::observe::{Event, Watch};

/// Passes everything on.
#[allow(missing_debug_implementations, reason = "watchers cannot be printed")]
pub struct RunLog<'a> {
    watchers: &'a [&'a dyn Watch],
}

impl<'a> RunLog<'a> {
    /// A log for `watchers`, any of which can stop the run.
    pub fn new(_folder: &std::path::Path, watchers: &'a [&'a dyn Watch]) -> Self {
        Self { watchers }
    }
}

impl Watch for RunLog<'_> {
    fn event(&self, event: &Event<'_>) {
        for watcher in self.watchers {
            watcher.event(event);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.watchers.iter().any(|watcher| watcher.is_cancelled())
    }
}
