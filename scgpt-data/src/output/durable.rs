//! [`make_durable`]: what was written outlives a loss of power.

use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// Up to so many files are made durable one by one: to ask for a whole file system would also wait
/// for what others write there.
const FEW: usize = 64;

/// Files that are made durable at a time: one after the other, a thousand take seconds.
const AT_ONCE: usize = 32;

/// Asks the system to keep a file, or everything in a folder and below, through a loss of power; it
/// returns when that is so. Names of files are kept where the file system can.
///
/// # Errors
/// If a file cannot be opened, or the disk does not take it.
pub fn make_durable(path: &Path) -> io::Result<()> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    list(path.into(), &mut files, &mut folders)?;
    if files.len() <= FEW || !all_at_once(path) {
        each(&files, |path| {
            // Windows keeps nothing of a file that is open for reading alone.
            OpenOptions::new().read(true).write(cfg!(windows)).open(path)?.sync_all()
        })?;
        each(&folders, |path| {
            // Not every file system can.
            if let Ok(folder) = fs::File::open(path) {
                let _ = folder.sync_all();
            }
            Ok(())
        })?;
    }
    #[cfg(test)]
    tests::KEPT.with_borrow_mut(|kept| kept.extend(files.into_iter().chain(folders)));
    Ok(())
}

/// Makes all that was written to the file system of `path` durable, where the system can.
#[cfg(target_os = "linux")]
fn all_at_once(path: &Path) -> bool {
    fs::File::open(path).is_ok_and(|file| rustix::fs::syncfs(file).is_ok())
}

#[cfg(not(target_os = "linux"))]
fn all_at_once(_: &Path) -> bool {
    false
}

/// Adds a file, or a folder and everything below it.
///
/// Folders come behind what is in them: their entries are kept when what they name is.
fn list(path: PathBuf, files: &mut Vec<PathBuf>, folders: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path);
        return Ok(());
    }
    for entry in fs::read_dir(&path)? {
        list(entry?.path(), files, folders)?;
    }
    folders.push(path);
    Ok(())
}

/// Calls `keep` for every path, several at a time.
///
/// # Errors
/// The first that a thread met; others go on with the rest.
fn each(paths: &[PathBuf], keep: impl Fn(&Path) -> io::Result<()> + Sync) -> io::Result<()> {
    let next = AtomicUsize::new(0);
    let some = || {
        while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
            keep(path)?;
        }
        Ok(())
    };
    if paths.len() < 2 {
        return some();
    }
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE.min(paths.len())).map(|_| scope.spawn(some)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
        })
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        /// What this thread asked to be kept.
        pub(crate) static KEPT: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) };
    }

    #[test]
    fn everything_below_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/one"), "1").unwrap();
        fs::write(at("two"), "2").unwrap();
        KEPT.take();
        make_durable(folder.path()).unwrap();
        let mut kept = KEPT.take();
        kept.sort();
        let expected = ["a", "a/b", "a/b/one", "two"].map(at);
        assert_eq!(kept, [&[folder.path().into()][..], &expected].concat());
        make_durable(&at("three")).unwrap_err();
    }
}
