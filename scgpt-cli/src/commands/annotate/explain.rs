//! `scgpt annotate explain`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use scgpt_tasks::annotate::{Artefact, ExplainOptions, PredictOptions};
use serde_json::json;

use super::predict::genes_of;
use crate::{
    cells_output::OutputArgs,
    gene_remarks,
    output::{Printer, check_table, temporary},
    progress::Bar,
    stream::StreamArgs,
    warnings::Warnings,
};

/// Tell by which genes the types of cells are told
///
/// For each type that cells are said to be of, the genes that added most to its score beyond that of the other types,
/// on average over some of these cells: by the network's gradients, or the terms of a simple method. Beside each is its
/// place among the genes that the training cells of the type express more than others.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.help("Table to write: .csv, .tsv or .parquet")))]
#[command(after_help = "Example:\n  \
    scgpt annotate explain query.h5ad --model pbmc-types/ -o genes.csv")]
pub(crate) struct ExplainArgs {
    /// File or folder of cells
    input: PathBuf,
    /// Artefact of `scgpt annotate train`
    #[arg(long, short, value_name = "DIR", env = "SCGPT_MODEL")]
    model: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
    /// Genes of each type
    #[arg(long, value_name = "N", default_value_t = 20, env = "SCGPT_GENES")]
    genes: usize,
    /// Most cells of each type that are looked at
    #[arg(long, value_name = "N", default_value_t = 100, env = "SCGPT_CELLS")]
    cells: usize,
    /// Seed of the choice of cells
    #[arg(long, value_name = "N", default_value_t = 0, env = "SCGPT_SEED")]
    seed: u64,
    #[command(flatten)]
    stream: StreamArgs,
}

pub(crate) fn run(args: &ExplainArgs, printer: Printer) -> Result<()> {
    let output = &args.output.path;
    let inputs = [args.input.as_path(), &args.model];
    check_table(output, inputs, args.output.existing())?;
    let device = args.stream.compute.open()?;
    let mut warnings = Warnings::new(printer);
    let mut source = args.stream.matrix.choice.open(&args.input, &mut warnings)?;
    let artefact =
        Artefact::open(&args.model, &device)?.with_precision(args.stream.precision.precision);
    let mut options = PredictOptions::default();
    options.batch_size = args.stream.batch_size;
    options.gene_names = args.stream.matrix.gene_names();
    options.layer = args.stream.matrix.layer();
    options.temporary = temporary(output);
    let mut explain = ExplainOptions::default();
    (explain.genes, explain.cells, explain.seed) = (args.genes, args.cells, args.seed);
    let bar = Bar::new(printer);
    artefact.check_explain(&explain)?;
    let annotated = artefact.annotate(&mut source, &options, &bar)?;
    let explained = artefact.explain(&mut source, &annotated, &options, &explain, &device, &bar)?;
    bar.finish();
    args.stream.precision.remark_on(annotated.report.precision, &mut warnings);
    gene_remarks::remark_on(&annotated.report, &mut warnings, printer);
    warnings.without_genes(annotated.report.tokens.n_empty, "no gene says anything of them");
    warnings.all(explained.doubt.clone());
    explained.table().write(output, args.output.existing())?;
    let known = artefact.record();
    let record = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "artefact": args.model.display().to_string(),
        "method": known.method,
        "label": known.label,
        "by": explain,
        "types": explained.types,
        "input": annotated.report,
        "output": output.display().to_string(),
    });
    let cells: usize = explained.types.iter().map(|of| of.cells).sum();
    let rows = [
        ("method", known.method.name().to_owned()),
        ("cells", format!("{cells} of {}, at most {} a type", annotated.cells.len(), args.cells)),
        ("genes that said so", genes_of(&explained)),
        ("output", output.display().to_string()),
    ];
    printer.written(&warnings.beside(&record), &rows)
}
