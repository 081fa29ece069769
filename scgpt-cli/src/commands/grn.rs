//! `scgpt grn`: one file per subcommand.

mod attention;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::output::Printer;

/// Gene networks: from gene embeddings, and from attention
#[derive(Debug, Args)]
pub(crate) struct GrnArgs {
    #[command(subcommand)]
    command: GrnCommand,
}

#[derive(Debug, Subcommand)]
enum GrnCommand {
    /// Networks from attention: which genes does a gene look at, and does that change?
    Attention(Box<attention::AttentionArgs>),
}

pub(crate) fn run(args: &GrnArgs, printer: Printer) -> Result<()> {
    match &args.command {
        GrnCommand::Attention(args) => attention::run(args, printer),
    }
}
