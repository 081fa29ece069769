//! Integrates by a simple method, and puts further cells into its space; no network is opened or trained.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use scgpt_data::{Additions, OutputKind, Place, check_apart};
use scgpt_eval::{ColourChoice, baseline::BaselineOptions};
use scgpt_tasks::integrate::{
    CellModalities, IntegrateConfig, IntegrateOptions, SimpleArtefact, SimpleIntegration,
    SimpleReport, SimplyIntegrated,
};
use serde_json::json;

use super::{IntegrateArgs, again, scores};
use crate::{
    cell_page::MadePage,
    learn::LearnArgs,
    output::Printer,
    progress::Bar,
    warnings::{PAGE, REPORT, Warnings},
};

/// The folder of a simple integration.
const FOLDER: OutputKind = OutputKind {
    name: "an integration by a simple method of `scgpt integrate`",
    is_one: SimpleArtefact::is_at,
    holds: |entry| {
        let mut files = SimpleArtefact::FILES.iter().chain(&[REPORT, PAGE]);
        entry.is_file() && files.any(|file| entry.ends_with(file))
    },
};

pub(super) fn run(
    args: &IntegrateArgs,
    settings: &IntegrateConfig,
    artefact: Option<PathBuf>,
    printer: Printer,
) -> Result<()> {
    let LearnArgs { run, matrix, .. } = &args.learn;
    let name = settings.method.name();
    let (Some(output), Some(artefact)) = (&run.output, artefact) else {
        bail!("the cells and --output are needed");
    };
    for (option, is_given) in [
        ("--ablate", args.ablate),
        ("--complete", args.modalities.completes()),
        ("--plan", run.plans()),
        ("--resume", run.resumes()),
    ] {
        if is_given {
            bail!(
                "{option} is about a network, and `{name}` trains none: leave it out, or take --method network"
            );
        }
    }
    let layer = matrix.layer();
    let gene_names = matrix.gene_names();
    let mut warnings = Warnings::new(printer);
    let mut source = args.modalities.open(&args.inputs, &matrix.choice, &mut warnings)?;
    source.check_output(output, source.paths(), run.existing())?;
    check_apart(&artefact, source.paths())?;
    // A result is of one run: the folder appears whole or not at all.
    let place = Place::deep_folder(&artefact, run.existing(), FOLDER)?;
    let modalities = source.modalities(&layer)?;
    let mut baselines = BaselineOptions::default();
    baselines.layer = layer.clone();
    let mut options = IntegrateOptions::new(args.learn.options(&artefact, &layer, &gene_names));
    options.batch_key = args.batch_key.as_deref();
    options.label = args.label.as_deref();
    options.modalities = modalities.as_ref();
    options.baselines = (!args.learn.no_baselines).then_some(&baselines);
    let labels: Vec<&str> = args.label.as_deref().into_iter().collect();
    warnings.doubts(&source.source().obs()?, &labels, args.batch_key.as_deref());
    let prepared = SimpleIntegration::prepare(source.source(), settings, options)?;
    remark_on_settings(args, settings, &baselines, modalities.as_ref(), printer);
    let bar = Bar::new(printer);
    let mut integrated = prepared.run(source.source_mut(), &bar)?;
    bar.finish();
    let seed = settings.training.seed;
    let found = args.neighbourhood.find(&integrated.rows, seed, &bar)?;
    integrated.report.place(found.shown());
    let report = &integrated.report;
    warnings.without_counts(report.data.without_values, "where they are put means nothing");
    if args.label.is_none() {
        printer.remark("note: without --label it cannot be told how well biology is kept and batches are mixed");
    }
    if let Some(command) = report.better().and_then(|better| again(args, better, output)) {
        warnings.better(&command);
    }
    write(&integrated, &warnings, &place.path())?;
    let SimplyIntegrated { report, rows, .. } = integrated;
    let key = report.method.key().unwrap_or_default();
    let record = json!({
        "method": report.method,
        "integration": {
            "artefact": artefact.display().to_string(),
            "data": report.data,
            "seed": report.seed,
            "methods": report.methods,
        },
    });
    let mut additions = Additions {
        obsm: vec![(key.into(), rows)],
        uns: vec![("scgpt".into(), record)],
        ..Additions::default()
    };
    let neighbours = found.add_to(&mut additions, key, source.source(), output)?;
    let made = source.make(output, &layer, run.existing(), additions, &bar, printer)?;
    made.publish()?;
    place.publish()?;
    let mut rows = summary(&report);
    rows.extend(neighbours);
    rows.push(("output", format!("{}: obsm[\"{key}\"]", output.display())));
    rows.push(("artefact", artefact.display().to_string()));
    rows.push(("report", artefact.join(PAGE).display().to_string()));
    rows.extend(warnings.better_row());
    printer.written(&warnings.beside(&report), &rows)
}

/// Says which settings are of no use to a method without a network.
fn remark_on_settings(
    args: &IntegrateArgs,
    settings: &IntegrateConfig,
    baselines: &BaselineOptions,
    modalities: Option<&CellModalities>,
    printer: Printer,
) {
    let name = settings.method.name();
    if let Some(model) = &settings.model {
        printer.remark(&format!(
            "note: `{name}` trains no network: the model `{}` is not used",
            model.display()
        ));
    }
    if args.hvg.is_some() && modalities.is_none() {
        printer.remark(&format!(
            "note: `{name}` is of the {} genes that vary most within the batches, as in every report; --hvg is of the \
             network",
            baselines.n_genes
        ));
    }
}

fn write(integrated: &SimplyIntegrated, warnings: &Warnings, folder: &Path) -> Result<()> {
    fs::create_dir(folder)
        .with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
    integrated.write(folder)?;
    warnings.write(folder, &integrated.report, integrated.report.page())
}

fn summary(report: &SimpleReport) -> Vec<(&'static str, String)> {
    let data = &report.data;
    let batches = match data.batch_key.as_str() {
        "" => "one, as no column was named".into(),
        key => format!("{} of `{key}`", data.batches.len()),
    };
    let cells: usize = data.batches.iter().map(|(_, cells)| cells).sum();
    let mut rows = vec![("batches", batches), ("cells", cells.to_string())];
    if !data.modalities.is_empty() {
        rows.push(("modalities", data.modalities.join(", ")));
    }
    let name = report.methods.first().map_or("", |method| method.name.as_str());
    let how = format!("{}: {name}, {} coordinates a cell", report.method.name(), report.width);
    rows.push(("method", how));
    rows.extend(scores(&report.methods));
    rows.extend(report.verdict().map(|verdict| ("verdict", verdict)));
    rows
}

/// Puts further cells into the space of a simple method.
pub(super) fn apply(args: &IntegrateArgs, model: &Path, printer: Printer) -> Result<()> {
    let LearnArgs { run, matrix, .. } = &args.learn;
    let Some(output) = &run.output else { bail!("the cells and --output are needed") };
    let artefact = SimpleArtefact::open(model)?;
    let known = artefact.record();
    if let Some(method) = args.method.filter(|method| *method != known.method) {
        bail!(
            "--method {}: `{}` is by `{}`; leave --method out, or leave --model out to integrate anew",
            method.name(),
            model.display(),
            known.method.name()
        );
    }
    let mut warnings = Warnings::new(printer);
    let mut source = args.modalities.open(&args.inputs, &matrix.choice, &mut warnings)?;
    let page = super::apply::page_of(output, &source, model, run.existing())?;
    let (layer, gene_names) = (matrix.layer(), matrix.gene_names());
    let bar = Bar::new(printer);
    let projected = artefact.project(source.source_mut(), &layer, &gene_names, &bar)?;
    bar.finish();
    warnings.without_counts(projected.without_values, "where they are put means nothing");
    let key = known.method.key().unwrap_or_default();
    let n_cells = projected.rows.n_rows();
    let found = args.neighbourhood.find(&projected.rows, run.seed(), &bar)?;
    let clusters = found.columns();
    let choice = ColourChoice {
        added: &clusters,
        known: &[],
        wanted: &[],
        layer: &layer,
        gene_names: &gene_names,
    };
    let made = projected.page(source.source_mut(), known, &choice, found.shown(), &bar)?;
    let page = MadePage::new(page, made, &warnings);
    let record = json!({
        "method": known.method,
        "cells": n_cells,
        "genes": projected.genes,
        "integration": { "artefact": model.display().to_string(), "batches": known.batches },
    });
    let mut additions = Additions {
        obsm: vec![(key.into(), projected.rows)],
        uns: vec![("scgpt".into(), record.clone())],
        ..Additions::default()
    };
    let neighbours = found.add_to(&mut additions, key, source.source(), output)?;
    let made = source.make(output, &layer, run.existing(), additions, &bar, printer)?;
    made.publish()?;
    let genes = format!("{} of the {} of the components", projected.genes, projected.of_genes);
    let mut rows = vec![
        ("cells", n_cells.to_string()),
        ("method", known.method.name().into()),
        ("genes", genes),
        ("output", format!("{}: obsm[\"{key}\"]", output.display())),
    ];
    rows.extend(neighbours);
    rows.push(page.write()?);
    printer.written(&warnings.beside(&record), &rows)
}
