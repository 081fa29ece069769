//! `scgpt annotate train`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, CommandFactory as _, ValueEnum as _};
use scgpt_data::CellSource as _;
use scgpt_eval::baseline::BaselineOptions;
use scgpt_tasks::annotate::{
    AnnotateConfig, AnnotateOptions, AnnotateReport, Annotation, Artefact, ClassWeights, Method,
    MethodScores,
};

use crate::{
    better::Again,
    commands::Cli,
    flags::options_of,
    gene_remarks,
    learn::LearnArgs,
    output::{Printer, print_settings},
    plan::Load,
    settings::layered,
    warnings::{PAGE, Warnings},
    workers,
};

/// Learn cell types from labelled cells
///
/// With --model a checkpoint is fine-tuned; without, a small network learns from these cells alone.
/// A tenth of the cells selects the best network and calibrates its confidence, another tenth
/// judges it beside simple methods. The artefact is one folder with all that `annotate predict`
/// needs, its model card, and a report. Stopped by Ctrl-C or killed, --resume goes on.
///
/// With --method logistic, centroid or neighbours the artefact is that simple method, calibrated and judged in
/// the same way. Where a report says that one of them is better than the network, its last line is the command.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt annotate train reference.h5ad --label cell_type --model scGPT_human -o pbmc-types/\n  \
    scgpt annotate train reference.h5ad --label cell_type -o pbmc-types/\n  \
    scgpt annotate train reference.h5ad --label cell_type --method logistic -o pbmc-types/\n  \
    scgpt annotate predict query.h5ad --model pbmc-types/ -o annotated.h5ad")]
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
    /// Column of obs with batches that the network shall not tell apart (sets objectives.dar to 1)
    #[arg(long, value_name = "NAME", env = "SCGPT_BATCH_KEY")]
    batch_key: Option<String>,
    /// Type to leave out of training, to see how well its cells are noticed as unknown; may be given
    /// several times
    #[arg(long, value_name = "TYPE")]
    unseen: Vec<String>,
    /// Share of the cells that selects and calibrates the network [default: 0.1]
    #[arg(long, value_name = "SHARE", env = "SCGPT_VALIDATION")]
    validation: Option<f64>,
    /// Share of the cells that judges it [default: 0.1]
    #[arg(long, value_name = "SHARE", env = "SCGPT_TEST")]
    test: Option<f64>,
    /// What tells the types: a network, a simple method, which trains none and takes seconds, or the best of all
    /// by the validation cells [default: network]
    #[arg(long, value_enum, env = "SCGPT_METHOD")]
    method: Option<Method>,
    /// How much cells of large and small classes count [default: equal; of a new network balanced]
    #[arg(long, value_enum, env = "SCGPT_CLASS_WEIGHTS")]
    class_weights: Option<ClassWeights>,
    /// The same batches in every epoch, as in the reference, instead of newly shuffled ones
    #[arg(long)]
    keep_order: bool,
    /// Most tokens per cell
    #[arg(long, value_name = "N", env = "SCGPT_MAX_LENGTH")]
    max_length: Option<usize>,
    #[command(flatten)]
    learn: LearnArgs,
}

pub(crate) fn run(args: &TrainArgs, config: Option<&Path>, printer: Printer) -> Result<()> {
    let LearnArgs { run, matrix, .. } = &args.learn;
    run.meet(printer)?;
    let files = args.learn.files(run.output.as_deref(), config);
    let settings = args.settings(&files)?;
    if run.print_config {
        return print_settings(&settings);
    }
    let (Some(input), Some(label), Some(output)) = (&args.input, &args.label, &run.output) else {
        bail!("the cells, --label and --output are needed");
    };
    if let Some(method) = settings.method.simple() {
        workers::refuse(&format!("{} trains no network", method.name()))?;
    }
    let inputs = [Some(input), settings.model.as_ref()];
    let inputs = inputs.into_iter().flatten().map(PathBuf::as_path);
    let training = args.learn.claim(output, Artefact::is_at, inputs)?;
    let mut warnings = Warnings::new(printer);
    let device = run.open(
        settings.model.as_deref(),
        (&settings.network, &settings.training, Some(&settings.objectives)),
        &mut warnings,
    )?;
    let mut source = matrix.choice.open(input, &mut warnings)?;
    let (layer, gene_names) = (matrix.layer(), matrix.gene_names());
    let mut baselines = BaselineOptions::default();
    baselines.layer = layer.clone();
    let (plan, place) = run.plan(output)?;
    let learn = args.learn.options(&place, &layer, &gene_names);
    let mut options = AnnotateOptions::new(label, learn);
    options.batch_key = args.batch_key.as_deref();
    options.unseen = &args.unseen;
    options.predict_batch = settings.batch_size.clamp(1, 32);
    options.baselines = (!args.learn.no_baselines).then_some(&baselines);
    warnings.doubts(&source.obs()?, &[label], args.batch_key.as_deref());
    let prepared = Annotation::prepare(&source, &settings, options, &device)?;
    if let Some(plan) = plan {
        let both = (&settings.network, &settings.training);
        let load = Load::new(settings.model.as_deref(), settings.batch_size, both);
        return plan.run(load, printer, |steps, cells| prepared.run(&mut source, steps, cells));
    }
    // Nothing is written, or removed, before everything is known to be sound.
    training.begin(&settings, "annotate train", [], printer)?;
    let report = training.run(printer, |steps, cells| prepared.run(&mut source, steps, cells))?;
    if let Some(learned) = &report.learned {
        warnings.said(learned.advice.as_ref());
        warnings.all(learned.kept_start.clone());
    }
    remark_on(&report, &mut warnings, printer);
    warnings.without_genes(report.data.without_genes, "they are left out");
    if let Some(again) = report.better().and_then(|method| better(method, output)) {
        warnings.better(&again);
    }
    warnings.write(output, &report, report.page())?;
    training.finish()?;
    let mut rows = summary(&report, output);
    rows.extend(warnings.better_row());
    printer.written(&warnings.beside(&report), &rows)
}

/// This run with a better method, beside the artefact that it made.
fn better(method: Method, output: &Path) -> Option<Again> {
    let method = method.to_possible_value()?;
    let mut beside = output.components().as_path().as_os_str().to_owned();
    beside.push(format!("-{}", method.get_name()));
    let again =
        Again::this_run(Cli::command(), "annotate train")?.without("force").without("resume");
    Some(again.with("method", method.get_name()).with("output", &beside.to_string_lossy()))
}

impl TrainArgs {
    /// The settings: those of the flags, else of the file, else of the run to resume, else of the
    /// recipe.
    fn settings(&self, files: &[PathBuf]) -> Result<AnnotateConfig> {
        let recipe = self.learn.run.recipe(files)?;
        let options = options_of(Cli::command(), "annotate train");
        let mut settings = layered(&AnnotateConfig::of(recipe), files, &options)?;
        settings.network = recipe.settle(settings.network);
        settings.method = self.method.unwrap_or(settings.method);
        self.learn.apply(&mut settings.model, &mut settings.batch_size, &mut settings.training);
        settings.new_genes = self.learn.run.new_genes.unwrap_or(settings.new_genes);
        settings.shuffle &= !self.keep_order;
        settings.max_length = self.max_length.unwrap_or(settings.max_length);
        settings.validation_share = self.validation.unwrap_or(settings.validation_share);
        settings.test_share = self.test.unwrap_or(settings.test_share);
        settings.class_weights = self.class_weights.unwrap_or(settings.class_weights);
        if self.batch_key.is_some() && settings.objectives.dar == 0.0 {
            settings.objectives.dar = 1.0;
        }
        Ok(settings)
    }
}

fn remark_on(report: &AnnotateReport, warnings: &mut Warnings, printer: Printer) {
    let data = &report.data;
    if report.config.method.simple().is_some() && report.config.model.is_some() {
        printer.remark(&format!(
            "note: {} needs no --model, which was not read",
            report.method.name()
        ));
    }
    if !data.dropped.is_empty() {
        warnings.tell(format!(
            "classes with fewer than {} cells were left out: {}",
            report.config.min_cells,
            data.dropped.join(", ")
        ));
    }
    gene_remarks::remark_on_others(data.genes.others().as_deref(), printer);
    gene_remarks::remark_on_other_names(&data.genes, printer);
    if data.unlabelled > 0 {
        printer.remark(&format!("note: {} cells have no label and were left out", data.unlabelled));
    }
    if data.imbalance() > 20.0 && report.config.class_weights == ClassWeights::Equal {
        printer.remark(&format!(
            "note: the largest class has {:.0} times the cells of the smallest; if small classes matter, try --class-weights square_root",
            data.imbalance()
        ));
    }
}

fn summary(report: &AnnotateReport, output: &Path) -> Vec<(&'static str, String)> {
    let [training, validation, test] = report.data.totals();
    let mut rows = vec![
        ("classes", format!("{} of `{}`", report.data.classes.len(), report.data.label)),
        ("cells", format!("{training} trained on, {validation} to calibrate, {test} to judge")),
        ("genes", report.data.genes.line()),
    ];
    if let Some(learned) = &report.learned {
        rows.push(("steps", learned.steps.to_string()));
        rows.extend(learned.new_genes.iter().map(|added| ("new genes", added.line())));
    }
    rows.extend(report.choice.iter().map(|choice| ("best", choice.sentence())));
    let of = |score: fn(&MethodScores) -> String| {
        let line = |method: &MethodScores| format!("{}: {}", method.name, score(method));
        report.methods.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    if let Some(evaluation) = &report.evaluation {
        rows.push(("accuracy", of(|method| method.accuracy.to_string())));
        rows.push(("macro F1", of(|method| method.macro_f1.to_string())));
        rows.extend(report.verdict().map(|verdict| ("verdict", verdict)));
        if let Some(unknown) = evaluation.unknown.filter(|unknown| unknown.n_other > 0) {
            rows.push((
                "unseen types",
                of(|method| method.unseen.map_or_else(|| "—".into(), |area| format!("AUC {area}"))),
            ));
            rows.push((
                "called unknown",
                format!(
                    "{:.1} % of {} cells of unseen types, {:.1} % of those of known types",
                    100.0 * unknown.other_rejected,
                    unknown.n_other,
                    100.0 * unknown.known_rejected
                ),
            ));
        }
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
    rows.push(("report", output.join(PAGE).display().to_string()));
    rows
}
