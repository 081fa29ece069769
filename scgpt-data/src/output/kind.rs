//! [`OutputKind`]: folders that this program writes, and may therefore replace.

use std::{fs, io, path::Path};

use crate::error::{Error, Result};

/// A kind of folder that this program writes.
///
/// A folder is replaced as a whole only if it is one, and holds nothing that does not belong to it: what
/// a user keeps there is no output.
#[derive(Clone, Copy, Debug)]
pub struct OutputKind {
    /// What it is called in errors, such as `a folder of token shards`.
    pub name: &'static str,
    /// Whether a folder is of this kind.
    pub is_one: fn(&Path) -> bool,
    /// Whether a path in such a folder belongs to it.
    pub holds: fn(&Path) -> bool,
}

impl OutputKind {
    /// AnnData in zarr, of any version.
    pub(crate) const ZARR: Self = Self {
        name: "a zarr folder",
        is_one: is_zarr,
        holds: |entry| {
            let name = entry.file_name().unwrap_or_default();
            is_zarr(entry) || ZARR_FILES.iter().any(|file| name == *file)
        },
    };

    /// Checks that what is at `path` may be replaced by a folder of this kind: nothing, an empty
    /// folder, or one of the kind.
    ///
    /// # Errors
    /// [`Error::Protected`] if it may not, with what stands against it.
    pub fn check(&self, path: &Path) -> Result<()> {
        let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
        if !metadata.is_dir() && !path.is_dir() {
            let problem = format!("it is a file, and {} is to be written", self.name);
            return Err(Error::protected(path, problem));
        }
        let entries = fs::read_dir(path).map_err(|error| Error::write(path, error))?;
        let entries = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
        let entries = entries.map_err(|error| Error::write(path, error))?;
        if entries.is_empty() {
            return Ok(());
        }
        if !(self.is_one)(path) {
            return Err(Error::protected(path, format!("it is not {}", self.name)));
        }
        match entries.iter().find(|entry| !(self.holds)(entry)) {
            Some(foreign) => {
                let name = foreign.file_name().unwrap_or_default().to_string_lossy();
                let problem = format!("it holds `{name}`, which does not belong to {}", self.name);
                Err(Error::protected(path, problem))
            }
            None => Ok(()),
        }
    }
}

/// Documents of groups and arrays.
const ZARR_FILES: [&str; 5] = [".zgroup", ".zattrs", ".zarray", ".zmetadata", "zarr.json"];

/// Whether a folder has the document of a group or an array.
fn is_zarr(folder: &Path) -> bool {
    [".zgroup", ".zarray", "zarr.json"].iter().any(|name| folder.join(name).is_file())
}
