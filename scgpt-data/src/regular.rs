//! [`open`]: regular files, which have a beginning and an end.
//!
//! A name may lead to a pipe, such as `<(zcat cells.mtx.gz)` of a shell, to a device or to a
//! folder. Most readers open a file more than once or go back in it, which a pipe cannot; to open
//! one that nobody writes to waits without end.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

/// Pipes, sockets and devices: to open one may wait forever, and it can be read once.
pub(crate) const NOT_A_FILE: &str = "a pipe, socket or device, not a file";
/// What to do about one.
pub(crate) const SAVE_IT: &str = "save what it gives to a file, and name that";

/// Why something is not read on purpose, and what to do about it.
///
/// It travels inside of an [`io::Error`], so that functions which read bytes need no error of their
/// own.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(crate) struct Refusal {
    /// Without the file, which whoever opens it adds.
    problem: String,
    remedy: &'static str,
}

impl Refusal {
    /// The remedy of a refusal, if the error comes from one.
    pub(crate) fn remedy(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
        let error = error.downcast_ref::<io::Error>()?.get_ref()?;
        Some(error.downcast_ref::<Self>()?.remedy)
    }
}

/// The error for what is not read on purpose.
pub(crate) fn refusal(problem: impl Into<String>, remedy: &'static str) -> io::Error {
    refused(io::ErrorKind::Other, problem, remedy)
}

/// As [`refusal`], of a kind that whoever asked looks at.
pub(crate) fn refused(
    kind: io::ErrorKind,
    problem: impl Into<String>,
    remedy: &'static str,
) -> io::Error {
    io::Error::new(kind, Refusal { problem: problem.into(), remedy })
}

/// Opens a file for reading, as [`File::open`] does, and at once refuses what is no regular file.
///
/// # Errors
/// If it is not there, cannot be read, or is a folder, pipe, socket or device.
pub fn open(path: &Path) -> io::Result<File> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_file() {
        return File::open(path);
    }
    Err(if kind.is_dir() {
        refusal("a folder, not a file", "name a file in it")
    } else {
        refusal(NOT_A_FILE, SAVE_IT)
    })
}

/// All bytes of a file that [`open`] opens.
///
/// # Errors
/// As [`open`].
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn pipes_and_folders_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert!(open(&pipe).unwrap_err().to_string().contains("pipe"));
        assert!(open(Path::new("/dev/zero")).unwrap_err().to_string().contains("device"));
        assert!(open(folder.path()).unwrap_err().to_string().contains("folder"));
        assert_eq!(open(&folder.path().join("no")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
