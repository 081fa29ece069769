//! [`Listing`]: what there is to fetch of a folder.

use std::{io, path::Path};

use serde::{Deserialize, de::DeserializeOwned};

use super::{
    FolderCache, WantedFile,
    address::{FolderAddress, Place, short},
};
use crate::{cloud::RemoteFolder, regular::refused};

/// Most bytes of what a hub tells.
const MOST: u64 = 64 << 20;

/// The wanted files of the newest version of a folder.
pub(super) struct Listing {
    pub(super) remote: RemoteFolder,
    /// Where the files are below the address of the server.
    prefix: String,
    /// The name of the version in a cache.
    pub(super) version: String,
    /// The commit, of a hub.
    pub(super) commit: Option<String>,
    pub(super) files: Vec<Listed>,
}

/// A file that is there.
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// Its hash, if the server says so.
    pub(super) sha256: Option<String>,
}

/// What a hub tells of a revision.
#[derive(Deserialize)]
struct Revision {
    sha: String,
}

/// What it tells of an entry of a folder.
#[derive(Deserialize)]
struct Entry {
    path: String,
    #[serde(default)]
    size: u64,
    /// Of a large file, which is kept elsewhere.
    lfs: Option<Large>,
}

#[derive(Deserialize)]
struct Large {
    oid: String,
    size: u64,
}

impl Listing {
    /// Asks the server.
    ///
    /// # Errors
    /// If there is no such folder, or it lacks what is required.
    pub(super) fn ask(
        cache: &FolderCache,
        address: &FolderAddress,
        wanted: &[WantedFile<'_>],
    ) -> io::Result<Self> {
        match &address.0 {
            Place::Url(url) => {
                let remote = RemoteFolder::with(url, cache.patience)?;
                let names: Vec<String> =
                    wanted.iter().flat_map(|it| it.names).map(|name| (*name).into()).collect();
                let sizes = remote.sizes(&names)?;
                let there = names.into_iter().zip(sizes);
                let there = there
                    .filter_map(|(name, bytes)| Some(Listed { name, bytes: bytes?, sha256: None }));
                let files = chosen(there.collect(), wanted)?;
                let sizes = files.iter().map(|file| format!("{} {}", file.name, file.bytes));
                let version = short(&sizes.collect::<Vec<_>>().join("\n"));
                Ok(Self { remote, prefix: String::new(), version, commit: None, files })
            }
            Place::Hub { repository, revision, folder } => {
                let endpoint = Path::new(cache.endpoint.trim_end_matches('/'));
                let remote =
                    RemoteFolder::of_hub(endpoint, cache.token.as_deref(), cache.patience)?;
                let api = format!("api/models/{repository}");
                let Revision { sha } = told(&remote, &format!("{api}/revision/{revision}"))?;
                let is_commit = sha.len() >= 7 && sha.bytes().all(|it| it.is_ascii_hexdigit());
                if !is_commit {
                    let problem = format!("`{}` says `{sha}` is a commit", cache.endpoint);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
                }
                let below =
                    |to: String| if folder.is_empty() { to } else { format!("{to}/{folder}") };
                let entries: Vec<Entry> = told(&remote, &below(format!("{api}/tree/{sha}")))?;
                let there = entries.into_iter().map(|entry| Listed {
                    name: entry.path.rsplit('/').next().unwrap_or_default().to_owned(),
                    bytes: entry.lfs.as_ref().map_or(entry.size, |large| large.size),
                    sha256: entry.lfs.map(|large| large.oid),
                });
                let files = chosen(there.collect(), wanted)?;
                let prefix = below(format!("{repository}/resolve/{sha}"));
                let version = address.version(&sha);
                Ok(Self { remote, prefix, version, commit: Some(sha), files })
            }
        }
    }

    /// Where a file is.
    pub(super) fn key(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.into() } else { format!("{}/{name}", self.prefix) }
    }
}

/// What a hub answers.
fn told<T: DeserializeOwned>(remote: &RemoteFolder, key: &str) -> io::Result<T> {
    let answer = remote.get(key, None, MOST)?.ok_or_else(|| {
        let problem = format!("`{}` is not there (404)", remote.url(key));
        refused(io::ErrorKind::NotFound, problem, "check the name, the revision and the folder")
    })?;
    serde_json::from_slice(&answer).map_err(|error| {
        let problem = format!("`{}` is not answered as a hub does: {error}", remote.url(key));
        io::Error::new(io::ErrorKind::InvalidData, problem)
    })
}

/// Those of the files that are wanted.
fn chosen(mut there: Vec<Listed>, wanted: &[WantedFile<'_>]) -> io::Result<Vec<Listed>> {
    let mut files = Vec::new();
    for WantedFile { what, names, is_required } in wanted {
        let at = names.iter().find_map(|name| there.iter().position(|file| file.name == **name));
        match at {
            Some(at) => files.push(there.swap_remove(at)),
            None if *is_required => {
                let others: Vec<&str> =
                    there.iter().chain(&files).map(|file| file.name.as_str()).collect();
                let has = if others.is_empty() {
                    "none of the files of a model".into()
                } else {
                    others.join(", ")
                };
                let problem = format!("has no {what}, {}: it has {has}", names.join(" or "));
                let remedy = "name the folder in which all of them are";
                return Err(refused(io::ErrorKind::NotFound, problem, remedy));
            }
            None => {}
        }
    }
    Ok(files)
}
