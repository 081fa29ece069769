//! `scgpt inspect`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use scgpt_data::{CellSource as _, Frame, GeneVocab, Layer, Source};
use scgpt_model::ModelDir;
use scgpt_tasks::input_values;
use serde_json::{Value, json};

use crate::output::Printer;

/// Cells per batch that the memory estimate assumes, the default of `embed`.
const BATCH: usize = 8;

/// Say what is in a file, and which of its genes a model knows
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  scgpt inspect pbmc.h5ad\n  scgpt inspect pbmc.h5ad --model scGPT_human --json"
)]
pub(crate) struct InspectArgs {
    /// File or folder of cells
    input: PathBuf,
    /// Model directory whose genes are looked up
    #[arg(long, short, value_name = "DIR", env = "SCGPT_MODEL")]
    model: Option<PathBuf>,
}

pub(crate) fn run(args: &InspectArgs, printer: Printer) -> Result<()> {
    let mut source = Source::open(&args.input)?;
    let summary = source.summary().clone();
    let obs = source.obs()?;
    let mut rows = vec![
        ("file", format!("{} ({})", summary.path.display(), summary.format)),
        ("cells", summary.n_cells.to_string()),
    ];
    let mut matrices = Vec::new();
    let mut lines = Vec::new();
    for matrix in &summary.matrices {
        // A matrix that cannot be used is worth reporting, not worth failing.
        let values = input_values(&mut source, &matrix.layer);
        let total = values.as_ref().ok().and_then(|values| values.total);
        let (state, shown) = match values {
            Ok(values) => (values.state.to_string(), values.to_string()),
            Err(error) => {
                let problem = format!("unusable: {error}");
                (problem.clone(), problem)
            }
        };
        let density =
            matrix.n_stored as f64 / (summary.n_cells as f64 * matrix.n_genes as f64).max(1.0);
        lines.push(format!(
            "{}: {} genes, {} {}, {:.1} % stored, {shown}",
            matrix.layer,
            matrix.n_genes,
            matrix.encoding,
            matrix.dtype,
            100.0 * density
        ));
        matrices.push(json!({
            "layer": matrix.layer.to_string(), "genes": matrix.n_genes, "encoding": matrix.encoding,
            "dtype": matrix.dtype, "stored": matrix.n_stored, "density": density, "state": state,
            "total": total,
        }));
    }
    if lines.is_empty() {
        lines.push("none: there is nothing to embed".into());
    }
    rows.push(("matrices", lines.join("\n")));
    rows.push(("obs", columns(&obs)));
    let layer = summary.matrices.first().map_or(Layer::X, |matrix| matrix.layer.clone());
    let var = source.var(&layer)?;
    rows.push(("var", columns(&var)));
    if !summary.elements.is_empty() {
        rows.push(("also", summary.elements.join(", ")));
    }
    let mut json = json!({
        "path": summary.path, "format": summary.format, "cells": summary.n_cells, "matrices": matrices,
        "obs": column_kinds(&obs), "var": column_kinds(&var), "elements": summary.elements,
    });
    if let Some(model) = &args.model {
        json["model"] = look_up(model, &var, summary.n_cells, &mut rows)?;
    }
    printer.result(&json, &rows)
}

/// Which genes of `var` the model knows, and what memory embedding would take.
fn look_up(
    model: &PathBuf,
    var: &Frame,
    n_cells: usize,
    rows: &mut Vec<(&str, String)>,
) -> Result<Value> {
    let model = ModelDir::open(model)?;
    let vocab = GeneVocab::from_json(model.vocab_path())?;
    let config = model.config();
    rows.push((
        "model",
        format!(
            "{} layers, {} wide, {} parameters, {} gene tokens",
            config.n_layers,
            config.d_model,
            model.weights().n_parameters(),
            config.vocab_size
        ),
    ));
    let megabytes = memory(&model) >> 20;
    let genes = match vocab.align(var, None) {
        Ok(alignment) => {
            let genes = alignment.summary();
            let lines = genes.candidates.iter().map(|candidate| {
                let mark = if candidate.column == genes.column { " (used)" } else { "" };
                format!(
                    "{} of {} known by `{}`{mark}",
                    candidate.matched, genes.genes, candidate.column
                )
            });
            rows.push(("genes", lines.collect::<Vec<_>>().join("\n")));
            json!(genes)
        }
        Err(error) => {
            rows.push(("genes", error.to_string()));
            json!({ "error": error.to_string() })
        }
    };
    rows.push(("memory", format!("about {megabytes} MB to embed, whatever the number of cells")));
    let disk = (n_cells * config.d_model * size_of::<f32>()) >> 20;
    rows.push(("disk", format!("about {disk} MB for the embedding, twice that while it is made")));
    Ok(json!({ "config": config, "genes": genes, "memory_mb": megabytes, "embedding_mb": disk }))
}

/// Bytes that embedding needs at its peak: the weights and the gene table, the activations of a
/// batch (input, packed projection, context and two temporaries of every token), and the blocks
/// that wait.
fn memory(model: &ModelDir) -> usize {
    let config = model.config();
    let tokens = BATCH * model.preprocess().max_length;
    let activations = tokens * (7 * config.d_model + config.d_ff);
    let table = config.vocab_size * config.d_model;
    (model.weights().n_parameters() + table + activations) * size_of::<f32>() + (150 << 20)
}

fn columns(frame: &Frame) -> String {
    let names = frame.columns.iter().map(|(name, column)| format!("{name} ({})", column.kind()));
    let first =
        frame.index.first().map_or_else(String::new, |name| format!("index such as {name}"));
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
