//! [`ShardCache`]: token shards of a URL, fetched once and kept on this machine.
//!
//! Training reads cells in random order out of memory maps, so shards are fetched as they are. Each is
//! held against its hash before it gets its name, and the manifest is written last: what has been
//! fetched of a folder stays, should it be interrupted, and is not fetched again.
//!
//! ```text
//! cache/
//!   3f0c…/             the hash of a manifest: shards of a URL that were made anew are others
//!     fetched.json     the URL; when it was last written is when the shards were last used
//!     manifest.json, vocab.json, shard-00000.arrow, …
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use rayon::prelude::*;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::manifest::{MANIFEST, Manifest};
use crate::{
    cloud::{Hashed, RemoteFolder, in_parallel},
    error::{Error, Result},
    hex::hex,
    output::Claim,
};

/// The file by which a fetched folder is known.
const FETCHED: &str = "fetched.json";
/// Letters of a hash that name a folder.
const LETTERS: usize = 16;
/// Most bytes of a manifest.
const MOST_MANIFEST: u64 = 256 << 20;
const OTHER: &str =
    "copy the folder again from where it was made, or make it again with `scgpt convert`";

/// A folder on this machine with shards that were fetched.
#[derive(Clone, Debug)]
pub struct ShardCache {
    /// The folder.
    pub folder: PathBuf,
    /// Most bytes that it holds; shards that were not used for longest make room.
    pub most: u64,
}

/// Shards of a URL that are on this machine.
#[derive(Debug)]
pub struct FetchedShards {
    /// Where they are.
    pub folder: PathBuf,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Bytes that had to be fetched.
    pub fetched: u64,
}

impl ShardCache {
    /// The shards at a URL: those in the cache, or fetched now. `progress` is told of the bytes there are,
    /// and of all that are to be fetched, and ends it by `false`.
    ///
    /// # Errors
    /// If there are none at the URL, the server refuses or fails, they are larger than the cache, or are not
    /// what their manifest says; [`Error::Cancelled`] if `progress` says so.
    pub fn fetch(
        &self,
        url: &Path,
        progress: impl Fn(u64, u64) -> bool + Sync,
    ) -> Result<FetchedShards> {
        let open = |error: io::Error| Error::open(url, error);
        let remote = RemoteFolder::open(url).map_err(open)?;
        let found = remote.get(MANIFEST, None, MOST_MANIFEST).map_err(open)?;
        let Some(manifest) = found else {
            let problem = format!("`{}` is not there (404): no token shards", remote.url(MANIFEST));
            return Err(Error::invalid(url, MANIFEST, problem).with_hint(
                "name the folder that `scgpt convert` or `scgpt corpus build` made, as https://host/shards",
            ));
        };
        let name = hex(&Sha256::digest(&manifest))[..LETTERS].to_owned();
        let folder = self.folder.join(&name);
        let write = |error: io::Error| Error::write(&folder, error);
        // Two that need the same shards do not fetch them both.
        let _claim = Claim::of_folder(&folder)?;
        fs::create_dir_all(&folder).map_err(write)?;
        let note = json!({ "url": remote.url("") }).to_string();
        // First of all, so that whoever makes room knows what the folder is.
        fs::write(folder.join(FETCHED), note).map_err(write)?;
        let entries = Manifest::of(url, &manifest)?;
        let vocab = (&entries.vocab.file, None, &entries.vocab.sha256);
        let shards = entries.shards.iter().map(|it| (&it.file, Some(it.bytes), &it.sha256));
        let mut files = vec![vocab];
        files.extend(shards);
        let sum = |files: &[(&String, Option<u64>, &String)]| {
            files.iter().filter_map(|file| file.1).fold(0_u64, u64::saturating_add)
        };
        let bytes = sum(&files);
        files.retain(|(name, bytes, _)| {
            let there = fs::metadata(folder.join(name)).map(|there| there.len()).ok();
            !there.is_some_and(|there| bytes.is_none_or(|bytes| bytes == there))
        });
        let missing = sum(&files);
        self.make_room(&name, bytes, url)?;
        let done = AtomicU64::new(0);
        let save = |(name, bytes, sha256): &(&String, Option<u64>, &String)| {
            let bytes = match bytes {
                Some(bytes) => *bytes,
                None => size(&remote, name).map_err(open)?,
            };
            let path = folder.join(name);
            let file = folder.join(format!("{name}.part"));
            let told = |more| progress(done.fetch_add(more, Ordering::Relaxed) + more, missing);
            let mut hashed = Hashed::create(&file, told).map_err(write)?;
            let saved = remote.save(name, 0..bytes, &mut hashed);
            if hashed.is_stopped() {
                return Err(Error::Cancelled);
            }
            saved.map_err(open)?;
            let found = hashed.finish().map_err(write)?;
            if found != **sha256 {
                let problem = format!("SHA-256 is {found}, the manifest says {sha256}");
                return Err(Error::invalid(url, name.as_str(), problem).with_hint(OTHER));
            }
            fs::rename(&file, &path).map_err(write)
        };
        in_parallel(|| files.par_iter().map(save).collect::<Result<Vec<()>>>())?;
        fs::write(folder.join(MANIFEST), &manifest).map_err(write)?;
        Ok(FetchedShards { folder, bytes, fetched: missing })
    }

    /// Removes shards that were not used for longest, until there is room for `bytes` of the folder `name`.
    fn make_room(&self, name: &str, bytes: u64, url: &Path) -> Result<()> {
        if bytes > self.most {
            let problem = format!(
                "{} MB of shards, and at most {} MB are kept in `{}`",
                bytes.div_ceil(1_000_000),
                self.most / 1_000_000,
                self.folder.display()
            );
            return Err(Error::invalid(url, MANIFEST, problem).with_hint(
                "let more be kept by SCGPT_CACHE_GB, or copy the shards and name the copy",
            ));
        }
        let mut others: Vec<(SystemTime, PathBuf, u64)> = Vec::new();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let used = fs::metadata(entry.path().join(FETCHED)).and_then(|it| it.modified());
            if let Ok(used) = used
                && entry.file_name() != *name
            {
                others.push((used, entry.path(), held(&entry.path())));
            }
        }
        others.sort();
        let mut all = others.iter().map(|other| other.2).fold(bytes, u64::saturating_add);
        for (_, folder, size) in others {
            if all <= self.most {
                break;
            }
            // Those that another process is fetching stay.
            if Claim::new(&folder).is_ok() && fs::remove_dir_all(&folder).is_ok() {
                all -= size;
            }
        }
        Ok(())
    }
}

/// The size of a file whose entry has none.
fn size(remote: &RemoteFolder, name: &str) -> io::Result<u64> {
    let size = remote.sizes(&[name.to_owned()])?.pop().flatten();
    size.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("`{}` is not there (404)", remote.url(name)),
        )
    })
}

/// Bytes of the files in a folder.
fn held(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}
