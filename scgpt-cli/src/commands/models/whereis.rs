//! `scgpt models where`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use scgpt_data::{FolderAddress, similar_names};
use scgpt_tasks::models::ModelStore;

use crate::output::print_text;

/// Print the folder of a model that was fetched
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ls \"$(scgpt models where scgpt-human)\"")]
pub(crate) struct WhereArgs {
    /// Name of a known model, or an address
    name: PathBuf,
}

pub(super) fn run(args: &WhereArgs) -> Result<()> {
    let store = ModelStore::of_user()?;
    let address = address(&store, &args.name)?;
    let folder = store.find(&address).with_context(|| {
        format!(
            "{address} is not on this machine: `scgpt models pull {}` fetches it",
            args.name.display()
        )
    })?;
    print_text(format!("{}\n", folder.folder.display()).as_bytes())
}

/// The address of a name.
pub(super) fn address(store: &ModelStore, name: &Path) -> Result<FolderAddress> {
    if let Some(address) = store.address(name) {
        return Ok(address?);
    }
    let names = store.known().keys().map(String::as_str);
    let similar = similar_names(&name.to_string_lossy(), names.clone()).hint();
    bail!(
        "`{}` is neither an address nor a known model ({}){similar}",
        name.display(),
        names.collect::<Vec<_>>().join(", ")
    )
}
