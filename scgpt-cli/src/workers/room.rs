//! [`Room`]: a folder among the temporary files, which goes with its worker, however that ends.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use tempfile::{Builder, TempDir};

/// A file in each that is locked while its worker lives.
const LOCK: &str = "lock";

/// The folder of a worker.
#[derive(Debug)]
pub(crate) struct Room {
    folder: TempDir,
    _lock: File,
}

impl Room {
    /// A new one.
    pub(crate) fn new() -> io::Result<Self> {
        Self::within(&std::env::temp_dir())
    }

    fn within(place: &Path) -> io::Result<Self> {
        let folder = Builder::new().prefix(&prefix()).tempdir_in(place)?;
        // It has its name once it is locked: a room without it is of a worker that begins.
        let begun = folder.path().join("begun");
        let lock = File::create_new(&begun)?;
        match lock.lock() {
            Ok(()) => fs::rename(begun, folder.path().join(LOCK))?,
            // On a file system without locks nobody but its worker removes it.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(error) => return Err(error),
        }
        Ok(Self { folder, _lock: lock })
    }

    /// Removes those of workers of this machine that were killed.
    pub(super) fn sweep() {
        sweep(&std::env::temp_dir());
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// How the names of rooms begin; several machines may have their temporary files in one place.
fn prefix() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!(".scgpt-worker-{}-", host.trim())
}

/// Removes rooms whose workers are not there any more. One that cannot be removed does no harm.
fn sweep(place: &Path) {
    let prefix = prefix();
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix)
            && let Ok(lock) = File::open(entry.path().join(LOCK))
            && lock.try_lock().is_ok()
        {
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_of_the_dead_are_removed_and_no_others() {
        let place = tempfile::tempdir().unwrap();
        let [lives, ended] = [(); 2].map(|()| Room::within(place.path()).unwrap());
        let named = |name| place.path().join(prefix() + name);
        // Killed: nobody has its lock, and nobody has removed it.
        let dead = named("dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        let begins = named("begins");
        fs::create_dir(&begins).unwrap();
        let gone = ended.path().to_owned();
        drop(ended);
        sweep(place.path());
        assert!(!dead.exists() && !gone.exists());
        assert!(begins.exists() && lives.path().exists());
    }
}
