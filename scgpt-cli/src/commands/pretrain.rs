//! `scgpt pretrain`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, CommandFactory as _};
use scgpt_data::{Claim, Error, check_apart};
use scgpt_tasks::{
    Recipe,
    pretrain::{Preset, PretrainConfig, PretrainOptions, PretrainReport, Pretraining},
};
use scgpt_train::{Precision, has_checkpoint};

use crate::{
    commands::Cli,
    device::ComputeArgs,
    flags::options_of,
    output::{Printer, print_text, write_text},
    progress::TrainBar,
    settings::layered,
    training::{entries, is_ours},
    warnings::Warnings,
};

/// What the settings in force are called in the folder of the run.
const SETTINGS: &str = "config.toml";
/// The folder from which it goes on.
const CHECKPOINTS: &str = "checkpoints";

/// Pre-train a model on token shards: known genes, unknown genes, cell prompts
///
/// Writes a folder: `model/` (the best network by validation, with its card), `checkpoints/`,
/// `config.toml` (the settings in force), `log.jsonl` and TensorBoard event files, and a page with
/// the loss curves. Stopped by Ctrl-C or killed, the run goes on with --resume as if nothing had
/// happened.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt convert cells.h5ad -o shards/\n  \
    scgpt pretrain --data shards/ -o run/\n  \
    scgpt pretrain --data shards/ -o run/ --resume\n  \
    scgpt pretrain --preset paper --print-config > pretrain.toml\n  \
    scgpt pretrain --data shards/ --config pretrain.toml -o run/")]
pub(crate) struct PretrainArgs {
    /// Folder of token shards, made by `scgpt convert`
    #[arg(long, value_name = "DIR", required_unless_present = "print_config", env = "SCGPT_DATA")]
    data: Option<PathBuf>,
    /// Folder of the run
    #[arg(long, short, value_name = "DIR", required_unless_present = "print_config")]
    output: Option<PathBuf>,
    /// Go on from the newest usable checkpoint, with the settings of the run
    #[arg(long)]
    resume: bool,
    /// Settings to start from; --config and flags change them
    #[arg(long, value_enum, default_value_t, env = "SCGPT_PRESET")]
    preset: Preset,
    /// Model directory to continue from
    #[arg(long, short, value_name = "DIR", env = "SCGPT_MODEL")]
    model: Option<PathBuf>,
    /// Seed of every random choice
    #[arg(long, value_name = "N", env = "SCGPT_SEED")]
    seed: Option<u64>,
    /// Passes over the cells
    #[arg(long, value_name = "N", env = "SCGPT_EPOCHS")]
    epochs: Option<u64>,
    /// Stop after that many optimiser steps
    #[arg(long, value_name = "N", env = "SCGPT_MAX_STEPS")]
    max_steps: Option<u64>,
    /// Cells per batch
    #[arg(long, value_name = "N", env = "SCGPT_BATCH_SIZE")]
    batch_size: Option<usize>,
    /// Most tokens per cell
    #[arg(long, value_name = "N", env = "SCGPT_MAX_LENGTH")]
    max_length: Option<usize>,
    /// Learning rate
    #[arg(long, value_name = "RATE", env = "SCGPT_LR")]
    lr: Option<f64>,
    /// Learn the classes of this label column of the shards, too
    #[arg(long, value_name = "NAME", env = "SCGPT_CLASS_COLUMN")]
    class_column: Option<String>,
    /// Number format of the passes: f32, bf16 or f16
    #[arg(long, value_name = "FORMAT", env = "SCGPT_PRECISION")]
    precision: Option<Precision>,
    /// Optimiser steps between checkpoints, beside those at validations
    #[arg(long, value_name = "N", default_value_t = 200, env = "SCGPT_CHECKPOINT_EVERY")]
    checkpoint_every: u64,
    /// Checkpoints kept, beside the best
    #[arg(long, value_name = "N", default_value_t = 2, env = "SCGPT_KEEP")]
    keep: usize,
    #[command(flatten)]
    compute: ComputeArgs,
    /// Print the settings in force as TOML, and do nothing
    #[arg(long)]
    print_config: bool,
    /// Begin anew in a folder that has a run
    #[arg(long, conflicts_with = "resume")]
    force: bool,
}

pub(crate) fn run(args: &PretrainArgs, config: Option<&Path>, printer: Printer) -> Result<()> {
    let saved = args.output.as_deref().map(|folder| folder.join(SETTINGS));
    let settings = settings(args, config, saved.as_deref().filter(|_| args.resume))?;
    if args.print_config {
        return print_text(toml::to_string(&settings)?.as_bytes());
    }
    let (Some(data), Some(output)) = (&args.data, &args.output) else {
        bail!("--data and --output are needed");
    };
    let inputs = [Some(data.as_path()), settings.model.as_deref()];
    let _claim = claim(args, output, inputs)?;
    let device = args.compute.open()?;
    let options = PretrainOptions {
        shards: data,
        run: output,
        resume: args.resume,
        checkpoint_every: Some(args.checkpoint_every.max(1)),
        keep: args.keep,
    };
    let mut warnings = Warnings::new(printer);
    let prepared = Pretraining::prepare(&settings, &options, &device)?;
    warnings.all(prepared.doubts()?);
    // Nothing is written, or removed, before everything is known to be sound.
    begin(args, output, &settings, printer)?;
    let bar = TrainBar::new(printer);
    let report = prepared.run(&bar);
    bar.finish();
    let report = report?;
    for source in &report.data.not_counts {
        warnings
            .tell(format!("`{source}` does not look like raw counts, which pre-training expects"));
    }
    write_text(&output.join("report.html"), &warnings.on(report.page()))?;
    print(&report, output, &warnings, printer)
}

/// Claims the folder: there has to be room for a new run, or a run to go on with.
fn claim(args: &PretrainArgs, output: &Path, inputs: [Option<&Path>; 2]) -> Result<Claim> {
    check_apart(output, inputs.into_iter().flatten())?;
    let claim = Claim::of_folder(output)?;
    let (has_run, is_used) = (is_ours(&output.join(SETTINGS)), entries(output).next().is_some());
    let shown = output.display();
    match (args.resume, has_run, is_used) {
        (true, false, _) => {
            bail!("`{shown}` has no run to resume: leave --resume out to begin one")
        }
        (false, _, true) if !args.force => bail!(
            "`{shown}` exists; pass --resume to go on with its run, --force to begin anew, or choose another -o"
        ),
        (false, false, true) => {
            let problem = "it is no folder of `scgpt pretrain`";
            Err(Error::protected(output, problem).into())
        }
        _ => Ok(claim),
    }
}

/// Begins a run, unless one goes on: its checkpoints are its own, and its settings can be seen.
fn begin(
    args: &PretrainArgs,
    output: &Path,
    settings: &PretrainConfig,
    printer: Printer,
) -> Result<()> {
    if args.resume && has_checkpoint(output) {
        return Ok(());
    }
    if args.resume {
        printer.remark("note: the run was ended before its first checkpoint, and begins anew");
    }
    fs::create_dir_all(output).with_context(|| format!("cannot create `{}`", output.display()))?;
    // Before there are new settings, which an old run must not go on with.
    let checkpoints = output.join(CHECKPOINTS);
    if checkpoints.exists() {
        fs::remove_dir_all(&checkpoints)
            .with_context(|| format!("cannot remove `{}`", checkpoints.display()))?;
    }
    let header = format!("# scgpt pretrain, version {}\n", env!("CARGO_PKG_VERSION"));
    Ok(write_text(&output.join(SETTINGS), &(header + &toml::to_string(settings)?))?)
}

/// Flags, else the file, else the settings of the run to resume, else the preset.
fn settings(
    args: &PretrainArgs,
    config: Option<&Path>,
    saved: Option<&Path>,
) -> Result<PretrainConfig> {
    let files = saved.filter(|path| path.exists()).into_iter().chain(config);
    let mut settings =
        layered(&args.preset.config(), files, &options_of(Cli::command(), "pretrain"))?;
    let set = |value: Option<usize>, to: &mut usize| *to = value.unwrap_or(*to);
    set(args.batch_size, &mut settings.batch_size);
    set(args.max_length, &mut settings.max_length);
    let training = &mut settings.training;
    training.seed = args.seed.unwrap_or(training.seed);
    training.epochs = args.epochs.unwrap_or(training.epochs);
    training.max_steps = args.max_steps.or(training.max_steps);
    training.optimizer.lr = args.lr.unwrap_or(training.optimizer.lr);
    training.precision = args.precision.unwrap_or(training.precision);
    if let Some(model) = &args.model {
        settings.model = Some(model.clone());
    }
    settings.network = Recipe::of(settings.model.as_deref())?.settle(settings.network);
    if let Some(column) = &args.class_column {
        settings.class_column = Some(column.clone());
        if settings.objectives.class == 0.0 {
            settings.objectives.class = 1.0;
        }
    }
    Ok(settings)
}

fn print(
    report: &PretrainReport,
    output: &Path,
    warnings: &Warnings,
    printer: Printer,
) -> Result<()> {
    let mut rows = vec![
        (
            "cells",
            format!(
                "{} trained on, {} held out",
                report.data.training_cells, report.data.validation_cells
            ),
        ),
        ("steps", report.steps.to_string()),
    ];
    let number = |name: &str| report.metric(name).map(|value| format!("{value:.2}"));
    if let (Some(network), Some(mean)) = (number("gep"), number("mean_expression")) {
        rows.push((
            "validation error",
            format!("{network} (squared value bins; gene means: {mean})"),
        ));
    }
    rows.push(("model", output.join("model").display().to_string()));
    rows.push(("report", output.join("report.html").display().to_string()));
    printer.result(&warnings.beside(report), &rows)
}
