//! `scgpt annotate predict --part`: a part of the cells.

use anyhow::Result;
use clap::CommandFactory as _;
use scgpt_data::{Additions, Merge, PartRecord};
use scgpt_tasks::annotate::Artefact;

use super::{PredictArgs, RECORD, columns, embeddings, record, remark_on, summary};
use crate::{
    cells_output::{Begun, OfAll, PartOutput, Taken, rules},
    commands::{Cli, embed::REPORT},
    output::Printer,
    progress::Bar,
    warnings::Warnings,
};

/// How what is said of the cells of a part becomes what is said of all cells.
const RECORDS: [(&str, Merge); 5] = [
    ("artefact", Merge::First),
    ("cells", Merge::Sum),
    ("unknown_share", Merge::Share),
    ("without_genes", Merge::Sum),
    ("output", Merge::First),
];

/// Options that are of all cells.
pub(super) fn of_all(args: &PredictArgs) -> [OfAll; 4] {
    let voting = "leave it out, or annotate all cells at once: neighbours of all of them vote";
    let explain = "leave it out, and ask `scgpt annotate explain`";
    [
        OfAll::cells(args.neighbourhood.option()),
        OfAll::cells((!args.page.colors.color.is_empty()).then_some("--color")),
        OfAll::new(args.voting.is_wanted(), "--majority-voting", voting),
        OfAll::new(args.explain.is_some(), "--explain", explain),
    ]
}

pub(super) fn run(args: &PredictArgs, output: &PartOutput<'_>, printer: Printer) -> Result<()> {
    let device = args.stream.compute.open()?;
    let mut warnings = Warnings::new(printer);
    let choice = &args.stream.matrix.choice;
    let source = choice.open(&args.input, &mut warnings)?;
    let artefact =
        Artefact::open(&args.model, &device)?.with_precision(args.stream.precision.precision);
    let options = args.options(output.path());
    let (layer, model) = (&options.layer, Some(artefact.hash().to_owned()));
    let program = Cli::command();
    let taken = Taken { source, layer, model, options: args, choice, program };
    let Begun::Cells(begun) = output.begin(taken, &warnings, printer)? else { return Ok(()) };
    let (mut source, manifest) = *begun;
    let bar = Bar::new(printer);
    let annotated = artefact.annotate(&mut source, &options, &bar)?;
    bar.finish();
    remark_on(args, &annotated, &mut warnings, printer);
    let of_input = REPORT.map(|(field, rule)| (format!("input.{field}"), rule));
    let of_input = of_input.iter().map(|(field, rule)| (field.as_str(), *rule));
    let record = PartRecord {
        name: RECORD.into(),
        record: record(args, &artefact, &annotated),
        merge: rules(RECORDS.into_iter().chain(of_input)),
    };
    let rows = summary(args, &artefact, &annotated);
    let obs = columns(&annotated);
    let obsm = embeddings(&artefact, annotated);
    let additions = Additions { obsm, obs, ..Additions::default() };
    output.write((&source, manifest), (&additions, record), rows, &warnings, printer)
}
