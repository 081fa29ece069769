//! `scgpt models pull`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use scgpt_tasks::models::ModelStore;

use super::{record, short};
use crate::{models_here, output::Printer};

/// Fetch a model, unless its newest version is on this machine
///
/// What was interrupted goes on where it was. Every file is hashed, and held against the hash that the hub has of it,
/// and against one that is pinned.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt models pull scgpt-human\n  \
    HF_ENDPOINT=https://hub.example.org scgpt models pull hf://our-lab/scgpt@v2")]
pub(crate) struct PullArgs {
    /// Name of a known model, or an address
    name: PathBuf,
}

pub(super) fn run(args: &PullArgs, printer: Printer) -> Result<()> {
    let store = ModelStore::of_user()?;
    let address = super::whereis::address(&store, &args.name)?;
    let fetched = models_here::pull(&store, &address, printer)?;
    let folder = &fetched.folder;
    let files: Vec<String> = folder
        .files
        .iter()
        .map(|(name, file)| {
            let kilobytes = file.bytes.div_ceil(1000);
            format!("{name}: {kilobytes} kB, SHA-256 {}", file.sha256)
        })
        .collect();
    printer.written(
        &record(folder),
        &[
            ("model", address.to_string()),
            ("version", short(&folder.version)),
            ("files", files.join("\n")),
            ("folder", folder.folder.display().to_string()),
        ],
    )
}
