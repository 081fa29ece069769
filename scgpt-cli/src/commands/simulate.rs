//! `scgpt simulate`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, ValueEnum};
use scgpt_data::{
    ATAC, Additions, CellSource, CellSubset, GeneVocab, Layer, Observer as _, PROTEIN, RNA,
    Watched, check_output, export, export_mudata,
};
use scgpt_eval::simulate::{
    Direction, MultimodalSimulateOptions, MultimodalSimulation, PerturbSimulateOptions,
    PerturbSimulation, SimulateOptions, Simulation, TissueSimulateOptions, TissueSimulation,
};
use scgpt_tasks::Error;
use serde_json::json;

use crate::{
    cells_output::OutputArgs,
    output::{Printer, beside, check_cells_output},
    progress::Bar,
};

/// Simulate cells of known types and batches, or with perturbed genes
///
/// Counts are negative-binomial, with a marker programme per cell type and multiplicative batch
/// effects, so the truth is known: obs/cell_type and obs/batch. With --tissues, types are of several tissues, in which
/// genes vary in --programmes. With --modalities, the same cells also
/// as proteins and open chromatin, in one .h5mu file or, told apart by var/feature_types, in .h5ad;
/// with --mosaic, each batch has some of the modalities, and what was not measured is kept beside the
/// output as truth. With --perturb, cells of a sparse signed gene network in its steady state (the
/// S-systems of Savageau 1969), in which genes are knocked down or over-expressed: obs/condition,
/// obs/interacts for pairs that do more than the sum, and the network as a table beside the output.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  scgpt simulate -o cells.h5ad --cells 5000 --types 6 --batches 3\n  \
    scgpt simulate -o tissues.h5ad --cells 20000 --types 12 --tissues 3 --programmes 8\n  \
    scgpt simulate -o cells.h5ad --vocab scGPT_human/vocab.json     with gene symbols a model knows\n  \
    scgpt simulate -o mosaic.h5mu --batches 4 --modalities rna,protein,atac --mosaic\n  \
    scgpt simulate -o screen.h5ad --cells 20000 --perturb 80 --doubles 60 --synergy 0.5"
)]
#[command(mut_arg("output", |output| output.help(
    "File to write: .h5ad, .h5mu for modalities, or .zarr for a folder"
)))]
pub(crate) struct SimulateArgs {
    #[command(flatten)]
    output: OutputArgs,
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
    /// Number of tissues: every type is of one, obs/tissue
    #[arg(long, value_name = "N", conflicts_with_all = ["modalities", "perturb"])]
    tissues: Option<usize>,
    /// Number of programmes, sets of genes that vary together, of each tissue alone, and of all tissues
    #[arg(long, value_name = "N", default_value_t = 0, requires = "tissues")]
    programmes: usize,
    /// Modalities to measure: rna, protein, atac
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "perturb")]
    modalities: Vec<Modality>,
    /// Measure all modalities in the first batch only, and all but one in each further batch
    #[arg(long, requires = "modalities")]
    mosaic: bool,
    /// Number of proteins
    #[arg(long, value_name = "N", default_value_t = 50, requires = "modalities")]
    proteins: usize,
    /// Number of peaks of open chromatin
    #[arg(long, value_name = "N", default_value_t = 5000, requires = "modalities")]
    peaks: usize,
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
}

/// The modalities that can be simulated; the library's options have numbers of features instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Modality {
    Rna,
    Protein,
    Atac,
}

pub(crate) fn run(args: &SimulateArgs, printer: Printer) -> Result<()> {
    if is_mudata(&args.output.path) && !args.modalities.is_empty() {
        check_output(&args.output.path, args.output.existing())?;
    } else {
        check_cells_output(&args.output.path, args.vocab.as_deref(), args.output.existing())?;
    }
    let symbols = args
        .vocab
        .as_ref()
        .map(GeneVocab::from_json)
        .transpose()?
        .map(|vocab| symbols(&vocab, args.genes));
    match args.perturb {
        Some(singles) => perturbed(args, singles, symbols, printer),
        None if !args.modalities.is_empty() => multimodal(args, symbols, printer),
        None => typed(args, symbols, printer),
    }
}

fn options(args: &SimulateArgs) -> SimulateOptions {
    let mut options = SimulateOptions::new(args.cells, args.genes);
    options.types = args.types;
    options.batches = args.batches;
    options.seed = args.seed;
    options
}

/// Writes cells of types and batches.
fn typed(args: &SimulateArgs, symbols: Option<Vec<String>>, printer: Printer) -> Result<()> {
    if let Some(tissues) = args.tissues {
        let mut options = TissueSimulateOptions::new(options(args), tissues);
        options.programmes = args.programmes;
        write(&mut TissueSimulation::new(&options, symbols)?, &args.output.path, args, printer)?;
    } else {
        write(&mut Simulation::new(&options(args), symbols)?, &args.output.path, args, printer)?;
    }
    let output = args.output.path.display().to_string();
    let tissues = args.tissues.map_or_else(String::new, |n| {
        format!(" of {n} tissues with {} programmes each and {0} shared", args.programmes)
    });
    printer.written(
        &json!({
            "cells": args.cells, "genes": args.genes, "types": args.types, "batches": args.batches,
            "tissues": args.tissues, "programmes": args.programmes, "output": output,
        }),
        &[
            (
                "cells",
                format!(
                    "{} of {} types in {} {}{tissues}",
                    args.cells,
                    args.types,
                    args.batches,
                    if args.batches == 1 { "batch" } else { "batches" }
                ),
            ),
            ("genes", args.genes.to_string()),
            ("output", output.clone()),
        ],
    )
}

/// Writes the same cells in several modalities, and beside them what was not measured.
fn multimodal(args: &SimulateArgs, symbols: Option<Vec<String>>, printer: Printer) -> Result<()> {
    let has = |modality| args.modalities.contains(&modality);
    let mut options = MultimodalSimulateOptions::new(options(args));
    if has(Modality::Protein) {
        options.proteins = args.proteins;
    }
    if has(Modality::Atac) {
        options.peaks = args.peaks;
    }
    options.rna = has(Modality::Rna);
    options.mosaic = args.mosaic;
    let truth = args.mosaic.then(|| beside(&args.output.path, "truth.h5ad"));
    if let Some(truth) = &truth {
        check_output(truth, args.output.existing())?;
    }
    let simulation = MultimodalSimulation::new(&options, symbols)?;
    if is_mudata(&args.output.path) {
        write_mudata(&simulation, args, printer)?;
    } else {
        write(&mut simulation.cells()?, &args.output.path, args, printer)?;
    }
    if let Some(truth) = &truth {
        write(&mut simulation.complete_cells()?, truth, args, printer)?;
    }
    let name = |path: &PathBuf| path.display().to_string();
    let (output, truth) = (name(&args.output.path), truth.as_ref().map(name));
    let mut rows = vec![
        ("cells", format!("{} of {} types in {} batches", args.cells, args.types, args.batches)),
        ("modalities", simulation.modalities().join(", ")),
        ("output", output.clone()),
    ];
    rows.extend(
        truth.clone().map(|truth| ("truth", format!("{truth}, all modalities of all cells"))),
    );
    printer.written(
        &json!({
            "cells": args.cells, "types": args.types, "batches": args.batches,
            "modalities": simulation.modalities(), "mosaic": args.mosaic, "output": output, "truth": truth,
        }),
        &rows,
    )
}

fn write_mudata(
    simulation: &MultimodalSimulation,
    args: &SimulateArgs,
    printer: Printer,
) -> Result<()> {
    let names = simulation.modalities();
    let mut sources = (0..names.len())
        .map(|number| simulation.modality(number))
        .collect::<Result<Vec<_>, _>>()?;
    let mut cells = sources
        .iter_mut()
        .enumerate()
        .map(|(number, source)| Ok(CellSubset::new(source, simulation.measured(number)?)))
        .collect::<Result<Vec<_>>>()?;
    let bar = Bar::new(printer);
    bar.begin("simulating", cells.iter().map(|cells| cells.summary().n_cells).sum());
    let mut watched: Vec<Watched<'_>> =
        cells.iter_mut().map(|source| Watched { source, observer: &bar }).collect();
    let keys: Vec<&str> = names.iter().map(|name| mudata_key(name)).collect();
    let mut modalities: Vec<(&str, &mut dyn CellSource)> = keys
        .into_iter()
        .zip(watched.iter_mut().map(|source| source as &mut dyn CellSource))
        .collect();
    let obs = simulation.obs()?;
    Ok(export_mudata(&obs, &mut modalities, &args.output.path, args.output.existing())
        .map_err(Error::from)?)
}

fn is_mudata(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "h5mu")
}

/// The name of a modality in muon.
fn mudata_key(modality: &str) -> &str {
    match modality {
        RNA => "rna",
        PROTEIN => "prot",
        ATAC => "atac",
        other => other,
    }
}

/// Writes cells with perturbed genes, and beside them the network.
fn perturbed(
    args: &SimulateArgs,
    singles: usize,
    symbols: Option<Vec<String>>,
    printer: Printer,
) -> Result<()> {
    let network = beside(&args.output.path, "network.csv");
    check_output(&network, args.output.existing())?;
    let mut options = PerturbSimulateOptions::new(args.cells, args.genes, singles);
    options.doubles = args.doubles;
    options.synergy = args.synergy;
    if args.over_express {
        options.direction = Direction::OverExpression;
    }
    options.seed = args.seed;
    let mut simulation = PerturbSimulation::new(&options, symbols)?;
    write(&mut simulation, &args.output.path, args, printer)?;
    let edges = simulation.network();
    edges.write(&network, args.output.existing())?;
    let (output, network) = (args.output.path.display().to_string(), network.display().to_string());
    printer.written(
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

fn write(
    source: &mut dyn CellSource,
    output: &Path,
    args: &SimulateArgs,
    printer: Printer,
) -> Result<()> {
    let bar = Bar::new(printer);
    bar.begin("simulating", args.cells);
    let mut source = Watched { source, observer: &bar };
    let additions = Additions::default();
    Ok(export(&mut source, &Layer::X, output, &additions, args.output.existing())
        .map_err(Error::from)?)
}

/// Gene names of the vocabulary, spread over it; special tokens and Ensembl ids are left out.
fn symbols(vocab: &GeneVocab, n: usize) -> Vec<String> {
    let names: Vec<&str> =
        vocab.names().filter(|name| !name.starts_with('<') && !name.starts_with("ENSG")).collect();
    (0..n.min(names.len()))
        .map(|index| names[index * names.len() / n.min(names.len())].to_owned())
        .collect()
}
