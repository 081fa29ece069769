//! `scgpt demo`: the other commands, one after the other.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Parser as _};
use scgpt_data::GeneVocab;
use scgpt_model::{Preprocess, ScgptConfig, write_model_dir};

use crate::{args::Cli, device, output::Printer};

/// Genes of the simulated cells, all known to the model.
const GENES: usize = 2000;
/// Tokens per cell; the simulated cells have more expressed genes, so some are sampled.
const MAX_LENGTH: usize = 400;

/// See it work: simulate cells, embed them, open the report
///
/// Needs nothing but this program. The model is freshly initialised at a small size, not trained:
/// its embeddings show that everything works, not what scGPT can do.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  scgpt demo")]
pub(crate) struct DemoArgs {
    /// Folder to write
    #[arg(long, short, value_name = "DIR", default_value = "scgpt-demo")]
    output: PathBuf,
    /// Number of cells
    #[arg(long, value_name = "N", default_value_t = 2000)]
    cells: usize,
    /// Seed of every random choice
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Overwrite files in the folder
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &DemoArgs, printer: Printer) -> Result<()> {
    let folder = &args.output;
    if folder.exists() && !args.force {
        bail!("`{}` exists; choose another folder with -o, or pass --force", folder.display());
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    let at = |name: &str| folder.join(name).display().to_string();

    printer.remark("A small model, freshly initialised. It is not trained: pre-training is not part of this version.");
    small_model(&folder.join("model"), args)?;

    printer.remark("\nCells of five types in two batches:");
    let (cells, seed) = (args.cells.to_string(), args.seed.to_string());
    let (data, vocab) = (at("cells.h5ad"), at("model/vocab.json"));
    let genes = GENES.to_string();
    step(
        args,
        printer.step(),
        &[
            "simulate", "-o", &data, "--cells", &cells, "--genes", &genes, "--seed", &seed,
            "--vocab", &vocab,
        ],
    )?;

    printer.remark("\nTheir embeddings:");
    let (model, output) = (at("model"), at("embedded.h5ad"));
    step(
        args,
        printer,
        &[
            "embed",
            &data,
            "--model",
            &model,
            "-o",
            &output,
            "--seed",
            &seed,
            "--color",
            "cell_type",
        ],
    )?;
    printer.remark(&format!(
        "\nOpen {} in a browser, or {output} in scanpy.",
        at("embedded.report.html")
    ));
    Ok(())
}

/// Shows a command as it would be typed, and runs it.
fn step(demo: &DemoArgs, printer: Printer, args: &[&str]) -> Result<()> {
    printer.remark(&format!("$ scgpt {}", args.join(" ")));
    let force = demo.force.then_some("--force");
    let cli =
        Cli::try_parse_from(std::iter::once("scgpt").chain(args.iter().copied()).chain(force))?;
    super::dispatch(cli.command, None, printer)
}

/// Writes a model of a tenth of a million parameters that knows the simulated genes.
fn small_model(folder: &Path, args: &DemoArgs) -> Result<()> {
    let vocab = GeneVocab::from_names((1..=GENES).map(|gene| format!("GENE{gene:05}")))?;
    let config = ScgptConfig {
        d_model: 64,
        n_heads: 4,
        d_ff: 64,
        n_layers: 3,
        ..ScgptConfig::new(vocab.len())
    };
    let preprocess = Preprocess { max_length: MAX_LENGTH, cls_value: config.pad_value };
    let device = device::open("auto")?;
    device.seed(args.seed);
    let model = config.init(&device)?;
    let vocab_path = folder.with_extension("vocab.json");
    vocab.write_json(&vocab_path)?;
    let origin = "Freshly initialised by `scgpt demo`; not trained.";
    let written =
        write_model_dir(folder, args.force, &config, &preprocess, &vocab_path, origin, |path| {
            model.save(path)
        });
    fs::remove_file(&vocab_path)
        .with_context(|| format!("cannot remove `{}`", vocab_path.display()))?;
    Ok(written?)
}
