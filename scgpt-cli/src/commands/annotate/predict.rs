//! `scgpt annotate predict`.

mod part;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use scgpt_data::{Additions, Column, GeneNames, RowSpool};
use scgpt_eval::added_colours;
use scgpt_tasks::annotate::{
    Annotated, Artefact, ExplainOptions, Explanation, FoundBeside, Method, PredictOptions,
    TypeGenes, UnknownScore,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::voting::{Voted, VotingArgs};
use crate::{
    cell_page::{CellPageArgs, MadePage, colour_lists},
    cells_output::{OR_TABLE, OutputArgs, PartArgs},
    effective::write_effective,
    gene_remarks,
    neighbourhood::NeighbourhoodArgs,
    output::{Printer, temporary},
    progress::Bar,
    stream::StreamArgs,
    warnings::Warnings,
};

/// Tell the types of cells, and how sure that is
///
/// The output is a copy of the file with columns in obs: scgpt_prediction; scgpt_confidence,
/// its calibrated probability; scgpt_prediction_set, the plausible types, which hold the true one
/// in the share --coverage of the cells of each known type; scgpt_unknown, whether the cell is
/// unlike all known types, by scgpt_strangeness. obsm/X_scGPT has the embedding by which types are told apart;
/// of an artefact of a simple method, obsm/X_scgpt_pca the principal components of its genes. A page with a map
/// of the cells, sizes, certainty and markers of types is written beside the output.
#[derive(Debug, Args, Serialize)]
#[command(after_help = "Examples:\n  \
    scgpt annotate predict query.h5ad --model pbmc-types/ -o annotated.h5ad\n  \
    scgpt annotate predict query.h5ad --model pbmc-types/ --majority-voting -o annotated.h5ad")]
#[command(mut_arg("output", |output| output.help(OR_TABLE)))]
pub(crate) struct PredictArgs {
    /// File or folder of cells
    #[serde(skip)]
    input: PathBuf,
    /// Artefact of `scgpt annotate train`
    #[arg(long, short, value_name = "DIR", env = "SCGPT_MODEL")]
    model: PathBuf,
    #[command(flatten)]
    #[serde(skip)]
    output: OutputArgs,
    #[command(flatten)]
    #[serde(skip)]
    part: PartArgs,
    /// How often the plausible types shall hold the true one
    #[arg(long, value_name = "SHARE", default_value_t = 0.9, env = "SCGPT_COVERAGE")]
    coverage: f64,
    /// Share of cells of known types that shall not be called unknown
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, env = "SCGPT_KNOWN_SHARE")]
    known_share: f64,
    /// Measure of how unlike all known types a cell is
    #[arg(long, value_enum, default_value_t, env = "SCGPT_UNKNOWN_SCORE")]
    unknown_score: UnknownScore,
    /// Say which genes told each type, so many of them, by up to 100 of its cells
    #[arg(long, value_name = "N", env = "SCGPT_EXPLAIN")]
    explain: Option<usize>,
    /// Write the probabilities of all types, too: obsm/scgpt_probabilities
    #[arg(long)]
    probabilities: bool,
    #[command(flatten)]
    #[serde(flatten)]
    voting: VotingArgs,
    #[command(flatten)]
    #[serde(flatten)]
    neighbourhood: NeighbourhoodArgs,
    #[command(flatten)]
    #[serde(flatten)]
    stream: StreamArgs,
    #[command(flatten)]
    #[serde(flatten)]
    page: CellPageArgs,
}

/// The words of the command, and the name of its record in `uns`.
const COMMAND: &str = "annotate predict";
const RECORD: &str = "scgpt_annotation";
/// The name in `obsm` of the probabilities of all types.
const PROBABILITIES: &str = "scgpt_probabilities";

/// Columns of `obs` that are added, the first of which colours the map.
const COLUMNS: [&str; 5] = [
    "scgpt_prediction",
    "scgpt_confidence",
    "scgpt_strangeness",
    "scgpt_unknown",
    "scgpt_prediction_set",
];

pub(crate) fn run(args: &PredictArgs, printer: Printer) -> Result<()> {
    let (of_cells, of_all) =
        ((args.input.as_path(), &[args.model.as_path()][..]), part::of_all(args));
    if let Some(output) = args.part.output(COMMAND, of_cells, &args.output, of_all)? {
        return part::run(args, &output, printer);
    }
    let inputs = [args.input.as_path(), &args.model];
    let page_path = args.page.path(&args.output);
    args.output.check_or_table(inputs, page_path.as_deref())?;
    let device = args.stream.compute.open()?;
    let mut warnings = Warnings::new(printer);
    let mut source = args.stream.matrix.choice.open(&args.input, &mut warnings)?;
    let artefact =
        Artefact::open(&args.model, &device)?.with_precision(args.stream.precision.precision);
    let options = args.options(&args.output.path);
    let added = [&COLUMNS[..], args.voting.columns(), args.neighbourhood.columns()].concat();
    args.page.colors.check(&source, (&options.layer, &options.gene_names), &added)?;
    let bar = Bar::new(printer);
    args.voting.check(&source)?;
    let explain = args.explain.map(|genes| {
        let mut explain = ExplainOptions::default();
        explain.genes = genes;
        explain
    });
    explain.iter().try_for_each(|explain| artefact.check_explain(explain))?;
    let annotated = artefact.annotate(&mut source, &options, &bar)?;
    let voted = args.voting.vote(&annotated, &source, &bar)?;
    warnings.all(voted.as_ref().and_then(Voted::caution));
    let explained = explain.map(|explain| {
        artefact.explain(&mut source, &annotated, &options, &explain, &device, &bar)
    });
    let explained = explained.transpose()?;
    bar.finish();
    remark_on(args, &annotated, &mut warnings, printer);
    let mut rows = summary(args, &artefact, &annotated);
    let mut record = record(args, &artefact, &annotated);
    let mut obs = columns(&annotated);
    if let Some(explained) = &explained {
        warnings.all(explained.doubt.clone());
        rows.insert(rows.len() - 2, ("genes that said so", genes_of(explained)));
        record["explanation"] = json!(explained);
    }
    if let Some(voted) = &voted {
        record["voting"] = json!(voted.record);
        rows.insert(rows.len() - 2, ("voting", voted.record.line()));
        obs.extend(voted.columns.iter().cloned());
    }
    let found = args.neighbourhood.find(&annotated.embeddings, 0, &bar)?;
    let known = artefact.record().class_colours();
    let made = page_path.map(|path| {
        let column = Some(annotated.report.genes.column.clone());
        let names = GeneNames { column, ..options.gene_names.clone() };
        let added = [&obs[..], &found.columns()].concat();
        let choice = args.page.colors.choice(&added, &known, (&options.layer, &names));
        let beside = FoundBeside {
            neighbourhood: found.shown(),
            explanation: explained.as_ref(),
            votes: voted.as_ref().map(Voted::votes),
        };
        let page = annotated.page(&mut source, artefact.record(), &choice, beside, &bar)?;
        anyhow::Ok(MadePage::new(path, page, &warnings))
    });
    let made = made.transpose()?;
    let mut uns = added_colours(&source, &obs, &known)?;
    uns.push((RECORD.into(), record.clone()));
    let obsm = embeddings(&artefact, annotated);
    let obsm_columns = [(PROBABILITIES.to_owned(), artefact.record().classes.clone())].into();
    let mut additions = Additions { obsm, obsm_columns, obs, uns, ..Additions::default() };
    rows.extend(found.add_to(&mut additions, space(&artefact), &source, &args.output.path)?);
    let copy = args.output.copy_of(&args.input, &options.layer);
    copy.write(&mut source, additions, &bar, printer)?;
    write_effective(&args.output.path, COMMAND, args)?;
    rows.extend(made.map(MadePage::write).transpose()?);
    printer.written(&warnings.beside(&record), &rows)
}

impl PredictArgs {
    /// The options by which cells are annotated, whose rows go to `output`.
    fn options(&self, output: &Path) -> PredictOptions {
        let mut options = PredictOptions::default();
        options.batch_size = self.stream.batch_size;
        options.gene_names = self.stream.matrix.gene_names();
        options.layer = self.stream.matrix.layer();
        options.coverage = self.coverage;
        options.known_share = self.known_share;
        options.unknown_score = self.unknown_score;
        options.probabilities = self.probabilities;
        options.temporary = temporary(output);
        options
    }
}

/// Tells what has to be known of the cells and of what is said of them.
fn remark_on(args: &PredictArgs, annotated: &Annotated, warnings: &mut Warnings, printer: Printer) {
    args.stream.precision.remark_on(annotated.report.precision, warnings);
    gene_remarks::remark_on(&annotated.report, warnings, printer);
    if let Some(accuracy) = annotated.held_out_accuracy {
        printer.remark(&format!(
            "note: by the genes there are, the artefact tells {:.0} % of its held-out cells right; confidence and \
             limits are those of such cells",
            100.0 * accuracy
        ));
    }
    let n_empty = annotated.report.tokens.n_empty;
    warnings.without_genes(n_empty, "they get no type, and are unknown");
    if let Some(caution) = annotated.caution() {
        warnings.tell(caution);
        // Of cells of another laboratory it is the protocol that is unlike, not the types.
        printer.remark(&format!(
            "hint: cells of another laboratory or protocol differ in all genes, whatever their types: look at the \
             confidence and the markers of the types on the page; --known-share {} calls fewer cells unknown, --unknown-score \
             confidence goes by the types' probabilities alone; a model that learned from cells of both is surer",
            f64::midpoint(1.0, args.known_share)
        ));
    }
}

/// The first genes of each type, a line a type.
pub(super) fn genes_of(explained: &Explanation) -> String {
    let line = |of: &TypeGenes| {
        let genes: Vec<&str> = of.genes.iter().take(10).map(|gene| gene.gene.as_str()).collect();
        format!("{}: {}", of.name, genes.join(", "))
    };
    explained.types.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The name in `obsm` of what places cells.
fn space(artefact: &Artefact) -> &'static str {
    match artefact.record().method {
        Method::Network => "X_scGPT",
        _ => "X_scgpt_pca",
    }
}

/// What was found, as matrices of `obsm`.
fn embeddings(artefact: &Artefact, annotated: Annotated) -> Vec<(String, RowSpool)> {
    let mut obsm = vec![(space(artefact).to_owned(), annotated.embeddings)];
    obsm.extend(annotated.probabilities.map(|rows| (PROBABILITIES.to_owned(), rows)));
    obsm
}

/// What was found, as columns of `obs`.
fn columns(annotated: &Annotated) -> Vec<(String, Column)> {
    let cells = 0..annotated.cells.len();
    let prediction = |cell| annotated.prediction(cell).map(str::to_owned);
    let predictions: Vec<Option<String>> = cells.clone().map(prediction).collect();
    let set = |cell| Some(annotated.set(cell)).filter(|set| !set.is_empty());
    let sets: Vec<Option<String>> = cells.map(set).collect();
    let confidence = annotated.cells.iter().map(|cell| Some(f64::from(cell.confidence)));
    let unknown = annotated.cells.iter().map(|cell| Some(cell.is_unknown));
    let strangeness = annotated.cells.iter().map(|cell| Some(f64::from(cell.strangeness)));
    let columns = [
        Column::with_gaps(&predictions),
        Column::Float(confidence.collect()),
        Column::Float(strangeness.collect()),
        Column::Boolean(unknown.collect()),
        Column::with_gaps(&sets),
    ];
    COLUMNS.map(str::to_owned).into_iter().zip(columns).collect()
}

/// The record of the run, for `uns["scgpt_annotation"]` and `--json`.
fn record(args: &PredictArgs, artefact: &Artefact, annotated: &Annotated) -> Value {
    let known = artefact.record();
    let mut counts: Vec<u64> = vec![0; known.classes.len()];
    for class in annotated.cells.iter().filter_map(|cell| cell.class) {
        counts[class as usize] += 1;
    }
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "artefact": args.model.display().to_string(),
        "method": known.method,
        "label": known.label,
        "classes": known.classes,
        "columns": { PROBABILITIES: known.classes },
        "colours": colour_lists(known.class_colours()),
        "cells": counts,
        "precision": annotated.report.precision,
        "unknown_share": annotated.unknown_share(),
        "held_out_accuracy": annotated.held_out_accuracy,
        "without_genes": annotated.report.tokens.n_empty,
        "coverage": args.coverage,
        "known_share": args.known_share,
        "input": annotated.report,
        "output": args.output.path.display().to_string(),
    })
}

fn summary(
    args: &PredictArgs,
    artefact: &Artefact,
    annotated: &Annotated,
) -> Vec<(&'static str, String)> {
    let classes = &artefact.record().classes;
    let mut counts: Vec<(usize, &str)> = classes.iter().map(|name| (0, name.as_str())).collect();
    for class in annotated.cells.iter().filter_map(|cell| cell.class) {
        counts[class as usize].0 += 1;
    }
    counts.sort_by_key(|&(n, _)| std::cmp::Reverse(n));
    let n = annotated.cells.len().max(1) as f64;
    let types: Vec<String> = counts
        .iter()
        .filter(|(cells, _)| *cells > 0)
        .take(12)
        .map(|(cells, name)| format!("{name}: {cells}"))
        .collect();
    let mean = |of: fn(&scgpt_tasks::annotate::AnnotatedCell) -> f64| {
        annotated.cells.iter().map(of).sum::<f64>() / n
    };
    vec![
        ("cells", annotated.cells.len().to_string()),
        ("method", artefact.record().method.name().to_owned()),
        ("genes", annotated.report.genes_line()),
        ("types", types.join("\n")),
        ("confidence", format!("{:.2} on average", mean(|cell| f64::from(cell.confidence)))),
        ("plausible types", format!("{:.2} on average", mean(|cell| cell.set.len() as f64))),
        ("unknown", format!("{:.1} % of the cells", 100.0 * annotated.unknown_share())),
        (
            "speed",
            format!(
                "{:.1} cells/s ({:.1} s)",
                annotated.report.cells_per_second, annotated.report.timings.total
            ),
        ),
        ("output", args.output.path.display().to_string()),
    ]
}
