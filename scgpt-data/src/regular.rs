//! [`open`]: files with a beginning and an end.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

/// What is said of pipes, sockets and devices: to open one may wait forever, and it can be read once.
pub(crate) const NOT_A_FILE: &str =
    "a pipe, socket or device, not a file: save what it gives to a file, and name that";

/// Opens a file for reading, as [`File::open`] does, and refuses what is none at once.
///
/// # Errors
/// If it is not there, cannot be read, or is a folder, pipe, socket or device.
pub fn open(path: &Path) -> io::Result<File> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_file() {
        return File::open(path);
    }
    let problem = if kind.is_dir() { "a folder, not a file" } else { NOT_A_FILE };
    Err(refusal(problem))
}

/// A refusal that says itself what to do, as [`Error::advice`](crate::Error::advice) knows by its kind.
pub(crate) fn refusal(problem: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, problem.into())
}

/// All bytes of a file that [`open`] opens.
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
