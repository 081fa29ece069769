//! `scgpt convert`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use scgpt_data::{GeneVocab, check_output};
use scgpt_model::{ModelDir, Strictness, Weights, write_model_dir};
use serde_json::json;

use crate::{device, output::Printer};

/// Convert a checkpoint to a safetensors directory or file
///
/// All tensors are kept, those of task heads too, under the reference's names. A directory is
/// checked against its configuration first; nothing inside a `.pt` file is executed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt convert scGPT_human -o model/                  a directory that loads faster\n  \
    scgpt convert scGPT_human -o weights.safetensors     for Python: safetensors.torch.load_file")]
pub(crate) struct ConvertArgs {
    /// Model directory, or a `.pt` or `.safetensors` file
    input: PathBuf,
    /// Directory to write, or a `.safetensors` file
    #[arg(long, short, value_name = "PATH")]
    output: PathBuf,
    /// Accept weights that do not fit the configuration
    #[arg(long)]
    partial: bool,
    /// Overwrite the output
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &ConvertArgs, printer: Printer) -> Result<()> {
    check_output(&args.output, args.force)?;
    let is_file = args.output.extension().is_some_and(|extension| extension == "safetensors");
    let n_tensors = match (args.input.is_dir(), is_file) {
        (true, false) => directory(args)?,
        (true, true) => file(ModelDir::open(&args.input)?.weights(), &args.output)?,
        (false, true) => file(&Weights::open(&args.input)?, &args.output)?,
        (false, false) => bail!(
            "`{}` is a file without configuration and vocabulary: name a `.safetensors` output, or convert its folder",
            args.input.display()
        ),
    };
    let output = args.output.display().to_string();
    printer.result(
        &json!({ "tensors": n_tensors, "output": output }),
        &[("tensors", n_tensors.to_string()), ("output", output.clone())],
    )
}

fn file(weights: &Weights, output: &Path) -> Result<usize> {
    weights.save(output)?;
    Ok(weights.names().count())
}

fn directory(args: &ConvertArgs) -> Result<usize> {
    let model = ModelDir::open(&args.input)?;
    // A directory that does not load, or whose vocabulary is broken, is not worth converting.
    let strictness = if args.partial { Strictness::Partial } else { Strictness::Strict };
    model.load(&device::open("auto")?, strictness)?;
    GeneVocab::from_json(model.vocab_path())?;
    let origin = format!("Converted from `{}` (SHA-256 {}).", model.weights().path().display(), model.hash()?);
    write_model_dir(
        &args.output,
        args.force,
        model.config(),
        model.preprocess(),
        &model.vocab_path(),
        &origin,
        |path| model.weights().save(path),
    )?;
    Ok(model.weights().names().count())
}
