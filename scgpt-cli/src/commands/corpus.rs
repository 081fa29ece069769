//! `scgpt corpus`: one file per subcommand.

mod build;
mod show;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::output::Printer;

/// Cells of many studies as one corpus of token shards
#[derive(Debug, Args)]
pub(crate) struct CorpusArgs {
    #[command(subcommand)]
    command: CorpusCommand,
}

#[derive(Debug, Subcommand)]
enum CorpusCommand {
    // What a command says of itself is with its arguments.
    Build(Box<build::BuildArgs>),
    Show(Box<show::ShowArgs>),
}

pub(crate) fn run(args: &CorpusArgs, printer: Printer) -> Result<()> {
    match &args.command {
        CorpusCommand::Build(args) => build::run(args, printer),
        CorpusCommand::Show(args) => show::run(args, printer),
    }
}
