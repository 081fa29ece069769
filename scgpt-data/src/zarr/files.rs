//! [`Files`]: the files of a zarr hierarchy, in a folder or a zip.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use zarrs::{
    filesystem::FilesystemStore,
    storage::{
        Bytes, MaybeBytesIterator, ReadableStorageTraits, StorageError, StoreKey,
        byte_range::ByteRangeIterator,
    },
};
use zip::{ZipArchive, result::ZipError};

use crate::{anndata::store::join, error};

/// Where the files are.
pub(super) enum Files {
    Folder(PathBuf),
    Zip(Arc<Zip>),
}

pub(super) struct Zip {
    archive: Mutex<ZipArchive<File>>,
    /// Names of all entries below the root, without it.
    names: Vec<String>,
    /// The folder within the zip that holds the hierarchy: empty, or ending in `/`.
    root: String,
}

impl Files {
    pub(super) fn open(path: &Path) -> Result<Self, error::Source> {
        if path.is_dir() {
            return Ok(Self::Folder(path.into()));
        }
        let archive = ZipArchive::new(File::open(path)?)?;
        let mut names = Vec::with_capacity(archive.len());
        for name in archive.file_names() {
            names.push(name?.into_owned());
        }
        let root = names
            .iter()
            .filter_map(|name| {
                let root =
                    ["zarr.json", ".zgroup"].iter().find_map(|end| name.strip_suffix(end))?;
                (root.is_empty() || root.ends_with('/')).then_some(root)
            })
            .min_by_key(|root| root.len())
            .ok_or("a zip that holds no zarr hierarchy")?
            .to_owned();
        let names = names
            .iter()
            .filter_map(|name| name.strip_prefix(root.as_str()).map(str::to_owned))
            .collect();
        Ok(Self::Zip(Arc::new(Zip { archive: Mutex::new(archive), names, root })))
    }

    /// For the name of the format.
    pub(super) fn suffix(&self) -> &'static str {
        match self {
            Self::Folder(_) => "",
            Self::Zip(_) => " (zip)",
        }
    }

    /// The content of a file, or `None` if it does not exist.
    pub(super) fn get(&self, key: &str) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Folder(root) => match std::fs::read(root.join(key)) {
                Err(cause)
                    if matches!(
                        cause.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    ) =>
                {
                    Ok(None)
                }
                read => read.map(Some),
            },
            Self::Zip(zip) => zip.get(key),
        }
    }

    /// Names of the folders in a folder, sorted.
    pub(super) fn folders(&self, place: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        match self {
            Self::Folder(root) => {
                for entry in std::fs::read_dir(root.join(place))? {
                    let entry = entry?;
                    if entry.path().is_dir() {
                        names.extend(entry.file_name().into_string());
                    }
                }
            }
            Self::Zip(zip) => {
                let prefix = join(place, "");
                let below = zip.names.iter().filter_map(|name| name.strip_prefix(prefix.as_str()));
                names.extend(below.filter_map(|name| Some(name.split_once('/')?.0.to_owned())));
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// The folder `place` as the root of a zarr storage.
    pub(super) fn storage(
        &self,
        place: &str,
    ) -> Result<Arc<dyn ReadableStorageTraits>, error::Source> {
        Ok(match self {
            Self::Folder(root) => Arc::new(FilesystemStore::new(root.join(place))?),
            Self::Zip(zip) => Arc::new(ZipFolder { zip: zip.clone(), place: place.to_owned() }),
        })
    }
}

impl Zip {
    fn get(&self, key: &str) -> io::Result<Option<Vec<u8>>> {
        let mut archive = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Vec::new();
        match archive.by_name(&format!("{}{key}", self.root)) {
            Ok(mut entry) => entry.read_to_end(&mut bytes)?,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(cause) => return Err(io::Error::other(cause)),
        };
        Ok(Some(bytes))
    }
}

/// A folder in a zip. Entries may be compressed, so each is read whole.
struct ZipFolder {
    zip: Arc<Zip>,
    place: String,
}

impl ZipFolder {
    fn entry(&self, key: &StoreKey) -> Result<Option<Bytes>, StorageError> {
        let bytes = self.zip.get(&join(&self.place, key.as_str()));
        bytes
            .map(|bytes| bytes.map(Bytes::from))
            .map_err(|cause| StorageError::Other(cause.to_string()))
    }
}

impl ReadableStorageTraits for ZipFolder {
    fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        byte_ranges: ByteRangeIterator<'a>,
    ) -> Result<MaybeBytesIterator<'a>, StorageError> {
        let Some(bytes) = self.entry(key)? else {
            return Ok(None);
        };
        let length = bytes.len() as u64;
        Ok(Some(Box::new(byte_ranges.map(move |range| {
            let (start, end) = (range.start(length), range.end(length));
            if start > end || end > length {
                return Err(StorageError::Other("a range beyond the end of a zip entry".into()));
            }
            let index = |at: u64| {
                usize::try_from(at).map_err(|cause| StorageError::Other(cause.to_string()))
            };
            Ok(bytes.slice(index(start)?..index(end)?))
        }))))
    }

    fn size_key(&self, key: &StoreKey) -> Result<Option<u64>, StorageError> {
        Ok(self.entry(key)?.map(|bytes| bytes.len() as u64))
    }

    fn supports_get_partial(&self) -> bool {
        false
    }
}
