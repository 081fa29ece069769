//! [`listen`]: shows the remarks of the crates below as lines for people.

use log::{LevelFilter, Log, Metadata, Record};

use crate::terminal::{shown, tell};

struct Notes;

impl Log for Notes {
    /// Only our own remarks: what libraries log is not meant for users.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("scgpt")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            tell(&shown(&format!("note: {}", record.args()), "  "));
        }
    }

    fn flush(&self) {}
}

/// Passes remarks on from now on, unless people want quiet.
pub(crate) fn listen(is_quiet: bool) {
    // Of two listeners the first is kept: there is one.
    if log::set_logger(&Notes).is_ok() {
        log::set_max_level(if is_quiet { LevelFilter::Off } else { LevelFilter::Warn });
    }
}
