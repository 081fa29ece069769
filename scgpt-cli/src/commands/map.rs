//! `scgpt map`: one file per subcommand.

mod index;
mod query;

use std::path::Path;

use anyhow::Result;
use burn::prelude::Device;
use clap::{Args, Subcommand};
use scgpt_data::{CellSource, GeneNames, Layer, RowSpool, TieMode};
use scgpt_model::{InferencePrecision, Strictness};
use scgpt_tasks::{
    Error,
    embed::{EmbedOptions, EmbedReport, Embedder, Embedding},
    map::MadeBy,
};

use crate::{
    gene_remarks, output::Printer, precision::PrecisionArgs, progress::Bar, warnings::Warnings,
};

/// Map cells to a labelled reference: each cell takes the label of its neighbours
#[derive(Debug, Args)]
pub(crate) struct MapArgs {
    #[command(subcommand)]
    command: MapCommand,
}

#[derive(Debug, Subcommand)]
enum MapCommand {
    // What a command says of itself is with its arguments.
    Index(index::IndexArgs),
    Query(query::QueryArgs),
}

pub(crate) fn run(args: MapArgs, printer: Printer) -> Result<()> {
    match args.command {
        MapCommand::Index(args) => index::run(&args, printer),
        MapCommand::Query(args) => query::run(&args, printer),
    }
}

/// Embeddings of unit length, by a model or from `obsm`, and what made them.
struct EmbeddedCells {
    rows: RowSpool,
    made_by: MadeBy,
    /// Cells that express no known gene, ascending: nothing can be said of them.
    empty: Vec<usize>,
    /// What happened while the cells were embedded, if a model embedded them.
    report: Option<EmbedReport>,
}

/// How cells are read for embedding.
#[derive(Clone)]
struct Reading<'a> {
    layer: &'a Layer,
    gene_names: GeneNames,
    batch_size: usize,
    precision: InferencePrecision,
    temporary: Option<&'a Path>,
    /// Number of genes of the model that the reference cells had, with which these cells are to be
    /// compared.
    reference: Option<usize>,
}

/// How cells become tokens, as those of the index did.
#[derive(Clone, Copy)]
struct Choices {
    /// Most tokens a cell; `None` takes the model's own number.
    max_length: Option<usize>,
    tie_mode: TieMode,
    seed: u64,
}

/// A model in a folder, and the SHA-256 of its weights, by which it is known again.
struct HashedModel<'a> {
    embedder: Embedder,
    folder: &'a Path,
    sha256: String,
}

impl<'a> HashedModel<'a> {
    fn open(folder: &'a Path, device: &Device) -> Result<Self> {
        let embedder = Embedder::open(folder, device, Strictness::Strict)?;
        let lacking = || Error::Artefact {
            path: folder.into(),
            problem: "its weights have no hash to be known by again".into(),
        };
        let sha256 = embedder.hash().ok_or_else(lacking)?.to_owned();
        Ok(Self { embedder, folder, sha256 })
    }
}

/// Embeds the cells of `source` with a model.
fn by_model(
    source: &mut dyn CellSource,
    HashedModel { embedder, folder, sha256 }: HashedModel<'_>,
    choices: Choices,
    reading: &Reading<'_>,
    bar: &Bar,
) -> Result<EmbeddedCells> {
    let Choices { max_length, tie_mode, seed } = choices;
    let mut options = EmbedOptions::default();
    options.batch_size = reading.batch_size;
    options.max_length = max_length;
    options.tie_mode = tie_mode;
    options.seed = seed;
    options.gene_names = reading.gene_names.clone();
    options.layer = reading.layer.clone();
    options.temporary = reading.temporary.map(Path::to_path_buf);
    let embedder = embedder.with_precision(reading.precision);
    let embedding = embedder.embed_beside(source, &options, reading.reference, bar)?;
    let EmbedReport { max_length, precision, .. } = embedding.report;
    let path = folder.canonicalize().unwrap_or_else(|_| folder.into());
    let made_by = MadeBy::Model { path, sha256, max_length, tie_mode, seed, precision };
    let Embedding { rows, empty, report } = embedding;
    Ok(EmbeddedCells { rows, made_by, empty, report: Some(report) })
}

impl EmbeddedCells {
    /// Number of genes of the model that the cells have.
    fn genes(&self) -> Option<usize> {
        self.report.as_ref().map(|report| report.known_genes.matched)
    }

    /// Tells what there is to tell of the genes, of cells without any, and of the numbers that they
    /// were computed in, beside cells of an index that were `made_by` something.
    fn remark(
        &self,
        printer: Printer,
        warnings: &mut Warnings,
        (precision, made_by): (PrecisionArgs, &MadeBy),
        of_empty: &str,
    ) {
        if let Some(report) = &self.report {
            precision.remark_on(report.precision, warnings);
            if let MadeBy::Model { precision: of_index, .. } = made_by
                && *of_index != report.precision
            {
                warnings.tell(format!(
                    "the cells of the index were computed with precision {of_index}, these with {}: \
                     distances are a little larger for it",
                    report.precision
                ));
            }
            gene_remarks::remark_on(report, warnings, printer);
            warnings.without_genes(self.empty.len(), of_empty);
        } else {
            warnings.without_rows(self.empty.len(), of_empty);
        }
    }
}

/// Cells whose embeddings are read at a time.
const BLOCK: usize = 4096;

/// Takes embeddings from `obsm`, scaled to length 1.
fn from_obsm(
    source: &mut dyn CellSource,
    name: &str,
    temporary: Option<&Path>,
) -> Result<EmbeddedCells> {
    let n = source.summary().n_cells;
    let mut spool: Option<RowSpool> = None;
    let mut empty = Vec::new();
    for first in (0..n).step_by(BLOCK) {
        let (rows, width) = source.read_obsm(name, first..n.min(first + BLOCK))?;
        let unit = scgpt_stats::unit_rows(&rows, width);
        let is_zero = |row: &[f32]| row.iter().all(|&x| x == 0.0);
        let cells = rows.chunks_exact(width.max(1)).zip(first..);
        empty.extend(cells.filter(|(row, _)| is_zero(row)).map(|(_, cell)| cell));
        let spool = match &mut spool {
            Some(spool) => spool,
            None => spool.insert(RowSpool::new_in(temporary, width)?),
        };
        spool.push(&unit)?;
    }
    let rows = spool.ok_or_else(|| scgpt_data::Error::Option("there are no cells".into()))?;
    Ok(EmbeddedCells { rows, made_by: MadeBy::Obsm(name.into()), empty, report: None })
}
