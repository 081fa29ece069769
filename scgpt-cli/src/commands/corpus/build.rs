//! `scgpt corpus build`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use scgpt_data::Existing;

use crate::{
    commands::convert::shards::{self, Conversion, ShardArgs},
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
    #[command(flatten)]
    shards: ShardArgs,
    /// Overwrite the output
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &BuildArgs, printer: Printer) -> Result<()> {
    let conversion = Conversion {
        inputs: &args.input,
        output: &args.output,
        shards: &args.shards,
        existing: Existing::replaced_if(args.force),
        is_corpus: true,
        part: None,
    };
    shards::run(&conversion, printer)
}
