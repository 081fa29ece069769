//! `scgpt annotate train`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use scgpt_data::Source;
use scgpt_tasks::{
    AnnotateConfig, AnnotateOptions, AnnotateReport, Annotation, BaselineOptions, ClassWeights,
    MethodScores, Recipe,
};
use scgpt_train::Part;

use crate::{
    device::ComputeArgs,
    matrix::MatrixArgs,
    output::{Printer, print_text, write_text},
    progress::{Bar, TrainBar},
    settings::{self, layered},
};

/// Learn cell types from labelled cells
///
/// With --model a checkpoint is fine-tuned; without, a small network learns from these cells alone.
/// A tenth of the cells selects the best network and calibrates its confidence, another tenth
/// judges it beside simple methods. The artefact is one folder with all that `annotate predict`
/// needs, its model card, and a report. Stopped by Ctrl-C or killed, --resume goes on.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt annotate train reference.h5ad --label cell_type --model scGPT_human -o pbmc-types/\n  \
    scgpt annotate train reference.h5ad --label cell_type -o pbmc-types/\n  \
    scgpt annotate predict query.h5ad --model pbmc-types/ -o annotated.h5ad")]
#[allow(clippy::struct_excessive_bools, reason = "flags, each on its own")]
pub(crate) struct TrainArgs {
    /// File or folder of labelled cells
    #[arg(required_unless_present = "print_config")]
    input: Option<PathBuf>,
    /// Column of obs with the cell types
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present = "print_config",
        env = "SCGPT_LABEL"
    )]
    label: Option<String>,
    /// Model directory to fine-tune [default: a small network learns from scratch]
    #[arg(long, short, value_name = "DIR", env = "SCGPT_MODEL")]
    model: Option<PathBuf>,
    /// Folder of the artefact
    #[arg(long, short, value_name = "DIR", required_unless_present = "print_config")]
    output: Option<PathBuf>,
    /// Column of obs with batches that the network shall not tell apart (sets objectives.dar to 1)
    #[arg(long, value_name = "NAME", env = "SCGPT_BATCH_KEY")]
    batch_key: Option<String>,
    /// Share of the cells that selects and calibrates the network [default: 0.1]
    #[arg(long, value_name = "SHARE", env = "SCGPT_VALIDATION")]
    validation: Option<f64>,
    /// Share of the cells that judges it [default: 0.1]
    #[arg(long, value_name = "SHARE", env = "SCGPT_TEST")]
    test: Option<f64>,
    /// Parts that do not learn: genes, values, conditions, transformer, blocks:N
    #[arg(long, value_name = "PARTS", value_delimiter = ',', env = "SCGPT_FREEZE")]
    freeze: Vec<String>,
    /// How much cells of large and small classes count [default: equal]
    #[arg(long, value_enum, env = "SCGPT_CLASS_WEIGHTS")]
    class_weights: Option<Weights>,
    /// Keep the cells in the order of the file in every epoch, as the reference does
    #[arg(long)]
    keep_order: bool,
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
    /// Number format of the passes: f32, bf16 or f16
    #[arg(long, value_name = "FORMAT", env = "SCGPT_PRECISION")]
    precision: Option<String>,
    /// Seed of every random choice
    #[arg(long, value_name = "N", env = "SCGPT_SEED")]
    seed: Option<u64>,
    /// Train and judge that often, with other seeds and other cells to judge, for intervals
    #[arg(long, value_name = "N", default_value_t = 1, env = "SCGPT_REPEATS")]
    repeats: u64,
    /// Do not compare with simple methods
    #[arg(long)]
    no_baselines: bool,
    #[command(flatten)]
    matrix: MatrixArgs,
    #[command(flatten)]
    compute: ComputeArgs,
    /// Optimiser steps between checkpoints, beside those at validations
    #[arg(long, value_name = "N", default_value_t = 200, env = "SCGPT_CHECKPOINT_EVERY")]
    checkpoint_every: u64,
    /// Go on from the newest checkpoint, with the settings of the run
    #[arg(long)]
    resume: bool,
    /// Print the settings in force as TOML, and do nothing
    #[arg(long)]
    print_config: bool,
    /// Begin anew in a folder that is in use
    #[arg(long, conflicts_with = "resume")]
    force: bool,
}

/// [`ClassWeights`] by name.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Weights {
    /// All cells equally
    Equal,
    /// By the inverse square root of the size of their class
    SquareRoot,
    /// So that all classes count equally
    Balanced,
}

/// What the settings in force are called in the folder of the run.
const SETTINGS: &str = "training/config.toml";
/// The folder by which a run that can go on is recognised.
const CHECKPOINTS: &str = "training/checkpoints";

pub(crate) fn run(args: &TrainArgs, config: Option<&Path>, printer: Printer) -> Result<()> {
    let saved = args.output.as_deref().map(|folder| folder.join(SETTINGS));
    let settings = args.settings(config, saved.as_deref().filter(|_| args.resume))?;
    if args.print_config {
        return print_text(toml::to_string(&settings)?.as_bytes());
    }
    let (Some(input), Some(label), Some(output)) = (&args.input, &args.label, &args.output) else {
        bail!("the cells, --label and --output are needed");
    };
    args.check_folder(output)?;
    let device = args.compute.open()?;
    let mut source = Source::open(input)?;
    let layer = args.matrix.layer();
    let baselines = BaselineOptions { layer: layer.clone(), ..BaselineOptions::default() };
    let options = AnnotateOptions {
        label,
        batch_key: args.batch_key.as_deref(),
        layer: &layer,
        gene_column: args.matrix.gene_column.as_deref(),
        output,
        resume: args.resume,
        checkpoint_every: Some(args.checkpoint_every.max(1)),
        predict_batch: settings.batch_size.min(32),
        baselines: (!args.no_baselines).then_some(&baselines),
        repeats: args.repeats.max(1),
    };
    let prepared = Annotation::prepare(&source, &settings, options, &device)?;
    // Nothing is written, or removed, before everything is known to be sound.
    if !args.resume {
        begin(output, &settings)?;
    }
    let (bar, train_bar) = (Bar::new(printer), TrainBar::new(printer));
    let report = prepared.run(&mut source, &train_bar, &bar);
    train_bar.finish();
    bar.finish();
    let report = report?;
    remark_on(&report, printer);
    write_text(&output.join("report.json"), &serde_json::to_string_pretty(&report)?)?;
    write_text(&output.join("report.html"), &report.page().to_html())?;
    printer.result(&report, &summary(&report, output))
}

impl TrainArgs {
    /// Checks that there is room for a new run, or a run to go on with.
    fn check_folder(&self, output: &Path) -> Result<()> {
        let has_run = output.join(CHECKPOINTS).exists();
        let is_ours = |entry: fs::DirEntry| entry.file_name() == "training";
        let is_used =
            has_run || fs::read_dir(output).is_ok_and(|files| !files.flatten().all(is_ours));
        match (self.resume, has_run, is_used) {
            (true, false, _) => bail!(
                "`{}` has no unfinished run to resume: leave --resume out to begin one",
                output.display()
            ),
            (false, _, true) if !self.force => bail!(
                "`{}` exists; pass --resume to go on with an unfinished run, --force to begin anew, or choose another -o",
                output.display()
            ),
            _ => Ok(()),
        }
    }

    /// Flags, else the file, else the settings of the run to resume, else the recipe.
    fn settings(&self, config: Option<&Path>, saved: Option<&Path>) -> Result<AnnotateConfig> {
        let recipe = if self.model.is_some() { Recipe::FineTune } else { Recipe::Scratch };
        let files = saved.filter(|path| path.exists()).into_iter().chain(config);
        let mut settings = layered(&recipe.config(), files, "annotate train")?;
        settings.shuffle &= !self.keep_order;
        settings.batch_size = self.batch_size.unwrap_or(settings.batch_size);
        settings.max_length = self.max_length.unwrap_or(settings.max_length);
        settings.validation_share = self.validation.unwrap_or(settings.validation_share);
        settings.test_share = self.test.unwrap_or(settings.test_share);
        settings.class_weights = match self.class_weights {
            Some(Weights::Equal) => ClassWeights::Equal,
            Some(Weights::SquareRoot) => ClassWeights::SquareRoot,
            Some(Weights::Balanced) => ClassWeights::Balanced,
            None => settings.class_weights,
        };
        if let Some(model) = &self.model {
            settings.model = Some(model.clone());
        }
        if self.batch_key.is_some() && settings.objectives.dar == 0.0 {
            settings.objectives.dar = 1.0;
        }
        let training = &mut settings.training;
        training.seed = self.seed.unwrap_or(training.seed);
        training.epochs = self.epochs.unwrap_or(training.epochs);
        training.max_steps = self.max_steps.or(training.max_steps);
        training.optimizer.lr = self.lr.unwrap_or(training.optimizer.lr);
        if let Some(precision) = &self.precision {
            training.precision = settings::precision(precision)?;
        }
        if !self.freeze.is_empty() {
            training.freeze = self.freeze.iter().map(|name| part(name)).collect::<Result<_>>()?;
        }
        Ok(settings)
    }
}

/// A part of the network by its name.
fn part(name: &str) -> Result<Part> {
    Ok(match name.split_once(':') {
        Some(("blocks", n)) => Part::Blocks(
            n.parse().with_context(|| format!("--freeze {name}: expected such as blocks:6"))?,
        ),
        None if name == "genes" => Part::Genes,
        None if name == "values" => Part::Values,
        None if name == "conditions" => Part::Conditions,
        None if name == "transformer" => Part::Transformer,
        _ => bail!("--freeze {name}: expected genes, values, conditions, transformer or blocks:N"),
    })
}

/// Begins a run: its checkpoints are its own, and its settings can be seen.
fn begin(output: &Path, settings: &AnnotateConfig) -> Result<()> {
    let training = output.join("training");
    if training.exists() {
        fs::remove_dir_all(&training)
            .with_context(|| format!("cannot remove `{}`", training.display()))?;
    }
    fs::create_dir_all(&training)
        .with_context(|| format!("cannot create `{}`", training.display()))?;
    let header = format!("# scgpt annotate train, version {}\n", env!("CARGO_PKG_VERSION"));
    Ok(write_text(&output.join(SETTINGS), &(header + &toml::to_string(settings)?))?)
}

fn remark_on(report: &AnnotateReport, printer: Printer) {
    let data = &report.data;
    if !data.dropped.is_empty() {
        printer.remark(&format!(
            "warning: classes with fewer than {} cells were left out: {}",
            report.config.min_cells,
            data.dropped.join(", ")
        ));
    }
    if data.unlabelled > 0 {
        printer.remark(&format!("note: {} cells have no label and were left out", data.unlabelled));
    }
    if data.without_genes > 0 {
        printer.remark(&format!(
            "note: {} cells express no gene that the model knows and were left out",
            data.without_genes
        ));
    }
    if data.imbalance() > 20.0 && report.config.class_weights == ClassWeights::Equal {
        printer.remark(&format!(
            "note: the largest class has {:.0} times the cells of the smallest; if small classes matter, try --class-weights square-root",
            data.imbalance()
        ));
    }
}

fn summary(report: &AnnotateReport, output: &Path) -> Vec<(&'static str, String)> {
    let [training, validation, test] = report.data.totals();
    let mut rows = vec![
        ("classes", format!("{} of `{}`", report.data.classes.len(), report.data.label)),
        ("cells", format!("{training} trained on, {validation} to calibrate, {test} to judge")),
        ("steps", report.steps.to_string()),
    ];
    let of = |score: fn(&MethodScores) -> String| {
        let line = |method: &MethodScores| format!("{}: {}", method.name, score(method));
        report.methods.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    if let Some(evaluation) = &report.evaluation {
        rows.push(("accuracy", of(|method| method.accuracy.to_string())));
        rows.push(("macro F1", of(|method| method.macro_f1.to_string())));
        rows.extend(report.verdict().map(|verdict| ("verdict", verdict)));
        if let Some(calibration) = &evaluation.calibration {
            rows.push(("calibration error", format!("{:.3}", calibration.error)));
        }
        if let Some(coverage) = &evaluation.coverage {
            rows.push((
                "sets at 90 %",
                format!(
                    "hold the class of {:.1} % of the cells, {:.2} classes on average",
                    100.0 * coverage.overall,
                    coverage.mean_size
                ),
            ));
        }
    }
    rows.push(("artefact", output.display().to_string()));
    rows.push(("report", output.join("report.html").display().to_string()));
    rows
}
