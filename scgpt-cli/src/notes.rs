//! [`hear_notes`]: hands on the remarks of the crates below, which may come from any thread.

use std::sync::OnceLock;

use log::{LevelFilter, Log, Metadata, Record};

/// Takes each remark.
struct Notes(fn(&str));

impl Log for Notes {
    /// Only our own remarks: what libraries log is not meant for users.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("scgpt")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            (self.0)(&record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// Hands remarks to `tell` from now on. Of several listeners in a process the first is kept.
pub fn hear_notes(tell: fn(&str)) {
    static NOTES: OnceLock<Notes> = OnceLock::new();
    if log::set_logger(NOTES.get_or_init(|| Notes(tell))).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}
