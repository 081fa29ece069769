//! [`Stopwatch`]: the time of training over all sessions of a run.

use std::{fs, path::PathBuf, time::Instant};

use scgpt_data::write_file;
use scgpt_train::{Event, TrainObserver};

/// Passes events on, and writes the time down at every checkpoint, from which a run goes on: steps that are
/// computed twice count once.
pub(super) struct Stopwatch<'a> {
    watch: &'a dyn TrainObserver,
    path: PathBuf,
    begun: Instant,
    /// Seconds of the sessions before.
    before: f64,
}

impl<'a> Stopwatch<'a> {
    pub(super) fn new(path: PathBuf, watch: &'a dyn TrainObserver) -> Self {
        let before = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
        Self { watch, path, begun: Instant::now(), before: before.unwrap_or(0.0) }
    }

    pub(super) fn seconds(&self) -> f64 {
        self.before + self.begun.elapsed().as_secs_f64()
    }
}

impl TrainObserver for Stopwatch<'_> {
    fn event(&self, event: &Event<'_>) {
        if let Event::Checkpoint { .. } = event {
            // A time that cannot be written is no reason to stop.
            drop(write_file(&self.path, format!("{:.3}\n", self.seconds())));
        }
        self.watch.event(event);
    }

    fn is_cancelled(&self) -> bool {
        self.watch.is_cancelled()
    }
}
