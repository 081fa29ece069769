//! `scgpt map query --part`: a part of the cells.

use anyhow::Result;
use clap::CommandFactory as _;
use scgpt_data::{Additions, Merge, PartRecord};
use scgpt_tasks::map::ReferenceIndex;

use super::{QueryArgs, RECORD, columns, embeddings, record, remark_on, summary};
use crate::{
    cells_output::{Begun, OfAll, PartOutput, Taken, rules},
    commands::Cli,
    output::{Printer, temporary},
    progress::Bar,
    warnings::Warnings,
};

/// How what is said of the cells of a part becomes what is said of all cells.
const RECORDS: [(&str, Merge); 5] = [
    ("index", Merge::First),
    ("without_genes", Merge::Sum),
    ("cells", Merge::Sum),
    ("unknown", Merge::Sum),
    ("output", Merge::First),
];

/// Options that are of all cells.
pub(super) fn of_all(args: &QueryArgs) -> [OfAll; 2] {
    [
        OfAll::cells(args.neighbourhood.option()),
        OfAll::cells((!args.page.colors.color.is_empty()).then_some("--color")),
    ]
}

pub(super) fn run(args: &QueryArgs, output: &PartOutput<'_>, printer: Printer) -> Result<()> {
    let index = ReferenceIndex::open(&args.index)?;
    index.check_k(args.k)?;
    let device = args.stream.compute.open()?;
    let mut warnings = Warnings::new(printer);
    let choice = &args.stream.matrix.choice;
    let source = choice.open(&args.input, &mut warnings)?;
    let (layer, scratch) = (args.stream.matrix.layer(), temporary(output.path()));
    let model = Some(index.hash()?);
    let program = Cli::command();
    let taken = Taken { source, layer: &layer, model, options: args, choice, program };
    let Begun::Cells(begun) = output.begin(taken, &warnings, printer)? else { return Ok(()) };
    let (mut source, manifest) = *begun;
    let reading = args.reading(&layer, scratch.as_deref());
    let bar = Bar::new(printer);
    let (embedded, mapped) = args.map(&index, &mut source, &reading, &device, &bar)?;
    remark_on(args, (&index, &embedded, &mapped), &mut warnings, printer);
    let record = PartRecord {
        name: RECORD.into(),
        record: record(args, &index, &mapped, &embedded),
        merge: rules(RECORDS),
    };
    let rows = summary(args, &mapped, &embedded);
    let obsm = embeddings(args, &mapped, embedded.rows)?;
    let additions = Additions { obs: columns(&mapped), obsm, ..Additions::default() };
    output.write((&source, manifest), (&additions, record), rows, &warnings, printer)
}
