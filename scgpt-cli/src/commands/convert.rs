//! `scgpt convert`.

mod cells;
mod checkpoint;
pub(crate) mod shards;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use scgpt_data::{Existing, Layer, PartNumber, Source};

use self::shards::{Conversion, SHARD_CELLS, ShardArgs};
use crate::output::Printer;

/// Convert cells to token shards for training or to h5ad, or a checkpoint or adapters to safetensors
///
/// Cells (h5ad, AnnData-zarr, 10x, scBank) become a folder of memory-mapped Arrow files with the
/// gene tokens and values of every cell, its vocabulary and a manifest. With an output in .h5ad or .zarr
/// they become one file of cells: those of several inputs, such as the lanes of a run of 10x, one below the other, by
/// the names of their genes; where cells of two inputs have the same name, --sample tells them apart. Of a checkpoint all tensors
/// are kept, those of task heads too, under the reference's names; a directory is checked against
/// its configuration first; nothing inside a `.pt` file is executed. Adapters, as --lora
/// writes them, and the model they were made from become the weights that were published with them,
/// bit for bit. What an input is, is found by content.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt convert a.h5ad b.h5ad --model scGPT_human -o shards/ --obs cell_type,batch\n  \
    scgpt convert atlas.h5ad --part 3/16 -o shards/      a part, on a machine of its own, for scgpt join\n  \
    scgpt convert lane1.h5 lane2.h5 --sample lane1,lane2 -o joined.h5ad\n  \
    scgpt convert bank.scb -o shards/                    the reference's scBank, its own vocabulary\n  \
    scgpt convert scGPT_human -o model/                  a directory that loads faster\n  \
    scgpt convert scGPT_human -o weights.safetensors     for Python: safetensors.torch.load_file\n  \
    scgpt convert types/adapters.safetensors --model scGPT_human -o types/model.safetensors")]
#[command(mut_arg("vocab", |vocab| vocab.help(
    "Cells: vocabulary of the gene tokens [default: the model's, else all genes of the data]"
)))]
#[command(mut_arg("model", |model| model.help(
    "Cells: model directory whose vocabulary is used. Adapters: the one that they were made from"
)))]
#[command(mut_arg("obs", |obs| obs.help(
    "Cells: columns of obs to keep as labels, for example cell_type,batch"
)))]
#[command(mut_arg("shard_cells", |most| most.help("Cells: most cells per file")))]
pub(crate) struct ConvertArgs {
    /// Files or folders of cells; or one model directory, `.pt` or `.safetensors` file, of weights or adapters
    #[arg(required = true)]
    input: Vec<PathBuf>,
    /// Directory to write, or a `.h5ad`, `.zarr` or `.safetensors` file
    #[arg(long, short, value_name = "PATH")]
    output: PathBuf,
    #[command(flatten)]
    shards: ShardArgs,
    /// Cells: convert the I-th of N parts of the cells of one file alone, such as 3/16, to a folder of its own,
    /// OUTPUT.part-0003-of-0016, for `scgpt join`. A part that is there already is not done again
    #[arg(long, value_name = "I/N")]
    part: Option<PartNumber>,
    /// Checkpoint: accept weights that do not fit the configuration
    #[arg(long)]
    partial: bool,
    /// Overwrite the output
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &ConvertArgs, printer: Printer) -> Result<()> {
    match args.input.as_slice() {
        [input] if !holds_cells(input) => {
            if let Some(option) = args.option_of_cells() {
                bail!(
                    "{option} is an option for cells, but `{}` looks like none (h5ad, AnnData-zarr, 10x, scBank)",
                    input.display()
                );
            }
            checkpoint::run(args, input, printer)
        }
        inputs if args.partial => {
            bail!(
                "--partial is an option for checkpoints, but `{}` is converted as cells",
                inputs[0].display()
            )
        }
        _ if cells::is_asked_for(&args.output) => {
            if let Some(part) = args.part {
                bail!(
                    "--part {part} divides token shards, and `{}` is a file of cells, which one run writes",
                    args.output.display()
                );
            }
            cells::run(args, printer)
        }
        inputs => {
            let name = args.output.file_name().unwrap_or_default().to_string_lossy();
            let output = match args.part {
                Some(part) => args.output.with_file_name(part.folder_name(&name)),
                None => args.output.clone(),
            };
            shards::run(&args.conversion(inputs, &output), printer)
        }
    }
}

/// Whether an input is cells: by content or, for one that is damaged, by name, so that the error is
/// about cells.
fn holds_cells(input: &Path) -> bool {
    let extension = input.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("h5ad" | "h5" | "zarr" | "mtx" | "scb")) || Source::recognises(input)
}

impl ConvertArgs {
    fn existing(&self) -> Existing {
        Existing::replaced_if(self.force)
    }

    /// The conversion of cells.
    fn conversion<'a>(&'a self, inputs: &'a [PathBuf], output: &'a Path) -> Conversion<'a> {
        Conversion {
            inputs,
            output,
            shards: &self.shards,
            existing: self.existing(),
            is_corpus: false,
            part: self.part,
        }
    }

    /// The name of an option that was given and has no meaning for a checkpoint.
    fn option_of_cells(&self) -> Option<&'static str> {
        [
            ("--vocab", self.shards.vocab.is_some()),
            ("--obs", !self.shards.obs.is_empty()),
            ("--shard-cells", self.shards.shard_cells != SHARD_CELLS),
            ("--layer", self.shards.matrix.layer() != Layer::X),
            ("--sample", self.shards.sample.are_named()),
            ("--part", self.part.is_some()),
        ]
        .into_iter()
        .find_map(|(option, is_given)| is_given.then_some(option))
        .or_else(|| self.shards.matrix.choice.option())
        .or_else(|| self.shards.matrix.gene_option())
    }

    /// The name of an option that was given and has no meaning for a file of cells.
    fn option_of_shards(&self) -> Option<&'static str> {
        [
            ("--vocab", self.shards.vocab.is_some()),
            ("--model", self.shards.model.is_some()),
            ("--obs", !self.shards.obs.is_empty()),
            ("--shard-cells", self.shards.shard_cells != SHARD_CELLS),
        ]
        .into_iter()
        .find_map(|(option, is_given)| is_given.then_some(option))
        .or_else(|| self.shards.matrix.gene_option())
    }
}
