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
    use std::{thread::sleep, time::Duration};

    use scgpt_data::{Error, FetchedShards, ShardCache};
    use scgpt_tasks::models::cache_folder;

    use crate::{progress::ByteBar, run::is_cancelled, workers};

    const TICK: Duration = Duration::from_secs(3);

    let cache = ShardCache { folder: cache_folder()?.join("shards"), most: cache::most()? };
    let bar = ByteBar::new("fetching shards", printer);
    let is_alone = workers::current().size() == 1;
    let found = loop {
        match cache.fetch(path, |done, all| bar.told(done, all)) {
            Err(Error::Busy { .. }) if !is_alone && is_cancelled() => break Err(Error::Cancelled),
            // Another worker fetches them.
            Err(Error::Busy { .. }) if !is_alone => sleep(TICK),
            found => break found,
        }
    };
    drop(bar);
    let FetchedShards { folder, bytes, fetched, .. } = found?;
    printer.remark(&format!(
        "note: {} MB of shards are kept in `{}`, {} MB of them fetched now",
        bytes.div_ceil(1_000_000),
        folder.display(),
        fetched.div_ceil(1_000_000)
    ));
    Ok(folder)
}

/// How much the cache holds.
#[cfg(feature = "cloud")]
mod cache {
    use std::env;

    use anyhow::{Context as _, Result};

    /// Gigabytes that are kept unless `SCGPT_CACHE_GB` says otherwise.
    const GIGABYTES: u64 = 200;
    const GIGABYTE: u64 = 1_000_000_000;

    /// Most bytes of all shards that are kept.
    pub(super) fn most() -> Result<u64> {
        let Some(text) = env::var_os("SCGPT_CACHE_GB") else { return Ok(GIGABYTES * GIGABYTE) };
        let text = text.to_string_lossy();
        let number = text.parse::<u64>().ok().and_then(|number| number.checked_mul(GIGABYTE));
        number.with_context(|| format!("SCGPT_CACHE_GB is `{text}`, expected a whole number"))
    }
}
