//! [`sync`]: folders that are still there when the power fails.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// So few files are asked for one by one: all at once means all that others write there, too.
const FEW: usize = 64;

/// Files that are made durable at a time.
const SYNCING: usize = 32;

/// Makes every file below `folder` durable.
///
/// A disk does so for many files at a time: asked for one after the other, a thousand take seconds.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    list(folder, &mut files)?;
    if files.len() > FEW && all_at_once(folder) {
        return Ok(());
    }
    let next = AtomicUsize::new(0);
    let some = || {
        while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            fs::File::open(path)?.sync_all()?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..SYNCING.min(files.len())).map(|_| scope.spawn(some)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
        })
    })
}

/// Adds all files below `folder`.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Makes all that was written to the file system of `folder` durable, where the system can.
#[cfg(target_os = "linux")]
fn all_at_once(folder: &Path) -> bool {
    fs::File::open(folder).is_ok_and(|folder| rustix::fs::syncfs(folder).is_ok())
}

#[cfg(not(target_os = "linux"))]
fn all_at_once(_: &Path) -> bool {
    false
}
