//! [`Files`]: the files of a zarr hierarchy, in a folder, a zip, or at a URL.
//!
//! A hierarchy comes from somebody else: links that lead out of the folder, names with `..`,
//! folders nested without end and entries of a zip that unpack to far more than they can hold are
//! refused before anything is read from them.
//!
//! Keys are paths relative to the root of the hierarchy, with `/` between names: `X/data/.zarray`.
//! In a zip the hierarchy may lie in a folder, as it does if the folder itself was packed; the root
//! is then the shortest path that holds a document of a group.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use zarrs::{
    filesystem::FilesystemStore,
    storage::{
        Bytes, MaybeBytesIterator, ReadableStorageTraits, StorageError, StoreKey,
        byte_range::ByteRangeIterator,
    },
};
use zip::{ZipArchive, result::ZipError};

use super::names::{DEEPEST, MAKE_ANEW, check_name};
#[cfg(feature = "cloud")]
use super::remote::{Remote, RemoteStorage};
#[cfg(feature = "cloud")]
use crate::address::is_url;
use crate::{
    anndata::store::join,
    error,
    regular::{self, refusal},
};

/// An entry of a zip may have this many bytes whatever it is compressed to; a larger one at most
/// [`DENSEST_ENTRY`] times its compressed size, which is all that deflate can make of it.
const ANY_ENTRY: u64 = 64 << 20;
/// Most bytes that deflate makes of one.
const DENSEST_ENTRY: u64 = 1032;
/// Most bytes of a metadata document.
const MOST_METADATA: u64 = 32 << 20;

/// Where the files of a hierarchy are.
pub(super) enum Files {
    Folder(Folder),
    Zip(Arc<Zip>),
    #[cfg(feature = "cloud")]
    Remote(Arc<Remote>),
}

/// A folder on disk. The files in it are checked where they are opened.
pub(super) struct Folder {
    path: PathBuf,
    /// The path without links; nothing outside of it is read.
    real: PathBuf,
    /// Bytes of all files, counted when they are first asked for.
    stored: OnceLock<u64>,
}

/// A zip, which one thread reads at a time. Names of entries are checked when it is opened.
pub(super) struct Zip {
    archive: Mutex<ZipArchive<File>>,
    /// Bytes of the zip.
    stored: u64,
    /// Names of all entries below the root, without it.
    names: Vec<String>,
    /// The folder within the zip that holds the hierarchy: empty, or ending in `/`.
    root: String,
}

impl Files {
    /// Opens the folder or the zip at `path`, or the folder at a URL.
    ///
    /// # Errors
    /// If it is neither, a zip has a name that leads out of it, or a zip holds no document of a
    /// group; also if a URL cannot be read.
    pub(super) fn open(path: &Path) -> Result<Self, error::Source> {
        #[cfg(feature = "cloud")]
        if is_url(path) {
            return Ok(Self::Remote(Arc::new(Remote::open(path, MOST_METADATA)?)));
        }
        if path.is_dir() {
            let real = fs::canonicalize(path)?;
            return Ok(Self::Folder(Folder { path: path.into(), real, stored: OnceLock::new() }));
        }
        let file = regular::open(path)?;
        let stored = file.metadata()?.len();
        let archive = ZipArchive::new(file)?;
        let mut names = Vec::with_capacity(archive.len());
        for name in archive.file_names() {
            let name = name?.into_owned();
            check_name(&name, "the zip")?;
            names.push(name);
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
        Ok(Self::Zip(Arc::new(Zip { archive: Mutex::new(archive), stored, names, root })))
    }

    /// Bytes of all files of a folder, or of the zip as it is.
    pub(super) fn stored(&self) -> u64 {
        match self {
            Self::Folder(folder) => *folder.stored.get_or_init(|| stored(&folder.path, DEEPEST)),
            Self::Zip(zip) => zip.stored,
            #[cfg(feature = "cloud")]
            Self::Remote(remote) => remote.stored(MOST_METADATA),
        }
    }

    /// Checks that every entry is a file or a folder, and lies in the hierarchy.
    ///
    /// # Errors
    /// For a pipe or a device, a link out of the folder, and folders nested beyond [`DEEPEST`]. Of
    /// a zip the names were checked when it was opened.
    pub(super) fn check(&self) -> io::Result<()> {
        match self {
            Self::Folder(folder) => folder.check(&folder.path, DEEPEST),
            Self::Zip(_) => Ok(()),
            #[cfg(feature = "cloud")]
            Self::Remote(_) => Ok(()),
        }
    }

    /// What the name of the format ends with: ` (zip)`, or nothing.
    pub(super) fn suffix(&self) -> &'static str {
        match self {
            Self::Zip(_) => " (zip)",
            _ => "",
        }
    }

    /// Runs what reads chunks: at a URL on threads of its own, as most of them wait.
    pub(super) fn reading<T: Send>(&self, read: impl FnOnce() -> T + Send) -> T {
        match self {
            #[cfg(feature = "cloud")]
            Self::Remote(_) => crate::cloud::in_parallel(read),
            _ => read(),
        }
    }

    /// Why a chunk could not be read, if more is known than the library was told.
    pub(super) fn failure(&self) -> Option<io::Error> {
        match self {
            #[cfg(feature = "cloud")]
            Self::Remote(remote) => remote.failure(),
            _ => None,
        }
    }

    /// What could not be listed, for people.
    pub(super) fn unlisted(&self) -> Vec<String> {
        match self {
            #[cfg(feature = "cloud")]
            Self::Remote(remote) => remote.unlisted(),
            _ => Vec::new(),
        }
    }

    /// Whether the size of a file is known only with its bytes.
    pub(super) fn is_remote(&self) -> bool {
        !matches!(self, Self::Folder(_) | Self::Zip(_))
    }

    /// The content of the metadata document `key`, or `None` if it does not exist.
    ///
    /// # Errors
    /// If it is larger than [`MOST_METADATA`], lies outside of the hierarchy, or cannot be read.
    pub(super) fn get(&self, key: &str) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Folder(folder) => {
                let path = folder.path.join(key);
                let file = match regular::open(&path) {
                    Err(cause)
                        if matches!(
                            cause.kind(),
                            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                        ) =>
                    {
                        return Ok(None);
                    }
                    file => file?,
                };
                folder.inside(&path)?;
                check_document(key, file.metadata()?.len())?;
                let mut bytes = Vec::new();
                file.take(MOST_METADATA).read_to_end(&mut bytes)?;
                Ok(Some(bytes))
            }
            Self::Zip(zip) => {
                check_document(key, zip.size(key).unwrap_or(0))?;
                zip.get(key)
            }
            #[cfg(feature = "cloud")]
            Self::Remote(remote) => remote.get(key, MOST_METADATA),
        }
    }

    /// Names of the folders in the folder `place`, sorted.
    ///
    /// # Errors
    /// If the folder is missing, or has a link out of the hierarchy or to a folder that contains
    /// it.
    pub(super) fn folders(&self, place: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        match self {
            Self::Folder(folder) => {
                for entry in fs::read_dir(folder.path.join(place))? {
                    let entry = entry?;
                    if entry.path().is_dir() {
                        if entry.file_type()?.is_symlink() {
                            folder.check_link(&entry.path())?;
                        }
                        names.extend(entry.file_name().into_string());
                    }
                }
            }
            Self::Zip(zip) => {
                let prefix = join(place, "");
                let below = zip.names.iter().filter_map(|name| name.strip_prefix(prefix.as_str()));
                names.extend(below.filter_map(|name| Some(name.split_once('/')?.0.to_owned())));
            }
            #[cfg(feature = "cloud")]
            Self::Remote(remote) => return remote.folders(place, MOST_METADATA),
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// The folder `place` as the root of a storage that `zarrs` reads. `most` will be the bytes of a
    /// chunk.
    ///
    /// # Errors
    /// If anything in it lies outside of the hierarchy.
    pub(super) fn storage(
        &self,
        place: &str,
        #[cfg_attr(not(feature = "cloud"), expect(unused_variables, reason = "files have a size"))]
        most: &Arc<OnceLock<u64>>,
    ) -> Result<Arc<dyn ReadableStorageTraits>, error::Source> {
        Ok(match self {
            Self::Folder(folder) => {
                let path = folder.path.join(place);
                folder.inside(&path)?;
                folder.check(&path, DEEPEST)?;
                Arc::new(FilesystemStore::new(path)?)
            }
            Self::Zip(zip) => Arc::new(ZipFolder { zip: zip.clone(), place: place.to_owned() }),
            #[cfg(feature = "cloud")]
            Self::Remote(remote) => Arc::new(RemoteStorage {
                remote: remote.clone(),
                place: place.to_owned(),
                most: most.clone(),
            }),
        })
    }
}

impl Folder {
    /// The path without links, once it is known to lie in the folder.
    ///
    /// # Errors
    /// If it leads out of the folder, or to nothing.
    fn inside(&self, path: &Path) -> io::Result<PathBuf> {
        let real = fs::canonicalize(path)?;
        if real.starts_with(&self.real) {
            return Ok(real);
        }
        let problem =
            format!("`{}` is a link out of the folder, to `{}`", path.display(), real.display());
        Err(refusal(problem, "copy what the link leads to in its place"))
    }

    /// Checks that the link at `path` leads into the folder, and not to a folder that contains it.
    fn check_link(&self, path: &Path) -> io::Result<()> {
        let real = self.inside(path)?;
        let parent = path.parent().map(fs::canonicalize).transpose()?;
        if parent.is_some_and(|parent| parent.starts_with(&real)) {
            let problem = format!("`{}` is a link to a folder that contains it", path.display());
            return Err(refusal(problem, "remove the link"));
        }
        Ok(())
    }

    /// Checks that everything below `path`, at most `depth` levels, is a file, a folder, or a link
    /// to one in the hierarchy.
    fn check(&self, path: &Path, depth: usize) -> io::Result<()> {
        let refuse = |path: &Path, problem: &str, remedy| {
            Err(refusal(format!("`{}` is {problem}", path.display()), remedy))
        };
        if depth == 0 {
            return refuse(path, "nested beyond reason", MAKE_ANEW);
        }
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_file() {
                continue;
            }
            let path = entry.path();
            if kind.is_symlink() {
                self.check_link(&path)?;
            }
            let kind = fs::metadata(&path)?.file_type();
            if kind.is_dir() {
                self.check(&path, depth - 1)?;
            } else if !kind.is_file() {
                return refuse(&path, regular::NOT_A_FILE, regular::SAVE_IT);
            }
        }
        Ok(())
    }
}

/// Checks that a metadata document of `size` bytes is no larger than [`MOST_METADATA`].
fn check_document(key: &str, size: u64) -> io::Result<()> {
    if size <= MOST_METADATA {
        return Ok(());
    }
    let problem = format!(
        "the metadata `{key}` has {} MB, and at most {} MB are read",
        size.div_ceil(1 << 20),
        MOST_METADATA >> 20
    );
    Err(refusal(
        problem,
        "keep what is large in arrays instead of attributes (`uns` in place of `.attrs`)",
    ))
}

/// Bytes of the files below a folder. What cannot be read counts as nothing.
fn stored(path: &Path, depth: usize) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() && depth > 0 => stored(&entry.path(), depth - 1),
        Ok(kind) if kind.is_symlink() => fs::metadata(entry.path()).map_or(0, |it| it.len()),
        _ => entry.metadata().map_or(0, |it| it.len()),
    };
    entries.flatten().map(size).sum()
}

impl Zip {
    /// The content of an entry, or `None` if there is none.
    ///
    /// # Errors
    /// If it claims more bytes than its compressed ones can become, or is damaged.
    fn get(&self, key: &str) -> io::Result<Option<Vec<u8>>> {
        let mut archive = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Vec::new();
        match archive.by_name(&format!("{}{key}", self.root)) {
            Ok(entry) => {
                let (size, compressed) = (entry.size(), entry.compressed_size());
                if size > ANY_ENTRY && size / DENSEST_ENTRY > compressed {
                    return Err(io::Error::other(format!(
                        "entry `{key}` claims {size} bytes, more than its {compressed} can be"
                    )));
                }
                entry.take(size).read_to_end(&mut bytes)?
            }
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(cause) => return Err(io::Error::other(cause)),
        };
        Ok(Some(bytes))
    }

    /// Bytes of an entry once it is unpacked; `None` if there is none.
    fn size(&self, key: &str) -> Option<u64> {
        let mut archive = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = archive.by_name(&format!("{}{key}", self.root));
        entry.ok().map(|entry| entry.size())
    }
}

/// A folder in a zip as a storage that `zarrs` reads. Entries may be compressed, so each is read
/// whole.
struct ZipFolder {
    zip: Arc<Zip>,
    place: String,
}

impl ZipFolder {
    /// All of an entry; `key` is relative to the folder.
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
        Ok(self.zip.size(&join(&self.place, key.as_str())))
    }

    fn supports_get_partial(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn metadata_that_is_too_large_is_refused_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let document = [b"{}".to_vec(), vec![b' '; 32 << 20]].concat();
        fs::write(folder.path().join("zarr.json"), &document).unwrap();
        let zip = folder.path().join("a.zip");
        let mut writer = zip::ZipWriter::new(File::create(&zip).unwrap());
        writer.start_file("zarr.json", zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(&document).unwrap();
        writer.finish().unwrap();
        for path in [folder.path(), zip.as_path()] {
            let files = Files::open(path).ok().unwrap();
            let error = files.get("zarr.json").unwrap_err().to_string();
            assert!(error.contains("`zarr.json` has 33 MB, and at most 32"), "{error}");
            assert!(files.get("none").unwrap().is_none());
        }
    }
}
