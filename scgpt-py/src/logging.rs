//! [`listen`]: remarks of the crates below, which may come from any thread, go to `logging`.

use log::{LevelFilter, Log, Metadata, Record};
use pyo3::prelude::*;

struct Notes;

impl Log for Notes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("scgpt")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = record.args().to_string();
            let told = Python::attach(|py| {
                let logger = py.import("logging")?.call_method1("getLogger", ("scgpt_rs",))?;
                logger.call_method1("warning", ("%s", line)).map(drop)
            });
            // A remark that nobody takes is no reason to stop.
            drop(told);
        }
    }

    fn flush(&self) {}
}

/// Hands remarks on from now on.
pub(crate) fn listen() {
    // Of two listeners the first is kept: there is one.
    if log::set_logger(&Notes).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}
