//! [`on_this_machine`]: token shards of a URL, in the cache of this machine.

use std::path::{Path, PathBuf};

use anyhow::Result;
use scgpt_data::is_url;

use crate::output::Printer;

/// The folder of shards that a path names; those of a URL are fetched, unless they were before.
///
/// # Errors
/// If there are none at the URL, or they cannot be fetched or kept.
pub(crate) fn on_this_machine(path: &Path, printer: Printer) -> Result<PathBuf> {
    if !is_url(path) {
        return Ok(path.into());
    }
    fetched(path, printer)
}

#[cfg(not(feature = "cloud"))]
fn fetched(path: &Path, _: Printer) -> Result<PathBuf> {
    anyhow::bail!(
        "`{}`: a URL: scgpt was built without feature `cloud`; build it with `--features cloud`, or download the folder first",
        path.display()
    )
}

#[cfg(feature = "cloud")]
fn fetched(path: &Path, printer: Printer) -> Result<PathBuf> {
    use scgpt_data::{FetchedShards, Observer as _, ShardCache};

    use crate::progress::Bar;

    let cache = ShardCache { folder: cache::folder()?.join("shards"), most: cache::most()? };
    let bar = Bar::new(printer);
    bar.begin("fetching shards", 0);
    let found = cache.fetch(path, |_, _| !bar.is_cancelled());
    bar.finish();
    let FetchedShards { folder, bytes, fetched, .. } = found?;
    printer.remark(&format!(
        "note: {} MB of shards are kept in `{}`, {} MB of them fetched now",
        bytes.div_ceil(1_000_000),
        folder.display(),
        fetched.div_ceil(1_000_000)
    ));
    Ok(folder)
}

/// Where the cache is, and how much it holds.
#[cfg(feature = "cloud")]
mod cache {
    use std::{env, path::PathBuf};

    use anyhow::{Context as _, Result};

    /// Gigabytes that are kept unless `SCGPT_CACHE_GB` says otherwise.
    const GIGABYTES: u64 = 200;
    const GIGABYTE: u64 = 1_000_000_000;

    /// `SCGPT_CACHE`, else a folder among the caches of the user.
    pub(super) fn folder() -> Result<PathBuf> {
        let named =
            |name: &str| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        if let Some(folder) = named("SCGPT_CACHE") {
            return Ok(folder);
        }
        let caches = named("XDG_CACHE_HOME")
            .or_else(|| named("LOCALAPPDATA"))
            .or_else(|| Some(named("HOME")?.join(".cache")));
        Ok(caches.context("there is no folder for caches: name one by SCGPT_CACHE")?.join("scgpt"))
    }

    /// Most bytes of all shards that are kept.
    pub(super) fn most() -> Result<u64> {
        let Some(text) = env::var_os("SCGPT_CACHE_GB") else { return Ok(GIGABYTES * GIGABYTE) };
        let text = text.to_string_lossy();
        let number = text.parse::<u64>().ok().and_then(|number| number.checked_mul(GIGABYTE));
        number.with_context(|| format!("SCGPT_CACHE_GB is `{text}`, expected a whole number"))
    }
}
