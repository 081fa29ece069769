//! `scgpt simulate`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use scgpt_data::{Additions, GeneVocab, Layer, export};
use scgpt_tasks::{Error, Observer as _, SimulateOptions, Simulation, Watched};
use serde_json::json;

use crate::{
    output::{Printer, check_cells_output},
    progress::Bar,
};

/// Simulate cells of known types and batches
///
/// Counts are negative-binomial, with a marker programme per cell type and multiplicative batch
/// effects, so the truth is known: obs/cell_type and obs/batch.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  scgpt simulate -o cells.h5ad --cells 5000 --types 6 --batches 3\n  \
    scgpt simulate -o cells.h5ad --vocab scGPT_human/vocab.json     with gene symbols a model knows"
)]
pub(crate) struct SimulateArgs {
    /// File to write: .h5ad, or .zarr for a folder
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Number of cells
    #[arg(long, value_name = "N", default_value_t = 2000)]
    cells: usize,
    /// Number of genes
    #[arg(long, value_name = "N", default_value_t = 2000)]
    genes: usize,
    /// Number of cell types
    #[arg(long, value_name = "N", default_value_t = 5)]
    types: usize,
    /// Number of batches
    #[arg(long, value_name = "N", default_value_t = 2)]
    batches: usize,
    /// Seed of every random choice
    #[arg(long, value_name = "N", default_value_t = 0, env = "SCGPT_SEED")]
    seed: u64,
    /// Vocabulary whose gene symbols are used
    #[arg(long, value_name = "FILE")]
    vocab: Option<PathBuf>,
    /// Overwrite the output
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &SimulateArgs, printer: Printer) -> Result<()> {
    check_cells_output(&args.output, args.force)?;
    let symbols = args
        .vocab
        .as_ref()
        .map(GeneVocab::from_json)
        .transpose()?
        .map(|vocab| symbols(&vocab, args.genes));
    let options = SimulateOptions {
        cells: args.cells,
        genes: args.genes,
        types: args.types,
        batches: args.batches,
        seed: args.seed,
    };
    let mut simulation = Simulation::new(&options, symbols)?;
    let bar = Bar::new(printer);
    bar.begin("simulating", args.cells);
    let mut source = Watched { source: &mut simulation, observer: &bar };
    let written = export(&mut source, &Layer::X, &args.output, &Additions::default(), args.force);
    bar.finish();
    written.map_err(Error::from)?;
    let output = args.output.display().to_string();
    printer.result(
        &json!({ "cells": args.cells, "genes": args.genes, "types": args.types, "batches": args.batches, "output": output }),
        &[
            ("cells", format!("{} of {} types in {} batches", args.cells, args.types, args.batches)),
            ("genes", args.genes.to_string()),
            ("output", output.clone()),
        ],
    )
}

/// Gene names of the vocabulary, spread over it; special tokens and Ensembl ids are left out.
fn symbols(vocab: &GeneVocab, n: usize) -> Vec<String> {
    let names: Vec<&str> =
        vocab.names().filter(|name| !name.starts_with('<') && !name.starts_with("ENSG")).collect();
    (0..n.min(names.len()))
        .map(|index| names[index * names.len() / n.min(names.len())].to_owned())
        .collect()
}
