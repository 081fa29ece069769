//! `scgpt perturb train`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, CommandFactory as _};
use scgpt_eval::perturbation::{CONTROL, Condition, PerturbEvaluation, Split, SplitMode};
use scgpt_tasks::perturb::{
    PerturbArtefact, PerturbConfig, PerturbOptions, PerturbReport, Perturbation, ResponseMethod,
    SplitChoice,
};

use super::{DesignArgs, remark_on_unmeasured};
use crate::{
    better::Again,
    commands::Cli,
    flags::options_of,
    gene_remarks,
    learn::LearnArgs,
    output::{Printer, print_settings, some_of, write_text},
    plan::Load,
    settings::layered,
    warnings::{PAGE, Warnings},
};

/// Learn responses from perturbed cells
///
/// Reads what `perturb prepare` writes, or any file of log1p values with conditions in obs. With
/// --model a checkpoint is fine-tuned; without, a small network learns from these cells alone. Some
/// conditions are held out, by --split, and judge the result beside simple methods. The artefact is one
/// folder with all that `perturb predict` and `reverse` need. Stopped by Ctrl-C or killed, --resume
/// goes on.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt perturb train prepared.h5ad --model scGPT_human -o screen/\n  \
    scgpt perturb train prepared.h5ad --split no_test -o screen/       all conditions, for a new question\n  \
    scgpt perturb predict --model screen/ --genes KLF1,FOSB -o predicted.h5ad")]
pub(crate) struct TrainArgs {
    /// File or folder of perturbed cells
    #[arg(required_unless_present = "print_config")]
    input: Option<PathBuf>,
    /// How conditions are held out
    #[arg(long, value_enum, default_value_t, env = "SCGPT_SPLIT")]
    split: SplitMode,
    /// Hold out the conditions of a saved split (JSON with train, val and test)
    #[arg(long, value_name = "FILE", conflicts_with = "split")]
    split_file: Option<PathBuf>,
    /// Cells averaged on either side of a pair of control and perturbed cells [default: 32 from
    /// scratch, 1 with --model]
    #[arg(long, value_name = "N", env = "SCGPT_POOL")]
    pool: Option<usize>,
    /// Genes that a step, and a prediction, sees at once; 0 for all [default: 256 from scratch, 1536 with --model]
    #[arg(long, value_name = "N", env = "SCGPT_GENES_PER_STEP")]
    genes_per_step: Option<usize>,
    /// As the reference does: sample genes without regard to which are perturbed, put every cell in one pair
    /// of single cells, begin at random and predict all genes at once; settings of a file or flag go first
    #[arg(long)]
    parity: bool,
    #[command(flatten)]
    design: DesignArgs,
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
    let (Some(input), Some(output)) = (&args.input, &run.output) else {
        bail!("the cells and --output are needed");
    };
    let inputs = [Some(input), settings.model.as_ref()];
    let inputs = inputs.into_iter().flatten().map(PathBuf::as_path);
    let training = args.learn.claim(output, PerturbArtefact::is_at, inputs)?;
    let split = match &args.split_file {
        Some(path) => SplitChoice::Saved(Split::read(path)?),
        None => SplitChoice::Mode(args.split),
    };
    let mut warnings = Warnings::new(printer);
    let device = run.open(
        settings.model.as_deref(),
        (&settings.network, &settings.training, None),
        &mut warnings,
    )?;
    let mut source = matrix.choice.open(input, &mut warnings)?;
    args.design.doubts(&source, &mut warnings)?;
    let design = args.design.options();
    let (layer, gene_names) = (matrix.layer(), matrix.gene_names());
    let (plan, place) = run.plan(output)?;
    let learn = args.learn.options(&place, &layer, &gene_names);
    let mut options = PerturbOptions::new(&design, &split, learn);
    options.baselines = !args.learn.no_baselines;
    let prepared = Perturbation::prepare(&mut source, &settings, options, &device)?;
    let (unmeasured, perturbed) = prepared.unmeasured();
    remark_on_unmeasured(&unmeasured, perturbed, &mut warnings);
    if let Some(plan) = plan {
        let both = (&settings.network, &settings.training);
        let load = Load::new(settings.model.as_deref(), settings.batch_size, both);
        return plan.run(load, printer, |steps, cells| prepared.run(&mut source, steps, cells));
    }
    // Nothing is written, or removed, before everything is known to be sound.
    training.begin(&settings, "perturb train", [], printer)?;
    let report = training.run(printer, |steps, cells| prepared.run(&mut source, steps, cells))?;
    warnings.said(report.learned.advice.as_ref());
    remark_on(&report, &mut warnings, printer);
    warnings.without_genes(report.without_genes, "nothing is learned from them");
    if let Some(again) = better(&report, output)? {
        warnings.better(&again);
    }
    write_text(&output.join("split.json"), &serde_json::to_string_pretty(&report.split)?)?;
    warnings.write(output, &report, report.page())?;
    training.finish()?;
    let mut rows = summary(&report, output);
    rows.extend(warnings.better_row());
    printer.written(&warnings.beside(&report), &rows)
}

/// The command that predicts by a simple method, if one is better than the network; of the first of the conditions
/// that both were judged by.
fn better(report: &PerturbReport, output: &Path) -> Result<Option<Again>> {
    let evaluation = report.evaluation.as_ref();
    let Some(rule) = evaluation.and_then(PerturbEvaluation::better) else { return Ok(None) };
    let genes = match report.split.test.first() {
        Some(name) => Condition::parse(name, "+", CONTROL)?.genes().join(","),
        None => return Ok(None),
    };
    let command = Again::command(Cli::command(), &["perturb", "predict"])
        .with("model", &output.display().to_string())
        .with("method", ResponseMethod::of(rule).name())
        .with("genes", &genes)
        .with("output", "predicted.h5ad");
    Ok(Some(command))
}

impl TrainArgs {
    /// The settings: those of the flags, else of the file, else of the run to resume, else of the
    /// recipe.
    fn settings(&self, files: &[PathBuf]) -> Result<PerturbConfig> {
        let recipe = self.learn.run.recipe(files)?;
        let mut defaults = PerturbConfig::of(recipe);
        if self.parity {
            defaults.like_the_reference(recipe);
        }
        let options = options_of(Cli::command(), "perturb train");
        let mut settings = layered(&defaults, files, &options)?;
        settings.network = recipe.settle(settings.network);
        self.learn.apply(&mut settings.model, &mut settings.batch_size, &mut settings.training);
        settings.new_genes = self.learn.run.new_genes.unwrap_or(settings.new_genes);
        settings.pool = self.pool.unwrap_or(settings.pool);
        if let Some(genes) = self.genes_per_step {
            settings.genes_per_step = genes;
            if !self.parity {
                settings.genes_per_pass = genes;
            }
        }
        Ok(settings)
    }
}

fn remark_on(report: &PerturbReport, warnings: &mut Warnings, printer: Printer) {
    if !report.dropped.is_empty() {
        warnings.tell(format!(
            "left out, as they have too few cells, no controls or a gene that the model does not know: {}",
            some_of(&report.dropped)
        ));
    }
    if !report.not_split.is_empty() {
        printer.remark(&format!(
            "note: {} in no part of the split, not used: {}",
            scgpt_data::number_of(report.not_split.len(), "condition"),
            some_of(&report.not_split)
        ));
    }
    if report.genes.unmatched > 0 {
        printer.remark(&format!(
            "note: {} of {} genes are not in the vocabulary of the model and are not predicted",
            report.genes.unmatched, report.genes.genes
        ));
    }
    gene_remarks::remark_on_others(report.genes.others().as_deref(), printer);
    gene_remarks::remark_on_other_names(&report.genes, printer);
    if report.genes.duplicates > 0 {
        warnings.tell(format!(
            "{} genes have the name of an earlier one and are not predicted: {}",
            report.genes.duplicates,
            report.genes.duplicate_examples.join(", ")
        ));
    }
    if !report.unmeasured.is_empty() {
        printer.remark(&format!(
            "note: {} perturbed genes are not measured; the network is told of them without a value: {}",
            report.unmeasured.len(),
            some_of(&report.unmeasured)
        ));
    }
    if let Some(collapse) = report.evaluation.as_ref().and_then(PerturbEvaluation::collapse) {
        warnings.tell(collapse);
    }
}

fn summary(report: &PerturbReport, output: &Path) -> Vec<(&'static str, String)> {
    let split = &report.split;
    let mut rows = vec![
        ("cells", format!("{}, {} of them controls", report.cells, report.controls)),
        (
            "conditions",
            format!(
                "{} trained on, {} to select, {} to judge",
                split.train.len(),
                split.validation.len(),
                split.test.len()
            ),
        ),
        ("genes", report.genes.line()),
        ("steps", report.learned.steps.to_string()),
    ];
    rows.extend(report.learned.new_genes.iter().map(|added| ("new genes", added.line())));
    if let Some(evaluation) = &report.evaluation {
        rows.extend(super::scores(evaluation));
    }
    rows.push(("artefact", output.display().to_string()));
    rows.push(("report", output.join(PAGE).display().to_string()));
    rows
}
