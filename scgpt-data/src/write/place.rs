//! [`Place`]: the temporary sibling that becomes the output when it is complete.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// Whether an output can be written to `path`, so that a command fails before its work.
///
/// # Errors
/// [`Error::Exists`] if it exists and `overwrite` is not set; [`Error::Write`] if its folder is
/// missing or not writable.
pub fn check_output(path: &Path, overwrite: bool) -> Result<()> {
    if !overwrite && fs::symlink_metadata(path).is_ok() {
        return Err(Error::Exists { path: path.into() });
    }
    if path.file_name().is_none() {
        return Err(Error::write(path, "the path names no file"));
    }
    tempfile::tempfile_in(folder(path)).map_err(|error| Error::write(path, error))?;
    Ok(())
}

/// The folder an output lies in.
pub(crate) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A temporary file or folder beside an output; removed when dropped before [`Place::publish`].
#[derive(Debug)]
pub(crate) struct Place {
    output: PathBuf,
    /// A folder that holds the file or folder under construction, and what it replaces.
    scratch: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new(output: &Path) -> Result<Self> {
        let scratch = tempfile::Builder::new()
            .prefix(".scgpt-")
            .tempdir_in(folder(output))
            .map_err(|error| Error::write(output, error))?;
        Ok(Self { output: output.into(), scratch })
    }

    /// Where to build the output. It does not exist yet.
    pub(crate) fn path(&self) -> PathBuf {
        self.scratch.path().join(self.output.file_name().map_or(OsString::new(), OsString::from))
    }

    /// Where unnamed files may lie meanwhile.
    pub(crate) fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Renames what was built to the output, in place of what is there.
    pub(crate) fn publish(self) -> Result<()> {
        self.exchange().map_err(|error| Error::write(&self.output, error))
    }

    fn exchange(&self) -> io::Result<()> {
        let built = self.path();
        // A folder is not replaced by a rename, nor is a file by a folder.
        if self.output.is_dir() || (built.is_dir() && self.output.exists()) {
            let old = self.scratch.path().join("replaced");
            fs::rename(&self.output, &old)?;
            if let Err(error) = fs::rename(&built, &self.output) {
                fs::rename(&old, &self.output)?;
                return Err(error);
            }
        } else {
            fs::rename(&built, &self.output)?;
        }
        // Makes the rename itself durable; not every file system can.
        if let Ok(folder) = fs::File::open(folder(&self.output)) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}
