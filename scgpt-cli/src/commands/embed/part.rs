//! `scgpt embed --part`: a part of the cells.

use std::path::Path;

use anyhow::Result;
use clap::CommandFactory as _;
use scgpt_data::{Additions, CellSource as _, Merge, PartRecord};
use scgpt_tasks::embed::Embedder;

use super::{EmbedArgs, record, remark_on_input, remark_on_model, summary};
use crate::{
    cells_output::{Begun, OfAll, PartOutput, Taken, rules},
    commands::Cli,
    output::Printer,
    progress::Bar,
    warnings::Warnings,
};

/// How what is said of the cells of a part becomes what is said of all cells, behind the name of the report within a record.
pub(crate) const REPORT: [(&str, Merge); 8] = [
    ("n_cells", Merge::Sum),
    ("tokens.histogram", Merge::Sum),
    ("tokens.min", Merge::Least),
    ("tokens.max", Merge::Most),
    ("tokens.total", Merge::Sum),
    ("tokens.n_empty", Merge::Sum),
    ("tokens.n_shortened", Merge::Sum),
    ("options.batch_size", Merge::First),
];

/// What is of the run, not of the cells.
const OF_RUN: [(&str, Merge); 3] =
    [("command", Merge::First), ("output", Merge::First), ("model.path", Merge::First)];

/// Options that are of all cells.
pub(super) fn of_all(args: &EmbedArgs) -> [OfAll; 3] {
    let genes =
        "leave it out, or choose the genes of all cells beforehand and embed a file of these";
    [
        OfAll::cells(args.neighbourhood.option()),
        OfAll::cells((!args.page.colors.color.is_empty()).then_some("--color")),
        OfAll::new(args.hvg.is_some(), "--hvg", genes),
    ]
}

pub(super) fn run(
    args: &EmbedArgs,
    input: &Path,
    output: &PartOutput<'_>,
    printer: Printer,
) -> Result<()> {
    let device = args.stream.compute.open()?;
    let mut warnings = Warnings::new(printer);
    let matrix = &args.stream.matrix;
    let source = matrix.choice.open(input, &mut warnings)?;
    warnings.doubts(&source.obs()?, &[], None);
    let embedder = Embedder::open(&args.model, &device, args.strictness())?
        .with_precision(args.stream.precision.precision);
    args.stream.precision.remark_on(embedder.encoder().precision(), &mut warnings);
    remark_on_model(&embedder, &mut warnings, printer);
    let (layer, model) = (matrix.layer(), embedder.hash().map(str::to_owned));
    let program = Cli::command();
    let taken =
        Taken { source, layer: &layer, model, options: args, choice: &matrix.choice, program };
    let Begun::Cells(begun) = output.begin(taken, &warnings, printer)? else { return Ok(()) };
    let (mut source, manifest) = *begun;
    let bar = Bar::new(printer);
    let embedding = embedder.embed(&mut source, &args.options(output.path()), &bar)?;
    bar.finish();
    let report = &embedding.report;
    remark_on_input(report, &mut warnings, printer);
    warnings.without_genes(report.tokens.n_empty, "their embeddings mean nothing");
    let record = PartRecord {
        name: super::RECORD.into(),
        record: record(args, report)?,
        merge: rules(REPORT.into_iter().chain(OF_RUN)),
    };
    let rows = summary(args, report);
    let additions =
        Additions { obsm: vec![(args.key.clone(), embedding.rows)], ..Additions::default() };
    output.write((&source, manifest), (&additions, record), rows, &warnings, printer)
}
