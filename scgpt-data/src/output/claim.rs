//! [`Claim`]: one writer an output, and nothing left of those that were killed.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{
    address::is_url,
    error::{Error, Result},
    hex::hex,
};

/// The folder in which an output that is replaced lies meanwhile, under its own name.
pub(super) const REPLACED: &str = "replaced";

/// What every file and folder under construction begins with.
const PREFIX: &str = ".scgpt-";
/// How often folders are made anew after another process, for which they were of no use, has
/// removed them.
const TRIES: usize = 100;
/// Digits of the name's hash that tell outputs of one folder apart.
const DIGITS: usize = 8;

/// What is in a folder, except what is under construction, or left of that; nothing if it cannot be read.
pub fn folder_entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| !is_under_construction(&entry.file_name())).map(|entry| entry.path())
}

fn is_under_construction(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
}

/// The right to write to one output, which one process has at a time.
///
/// It is a file beside the output with a lock of the operating system on it, which ends with the
/// process however that ends. So whatever a new owner finds beside the output is of a writer that was
/// killed, and is removed.
#[derive(Debug)]
pub struct Claim {
    output: PathBuf,
    /// None on a file system without locks.
    lock: Option<Lock>,
    /// Folders that were made for the output, the deepest first.
    made: Vec<PathBuf>,
}

/// A locked file.
#[derive(Debug)]
struct Lock {
    /// Where it is, to remove it.
    path: PathBuf,
    /// The lock ends when it is closed.
    _file: File,
}

impl Claim {
    /// Claims an output, and removes what killed writers of it have left.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process has it, [`Error::Write`] if its folder is missing or not
    /// writable, [`Error::Unsupported`] if it is a URL.
    pub fn new(output: &Path) -> Result<Self> {
        check_local(output)?;
        let output = resolved(output)?;
        let claim = Self { lock: lock(&output)?, output, made: Vec::new() };
        claim.tidy();
        Ok(claim)
    }

    /// Claims a folder that is filled bit by bit. The folders above it are made, and removed again
    /// if it is never written.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_folder(output: &Path) -> Result<Self> {
        check_local(output)?;
        let mut tries = 0;
        loop {
            let mut made = Vec::new();
            match make_parents(output, &mut made).and_then(|()| Self::new(output)) {
                Ok(mut claim) => {
                    claim.made = made;
                    return Ok(claim);
                }
                Err(error) => {
                    remove_empty(&made);
                    tries += 1;
                    if !is_missing(&error) || tries == TRIES {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Where the output goes: links to folders and `..` at its end are followed.
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// Beginning of the names of what is under construction.
    pub(super) fn prefix(&self) -> String {
        format!("{PREFIX}{}-", digest(&self.output))
    }

    /// Removes what killed writers have left. Without a lock nothing is removed, as it could be a
    /// living writer's.
    fn tidy(&self) {
        if self.lock.is_none() {
            return;
        }
        let prefix = self.prefix();
        for entry in fs::read_dir(parent(&self.output)).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                let path = entry.path();
                // What cannot be brought back is the only one there is; what cannot be removed does no harm.
                if !brought_back(&path, parent(&self.output)) {
                    continue;
                }
                drop(fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path)));
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(lock) = &self.lock
            && cfg!(unix)
        {
            // While it is held: whoever waits for it sees that it is gone, and makes another.
            drop(fs::remove_file(&lock.path));
        }
        self.lock = None;
        remove_empty(&self.made);
    }
}

/// Brings back to `home`, under their own names, the outputs that a writer had put aside when it
/// was killed between two renames. Returns whether all that were put aside are back.
fn brought_back(scratch: &Path, home: &Path) -> bool {
    let mut all = true;
    for old in fs::read_dir(scratch.join(REPLACED)).into_iter().flatten().flatten() {
        let output = home.join(old.file_name());
        all &= output.exists() || fs::rename(old.path(), output).is_ok();
    }
    all
}

/// Makes the folders above an output, and adds those that were not there to `made`, the deepest first.
fn make_parents(output: &Path, made: &mut Vec<PathBuf>) -> Result<()> {
    let missing = output.ancestors().skip(1);
    let missing: Vec<&Path> =
        missing.take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            Ok(()) => made.insert(0, folder.into()),
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            Err(error) => return Err(Error::write(folder, error)),
        }
    }
    Ok(())
}

/// Whether the error is that of a folder which is gone.
fn is_missing(error: &Error) -> bool {
    let Error::Write { source, .. } = error else { return false };
    source.downcast_ref().is_some_and(|error: &io::Error| error.kind() == io::ErrorKind::NotFound)
}

/// Removes folders, as far as nothing is in them.
fn remove_empty(folders: &[PathBuf]) {
    for folder in folders {
        drop(fs::remove_dir(folder));
    }
}

/// The path with its last part resolved: links to folders, `.` and `..` are looked up.
fn resolved(output: &Path) -> Result<PathBuf> {
    let is_link = output.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    if output.file_name().is_none() || (is_link && output.is_dir()) {
        return fs::canonicalize(output).map_err(|error| Error::write(output, error));
    }
    Ok(output.into())
}

/// Digits of the hash of the name alone, without regard to case: however a path is spelled, the
/// folder is the same.
fn digest(output: &Path) -> String {
    let name = output.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    hex(&Sha256::digest(name.as_bytes()))[..DIGITS].to_owned()
}

/// Locks the file of `output`, into which the number of this process is written, for the messages
/// of others; `None` where the file system has no locks.
///
/// # Errors
/// [`Error::Busy`] if another process has it, [`Error::Write`] if its file cannot be made.
fn lock(output: &Path) -> Result<Option<Lock>> {
    let failed = |error: io::Error| Error::write(output, error);
    let name = format!("{PREFIX}{}.lock", digest(output));
    let mut path = parent(output).join(&name);
    loop {
        let mut file = match open(&path) {
            Ok(file) => file,
            // A folder that is given to its user alone, such as the mount of a container.
            Err(error) if is_forbidden(&error) && output.is_dir() && !path.starts_with(output) => {
                path = output.join(&name);
                continue;
            }
            Err(error) => return Err(failed(error)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let process = fs::read_to_string(&path).unwrap_or_default();
                return Err(Error::Busy { path: output.into(), process });
            }
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                return Ok(None);
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Its last owner may have removed it in the meantime.
        if is_at(&file, &path) {
            // For the message of the next; that it is there is what counts.
            drop(file.set_len(0).and_then(|()| file.rewind()));
            drop(write!(file, "{}", std::process::id()));
            return Ok(Some(Lock { path, _file: file }));
        }
    }
}

/// Checks that an output is on this machine.
fn check_local(output: &Path) -> Result<()> {
    if !is_url(output) {
        return Ok(());
    }
    let what = "an output is written to a path of this machine, not to a URL";
    Err(Error::unsupported(output, what, "write it here, and copy it there, as by `aws s3 cp`"))
}

/// Opens the lock file. That of another user cannot be written to, but it can be locked.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path).or_else(|error| File::open(path).map_err(|_| error))
}

/// Whether nothing may be written there.
fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Whether `path` still leads to the open file, which its last owner may have removed before the
/// lock was had.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let same = |a: fs::Metadata, b: fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    file.metadata().is_ok_and(|here| fs::metadata(path).is_ok_and(|there| same(here, there)))
}

/// Elsewhere a lock file is never removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// The folder an output lies in.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_writer_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out");
        let first = Claim::new(&output).unwrap();
        let spelled = folder.path().join("nowhere/../out");
        fs::create_dir(folder.path().join("nowhere")).unwrap();
        for path in [&output, &spelled] {
            let error = Claim::new(path).unwrap_err();
            assert!(matches!(&error, Error::Busy { .. }), "{error}");
            assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        }
        Claim::new(&folder.path().join("other")).unwrap();
        drop(first);
        Claim::new(&output).unwrap();
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn what_killed_writers_left_is_removed_and_an_old_output_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out");
        let prefix = Claim::new(&output).unwrap().prefix();
        let left = folder.path().join(prefix + "dead");
        fs::create_dir_all(left.join("replaced/out")).unwrap();
        fs::write(left.join("replaced/out/old"), "1").unwrap();
        let foreign = folder.path().join(".scgpt-00000000-alive");
        fs::create_dir(&foreign).unwrap();
        drop(Claim::new(&output).unwrap());
        assert!(!left.exists() && foreign.exists());
        assert_eq!(fs::read_to_string(output.join("old")).unwrap(), "1");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_old_output_comes_back_under_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let prefix = Claim::new(&folder.path().join("Out")).unwrap().prefix();
        let kept = folder.path().join(prefix + "dead/replaced/Out");
        fs::create_dir_all(&kept).unwrap();
        drop(Claim::new(&folder.path().join("out")).unwrap());
        assert!(!kept.exists() && folder.path().join("Out").is_dir());
        assert!(!folder.path().join("out").exists());
    }

    #[test]
    fn many_may_begin_in_a_new_folder_at_once() {
        let place = tempfile::tempdir().unwrap();
        for round in 0..100 {
            let folder = place.path().join(format!("{round}/runs"));
            let begin = std::sync::Barrier::new(4);
            std::thread::scope(|scope| {
                for run in 0..4 {
                    let (folder, begin) = (&folder, &begin);
                    scope.spawn(move || {
                        begin.wait();
                        drop(Claim::of_folder(&folder.join(run.to_string())).unwrap());
                    });
                }
            });
        }
    }

    #[test]
    fn nothing_is_written_to_a_url() {
        let output = Path::new("s3://bucket/out.h5ad");
        for claim in [Claim::new, Claim::of_folder] {
            let error = claim(output).unwrap_err();
            assert!(error.to_string().contains("not to a URL"), "{error}");
        }
        assert!(!Path::new("s3:").exists());
    }

    #[test]
    fn folders_above_are_made_and_do_not_stay_empty() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("a/b/out");
        drop(Claim::of_folder(&output).unwrap());
        assert!(!folder.path().join("a").exists());
        let claim = Claim::of_folder(&output).unwrap();
        fs::create_dir(&output).unwrap();
        drop(claim);
        assert!(output.is_dir());
    }
}
