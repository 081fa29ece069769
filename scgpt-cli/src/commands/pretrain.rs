//! `scgpt pretrain`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, CommandFactory as _};
use scgpt_data::{CellQuery, Claim, Error, check_apart, folder_entries};
use scgpt_tasks::{
    Recipe,
    pretrain::{Preset, PretrainConfig, PretrainOptions, PretrainReport, Pretraining},
};
use scgpt_train::has_checkpoint;

use crate::{
    commands::Cli,
    flags::options_of,
    learn::RunArgs,
    output::{Printer, print_settings, write_text},
    plan::Load,
    progress::TrainBar,
    settings::layered,
    shards_here::on_this_machine,
    training::{Begin, is_ours},
    warnings::{PAGE, Warnings},
    workers,
};

/// Name of the file with the settings in force, in the folder of the run.
const SETTINGS: &str = "config.toml";
/// Name of the folder with the checkpoints from which a run goes on.
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
    scgpt pretrain --data shards/ -o blood/ --where \"tissue = 'blood'\" --balance study\n  \
    scgpt pretrain --preset paper --print-config > pretrain.toml\n  \
    scgpt pretrain --data shards/ --config pretrain.toml -o run/")]
#[command(mut_arg("model", |model| model.help("Model directory to continue from")))]
#[command(mut_arg("new_genes", |new| new.help(
    "Genes of the shards that --model does not know: none are allowed (none), or they join with vectors that are \
    drawn (random) or mapped from their co-expression with genes that it knows (spectral) [default: none]"
)))]
#[command(mut_arg("output", |output| output.help("Folder of the run")))]
pub(crate) struct PretrainArgs {
    /// Folder of token shards, made by `scgpt convert`; of one at a URL (https://, s3://) a copy is kept in
    /// SCGPT_CACHE
    #[arg(long, value_name = "DIR", required_unless_present = "print_config", env = "SCGPT_DATA")]
    data: Option<PathBuf>,
    /// Settings to start from; --config and flags change them
    #[arg(long, value_enum, default_value_t, env = "SCGPT_PRESET")]
    preset: Preset,
    /// Most tokens per cell
    #[arg(long, value_name = "N", env = "SCGPT_MAX_LENGTH")]
    max_length: Option<usize>,
    /// Learn from the cells for which this is true of the columns that the shards keep, in SQL, such as
    /// "tissue = 'blood' AND assay <> 'Drop-seq'"
    #[arg(id = "where", long = "where", value_name = "CONDITION", env = "SCGPT_WHERE")]
    query: Option<CellQuery>,
    /// Learn from that many of the cells, drawn by the seed; a smaller number draws from among them
    #[arg(long, value_name = "N", env = "SCGPT_CELLS")]
    cells: Option<usize>,
    /// Label column of the shards whose labels all come as often, however many cells they have
    #[arg(long, value_name = "NAME", env = "SCGPT_BALANCE")]
    balance: Option<String>,
    /// Shuffle about that many cells together, in runs of 1024 neighbours, not all: for shards that are larger than memory, or on a disk that is
    /// slow to seek [default: all]
    #[arg(long, value_name = "CELLS", env = "SCGPT_SHUFFLE_WINDOW")]
    shuffle_window: Option<usize>,
    /// Learn the classes of this label column of the shards, too
    #[arg(long, value_name = "NAME", env = "SCGPT_CLASS_COLUMN")]
    class_column: Option<String>,
    /// What selects the network and ends the training: loss, the error of hidden genes; thinning, the share
    /// of cells that a random half of their counts finds again, by which the start is kept if nothing is
    /// better; or another metric of the validation [default: loss]
    #[arg(long, value_name = "METRIC", env = "SCGPT_SELECT_BY")]
    select_by: Option<String>,
    /// Checkpoints kept, beside the best
    #[arg(long, value_name = "N", default_value_t = 2, env = "SCGPT_KEEP")]
    keep: usize,
    #[command(flatten)]
    run: RunArgs,
}

pub(crate) fn run(args: &PretrainArgs, config: Option<&Path>, printer: Printer) -> Result<()> {
    args.run.meet(printer)?;
    let saved = args.run.output.as_deref().map(|folder| folder.join(SETTINGS));
    let files = args.run.files(saved.filter(|path| path.exists()), config);
    let settings = args.settings(&files)?;
    if args.run.print_config {
        return print_settings(&settings);
    }
    let (Some(data), Some(output)) = (&args.data, &args.run.output) else {
        bail!("--data and --output are needed");
    };
    let data = &on_this_machine(data, printer)?;
    let inputs = [Some(data.as_path()), settings.model.as_deref()];
    let _claim = claim(output, args.run.begin(), inputs)?;
    let mut warnings = Warnings::new(printer);
    let device = args.run.open(
        settings.model.as_deref(),
        (&settings.network, &settings.training, Some(&settings.objectives)),
        &mut warnings,
    )?;
    let (plan, place) = args.run.plan(output)?;
    let mut options = PretrainOptions::new(data, &place);
    options.rehearse = args.run.plans();
    options.workers = workers::current();
    options.resume = args.run.resumes();
    options.checkpoint_every = Some(args.run.checkpoint_every());
    options.keep = args.keep;
    options.recompute = args.run.recompute;
    let prepared = Pretraining::prepare(&settings, &options, &device)?;
    if let Some(chosen) = prepared.chosen() {
        warnings.chosen(data, chosen);
    }
    warnings.all(prepared.doubts()?);
    if let Some(plan) = plan {
        let both = (&settings.network, &settings.training);
        let load = Load::new(settings.model.as_deref(), settings.batch_size, both);
        return plan.run(load, printer, |steps, _| prepared.run(steps));
    }
    // Nothing is written, or removed, before everything is known to be sound.
    begin(output, args.run.begin(), &settings, printer)?;
    let bar = TrainBar::new(printer);
    let report = prepared.run(&bar)?;
    bar.finish();
    warnings.all(report.kept_start.clone());
    for source in &report.data.not_counts {
        warnings
            .tell(format!("`{source}` does not look like raw counts, which pre-training expects"));
    }
    write_text(&output.join(PAGE), &warnings.on(report.page()))?;
    print(&report, output, &warnings, printer)
}

/// Claims the folder, which must have room for a new run, or hold a run to go on with. A worker that follows the first
/// writes nothing there, and claims nothing.
fn claim(output: &Path, begin: Begin, inputs: [Option<&Path>; 2]) -> Result<Option<Claim>> {
    check_apart(output, inputs.into_iter().flatten())?;
    // All have read the settings of a run that goes on, which may be written anew.
    workers::current().meet()?;
    if !workers::current().is_first() {
        return Ok(None);
    }
    let claim = Claim::of_folder(output)?;
    let (has_run, is_used) =
        (is_ours(&output.join(SETTINGS)), folder_entries(output).next().is_some());
    let shown = output.display();
    match (begin, has_run, is_used) {
        (Begin::Resume, false, _) => {
            bail!("`{shown}` has no run to resume: leave --resume out to begin one")
        }
        (Begin::New, _, true) => bail!(
            "`{shown}` exists; pass --resume to go on with its run, --force to begin anew, or choose another -o"
        ),
        (Begin::Anew, false, true) => {
            let problem = "it is no folder of `scgpt pretrain`";
            Err(Error::protected(output, problem).into())
        }
        _ => Ok(Some(claim)),
    }
}

/// Begins a run, unless one goes on: removes the checkpoints of others, and writes down the
/// settings.
fn begin(output: &Path, begin: Begin, settings: &PretrainConfig, printer: Printer) -> Result<()> {
    if begin == Begin::Resume && has_checkpoint(output) {
        return Ok(());
    }
    if begin == Begin::Resume {
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

impl PretrainArgs {
    /// The settings: those of the flags, else of the file, else of the run to resume, else of the
    /// preset.
    fn settings(&self, files: &[PathBuf]) -> Result<PretrainConfig> {
        let options = options_of(Cli::command(), "pretrain");
        let mut settings = layered(&self.preset.config(), files, &options)?;
        self.run.apply(&mut settings.model, &mut settings.batch_size, &mut settings.training);
        settings.new_genes = self.run.new_genes.unwrap_or(settings.new_genes);
        settings.network = Recipe::of(settings.model.as_deref())?.settle(settings.network);
        settings.max_length = self.max_length.unwrap_or(settings.max_length);
        if self.select_by.is_some() {
            settings.training.select_by.clone_from(&self.select_by);
        }
        if let Some(query) = &self.query {
            settings.condition = Some(query.to_string());
        }
        settings.cells = self.cells.or(settings.cells);
        if self.balance.is_some() {
            settings.balance.clone_from(&self.balance);
        }
        settings.shuffle_window = self.shuffle_window.or(settings.shuffle_window);
        if let Some(column) = &self.class_column {
            settings.class_column = Some(column.clone());
            if settings.objectives.class == 0.0 {
                settings.objectives.class = 1.0;
            }
        }
        Ok(settings)
    }
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
    rows.extend(report.new_genes.iter().map(|added| ("new genes", added.line())));
    let number = |name: &str| report.metric(name).map(|value| format!("{value:.2}"));
    if let (Some(network), Some(mean)) = (number("gep"), number("mean_expression")) {
        rows.push((
            "validation error",
            format!("{network} (squared value bins; gene means: {mean})"),
        ));
    }
    rows.push(("model", output.join("model").display().to_string()));
    rows.push(("report", output.join(PAGE).display().to_string()));
    printer.written(&warnings.beside(report), &rows)
}
