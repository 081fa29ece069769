//! `scgpt inspect`.

mod system;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use scgpt_data::{
    AnnData, CellSource, EmptyCells, Frame, GeneNames, GeneVocab, Layer, RNA, STATE_CELLS,
    input_values, modality_name, open_modalities,
};
use scgpt_model::ModelDir;
use scgpt_tasks::open_model;
use serde_json::{Value, json};

use crate::{choice::ChoiceArgs, output::Printer, warnings::Warnings};

/// Cells per batch that the memory estimate assumes, the default of `embed`.
const BATCH: usize = 8;

/// Say what is in a file, and which of its genes a model knows; or what there is to compute with
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  scgpt inspect pbmc.h5ad\n  scgpt inspect pbmc.h5ad --model scGPT_human --json\n  scgpt inspect --system"
)]
pub(crate) struct InspectArgs {
    /// File or folder of cells
    #[arg(required_unless_present = "system")]
    input: Option<PathBuf>,
    /// Model directory whose genes are looked up
    #[arg(long, short, value_name = "DIR", env = "SCGPT_MODEL")]
    model: Option<PathBuf>,
    #[command(flatten)]
    choice: ChoiceArgs,
    /// Say which processor this is, and which of its instructions kernels use
    #[arg(long, conflicts_with = "input")]
    system: bool,
    /// Instructions that kernels use: amx, avx512bf16, avx512, avx2, portable [default: the best]
    #[arg(long, value_name = "SET", env = "SCGPT_CPU", hide = true)]
    cpu: Option<String>,
}

pub(crate) fn run(args: &InspectArgs, printer: Printer) -> Result<()> {
    if args.system {
        return system::run(args.cpu.as_deref(), printer);
    }
    let input = args.input.as_deref().context("inspect needs a file of cells, or --system")?;
    if let Some(modalities) = open_modalities(input)? {
        if let Some(option) = args.choice.option() {
            bail!(
                "{option} is for cells of one table, but `{}` is MuData of several",
                input.display()
            );
        }
        return of_modalities(args, input, modalities, printer);
    }
    let mut warnings = Warnings::new(printer);
    let mut source = args.choice.open(input, &mut warnings)?;
    let inspected = inspect(&mut source, "genes", None, &mut warnings)?;
    let Inspected { mut rows, mut json, var } = inspected;
    let summary = source.summary();
    let file = format!("{} ({})", summary.path.display(), summary.format);
    rows.insert(0, ("file".into(), file));
    if let Some(model) = &args.model {
        json["model"] = look_up(model, &var, summary.n_cells, &mut rows)?;
    }
    print(&json, &rows, &warnings, printer)
}

/// Says what is in the modalities of a MuData file, and which cells they share.
fn of_modalities(
    args: &InspectArgs,
    input: &Path,
    modalities: Vec<(String, AnnData)>,
    printer: Printer,
) -> Result<()> {
    let mut rows = vec![("file".to_owned(), format!("{} (MuData)", input.display()))];
    let mut listed = Vec::new();
    let mut cells: Vec<(String, BTreeSet<String>)> = Vec::new();
    let mut model_rows = Vec::new();
    let mut model_json = Value::Null;
    let mut warnings = Warnings::new(printer);
    for (name, mut source) in modalities {
        let inspected = inspect(&mut source, "features", Some(&name), &mut warnings)?;
        let Inspected { rows: own, mut json, var } = inspected;
        rows.extend(own.into_iter().map(|(title, text)| (format!("{name} {title}"), text)));
        if let Some(model) = &args.model
            && modality_name(&name) == RNA
        {
            model_json = look_up(model, &var, source.summary().n_cells, &mut model_rows)?;
        }
        json["name"] = json!(name);
        listed.push(json);
        cells.push((name, source.obs()?.index.into_iter().collect()));
    }
    let mut shared = Vec::new();
    let mut lines = Vec::new();
    for (at, (first, of_first)) in cells.iter().enumerate() {
        for (second, of_second) in &cells[at + 1..] {
            let n = of_first.intersection(of_second).count();
            lines.push(format!("{first} and {second}: {n} cells"));
            shared.push(json!({ "modalities": [first, second], "cells": n }));
        }
    }
    let all: BTreeSet<&String> = cells.iter().flat_map(|(_, cells)| cells).collect();
    rows.push(("cells".into(), all.len().to_string()));
    if !lines.is_empty() {
        rows.push(("in common".into(), lines.join("\n")));
    }
    rows.extend(model_rows);
    let mut json = json!({
        "path": input, "format": "MuData", "cells": all.len(), "modalities": listed,
        "in_common": shared,
    });
    if args.model.is_some() {
        json["model"] = model_json;
    }
    print(&json, &rows, &warnings, printer)
}

fn print(
    json: &Value,
    rows: &[(String, String)],
    warnings: &Warnings,
    printer: Printer,
) -> Result<()> {
    let rows: Vec<(&str, String)> =
        rows.iter().map(|(title, text)| (title.as_str(), text.clone())).collect();
    printer.result(&warnings.beside(json), &rows)
}

/// What a source holds, for people and for programs.
struct Inspected {
    rows: Vec<(String, String)>,
    json: Value,
    var: Frame,
}

/// Says what a source holds. Its features are called `things`; `modality` is its name if there are
/// several.
fn inspect(
    source: &mut dyn CellSource,
    things: &str,
    modality: Option<&str>,
    warnings: &mut Warnings,
) -> Result<Inspected> {
    let summary = source.summary().clone();
    let obs = source.obs()?;
    let mut rows = vec![("cells".to_owned(), summary.n_cells.to_string())];
    let mut matrices = Vec::new();
    let mut lines = Vec::new();
    for matrix in &summary.matrices {
        // A matrix that cannot be used is worth reporting, not worth failing.
        let mut empty = EmptyCells::default();
        let values = input_values(&mut empty.among(source, &matrix.layer), &matrix.layer);
        let place = modality.map_or_else(String::new, |name| format!("{name}/"));
        let looked_at = summary.n_cells.min(STATE_CELLS);
        let name = format!("{place}{}", matrix.layer);
        if matrix.n_genes == 0 {
            warnings.tell(format!("`{name}` has no {things}: there is nothing to embed"));
        } else {
            warnings.empty_in_matrix(&name, empty.len(), looked_at);
        }
        let total = values.as_ref().ok().and_then(|values| values.total);
        let (state, shown) = match values {
            Ok(values) => (values.state.to_string(), values.to_string()),
            Err(error) => {
                let problem = format!("unusable: {error}");
                (problem.clone(), problem)
            }
        };
        // The file says how much it stores of all cells.
        let n_cells = summary.chosen.as_ref().map_or(summary.n_cells, |chosen| chosen.of);
        let density = matrix.n_stored as f64
            / (n_cells as f64 * matrix.n_genes as f64).max(matrix.n_stored as f64).max(1.0);
        lines.push(format!(
            "{}: {} {things}, {} {}, {:.1} % stored, {shown}",
            matrix.layer,
            matrix.n_genes,
            matrix.encoding,
            matrix.dtype,
            100.0 * density
        ));
        matrices.push(json!({
            "layer": matrix.layer.to_string(), "genes": matrix.n_genes, "encoding": matrix.encoding,
            "dtype": matrix.dtype, "stored": matrix.n_stored, "density": density, "state": state,
            "total": total, "without_counts": empty.len(),
        }));
    }
    if lines.is_empty() {
        lines.push("none: there is nothing to embed".into());
    }
    rows.push(("matrices".into(), lines.join("\n")));
    rows.push(("obs".into(), columns(&obs)));
    let layer = summary.matrices.first().map_or(Layer::X, |matrix| matrix.layer.clone());
    let var = source.var(&layer)?;
    rows.push(("var".into(), columns(&var)));
    if !summary.elements.is_empty() {
        rows.push(("also".into(), summary.elements.join(", ")));
    }
    let unread = source.unread()?;
    if !unread.is_empty() {
        rows.push(("unread".into(), unread.join("\n")));
    }
    let json = json!({
        "path": summary.path, "format": summary.format, "cells": summary.n_cells, "matrices": matrices,
        "obs": column_kinds(&obs), "var": column_kinds(&var), "elements": summary.elements,
        "unread": unread,
    });
    Ok(Inspected { rows, json, var })
}

/// Says which genes of `var` the model knows, and how much memory embedding would take.
fn look_up(
    model: &Path,
    var: &Frame,
    n_cells: usize,
    rows: &mut Vec<(String, String)>,
) -> Result<Value> {
    let model = open_model(model)?;
    let vocab = GeneVocab::from_json(model.vocab_path())?;
    let config = model.config();
    rows.push((
        "model".into(),
        format!(
            "{} layers, {} wide, {} parameters, {} gene tokens",
            config.n_layers,
            config.d_model,
            model.weights().n_parameters(),
            config.vocab_size
        ),
    ));
    let megabytes = memory(&model) >> 20;
    let genes = match vocab.align(var, &GeneNames::BEST) {
        Ok(alignment) => {
            let genes = alignment.summary();
            let lines = genes.candidates.iter().map(|candidate| {
                let mark = if candidate.column == genes.column { " (used)" } else { "" };
                format!(
                    "{} of {} known by `{}`{mark}",
                    candidate.matched, genes.genes, candidate.column
                )
            });
            rows.push(("genes".into(), lines.collect::<Vec<_>>().join("\n")));
            rows.push((
                "of the model".into(),
                format!(
                    "{} of {} genes ({:.1} %)",
                    genes.matched,
                    genes.vocabulary,
                    100.0 * genes.vocabulary_coverage
                ),
            ));
            rows.extend(genes.others().map(|others| ("no genes".into(), others)));
            json!(genes)
        }
        Err(error) => {
            rows.push(("genes".into(), error.to_string()));
            json!({ "error": error.to_string() })
        }
    };
    rows.push((
        "memory".into(),
        format!("about {megabytes} MB to embed, whatever the number of cells"),
    ));
    let disk = (n_cells * config.d_model * size_of::<f32>()) >> 20;
    rows.push((
        "disk".into(),
        format!("about {disk} MB for the embedding, twice that while it is made"),
    ));
    Ok(json!({ "config": config, "genes": genes, "memory_mb": megabytes, "embedding_mb": disk }))
}

/// Bytes that embedding needs at its peak: the weights, those of the blocks as they are packed, the
/// activations of a batch (input, packed projection, context and two temporaries of every token), and
/// the cells that wait.
fn memory(model: &ModelDir) -> usize {
    let config = model.config();
    let (d, f) = (config.d_model, config.d_ff);
    // The most exact format keeps three numbers of two bytes for each.
    let packed = config.n_layers * (4 * d * d + 2 * d * f) * 3 * size_of::<u16>();
    let activations = BATCH * model.preprocess().max_length * (7 * d + f);
    (model.weights().n_parameters() + activations) * size_of::<f32>() + packed + (150 << 20)
}

fn columns(frame: &Frame) -> String {
    let names = frame.columns.iter().map(|(name, column)| format!("{name} ({})", column.kind()));
    let first = frame.index.first().map(|name| format!("index such as {name}"));
    let first = first.unwrap_or_else(|| "no rows".into());
    std::iter::once(first).chain(names).collect::<Vec<_>>().join(", ")
}

fn column_kinds(frame: &Frame) -> Value {
    frame
        .columns
        .iter()
        .map(|(name, column)| (name.clone(), json!(column.kind())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
