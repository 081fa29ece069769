//! [`RemoteFolder`]: the files below a URL, of a web server or an S3 store.
//!
//! ```text
//! https://host/path/cells.zarr   whole files and parts of them; nothing is listed
//! s3://bucket/path/cells.zarr    the same, signed if there are credentials, and lists of names
//! ```
//!
//! `object_store` asks, signs, follows redirects, and asks again after a while if a server fails or a
//! transfer breaks. It is asynchronous: the one thread of its runtime is hidden here, and whoever
//! calls waits. At most [`PARALLEL`] requests are under way at a time. A server says how much it is
//! about to send; more than the caller takes is refused before it is sent, and more than it said
//! ends the transfer.

mod failure;
mod hashed;
mod patience;
mod store;

use std::{
    io::{self, Write},
    ops::Range,
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{StreamExt as _, future::join_all};
pub(crate) use object_store::GetRange;
use object_store::{
    Error as StoreError, GetOptions, GetResult, ObjectStore, path::Path as ObjectPath,
};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Semaphore,
    time::sleep,
};

use self::{failure::Failures, store::Opened};
pub(crate) use self::{failure::Rights, hashed::Hashed, patience::Patience};
use crate::{
    guard::guard_thread,
    regular::{Refusal, refusal},
};

/// Most requests that one folder has under way.
pub(crate) const PARALLEL: usize = 8;
/// Bytes of a large file that are fetched at a time, so that none takes longer than an answer may.
const PIECE: u64 = 16 << 20;

/// A folder at a URL. Keys are paths relative to it, with `/` between names.
pub(crate) struct RemoteFolder {
    url: String,
    store: Box<dyn ObjectStore>,
    /// Where the folder is in the store, without a slash at either end.
    prefix: String,
    /// Whether names can be listed, as far as is known.
    lists: AtomicBool,
    requests: Semaphore,
    patience: Patience,
    failures: Failures,
}

/// Why an attempt failed, and whether another one is worth it.
struct Broken {
    error: io::Error,
    again: bool,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self { error, again: false }
    }
}

impl RemoteFolder {
    /// The folder at a URL; nothing of it is asked for yet.
    ///
    /// # Errors
    /// If there is no such kind of address, or it is not well formed.
    pub(crate) fn open(url: &Path) -> io::Result<Self> {
        Self::with(url, Patience::default())
    }

    /// As [`open`](Self::open), with other patience.
    pub(crate) fn with(url: &Path, patience: Patience) -> io::Result<Self> {
        let opened = wait(store::open(url, patience))??;
        let rights = if opened.lists { Rights::S3 } else { Rights::Public };
        Ok(Self::of(opened, url, (patience, rights)))
    }

    /// The files of a hub of models, at a web address, with the token of whom they are for.
    ///
    /// # Errors
    /// As [`open`](Self::open); if the token has letters that no token has.
    pub(crate) fn of_hub(url: &Path, token: Option<&str>, patience: Patience) -> io::Result<Self> {
        Ok(Self::of(store::hub(url, token, patience)?, url, (patience, Rights::Hub)))
    }

    fn of(opened: Opened, url: &Path, (patience, rights): (Patience, Rights)) -> Self {
        let Opened { store, prefix, lists } = opened;
        let url = url.display().to_string().trim_end_matches('/').to_owned();
        Self {
            failures: Failures { rights, patience },
            url,
            store,
            prefix,
            lists: AtomicBool::new(lists),
            requests: Semaphore::new(PARALLEL),
            patience,
        }
    }

    /// The URL of a file, or of the folder for the key `""`.
    pub(crate) fn url(&self, key: &str) -> String {
        if key.is_empty() { self.url.clone() } else { format!("{}/{key}", self.url) }
    }

    /// A file, or a part of it; `None` if there is none.
    ///
    /// # Errors
    /// If the server refuses or fails, or would send more than `most` bytes.
    pub(crate) fn get(
        &self,
        key: &str,
        part: Option<GetRange>,
        most: u64,
    ) -> io::Result<Option<Vec<u8>>> {
        wait(self.fetch(key, part, most))?
    }

    /// As [`get`](Self::get), whole files, several at a time.
    pub(crate) fn get_each(
        &self,
        keys: &[String],
        most: u64,
    ) -> io::Result<Vec<io::Result<Option<Vec<u8>>>>> {
        wait(join_all(keys.iter().map(|key| self.fetch(key, None, most))))
    }

    /// Sizes of files, several at a time; `None` for those that are not there.
    ///
    /// # Errors
    /// If the server refuses or fails.
    pub(crate) fn sizes(&self, keys: &[String]) -> io::Result<Vec<Option<u64>>> {
        let sizes = keys.iter().map(|key| async move {
            let _permit = self.permit().await?;
            let options = GetOptions { head: true, ..GetOptions::default() };
            Ok::<_, io::Error>(self.ask(key, options).await?.map(|found| found.meta.size))
        });
        wait(join_all(sizes))?.into_iter().collect()
    }

    /// Writes a file, or from some byte on what is missing of it, piece by piece if the server sends parts of
    /// files. `part` ends with its size.
    ///
    /// # Errors
    /// If it is not there, is shorter, or cannot be read or written.
    pub(crate) fn save(&self, key: &str, part: Range<u64>, to: &mut dyn Write) -> io::Result<()> {
        let Range { start: mut first, end: size } = part;
        while first < size {
            let end = size.min(first + PIECE);
            match self.get(key, Some(GetRange::Bounded(first..end)), PIECE) {
                Ok(Some(bytes)) if bytes.len() as u64 == end - first => to.write_all(&bytes)?,
                Ok(Some(_)) => return Err(Failures::length(&self.url(key), size)),
                Ok(None) => return Err(Failures::missing(&self.url(key))),
                Err(error) if first == 0 && Refusal::remedy(&error) == Some(failure::NO_PARTS) => {
                    return self.save_whole(key, to);
                }
                Err(error) => return Err(error),
            }
            first = end;
        }
        Ok(())
    }

    fn save_whole(&self, key: &str, to: &mut dyn Write) -> io::Result<()> {
        wait(async {
            let _permit = self.permit().await?;
            let found = self.ask(key, GetOptions::default()).await?;
            let found = found.ok_or_else(|| Failures::missing(&self.url(key)))?;
            self.receive(key, found, |bytes| to.write_all(bytes)).await.map_err(|it| it.error)
        })?
    }

    /// Names of the folders in the folder `place`, sorted; `None` if the server lists none.
    ///
    /// # Errors
    /// If it fails.
    pub(crate) fn folders(&self, place: &str) -> io::Result<Option<Vec<String>>> {
        if !self.lists.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let prefix = self.key(place)?;
        let listed = wait(async {
            let _permit = self.permit().await?;
            Ok::<_, io::Error>(self.store.list_with_delimiter(Some(&prefix)).await)
        })??;
        match listed {
            Ok(found) => {
                let names = found.common_prefixes.iter();
                let mut names: Vec<String> =
                    names.filter_map(|path| path.filename().map(str::to_owned)).collect();
                names.sort_unstable();
                Ok(Some(names))
            }
            // To read files of a bucket, one need not be allowed to list them.
            Err(StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. }) => {
                self.lists.store(false, Ordering::Relaxed);
                Ok(None)
            }
            Err(error) => Err(self.failures.of(&self.url(place), &error)),
        }
    }

    async fn permit(&self) -> io::Result<tokio::sync::SemaphorePermit<'_>> {
        self.requests.acquire().await.map_err(io::Error::other)
    }

    /// Where a file is in the store.
    fn key(&self, key: &str) -> io::Result<ObjectPath> {
        let path = match (self.prefix.as_str(), key) {
            ("", key) => key.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, key) => format!("{prefix}/{key}"),
        };
        ObjectPath::parse(path).map_err(io::Error::other)
    }

    async fn fetch(
        &self,
        key: &str,
        part: Option<GetRange>,
        most: u64,
    ) -> io::Result<Option<Vec<u8>>> {
        let mut pause = self.patience.pause;
        let mut retries = self.patience.retries;
        loop {
            match self.try_fetch(key, part.clone(), most).await {
                Err(broken) if broken.again && retries > 0 => {
                    retries -= 1;
                    sleep(pause).await;
                    pause *= 2;
                }
                tried => return tried.map_err(|broken| broken.error),
            }
        }
    }

    async fn try_fetch(
        &self,
        key: &str,
        part: Option<GetRange>,
        most: u64,
    ) -> Result<Option<Vec<u8>>, Broken> {
        let _permit = self.permit().await?;
        let options = GetOptions { range: part, ..GetOptions::default() };
        let Some(found) = self.ask(key, options).await? else { return Ok(None) };
        let length = found.range.end.saturating_sub(found.range.start);
        if length > most {
            let problem = format!(
                "`{}` has {} MB, and at most {} MB of it are read",
                self.url(key),
                length.div_ceil(1 << 20),
                most >> 20
            );
            return Err(refusal(problem, failure::CHANGED).into());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        self.receive(key, found, |part| {
            bytes.extend_from_slice(part);
            Ok(())
        })
        .await?;
        Ok(Some(bytes))
    }

    /// Sends a request; `None` if there is no such file.
    async fn ask(&self, key: &str, options: GetOptions) -> io::Result<Option<GetResult>> {
        match self.store.get_opts(&self.key(key)?, options).await {
            Ok(found) => Ok(Some(found)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failures.of(&self.url(key), &error)),
        }
    }

    /// Gives on what is sent: as much as was announced, no more and no less.
    async fn receive(
        &self,
        key: &str,
        found: GetResult,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Broken> {
        // Where a file has a version, a broken transfer was taken up again already.
        let again = found.meta.e_tag.is_none();
        let length = found.range.end.saturating_sub(found.range.start);
        let mut left = length;
        let mut parts = found.into_stream();
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| Broken {
                error: self.failures.of(&self.url(key), &error),
                again,
            })?;
            left = match left.checked_sub(part.len() as u64) {
                Some(left) => left,
                None => return Err(Failures::length(&self.url(key), length).into()),
            };
            take(&part)?;
        }
        if left > 0 {
            return Err(Broken { error: Failures::length(&self.url(key), length), again });
        }
        Ok(())
    }
}

/// Waits for a request, on the calling thread.
fn wait<T>(work: impl Future<Output = T>) -> io::Result<T> {
    static RUNTIME: OnceLock<io::Result<Runtime>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread().worker_threads(1).thread_name("cloud").enable_all().build()
    });
    match runtime {
        Ok(runtime) => Ok(runtime.block_on(work)),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    }
}

/// Runs work on as many threads as there may be requests, most of which wait for a server.
pub(crate) fn in_parallel<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let named = ThreadPoolBuilder::new().thread_name(|number| format!("cloud {number}"));
        named.num_threads(PARALLEL).start_handler(|_| guard_thread()).build().ok()
    });
    match pool {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

#[cfg(test)]
mod tests;
