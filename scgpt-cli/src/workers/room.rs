//! [`Room`]: a folder among the temporary files, which goes with its worker, however that ends.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use tempfile::{Builder, TempDir};

/// How the names of rooms begin.
const PREFIX: &str = ".scgpt-worker-";
/// A file in each that is locked while its worker lives.
const LOCK: &str = "lock";

/// The folder of a worker.
#[derive(Debug)]
pub(crate) struct Room {
    folder: TempDir,
    _lock: File,
}

impl Room {
    /// A new one. Those of workers that were killed are removed.
    pub(crate) fn new() -> io::Result<Self> {
        Self::within(&std::env::temp_dir())
    }

    fn within(place: &Path) -> io::Result<Self> {
        for entry in fs::read_dir(place)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                sweep(&entry.path());
            }
        }
        let folder = Builder::new().prefix(PREFIX).tempdir_in(place)?;
        // It has its name once it is locked: a room without it is of a worker that begins.
        let begun = folder.path().join("begun");
        let lock = File::create_new(&begun)?;
        lock.lock()?;
        fs::rename(begun, folder.path().join(LOCK))?;
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes a room if its worker is not there any more. One that cannot be removed does no harm here.
fn sweep(room: &Path) {
    if let Ok(lock) = File::open(room.join(LOCK))
        && lock.try_lock().is_ok()
    {
        drop(fs::remove_dir_all(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_of_the_dead_are_removed_and_no_others() {
        let place = tempfile::tempdir().unwrap();
        let [lives, ended] = [(); 2].map(|()| Room::within(place.path()).unwrap());
        // Killed: nobody has its lock, and nobody has removed it.
        let dead = place.path().join(".scgpt-worker-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        let begins = place.path().join(".scgpt-worker-begins");
        fs::create_dir(&begins).unwrap();
        let gone = ended.path().to_owned();
        drop(ended);
        let new = Room::within(place.path()).unwrap();
        assert!(!dead.exists() && !gone.exists());
        assert!(begins.exists() && lives.path().exists() && new.path().exists());
    }
}
