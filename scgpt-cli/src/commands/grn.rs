//! `scgpt grn`: one file per subcommand.

mod attention;
mod embedding;

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand, ValueEnum};
use scgpt_tasks::GeneNetwork;
use serde::Serialize;

use crate::output::Printer;

/// Gene networks: from gene embeddings, and from attention
#[derive(Debug, Args)]
pub(crate) struct GrnArgs {
    #[command(subcommand)]
    command: GrnCommand,
}

#[derive(Debug, Subcommand)]
enum GrnCommand {
    // What a command says of itself is with its arguments.
    Attention(Box<attention::AttentionArgs>),
    Embedding(Box<embedding::EmbeddingArgs>),
}

/// Formats of edge lists.
#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Format {
    /// Comma-separated text
    Csv,
    /// Parquet
    Parquet,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// The folder of simpler networks in that of the results.
const RIVALS: &str = "rivals";

/// Writes an edge list of every simpler network.
fn write_rivals(
    folder: &Path,
    rivals: impl Iterator<Item = (impl AsRef<Path>, GeneNetwork)>,
    format: Format,
    force: bool,
) -> Result<()> {
    let folder = folder.join(RIVALS);
    for (name, network) in rivals {
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
        let path = folder.join(name).with_extension(format.extension());
        network.write(&path, force)?;
    }
    Ok(())
}

pub(crate) fn run(args: &GrnArgs, printer: Printer) -> Result<()> {
    match &args.command {
        GrnCommand::Attention(args) => attention::run(args, printer),
        GrnCommand::Embedding(args) => embedding::run(args, printer),
    }
}
