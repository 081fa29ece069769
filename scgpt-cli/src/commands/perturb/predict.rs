//! `scgpt perturb predict`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use clap::Args;
use scgpt_eval::perturbation::Condition;
use scgpt_tasks::perturb::{PerturbArtefact, Response, ResponseMethod};
use serde_json::json;

use super::{CandidateArgs, RespondArgs};
use crate::{
    cell_page::{MadePage, NoReportArgs},
    cells_output::OutputArgs,
    choice::ChoiceArgs,
    device::ComputeArgs,
    output::{Printer, check_cells_output, check_new},
    progress::Bar,
    warnings::Warnings,
};

/// Responses that the summary shows.
const SHOWN: usize = 10;

/// Predict cells in which genes are perturbed
///
/// Writes predicted cells: X the predicted log1p values of all genes of the artefact, obs the
/// condition. They start from control cells, those of training unless --controls names others. Genes
/// that were not perturbed, and not even measured, in training can be asked for if they are in the
/// vocabulary; the report of training says how far that can be trusted. Simple methods (--method) predict from
/// the means of the conditions of training; best is the method with the highest score in that report.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt perturb predict --model screen/ --genes KLF1 -o predicted.h5ad\n  \
    scgpt perturb predict --model screen/ --genes KLF1,FOSB --genes CEBPA -o predicted.h5ad\n  \
    scgpt perturb predict --model screen/ --genes KLF1,FOSB --method best -o predicted.h5ad\n  \
    scgpt perturb predict --model screen/ --genes KLF1 --controls donors.h5ad --where \"donor = 'D7'\" -o predicted.h5ad\n  \
    scgpt perturb predict --model screen/ --candidates all --pairs --cells 30 -o candidates.h5ad")]
#[command(mut_arg("where", |query| query.help(
    "Start from the cells of --controls for which this is true of their columns of obs and no others, in SQL, such as \
    \"donor = 'D7' AND n_genes > 500\""
)))]
pub(crate) struct PredictArgs {
    /// Artefact of `perturb train`
    #[arg(long, short, value_name = "DIR", env = "SCGPT_MODEL")]
    model: PathBuf,
    /// Genes perturbed together, joined by commas; again for another condition
    #[arg(long, value_name = "GENES", required_unless_present = "candidates")]
    genes: Vec<String>,
    #[command(flatten)]
    candidates: CandidateArgs,
    /// What predicts: the network or a simple method
    #[arg(long, value_enum, default_value_t, env = "SCGPT_METHOD")]
    method: ResponseMethod,
    /// File of cells to start from, log1p values of the genes of the artefact
    #[arg(long, value_name = "FILE", env = "SCGPT_CONTROLS")]
    controls: Option<PathBuf>,
    #[command(flatten)]
    choice: ChoiceArgs,
    /// Column of obs in that file which says which cells are controls [default: condition if there is
    /// such a column, else all are]
    #[arg(long, value_name = "NAME", env = "SCGPT_CONDITION_KEY")]
    condition_key: Option<String>,
    #[command(flatten)]
    respond: RespondArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    page: NoReportArgs,
    #[command(flatten)]
    compute: ComputeArgs,
}

pub(crate) fn run(args: &PredictArgs, printer: Printer) -> Result<()> {
    let inputs = [&args.model].into_iter().chain(&args.controls).map(PathBuf::as_path);
    let page_path = args.page.path(&args.output);
    check_cells_output(&args.output.path, inputs.clone(), args.output.existing())?;
    if let Some(page) = &page_path {
        check_new(page, inputs, args.output.existing())?;
    }
    args.respond.check()?;
    let device = args.compute.open()?;
    let precision = args.respond.precision;
    let mut artefact =
        PerturbArtefact::open(&args.model, &device)?.with_precision(precision.precision);
    let mut warnings = Warnings::new(printer);
    if let Some(path) = &args.controls {
        let mut cells = args.choice.open(path, &mut warnings)?;
        let found = artefact.set_controls(&mut cells, args.condition_key.as_deref())?;
        if let Some(total) = found.rescaled_from {
            printer.remark(&rescaled(path, total, &artefact));
        }
        warnings.without_genes(found.without_genes, "predictions start from zeros there");
    } else if let Some(option) = args.choice.option() {
        bail!("{option} is about the cells of --controls, which are not named");
    }
    let mut conditions = args.candidates.conditions(&artefact)?.unwrap_or_default();
    for genes in &args.genes {
        let names = genes.split(',').map(str::trim).filter(|gene| !gene.is_empty());
        let condition = Condition::new(names);
        if condition.is_control() {
            bail!("--genes `{genes}` names no gene");
        }
        if !conditions.contains(&condition) {
            conditions.push(condition);
        }
    }
    let mut options = args.respond.options(&artefact)?;
    options.method = args.method;
    let bar = Bar::new(printer);
    let responses = artefact.respond(&conditions, &options, &device, &bar)?;
    bar.finish();
    let found = responses.conditions.clone();
    let computed = responses.precision;
    let method = responses.method.clone();
    let is_network = computed.is_some();
    computed.inspect(|&computed| precision.remark_on(computed, &mut warnings));
    for response in found.iter().filter(|response| !response.not_known.is_empty()) {
        warnings.tell(format!(
            "{}: nothing is known of {}, in whose place there is the mean of others",
            response.condition,
            response.not_known.join(", ")
        ));
    }
    let trained = &artefact.record().split.train;
    let made = page_path.map(|path| {
        let page = responses.page(&args.model.display().to_string(), trained)?;
        anyhow::Ok(MadePage::new(path, page, &warnings))
    });
    let made = made.transpose()?;
    responses.write(&args.output.path, args.output.existing(), &bar)?;
    bar.finish();
    let unmeasured: BTreeSet<&str> =
        found.iter().flat_map(|it| &it.unmeasured).map(String::as_str).collect();
    for gene in unmeasured.into_iter().filter(|_| is_network) {
        printer.remark(&format!(
            "note: {gene} is not measured; the network is told of it without a value"
        ));
    }
    let mut rows: Vec<(&str, String)> =
        found.iter().take(SHOWN).map(|response| ("", line(response, trained))).collect();
    if found.len() > SHOWN {
        rows.push(("", format!("… and {} more", found.len() - SHOWN)));
    }
    if let Some(first) = rows.first_mut() {
        first.0 = "conditions";
    }
    let (cells, output) = (args.respond.cells, args.output.path.display().to_string());
    if let Some(chosen) = method.as_ref().filter(|_| args.method != ResponseMethod::Network) {
        let because = chosen.because.iter().map(|why| format!(": {why}"));
        let line = std::iter::once(chosen.method.name().to_owned()).chain(because);
        rows.push(("method", line.collect()));
    }
    rows.push(("cells", format!("{cells} of each")));
    rows.push(("output", output.clone()));
    rows.extend(made.map(MadePage::write).transpose()?);
    let record = json!({
        "responses": found, "cells": cells, "precision": computed, "method": method, "output": output
    });
    printer.written(&warnings.beside(&record), &rows)
}

/// The remark about cells that were brought to the scale of training.
pub(super) fn rescaled(path: &Path, total: f64, artefact: &PerturbArtefact) -> String {
    let of_training = artefact.record().total.unwrap_or(total);
    format!(
        "note: cells of `{}` were normalised to {total:.0}, those the artefact was trained on to {of_training:.0}: \
         rescaled",
        path.display()
    )
}

/// A line with the genes that change most; `trained` are the conditions that were seen in training.
fn line(response: &Response, trained: &[String]) -> String {
    let change = |(gene, change): &(String, f64)| format!("{gene} {change:+.2}");
    let changes: Vec<String> = response.most_changed.iter().take(5).map(change).collect();
    let seen = if trained.contains(&response.condition) { " (seen in training)" } else { "" };
    format!("{}{seen}: {}", response.condition, changes.join(", "))
}
