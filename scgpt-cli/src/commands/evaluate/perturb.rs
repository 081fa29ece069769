//! `scgpt evaluate perturb`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use scgpt_data::Source;
use scgpt_eval::perturbation::{EvaluateOptions, NotJudged, Split, evaluate_responses};

use super::PageArgs;
use crate::{
    commands::perturb::{DesignArgs, remark_on_unmeasured, scores},
    matrix::MatrixArgs,
    output::Printer,
    progress::Bar,
    warnings::Warnings,
};

/// Predicted responses to perturbations against true ones
///
/// Compares the mean predicted cell of every condition with the mean true one, over the genes that
/// both files have, beside simple methods. Conditions that are not predicted count as known in
/// training, unless --split-file says which are; those are not judged.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt evaluate perturb predicted.h5ad --truth prepared.h5ad -o report.html\n  \
    scgpt evaluate perturb gears.h5ad --truth prepared.h5ad --split-file screen/split.json")]
pub(crate) struct PerturbArgs {
    /// File of predicted cells, log1p values
    input: PathBuf,
    /// File of true cells, log1p values, controls among them
    #[arg(long, value_name = "FILE", env = "SCGPT_TRUTH")]
    truth: PathBuf,
    /// Saved split whose training conditions simple methods learn from
    #[arg(long, value_name = "FILE")]
    split_file: Option<PathBuf>,
    /// Do not compare with simple methods
    #[arg(long)]
    no_baselines: bool,
    #[command(flatten)]
    page: PageArgs,
    /// Seed of the intervals
    #[arg(long, value_name = "N", default_value_t = 0, env = "SCGPT_SEED")]
    seed: u64,
    #[command(flatten)]
    design: DesignArgs,
    #[command(flatten)]
    matrix: MatrixArgs,
}

pub(crate) fn run(args: &PerturbArgs, printer: Printer) -> Result<()> {
    let inputs = [&args.input, &args.truth].into_iter().chain(&args.split_file);
    args.page.check(inputs.map(PathBuf::as_path))?;
    let split = args.split_file.as_deref().map(Split::read).transpose()?;
    let mut warnings = Warnings::new(printer);
    let choice = &args.matrix.choice;
    let mut truth = choice.open(&args.truth, &mut warnings)?;
    let mut predicted = choice.of(Source::open_predicted(&args.input)?, &mut warnings)?;
    args.design.doubts(&truth, &mut warnings)?;
    args.design.doubts(&predicted, &mut warnings)?;
    let bar = Bar::new(printer);
    let (design, layer) = (args.design.options(), args.matrix.layer());
    let mut options = EvaluateOptions::new(&design);
    options.layer = &layer;
    options.split = split.as_ref();
    options.baselines = !args.no_baselines;
    options.seed = args.seed;
    let evaluation = evaluate_responses(&mut truth, &mut predicted, &options, &bar)?;
    bar.finish();
    if let Some(collapse) = evaluation.collapse() {
        warnings.tell(collapse);
    }
    let mut genes = evaluation.genes.to_string();
    let mut conditions = format!("{} judged", evaluation.conditions.len());
    if let Some(left_out) = &evaluation.left_out {
        remark_on(left_out, split.as_ref(), &mut warnings);
        let [of_truth, of_predictions] = left_out.without_values;
        warnings.without_counts(of_truth, "in the means of the truth they count as zeros");
        let so = "in the means of the predictions they count as zeros";
        warnings.without_counts(of_predictions, so);
        remark_on_unmeasured(&left_out.unmeasured, left_out.perturbed, &mut warnings);
        genes = format!(
            "{genes} of {} in the truth and {} predicted",
            left_out.genes_of_truth, left_out.genes_of_predictions
        );
        let n = left_out.not_predicted.len();
        if n > 0 && split.is_none() {
            conditions =
                format!("{conditions}, {n} others of the truth count as known in training");
        }
    }
    let mut rows = vec![("conditions", conditions), ("genes", genes)];
    rows.extend(scores(&evaluation));
    let page = || evaluation.page(&args.input.display().to_string());
    rows.extend(args.page.write(&warnings, page)?);
    args.page.say(printer, &warnings.beside(&evaluation), &rows)
}

/// Names what was not judged.
fn remark_on(left_out: &NotJudged, split: Option<&Split>, warnings: &mut Warnings) {
    let mut of = |what: &str, names: &[String]| {
        if !names.is_empty() {
            warnings.tell(format!("{what}: {}", names.join(", ")));
        }
    };
    of("predicted conditions that the truth does not have, not judged", &left_out.without_truth);
    of("predicted conditions that the split trains on, not judged", &left_out.trained_on);
    if split.is_some() {
        of("test conditions of the split that were not predicted", &left_out.not_predicted);
    }
}
