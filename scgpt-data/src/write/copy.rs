//! Copies of files, folders and zips, with every file writable.
//!
//! Contents go byte by byte; permissions are kept, but that the owner may write, as a read-only
//! input would else give a copy that cannot be extended. Links are followed: what is copied is what
//! they lead to.

use std::{fs, io, path::Path};

/// Copies the file or folder `from` to `to`, which does not exist.
///
/// # Errors
/// If something cannot be read or written; what was copied until then stays, in a
/// [`Place`](crate::Place) that goes with it.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        fs::copy(from, to)?;
        return make_writable(to);
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Unpacks the zip `from` to the folder `to`, which does not exist.
///
/// # Errors
/// If an entry names a place outside of the folder, such as `../x`, or is damaged.
#[cfg(feature = "zarr")]
pub(super) fn unzip(from: &Path, to: &Path) -> io::Result<()> {
    let mut archive = zip::ZipArchive::new(fs::File::open(from)?)?;
    fs::create_dir(to)?;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index)?;
        let Some(name) = file.enclosed_name() else {
            return Err(io::Error::other(format!(
                "entry {index} of the zip would lie outside of it"
            )));
        };
        let target = to.join(name);
        if file.is_dir() {
            fs::create_dir_all(target)?;
            continue;
        }
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        io::copy(&mut file, &mut fs::File::create(target)?)?;
    }
    Ok(())
}

/// A copy takes over the permissions of a write-protected file.
fn make_writable(path: &Path) -> io::Result<()> {
    let mut permissions = fs::metadata(path)?.permissions();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        permissions.set_mode(permissions.mode() | 0o200);
    }
    #[cfg(not(unix))]
    permissions.set_readonly(false);
    fs::set_permissions(path, permissions)
}
