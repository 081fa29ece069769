//! `scgpt grn`: one file per subcommand.

mod attention;
mod embedding;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand, ValueEnum};
use scgpt_data::Existing;
use scgpt_eval::network::GeneNetwork;
use scgpt_tasks::grn::NetworkMethod;
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

/// What makes networks of genes.
#[derive(Clone, Debug, Args, Serialize)]
struct MakerArgs {
    /// Model directory, or an artefact that is one; simple methods need none
    #[arg(
        long,
        short,
        value_name = "DIR",
        required_unless_present = "method",
        env = "SCGPT_MODEL"
    )]
    model: Option<PathBuf>,
    /// What makes the networks: the model or a simple method without one [default: network]
    #[arg(long, value_enum, value_name = "METHOD", env = "SCGPT_METHOD")]
    method: Option<NetworkMethod>,
}

/// Formats of edge lists. The library tells formats by the extension of a path.
#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
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
const BASELINES: &str = "baselines";
/// How names of simpler networks begin; they may go on.
const METHODS: [&str; 7] = [
    "attention",
    "pearson",
    "spearman",
    "partial",
    "trees",
    "gene_embeddings",
    "gene_embeddings_before_training",
];
const GROUPS: [&str; 4] = ["", "_control", "_perturbed", "_difference"];
/// Extensions of edge lists.
const EXTENSIONS: [&str; 2] = ["csv", "parquet"];

/// Whether an entry in a folder of results is one of these files, or the folder of simpler networks
/// with nothing else in it.
fn is_result(entry: &Path, files: &[&str]) -> bool {
    if !entry.ends_with(BASELINES) {
        return entry.is_file() && files.iter().any(|file| entry.ends_with(file));
    }
    fs::read_dir(entry)
        .is_ok_and(|mut all| all.all(|entry| entry.is_ok_and(|entry| is_baseline(&entry.path()))))
}

fn is_baseline(path: &Path) -> bool {
    let [stem, extension] =
        [path.file_stem(), path.extension()].map(|part| part.unwrap_or_default().to_string_lossy());
    let is_named =
        |method: &&str| stem.strip_prefix(method).is_some_and(|group| GROUPS.contains(&group));
    path.is_file() && EXTENSIONS.contains(&&*extension) && METHODS.iter().any(is_named)
}

/// Writes an edge list of every simpler network.
fn write_baselines(
    folder: &Path,
    baselines: impl Iterator<Item = (impl AsRef<Path>, GeneNetwork)>,
    format: Format,
) -> Result<()> {
    let folder = folder.join(BASELINES);
    for (name, network) in baselines {
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
        let path = folder.join(name).with_extension(format.extension());
        network.write(&path, Existing::Refuse)?;
    }
    Ok(())
}

pub(crate) fn run(args: &GrnArgs, printer: Printer) -> Result<()> {
    match &args.command {
        GrnCommand::Attention(args) => attention::run(args, printer),
        GrnCommand::Embedding(args) => embedding::run(args, printer),
    }
}
