//! `scgpt study report`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use scgpt_data::Existing;
use scgpt_tasks::study::read_study;

use crate::{
    output::{Printer, beside, check_new, write_text},
    warnings::{PAGE, Warnings},
};

/// Say what the runs of a study tell: curves, laws, contexts, cost
///
/// Writes a page and a table, of what is there: runs that are not done are said to be missing. Curves are over the number of
/// cells, with the intervals of seeds and a power law fitted to them, error = floor + gain · N^−exponent; where runs do not
/// tell a law, that is said, with the reason.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt study report study\n  \
    scgpt study report study -o scaling.html --json")]
pub(crate) struct ReportArgs {
    /// Folder of a study
    input: PathBuf,
    /// Page to write; the table lies beside it [default: report.html in the folder]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite the page and the table
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &ReportArgs, printer: Printer) -> Result<()> {
    let page = args.output.clone().unwrap_or_else(|| args.input.join(PAGE));
    let table = beside(&page, "csv");
    // Those in the folder are the study's own, and made again as it goes on.
    let existing = Existing::replaced_if(args.force || args.output.is_none());
    let report = read_study(&args.input)?;
    for path in [&page, &table] {
        check_new(path, [], existing)?;
    }
    let mut warnings = Warnings::new(printer);
    let planned = report.outline.runs.len();
    if !report.missing.is_empty() {
        let some = scgpt_data::some_of(&report.missing);
        warnings.tell(format!("{} of {planned} runs are missing: {some}", report.missing.len()));
    }
    write_text(&page, &warnings.on(report.page()))?;
    report.table().write(&table, existing)?;
    let laws: Vec<String> = report
        .curves
        .iter()
        .filter(|curve| curve.points.len() > 1)
        .map(|curve| {
            let of = if curve.group.is_empty() { "" } else { ", learned from " };
            let measure = curve.measure.name();
            format!("{} {measure}{of}{}: {}", curve.target, curve.group, curve.law_said())
        })
        .collect();
    let verdicts: Vec<String> = report
        .contexts
        .iter()
        .flat_map(|map| map.verdicts.iter().map(|verdict| verdict.said.clone()))
        .collect();
    let mut rows = vec![("runs", format!("{} of {planned}", report.results.len()))];
    rows.extend((!laws.is_empty()).then(|| ("laws", laws.join("\n"))));
    rows.extend((!verdicts.is_empty()).then(|| ("corpora", verdicts.join("\n"))));
    rows.push(("report", page.display().to_string()));
    rows.push(("table", table.display().to_string()));
    printer.written(&warnings.beside(&report), &rows)
}
