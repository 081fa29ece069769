//! `scgpt grn`: one file per subcommand.

mod attention;
mod embedding;

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
    // What it says of itself, rows and columns too, is with its arguments.
    Attention(Box<attention::AttentionArgs>),
    /// Networks from gene embeddings: which genes are alike, and which form programmes?
    Embedding(Box<embedding::EmbeddingArgs>),
}

pub(crate) fn run(args: &GrnArgs, printer: Printer) -> Result<()> {
    match &args.command {
        GrnCommand::Attention(args) => attention::run(args, printer),
        GrnCommand::Embedding(args) => embedding::run(args, printer),
    }
}
