//! `scgpt map`: one file per subcommand.

mod index;
mod query;

use std::path::Path;

use anyhow::Result;
use burn::prelude::Device;
use clap::{Args, Subcommand};
use scgpt_data::{CellSource, Layer, RowSpool, TieMode};
use scgpt_model::Strictness;
use scgpt_tasks::{EmbedOptions, Embedder, Error, MadeBy};

use crate::{output::Printer, progress::Bar};

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
struct Embedded {
    rows: RowSpool,
    made_by: MadeBy,
}

/// How cells are read for embedding.
struct Reading<'a> {
    layer: &'a Layer,
    gene_column: Option<&'a str>,
    batch_size: usize,
    temporary: Option<&'a Path>,
}

/// Embeds the cells of `source` with the model in `folder`.
fn by_model(
    source: &mut dyn CellSource,
    folder: &Path,
    (max_length, tie_mode, seed): (Option<usize>, TieMode, u64),
    reading: &Reading<'_>,
    device: &Device,
    bar: &Bar,
) -> Result<Embedded> {
    let embedder = Embedder::open(folder, device, Strictness::Strict)?;
    let lacking = || Error::Artefact {
        path: folder.into(),
        problem: "its weights have no hash to be known by again".into(),
    };
    let sha256 = embedder.hash().ok_or_else(lacking)?.to_owned();
    let options = EmbedOptions {
        batch_size: reading.batch_size,
        max_length,
        tie_mode,
        seed,
        gene_column: reading.gene_column.map(str::to_owned),
        layer: reading.layer.clone(),
        temporary: reading.temporary.map(Path::to_path_buf),
        ..EmbedOptions::default()
    };
    let embedding = embedder.embed(source, &options, bar)?;
    let max_length = embedding.report.max_length;
    let path = folder.canonicalize().unwrap_or_else(|_| folder.into());
    let made_by = MadeBy::Model { path, sha256, max_length, tie_mode, seed };
    Ok(Embedded { rows: embedding.rows, made_by })
}

/// Cells whose embeddings are read at once.
const BLOCK: usize = 4096;

/// Takes embeddings from `obsm`, scaled to length 1.
fn from_obsm(
    source: &mut dyn CellSource,
    name: &str,
    temporary: Option<&Path>,
) -> Result<Embedded> {
    let n = source.summary().n_cells;
    let mut spool: Option<RowSpool> = None;
    for first in (0..n).step_by(BLOCK) {
        let (rows, width) = source.read_obsm(name, first..n.min(first + BLOCK))?;
        let unit = scgpt_tasks::unit_rows(&rows, width);
        let spool = match &mut spool {
            Some(spool) => spool,
            None => spool.insert(match temporary {
                Some(folder) => RowSpool::new_in(folder, width),
                None => RowSpool::new(width),
            }?),
        };
        spool.push(&unit)?;
    }
    let rows = spool.ok_or_else(|| Error::Option("there are no cells".into()))?;
    Ok(Embedded { rows, made_by: MadeBy::Obsm(name.into()) })
}
