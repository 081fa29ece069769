//! `scgpt map index`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use scgpt_data::{CellSource as _, Error, Place, Source, TieMode, check_apart};
use scgpt_eval::{Labels, label_colours};
use scgpt_tasks::map::{IndexManifest, ReferenceCells, ReferenceIndex, Search};
use serde_json::json;

use super::{EmbeddedCells, HashedModel, Reading, by_model, from_obsm};
use crate::{
    output::{Printer, temporary},
    progress::Bar,
    stream::{StreamArgs, TokenArgs},
    warnings::Warnings,
};

/// Make an index of labelled reference cells, or add to one
///
/// The index is one folder: embeddings of the cells, their labels, and which model made them. It is
/// opened as memory, so that size does not matter. With --approximate, only the lists of cells that
/// are nearest to a query are looked into, in a quarter of the room and a fraction of the time: for
/// atlases.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt map index reference.h5ad --model scGPT_human --labels cell_type,tissue -o atlas/\n  \
    scgpt map index more.h5ad --labels cell_type,tissue -o atlas/ --append\n  \
    scgpt map query query.h5ad --index atlas/ -o mapped.h5ad")]
pub(crate) struct IndexArgs {
    /// File or folder of labelled cells
    input: PathBuf,
    /// Model directory; to append, that of the index if none
    #[arg(long, short, value_name = "DIR", env = "SCGPT_MODEL")]
    model: Option<PathBuf>,
    /// Take embeddings from this name in obsm, instead of making them with a model
    #[arg(long, value_name = "NAME", conflicts_with = "model", env = "SCGPT_EMBEDDING")]
    embedding: Option<String>,
    /// Columns of obs with labels
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        required = true,
        env = "SCGPT_LABELS"
    )]
    labels: Vec<String>,
    /// Folder of the index
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Add to the index
    #[arg(long, conflicts_with_all = ["approximate", "force"])]
    append: bool,
    /// Find neighbours approximately
    #[arg(long)]
    approximate: bool,
    #[command(flatten)]
    tokens: TokenArgs,
    #[command(flatten)]
    stream: StreamArgs,
    /// Replace the index
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &IndexArgs, printer: Printer) -> Result<()> {
    let there = match (args.append, args.output.exists()) {
        (true, _) => Some(ReferenceIndex::open(&args.output)?.manifest().clone()),
        (false, true) if !args.force => bail!(
            "`{}` exists; pass --append to add to it, --force to replace it, or choose another -o",
            args.output.display()
        ),
        (false, _) => None,
    };
    let inputs = [Some(&args.input), args.model.as_ref()];
    check_apart(&args.output, inputs.into_iter().flatten().map(PathBuf::as_path))?;
    // From here on nobody else makes it; embedding may take hours.
    let place = (!args.append)
        .then(|| {
            let existing = scgpt_data::Existing::replaced_if(args.force);
            Place::folder(&args.output, existing, ReferenceIndex::FOLDER)
        })
        .transpose()?;
    let device = args.stream.compute.open()?;
    let mut warnings = Warnings::new(printer);
    let mut source = args.stream.matrix.choice.open(&args.input, &mut warnings)?;
    let obs = source.obs()?;
    warnings.doubts(&obs, &args.labels.iter().map(String::as_str).collect::<Vec<_>>(), None);
    let mut labels = args
        .labels
        .iter()
        .map(|name| {
            let in_file = Error::in_file(&source.summary().path);
            Ok((name.clone(), Labels::read(&obs, name).map_err(in_file)?))
        })
        .collect::<Result<Vec<_>>>()?;
    let temporary = temporary(&args.output);
    let bar = Bar::new(printer);
    let embedded = embed(args, there.as_ref(), &mut source, temporary.as_deref(), &device, &bar)?;
    bar.finish();
    for (_, labels) in &mut labels {
        for &cell in &embedded.empty {
            labels.codes[cell] = None;
        }
    }
    let of_labels =
        |(name, labels): &(String, Labels)| label_colours(&source, name, &labels.classes);
    let colours = labels.iter().map(of_labels).collect::<Result<Vec<_>, _>>()?.concat();
    let cells = ReferenceCells {
        rows: &embedded.rows,
        labels: &labels,
        colours,
        source: args.input.display().to_string(),
        made_by: embedded.made_by.clone(),
        genes: embedded.genes(),
    };
    let index = match place {
        None => ReferenceIndex::append(&args.output, &cells, &bar),
        Some(place) => {
            let search = if args.approximate { Search::Approximate } else { Search::Exact };
            ReferenceIndex::create_in(place, &cells, search, &bar)
        }
    }?;
    bar.finish();
    let precision = (args.stream.precision, &index.manifest().made_by);
    embedded.remark(printer, &mut warnings, precision, "they do not vote");
    for (name, labels) in &labels {
        if labels.n_missing() > 0 {
            printer.remark(&format!(
                "note: {} cells have no label in `{name}`; they do not vote on it",
                labels.n_missing()
            ));
        }
    }
    print(&index, &embedded, &warnings, printer)
}

/// Embeds the cells as those of the index were, or as asked for.
fn embed(
    args: &IndexArgs,
    there: Option<&IndexManifest>,
    source: &mut Source,
    temporary: Option<&Path>,
    device: &burn::prelude::Device,
    bar: &Bar,
) -> Result<EmbeddedCells> {
    let layer = args.stream.matrix.layer();
    let reading = Reading {
        layer: &layer,
        gene_names: args.stream.matrix.gene_names(),
        batch_size: args.stream.batch_size,
        precision: args.stream.precision.precision,
        temporary,
        reference: None,
    };
    if let Some(there) = there.filter(|_| args.embedding.is_none()) {
        return super::query::as_index(there, args.model.as_deref(), source, &reading, device, bar);
    }
    match (&args.embedding, &args.model) {
        (Some(name), _) => from_obsm(source, name, temporary),
        (None, Some(model)) => {
            let (max_length, tie_mode) = (args.tokens.max_length, TieMode::default());
            let choices = super::Choices { max_length, tie_mode, seed: args.tokens.seed };
            by_model(source, HashedModel::open(model, device)?, choices, &reading, bar)
        }
        (None, None) => {
            bail!("--model or --embedding is needed: what shall the cells be embedded by?")
        }
    }
}

fn print(
    index: &ReferenceIndex,
    new: &EmbeddedCells,
    warnings: &Warnings,
    printer: Printer,
) -> Result<()> {
    let manifest = index.manifest();
    let n_new = new.rows.n_rows();
    let labels: Vec<String> = manifest
        .labels
        .iter()
        .map(|labels| format!("{} ({})", labels.column, labels.names.len()))
        .collect();
    let record = json!({
        "cells": manifest.n_cells,
        "new_cells": n_new,
        "without_genes": new.empty.len(),
        "width": manifest.width,
        "search": manifest.search,
        "labels": manifest.labels,
        "made_by": manifest.made_by,
        "genes": manifest.genes,
        "bytes": index.n_bytes(),
        "output": index.folder().display().to_string(),
    });
    let size = format!(
        "{:.1} MB, {:.0} bytes per cell",
        index.n_bytes() as f64 / 1e6,
        index.n_bytes() as f64 / manifest.n_cells.max(1) as f64
    );
    let mut rows = vec![("cells", format!("{} ({n_new} new)", manifest.n_cells))];
    rows.extend(new.report.as_ref().map(|report| ("genes", report.genes_line())));
    rows.push(("labels", labels.join(", ")));
    rows.push(("size", size));
    rows.push(("output", index.folder().display().to_string()));
    printer.written(&warnings.beside(&record), &rows)
}
