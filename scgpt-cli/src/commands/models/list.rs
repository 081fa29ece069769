//! `scgpt models list`.

use anyhow::Result;
use clap::Args;
use scgpt_tasks::models::ModelStore;
use serde_json::{Value, json};

use super::{record, short};
use crate::output::Printer;

/// List known models, and those that are on this machine
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  scgpt models list --json")]
pub(crate) struct ListArgs {}

pub(super) fn run(_: &ListArgs, printer: Printer) -> Result<()> {
    let store = ModelStore::of_user()?;
    let kept = store.kept();
    let known: Vec<Value> = store
        .known()
        .iter()
        .map(|(name, model)| {
            json!({
                "name": name,
                "address": model.address,
                "what": model.what,
                "sha256": model.sha256,
                "is_here": kept.iter().any(|folder| folder.address == model.address),
            })
        })
        .collect();
    let lines: Vec<String> = store
        .known()
        .iter()
        .map(|(name, model)| format!("{name}: {}, {}", model.address, model.what))
        .collect();
    let here: Vec<String> = kept
        .iter()
        .map(|folder| {
            let megabytes = folder.bytes().div_ceil(1_000_000);
            let version = short(&folder.version);
            format!("{} ({version}), {megabytes} MB: {}", folder.address, folder.folder.display())
        })
        .collect();
    let here = if here.is_empty() { "none".into() } else { here.join("\n") };
    let kept: Vec<Value> = kept.iter().map(record).collect();
    printer.result(
        &json!({"known": known, "here": kept, "folder": store.folder()}),
        &[
            ("known", lines.join("\n")),
            ("here", here),
            ("kept in", store.folder().display().to_string()),
        ],
    )
}
