//! `scgpt models`: models by name.

mod list;
mod pull;
mod whereis;

use anyhow::Result;
use clap::{Args, Subcommand};
use scgpt_data::FetchedFolder;
use serde_json::{Value, json};

use crate::output::Printer;

/// Models by name: which there are, and where they are kept
///
/// Wherever a command takes --model, it takes a name of this list, an address of the hub, hf://OWNER/NAME or
/// hf://OWNER/NAME@REVISION, or that of a folder of a web server, too. The model is fetched once. HF_TOKEN opens what is
/// not public, HF_ENDPOINT names a mirror, SCGPT_OFFLINE=1 asks no server, SCGPT_CACHE is where models are kept, and
/// SCGPT_MODELS a file with names of one's own, where hashes can be pinned.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt models list\n  \
    scgpt models pull hf://tdc/scGPT\n  \
    scgpt embed cells.h5ad --model hf://tdc/scGPT -o embedded.h5ad\n  \
    cp vocab.json \"$(scgpt models where scgpt-human)\"")]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
enum ModelsCommand {
    // What a command says of itself is with its arguments.
    List(list::ListArgs),
    Pull(pull::PullArgs),
    Where(whereis::WhereArgs),
}

pub(crate) fn run(args: &ModelsArgs, printer: Printer) -> Result<()> {
    match &args.command {
        ModelsCommand::List(args) => list::run(args, printer),
        ModelsCommand::Pull(args) => pull::run(args, printer),
        ModelsCommand::Where(args) => whereis::run(args),
    }
}

/// A folder that is kept, for programs.
fn record(folder: &FetchedFolder) -> Value {
    json!({
        "address": folder.address,
        "version": folder.version,
        "folder": folder.folder,
        "bytes": folder.bytes(),
        "files": folder.files,
    })
}

/// A version as people see it.
fn short(version: &str) -> String {
    version.chars().take(12).collect()
}
