//! [`FolderCache`]: folders of files elsewhere, such as models of a hub, fetched once and kept on this machine.
//!
//! A folder has a version: of a hub the commit that a revision stands for, of any other address the sizes of its
//! files. What was fetched of a version that was not complete is gone on with; every file is hashed on its way, and
//! held against the hash that the hub has of large ones.
//!
//! ```text
//! cache/
//!   hf--tdc--scGPT/           an address
//!     refs.json               the commit of each revision that was asked for
//!     9a7c…/                  a version
//!       fetched.json          the address, and names, sizes and hashes of the files: all are there
//!       config.json, model.safetensors, …
//!     9a7c….part/             one that is being fetched
//! ```

mod address;
mod listing;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use self::address::FolderAddress;
use self::listing::{Listed, Listing};
use crate::{
    cloud::{Hashed, Patience},
    error::{Error, Result},
    output::Claim,
    regular::Refusal,
};

const FETCHED: &str = "fetched.json";
const REFS: &str = "refs.json";

/// Files of which one is fetched, the first of the names that is there.
#[derive(Clone, Copy, Debug)]
pub struct WantedFile<'a> {
    /// What it is, for messages.
    pub what: &'a str,
    /// Names it can have, the preferred first.
    pub names: &'a [&'a str],
    /// Whether the folder is of no use without it.
    pub is_required: bool,
}

/// A folder on this machine in which fetched folders are kept, and how they are fetched.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FolderCache {
    /// The folder.
    pub folder: PathBuf,
    /// The web address of the hub.
    pub endpoint: String,
    /// A token that may read what is not public. It is sent to the hub alone.
    pub token: Option<String>,
    /// Whether nothing is asked for of any server.
    pub is_offline: bool,
    patience: Patience,
}

/// A folder that was fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FetchedFolder {
    /// Where it came from.
    pub address: String,
    /// The commit, or what stands for it.
    pub version: String,
    /// Its files by name.
    pub files: BTreeMap<String, FetchedFile>,
    /// Where it is on this machine.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// A file of a fetched folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FetchedFile {
    /// Its size.
    pub bytes: u64,
    /// Its hash, in hexadecimal digits.
    pub sha256: String,
}

/// A folder, and how it came to be on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// The folder.
    pub folder: FetchedFolder,
    /// Bytes that were fetched now.
    pub bytes: u64,
    /// Why the server was not asked whether there is a newer version, if it was not.
    pub unasked: Option<String>,
}

impl FolderCache {
    /// A cache in `folder`, of the public hub, with nobody's token.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.into(),
            endpoint: "https://huggingface.co".into(),
            token: None,
            is_offline: false,
            patience: Patience::default(),
        }
    }

    /// The wanted files of a folder: those in the cache if they are of its newest version, else fetched now.
    /// `progress` is told of the bytes there are, and of all, and ends it by `false`. If the server does not
    /// answer, the newest version that was fetched before serves.
    ///
    /// # Errors
    /// If there is no such folder, or not all of it that is required; if the server refuses or fails, a file is not
    /// what it is said to be, or cannot be written; [`Error::Cancelled`] if `progress` says so.
    pub fn fetch(
        &self,
        address: &FolderAddress,
        wanted: &[WantedFile<'_>],
        progress: impl Fn(u64, u64) -> bool + Sync,
    ) -> Result<Fetched> {
        let kept = self.find(address);
        if self.is_offline {
            let folder = kept.ok_or_else(|| {
                let problem = "is not on this machine, and nothing is fetched in offline mode";
                Error::unsuited(
                    format!("`{address}` {problem}"),
                    "unset SCGPT_OFFLINE and HF_HUB_OFFLINE where there is a network; or copy the folder of the model here, \
                     and name that",
                )
            })?;
            let unasked = Some("offline mode".into());
            return Ok(Fetched { folder, bytes: 0, unasked });
        }
        let listing = match Listing::ask(self, address, wanted) {
            Ok(listing) => listing,
            Err(error) => {
                let is_refusal = matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
                );
                return match kept.filter(|_| !is_refusal) {
                    Some(folder) => {
                        Ok(Fetched { folder, bytes: 0, unasked: Some(error.to_string()) })
                    }
                    None => Err(Self::failed(address, error)),
                };
            }
        };
        let place = self.folder.join(address.slug());
        let folder = place.join(&listing.version);
        let write = |error: io::Error| Error::write(&folder, error);
        // Two that need the same folder do not fetch it both.
        let _claim = Claim::of_folder(&folder)?;
        if let (Some(revision), Some(commit)) = (address.revision(), &listing.commit) {
            let mut refs: BTreeMap<String, String> = read(&place.join(REFS)).unwrap_or_default();
            refs.insert(revision.into(), commit.clone());
            fs::create_dir_all(&place).map_err(write)?;
            crate::write_file(&place.join(REFS), json(&refs))?;
        }
        if let Some(folder) = opened(&folder)
            && listing.files.iter().all(|file| folder.files.contains_key(&file.name))
        {
            return Ok(Fetched { folder, bytes: 0, unasked: None });
        }
        let (files, bytes) = Self::fetch_all(address, &listing, &folder, progress)?;
        let record = FetchedFolder {
            address: address.to_string(),
            version: listing.version.clone(),
            files,
            folder: folder.clone(),
        };
        crate::write_file(&folder.join(FETCHED), json(&record))?;
        Ok(Fetched { folder: record, bytes, unasked: None })
    }

    /// Fetches the files of a version, and gives the folder its name.
    fn fetch_all(
        address: &FolderAddress,
        listing: &Listing,
        folder: &Path,
        progress: impl Fn(u64, u64) -> bool + Sync,
    ) -> Result<(BTreeMap<String, FetchedFile>, u64)> {
        let write = |error: io::Error| Error::write(folder, error);
        let mut part = folder.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        // A folder of that name lacks files, which were not wanted then.
        if folder.is_dir() && !part.exists() {
            fs::rename(folder, &part).map_err(write)?;
            drop(fs::remove_file(part.join(FETCHED)));
        }
        fs::create_dir_all(&part).map_err(write)?;
        let all: u64 = listing.files.iter().map(|file| file.bytes).sum();
        let (done, new) = (AtomicU64::new(0), AtomicU64::new(0));
        let mut files = BTreeMap::new();
        for Listed { name, bytes, sha256 } in &listing.files {
            let path = part.join(name);
            let count = |more| progress(done.fetch_add(more, Ordering::Relaxed) + more, all);
            let told = |more| {
                new.fetch_add(more, Ordering::Relaxed);
                count(more)
            };
            let (mut hashed, mut there) = Hashed::go_on(&path, told).map_err(write)?;
            if there > *bytes {
                (hashed, there) = (Hashed::create(&path, told).map_err(write)?, 0);
            }
            count(there);
            let key = listing.key(name);
            let mut saved = listing.remote.save(&key, there..*bytes, &mut hashed);
            if there > 0 && saved.as_ref().is_err_and(|error| Refusal::remedy(error).is_some()) {
                // Perhaps the server sends no parts of files.
                hashed = Hashed::create(&path, told).map_err(write)?;
                saved = listing.remote.save(&key, 0..*bytes, &mut hashed);
            }
            if hashed.is_stopped() {
                return Err(Error::Cancelled);
            }
            saved.map_err(|error| Self::failed(address, error))?;
            let found = hashed.finish().map_err(write)?;
            if let Some(expected) = sha256.as_ref().filter(|expected| **expected != found) {
                drop(fs::remove_file(&path));
                let problem = format!("SHA-256 is {found}, and should be {expected}");
                return Err(Error::invalid(
                    Path::new(&address.to_string()),
                    name.as_str(),
                    problem,
                )
                .with_hint("try again; if it stays so, the file is damaged where it is"));
            }
            files.insert(name.clone(), FetchedFile { bytes: *bytes, sha256: found });
        }
        fs::rename(&part, folder).map_err(write)?;
        Ok((files, new.into_inner()))
    }

    /// The newest version of a folder that is in the cache.
    pub fn find(&self, address: &FolderAddress) -> Option<FetchedFolder> {
        let place = self.folder.join(address.slug());
        if let Some(revision) = address.revision() {
            let refs: BTreeMap<String, String> = read(&place.join(REFS)).unwrap_or_default();
            let commit = refs.get(revision).map_or(revision, String::as_str);
            return opened(&place.join(address.version(commit)));
        }
        let mut versions: Vec<_> = versions(&place).collect();
        versions.sort_by_key(|folder| {
            fs::metadata(folder.folder.join(FETCHED)).and_then(|it| it.modified()).ok()
        });
        versions.pop()
    }

    /// All folders in the cache, by their addresses.
    pub fn all(&self) -> Vec<FetchedFolder> {
        let places = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut all: Vec<_> =
            places.flat_map(|place| versions(&place.path()).collect::<Vec<_>>()).collect();
        all.sort_by(|a, b| (&a.address, &a.version).cmp(&(&b.address, &b.version)));
        all
    }

    fn failed(address: &FolderAddress, error: io::Error) -> Error {
        Error::open(Path::new(&address.to_string()), error)
    }
}

impl FetchedFolder {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }
}

/// A fetched folder, if all of it is there.
fn opened(folder: &Path) -> Option<FetchedFolder> {
    let found: FetchedFolder = read(&folder.join(FETCHED))?;
    let is_whole = found.files.iter().all(|(name, file)| {
        fs::metadata(folder.join(name)).is_ok_and(|there| there.len() == file.bytes)
    });
    is_whole.then(|| FetchedFolder { folder: folder.into(), ..found })
}

/// Versions of a folder that are there.
fn versions(place: &Path) -> impl Iterator<Item = FetchedFolder> {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    entries.filter_map(|entry| opened(&entry.path()))
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
