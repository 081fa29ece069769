//! The logs that a run writes while it goes on: for tools that draw curves, and for programs.

mod event_file;
mod json_lines;
mod run_log;

use std::{io, path::Path};

pub use self::run_log::RunHistory;
pub(crate) use self::run_log::RunLog;

/// Adds to an error the path of the file that it is about.
fn about(path: &Path) -> impl Fn(io::Error) -> io::Error + '_ {
    |error| io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
}
