//! `scgpt map query`.

mod part;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use burn::prelude::Device;
use clap::Args;
use scgpt_data::{Additions, Column, GeneNames, Layer, RowSpool, Source};
use scgpt_eval::added_colours;
use scgpt_tasks::{
    Error,
    map::{IndexManifest, MadeBy, MapOptions, MappedCells, ReferenceIndex, Voting},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{EmbeddedCells, HashedModel, Reading, by_model, from_obsm};
use crate::{
    cell_page::{CellPageArgs, MadePage, colour_lists},
    cells_output::{OR_TABLE, OutputArgs, PartArgs},
    effective::write_effective,
    neighbourhood::NeighbourhoodArgs,
    output::{Printer, temporary},
    progress::Bar,
    stream::StreamArgs,
    warnings::Warnings,
};

/// The words of the command, and the name of its record in `uns`.
const COMMAND: &str = "map query";
const RECORD: &str = "scgpt_map";

/// Columns of `obs` that are added: one of this prefix for each column of labels, and these.
const PREFIX: &str = "scgpt_map_";
const UNKNOWN: &str = "scgpt_map_unknown";
const DISTANCE: &str = "scgpt_map_distance";

/// Find the labels of cells by their neighbours in an index
///
/// The output is a copy of the file with, for each label column of the index, scgpt_map_COLUMN and
/// scgpt_map_COLUMN_confidence in obs, scgpt_map_unknown (whether a cell is farther from the
/// reference than its own cells are from each other), and the embedding in obsm/X_scGPT. A page with a map
/// of the cells, sizes, certainty and markers of labels is written beside the output.
#[derive(Debug, Args, Serialize)]
#[command(after_help = "Example:\n  \
    scgpt map query query.h5ad --index atlas/ -o mapped.h5ad -k 10")]
#[command(mut_arg("output", |output| output.help(OR_TABLE)))]
pub(crate) struct QueryArgs {
    /// File or folder of cells
    #[serde(skip)]
    input: PathBuf,
    /// Folder of the index
    #[arg(long, value_name = "DIR", env = "SCGPT_INDEX")]
    index: PathBuf,
    /// Model directory [default: where it was when the index was made]
    #[arg(long, short, value_name = "DIR", env = "SCGPT_MODEL")]
    model: Option<PathBuf>,
    #[command(flatten)]
    #[serde(skip)]
    output: OutputArgs,
    #[command(flatten)]
    #[serde(skip)]
    part: PartArgs,
    /// Neighbours that vote
    #[arg(short, value_name = "N", default_value_t = 10, env = "SCGPT_K")]
    k: usize,
    /// How votes are counted
    #[arg(long, value_enum, default_value_t, env = "SCGPT_VOTING")]
    voting: Voting,
    /// Share of cells as near as the reference's own that shall not be called unknown
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, env = "SCGPT_KNOWN_SHARE")]
    known_share: f64,
    /// Write distances and numbers of the neighbours, too: obsm/scgpt_map_distances, _neighbours
    #[arg(long)]
    neighbours: bool,
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

pub(crate) fn run(args: &QueryArgs, printer: Printer) -> Result<()> {
    let others: Vec<&Path> =
        std::iter::once(&args.index).chain(&args.model).map(PathBuf::as_path).collect();
    let of_cells = (args.input.as_path(), &others[..]);
    if let Some(output) = args.part.output(COMMAND, of_cells, &args.output, part::of_all(args))? {
        return part::run(args, &output, printer);
    }
    let inputs = [&args.input, &args.index].into_iter().chain(&args.model).map(PathBuf::as_path);
    let page_path = args.page.path(&args.output);
    args.output.check_or_table(inputs, page_path.as_deref())?;
    let index = ReferenceIndex::open(&args.index)?;
    index.check_k(args.k)?;
    let device = args.stream.compute.open()?;
    let mut warnings = Warnings::new(printer);
    let mut source = args.stream.matrix.choice.open(&args.input, &mut warnings)?;
    let temporary = temporary(&args.output.path);
    let layer = args.stream.matrix.layer();
    let reading = args.reading(&layer, temporary.as_deref());
    let gene_names = args.stream.matrix.gene_names();
    let added = index.manifest().labels.iter().map(|labels| format!("{PREFIX}{}", labels.column));
    let added: Vec<String> = added.chain([UNKNOWN, DISTANCE].map(str::to_owned)).collect();
    let clusters = args.neighbourhood.columns().iter().copied();
    let added: Vec<&str> = added.iter().map(String::as_str).chain(clusters).collect();
    args.page.colors.check(&source, (&layer, &gene_names), &added)?;
    let bar = Bar::new(printer);
    let (embedded, mapped) = args.map(&index, &mut source, &reading, &device, &bar)?;
    remark_on(args, (&index, &embedded, &mapped), &mut warnings, printer);
    let obs = columns(&mapped);
    let neighbours = args.neighbourhood.find(&embedded.rows, 0, &bar)?;
    let known: Vec<_> = index.manifest().colours.clone().into_iter().collect();
    let made = page_path.map(|path| {
        let found = embedded.report.as_ref().map(|report| report.genes.column.clone());
        let names = GeneNames { column: found.or(gene_names.column.clone()), ..gene_names };
        let added = [&obs[..], &neighbours.columns()].concat();
        let choice = args.page.colors.choice(&added, &known, (&layer, &names));
        let shown = (index.manifest(), neighbours.shown());
        let page = mapped.page(&mut source, &embedded.rows, shown, &choice, &bar)?;
        anyhow::Ok(MadePage::new(path, page, &warnings))
    });
    let made = made.transpose()?;
    let record = record(args, &index, &mapped, &embedded);
    let mut summary = summary(args, &mapped, &embedded);
    let mut uns = added_colours(&source, &obs, &known)?;
    uns.push((RECORD.into(), record.clone()));
    let obsm = embeddings(args, &mapped, embedded.rows)?;
    let mut additions = Additions { obsm, obs, uns, ..Additions::default() };
    summary.extend(neighbours.add_to(&mut additions, "X_scGPT", &source, &args.output.path)?);
    args.output.copy_of(&args.input, &layer).write(&mut source, additions, &bar, printer)?;
    write_effective(&args.output.path, COMMAND, args)?;
    summary.extend(made.map(MadePage::write).transpose()?);
    printer.written(&warnings.beside(&record), &summary)
}

impl QueryArgs {
    /// How cells are read.
    fn reading<'a>(&self, layer: &'a Layer, temporary: Option<&'a Path>) -> Reading<'a> {
        Reading {
            layer,
            gene_names: self.stream.matrix.gene_names(),
            batch_size: self.stream.batch_size,
            precision: self.stream.precision.precision,
            temporary,
            reference: None,
        }
    }

    /// The cells in the space of the index, and what it says of them.
    fn map(
        &self,
        index: &ReferenceIndex,
        source: &mut Source,
        reading: &Reading<'_>,
        device: &Device,
        bar: &Bar,
    ) -> Result<(EmbeddedCells, MappedCells)> {
        let model = self.model.as_deref();
        let embedded = as_index(index.manifest(), model, source, reading, device, bar)?;
        let mut mapped = index.map(&embedded.rows, &self.options(), bar)?;
        bar.finish();
        mapped.leave_out(&embedded.empty);
        Ok((embedded, mapped))
    }

    /// How labels are found.
    fn options(&self) -> MapOptions {
        let mut options = MapOptions::default();
        options.k = self.k;
        options.voting = self.voting;
        options.known_share = self.known_share;
        options
    }
}

/// Tells what has to be known of the cells and of what is said of them.
fn remark_on(
    args: &QueryArgs,
    (index, embedded, mapped): (&ReferenceIndex, &EmbeddedCells, &MappedCells),
    warnings: &mut Warnings,
    printer: Printer,
) {
    let precision = (args.stream.precision, &index.manifest().made_by);
    embedded.remark(printer, warnings, precision, "they get no label, and are unknown");
    warnings.all(mapped.caution());
}

/// Embeds cells as those of an index were.
pub(super) fn as_index(
    index: &IndexManifest,
    model: Option<&Path>,
    source: &mut Source,
    reading: &Reading<'_>,
    device: &Device,
    bar: &Bar,
) -> Result<EmbeddedCells> {
    match &index.made_by {
        MadeBy::Obsm(name) => from_obsm(source, name, reading.temporary),
        MadeBy::Model { path, sha256, max_length, tie_mode, seed, .. } => {
            let folder = model.unwrap_or(path);
            if model.is_none() && !folder.is_dir() {
                bail!(
                    "the model of the index is not at `{}` any more: name its folder with --model",
                    path.display()
                );
            }
            let model = HashedModel::open(folder, device)?;
            if model.sha256 != *sha256 {
                return Err(Error::Incompatible {
                    path: folder.into(),
                    problem: format!(
                        "not the model of the index: its weights have SHA-256 {}…, those of the index {}…",
                        &model.sha256[..12],
                        &sha256[..sha256.len().min(12)]
                    ),
                    remedy: format!(
                        "leave --model out if the model of the index is still at `{}`, or make an index with this one",
                        path.display()
                    )
                    .into(),
                }
                .into());
            }
            let choices =
                super::Choices { max_length: Some(*max_length), tie_mode: *tie_mode, seed: *seed };
            let reading = &Reading { reference: index.genes, ..reading.clone() };
            by_model(source, model, choices, reading, bar)
        }
    }
}

/// What was found, as columns of `obs`; the first of them colours the map.
fn columns(mapped: &MappedCells) -> Vec<(String, Column)> {
    let mut obs = Vec::new();
    for labels in &mapped.labels {
        let name = format!("{PREFIX}{}", labels.column);
        let (codes, categories) = (labels.codes.clone(), labels.names.clone());
        obs.push((name.clone(), Column::Categorical { codes, categories, ordered: false }));
        let confidence = labels.confidence.iter().map(|&share| Some(f64::from(share)));
        obs.push((format!("{name}_confidence"), Column::Float(confidence.collect())));
    }
    let unknown = mapped.is_unknown.iter().map(|&is_unknown| Some(is_unknown));
    obs.push((UNKNOWN.into(), Column::Boolean(unknown.collect())));
    let distance = mapped.strangeness.iter().map(|&distance| Some(f64::from(distance)));
    obs.push((DISTANCE.into(), Column::Float(distance.collect())));
    obs
}

/// The embedding and, if they are asked for, the neighbours of each cell.
fn embeddings(
    args: &QueryArgs,
    mapped: &MappedCells,
    rows: RowSpool,
) -> Result<Vec<(String, RowSpool)>> {
    let mut obsm = vec![("X_scGPT".to_owned(), rows)];
    if args.neighbours {
        let mut distances = RowSpool::new(args.k)?;
        let mut numbers = RowSpool::new(args.k)?;
        for found in &mapped.neighbours {
            #[allow(clippy::cast_possible_truncation, reason = "distances up to 2")]
            let row: Vec<f32> = found.iter().map(|one| one.distance as f32).collect();
            distances.push(&row)?;
            #[allow(clippy::cast_precision_loss, reason = "numbers of cells, for people")]
            let row: Vec<f32> = found.iter().map(|one| one.cell as f32).collect();
            numbers.push(&row)?;
        }
        obsm.push(("scgpt_map_distances".into(), distances));
        obsm.push(("scgpt_map_neighbours".into(), numbers));
    }
    Ok(obsm)
}

/// The record of the run, for `uns["scgpt_map"]` and `--json`.
fn record(
    args: &QueryArgs,
    index: &ReferenceIndex,
    mapped: &MappedCells,
    embedded: &EmbeddedCells,
) -> Value {
    let manifest = index.manifest();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "index": args.index.display().to_string(),
        "reference_cells": manifest.n_cells,
        "colours": colour_lists(manifest.colours.clone()),
        "search": manifest.search,
        "made_by": manifest.made_by,
        "precision": embedded.report.as_ref().map(|report| report.precision),
        "k": args.k,
        "genes": embedded.report.as_ref().map(|report| &report.genes),
        "known_genes": embedded.report.as_ref().map(|report| report.known_genes),
        "without_genes": embedded.empty.len(),
        "cells": mapped.is_unknown.len(),
        "unknown": mapped.is_unknown.iter().filter(|&&is_unknown| is_unknown).count(),
        "output": args.output.path.display().to_string(),
    })
}

fn summary(
    args: &QueryArgs,
    mapped: &MappedCells,
    embedded: &EmbeddedCells,
) -> Vec<(&'static str, String)> {
    let n = mapped.is_unknown.len();
    let unknown = mapped.is_unknown.iter().filter(|&&is_unknown| is_unknown).count();
    let mut rows = vec![("cells", n.to_string())];
    rows.extend(embedded.report.as_ref().map(|report| ("genes", report.genes_line())));
    for labels in &mapped.labels {
        let mut counts: Vec<(usize, &str)> =
            labels.names.iter().map(|name| (0, name.as_str())).collect();
        for code in labels.codes.iter().flatten() {
            counts[*code as usize].0 += 1;
        }
        counts.sort_by_key(|&(cells, _)| std::cmp::Reverse(cells));
        let sure: f64 = labels.confidence.iter().map(|&share| f64::from(share)).sum();
        let first =
            format!("{}, confidence {:.2} on average", labels.column, sure / n.max(1) as f64);
        let most = counts.iter().filter(|(cells, _)| *cells > 0).take(10);
        let lines = most.map(|(cells, name)| format!("{name}: {cells}"));
        let text = std::iter::once(first).chain(lines).collect::<Vec<_>>().join("\n");
        rows.push(("labels", text));
    }
    rows.push((
        "unknown",
        format!("{:.1} % of the cells", 100.0 * unknown as f64 / n.max(1) as f64),
    ));
    rows.push(("output", args.output.path.display().to_string()));
    rows
}
