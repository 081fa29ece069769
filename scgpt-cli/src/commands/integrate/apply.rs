//! Embeds further cells of known batches by an artefact; nothing is trained.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use scgpt_data::{Additions, Existing, GeneNames};
use scgpt_eval::ColourChoice;
use scgpt_tasks::integrate::{IntegrateArtefact, IntegrateMethod, IntegratedOptions};
use serde_json::json;

use super::{IntegrateArgs, modalities::InputCells};
use crate::{
    cell_page::MadePage,
    gene_remarks,
    learn::LearnArgs,
    output::{Printer, check_new, companion, temporary},
    progress::Bar,
    warnings::{PAGE, Warnings},
};

/// Checks that the output and a page beside it can be written, and returns the path of the page.
pub(super) fn page_of(
    output: &Path,
    source: &InputCells,
    model: &Path,
    existing: Existing,
) -> Result<PathBuf> {
    let inputs = || source.paths().chain([model]);
    source.check_output(output, inputs(), existing)?;
    let page = companion(output, PAGE);
    check_new(&page, inputs(), existing)?;
    Ok(page)
}

pub(super) fn run(args: &IntegrateArgs, model: &Path, printer: Printer) -> Result<()> {
    let LearnArgs { run, matrix, .. } = &args.learn;
    let Some(output) = &run.output else {
        bail!("the cells and --output are needed");
    };
    if let Some(method) = args.method.filter(|method| *method != IntegrateMethod::Network) {
        bail!(
            "--method {}: `{}` is a network; leave --method out, or leave --model out to integrate anew",
            method.name(),
            model.display()
        );
    }
    let mut warnings = Warnings::new(printer);
    let mut source = args.modalities.open(&args.inputs, &matrix.choice, &mut warnings)?;
    let page = page_of(output, &source, model, run.existing())?;
    warnings.doubts(&source.source().obs()?, &[], args.batch_key.as_deref());
    let device = run.compute.open()?;
    let artefact = IntegrateArtefact::open(model, &device)?;
    let mut options = IntegratedOptions::default();
    options.batch_key.clone_from(&args.batch_key);
    options.batch_size = run.batch_size.unwrap_or(options.batch_size);
    options.gene_names = matrix.gene_names();
    options.layer = matrix.layer();
    options.modalities = source.modalities(&options.layer)?.map(|cells| cells.modalities);
    options.temporary = temporary(output);
    let bar = Bar::new(printer);
    let embedding = artefact.embed(source.source_mut(), &options, &bar)?;
    bar.finish();
    gene_remarks::remark_on(&embedding.report, &mut warnings, printer);
    let n_empty = embedding.report.tokens.n_empty;
    warnings.without_compared(n_empty, "their embeddings mean nothing");
    let found = args.neighbourhood.find(&embedding.rows, run.seed(), &bar)?;
    let clusters = found.columns();
    let column = Some(embedding.report.genes.column.clone());
    let choice = ColourChoice {
        added: &clusters,
        known: &[],
        wanted: &[],
        layer: &options.layer,
        gene_names: &GeneNames { column, ..options.gene_names.clone() },
    };
    let made = embedding.page(source.source_mut(), &choice, found.shown(), &bar)?;
    let page = MadePage::new(page, made, &warnings);
    let known = artefact.record();
    let mut record = serde_json::to_value(&embedding.report)?;
    record["integration"] = json!({
        "artefact": model.display().to_string(),
        "batch_key": options.batch_key.as_ref().unwrap_or(&known.batch_key),
        "batches": known.batches,
        "genes": known.genes.len(),
    });
    let mut additions = Additions {
        obsm: vec![("X_scGPT".into(), embedding.rows)],
        uns: vec![("scgpt".into(), record.clone())],
        ..Additions::default()
    };
    let neighbours = found.add_to(&mut additions, "X_scGPT", source.source(), output)?;
    let made = source.make(output, &options.layer, run.existing(), additions, &bar, printer)?;
    made.publish()?;
    let report = &embedding.report;
    let mut rows = vec![
        ("cells", report.n_cells.to_string()),
        ("batches", format!("known: {}", known.batches.join(", "))),
        ("genes", format!("{}; {} compared by", report.genes_line(), known.genes.len())),
        (
            "speed",
            format!("{:.1} cells/s ({:.1} s)", report.cells_per_second, report.timings.total),
        ),
        ("output", format!("{}: obsm[\"X_scGPT\"]", output.display())),
    ];
    rows.extend(neighbours);
    rows.push(page.write()?);
    printer.written(&warnings.beside(&record), &rows)
}
