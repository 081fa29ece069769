//! `scgpt simulate`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use scgpt_data::{Additions, CellSource, GeneVocab, Layer, check_output, export};
use scgpt_tasks::{
    Direction, Error, Observer as _, PerturbSimulateOptions, PerturbSimulation, SimulateOptions,
    Simulation, Watched,
};
use serde_json::json;

use crate::{
    output::{Printer, beside, check_cells_output},
    progress::Bar,
};

/// Simulate cells of known types and batches, or with perturbed genes
///
/// Counts are negative-binomial, with a marker programme per cell type and multiplicative batch
/// effects, so the truth is known: obs/cell_type and obs/batch. With --perturb, cells of a sparse signed
/// gene network in its steady state (power-law kinetics), in which genes are knocked down: obs/condition,
/// and the network as a table beside the output.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  scgpt simulate -o cells.h5ad --cells 5000 --types 6 --batches 3\n  \
    scgpt simulate -o cells.h5ad --vocab scGPT_human/vocab.json     with gene symbols a model knows\n  \
    scgpt simulate -o screen.h5ad --cells 20000 --perturb 80 --doubles 60 --synergy 0.5"
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
    /// Instead of types, perturb that many genes of a known network, each in cells of its own
    #[arg(long, value_name = "N", conflicts_with_all = ["types", "batches"])]
    perturb: Option<usize>,
    /// Also perturb that many pairs of these genes
    #[arg(long, value_name = "N", default_value_t = 0, requires = "perturb")]
    doubles: usize,
    /// Share of the pairs of gene modules that, perturbed together, do more than the sum
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, requires = "perturb")]
    synergy: f64,
    /// Raise the genes instead of lowering them
    #[arg(long, requires = "perturb")]
    over_express: bool,
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
    match args.perturb {
        Some(singles) => perturbed(args, singles, symbols, printer),
        None => typed(args, symbols, printer),
    }
}

/// Cells of types and batches.
fn typed(args: &SimulateArgs, symbols: Option<Vec<String>>, printer: Printer) -> Result<()> {
    let options = SimulateOptions {
        cells: args.cells,
        genes: args.genes,
        types: args.types,
        batches: args.batches,
        seed: args.seed,
    };
    write(&mut Simulation::new(&options, symbols)?, args, printer)?;
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

/// Cells with perturbed genes, and the network beside them.
fn perturbed(
    args: &SimulateArgs,
    singles: usize,
    symbols: Option<Vec<String>>,
    printer: Printer,
) -> Result<()> {
    let network = beside(&args.output, "network.csv");
    check_output(&network, args.force)?;
    let options = PerturbSimulateOptions {
        cells: args.cells,
        genes: args.genes,
        singles,
        doubles: args.doubles,
        synergy: args.synergy,
        direction: if args.over_express { Direction::OverExpression } else { Direction::KnockDown },
        seed: args.seed,
    };
    let mut simulation = PerturbSimulation::new(&options, symbols)?;
    write(&mut simulation, args, printer)?;
    let edges = simulation.network();
    edges.write(&network, args.force)?;
    let (output, network) = (args.output.display().to_string(), network.display().to_string());
    printer.result(
        &json!({
            "cells": args.cells, "genes": args.genes, "singles": singles, "doubles": args.doubles,
            "edges": edges.edges().len(), "output": output, "network": network,
        }),
        &[
            (
                "cells",
                format!(
                    "{} of {singles} single and {} double perturbations",
                    args.cells, args.doubles
                ),
            ),
            ("genes", args.genes.to_string()),
            ("output", output.clone()),
            ("network", format!("{network}, {} regulations", edges.edges().len())),
        ],
    )
}

fn write(source: &mut dyn CellSource, args: &SimulateArgs, printer: Printer) -> Result<()> {
    let bar = Bar::new(printer);
    bar.begin("simulating", args.cells);
    let mut source = Watched { source, observer: &bar };
    let written = export(&mut source, &Layer::X, &args.output, &Additions::default(), args.force);
    bar.finish();
    Ok(written.map_err(Error::from)?)
}

/// Gene names of the vocabulary, spread over it; special tokens and Ensembl ids are left out.
fn symbols(vocab: &GeneVocab, n: usize) -> Vec<String> {
    let names: Vec<&str> =
        vocab.names().filter(|name| !name.starts_with('<') && !name.starts_with("ENSG")).collect();
    (0..n.min(names.len()))
        .map(|index| names[index * names.len() / n.min(names.len())].to_owned())
        .collect()
}
