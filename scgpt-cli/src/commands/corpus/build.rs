//! `scgpt corpus build`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use scgpt_data::Existing;

use crate::{
    commands::convert::{
        SHARD_CELLS,
        shards::{self, Conversion},
    },
    matrix::MatrixArgs,
    output::Printer,
};

/// Stream cells of many files into a corpus
///
/// As `scgpt convert`, for studies that were not made for each other: a file may lack some of the columns of obs
/// that are kept, those without a cell of --where are passed over, and of cells that express exactly the same,
/// as those of a study that was published twice, the first is kept. The manifest says what came from where.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt corpus build *.h5ad --where \"is_primary_data AND disease = 'normal'\" --obs tissue,assay,study -o corpus/\n  \
    scgpt corpus show corpus/ --by tissue,assay\n  \
    scgpt pretrain --data corpus/ --where \"tissue = 'blood'\" --balance study -o run/")]
pub(crate) struct BuildArgs {
    /// Files or folders of cells
    #[arg(required = true)]
    input: Vec<PathBuf>,
    /// Folder of the corpus
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Vocabulary of the gene tokens [default: the model's, else all genes of the data]
    #[arg(long, value_name = "FILE")]
    vocab: Option<PathBuf>,
    /// Model directory whose vocabulary is used
    #[arg(long, short, value_name = "DIR", env = "SCGPT_MODEL")]
    model: Option<PathBuf>,
    /// Columns of obs to keep, for example tissue,assay,study
    #[arg(long, value_name = "NAMES", value_delimiter = ',', env = "SCGPT_OBS")]
    obs: Vec<String>,
    /// Most cells per file
    #[arg(long, value_name = "N", default_value_t = SHARD_CELLS, env = "SCGPT_SHARD_CELLS")]
    shard_cells: usize,
    #[command(flatten)]
    matrix: MatrixArgs,
    /// Overwrite the output
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &BuildArgs, printer: Printer) -> Result<()> {
    let conversion = Conversion {
        inputs: &args.input,
        output: &args.output,
        vocab: args.vocab.as_deref(),
        model: args.model.as_deref(),
        obs: &args.obs,
        shard_cells: args.shard_cells,
        matrix: &args.matrix,
        existing: Existing::replaced_if(args.force),
        is_corpus: true,
    };
    shards::run(&conversion, printer)
}
