//! `scgpt cells`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use scgpt_data::{Additions, CellSource, EmptyCells, GeneNames, Layer, RowSpool};
use scgpt_eval::{
    Neighbourhood, NeighbourhoodOptions,
    baseline::{BaselineOptions, hvg_pca},
};
use serde::Serialize;
use serde_json::json;

use crate::{
    cell_page::{CellPageArgs, MadePage},
    cells_output::{OR_TABLE, OutputArgs},
    choice::ChoiceArgs,
    effective::write_effective,
    neighbourhood,
    output::Printer,
    progress::Bar,
    warnings::Warnings,
};

/// Names of the embeddings that are taken if none is named, the first that is there.
const EMBEDDINGS: [&str; 8] = [
    "X_scGPT",
    "X_scgpt_pca",
    "X_scVI",
    "X_harmony",
    "X_pca_harmony",
    "X_combat",
    "X_pca",
    "X_lsi",
];
/// What names of maps, places and what was told of cells begin with: no cells are compared by these unasked.
const NO_EMBEDDINGS: [&str; 5] = ["X_umap", "X_tsne", "X_draw_graph", "spatial", "scgpt_"];
/// Cells whose embeddings are read at a time.
const BLOCK: usize = 4096;

/// Find neighbours, a UMAP and clusters of cells
///
/// Compares cells by an embedding in obsm, by default that of `scgpt embed`, and by principal components of variable
/// genes where there is none. The output is a copy of the file with what scanpy looks for: obsp/distances and
/// obsp/connectivities, uns/neighbors, obsm/X_umap, and Leiden clusters in obs/leiden. With a name in .csv, .tsv or
/// .parquet it is a table of map and clusters. All cells are compared with all: a hundred thousand take minutes.
#[derive(Debug, Args, Serialize)]
#[command(after_help = "Examples:\n  \
    scgpt cells embedded.h5ad -o clustered.h5ad\n  \
    scgpt cells pbmc.h5ad --embedding X_pca --resolution 0.5 -o clusters.csv\n  \
    scgpt embed pbmc.h5ad --model scGPT_human --umap --leiden -o all_at_once.h5ad")]
#[command(mut_arg("output", |output| output.help(OR_TABLE)))]
pub(crate) struct CellsArgs {
    /// File or folder of cells
    #[serde(skip)]
    input: PathBuf,
    #[command(flatten)]
    #[serde(skip)]
    output: OutputArgs,
    /// Name of the embedding in obsm [default: X_scGPT, else X_scgpt_pca, X_harmony, X_pca or another usual one, else
    /// the only one, else principal components are computed]
    #[arg(long, value_name = "NAME", env = "SCGPT_EMBEDDING")]
    embedding: Option<String>,
    /// Cells of a neighbourhood, the cell itself included
    #[arg(long, value_name = "N", default_value_t = 15, env = "SCGPT_NEIGHBOURS")]
    neighbours: usize,
    /// Resolution of clusters: the higher, the more and the smaller
    #[arg(
        long,
        alias = "leiden",
        value_name = "R",
        default_value_t = 1.0,
        env = "SCGPT_RESOLUTION"
    )]
    resolution: f64,
    /// Make no UMAP
    #[arg(long)]
    no_umap: bool,
    /// Seed of every random choice
    #[arg(long, value_name = "N", default_value_t = 0, env = "SCGPT_SEED")]
    seed: u64,
    /// Matrix that components are computed of: X, raw, or the name of a layer
    #[arg(long, value_name = "NAME", default_value = "X", env = "SCGPT_LAYER")]
    layer: String,
    #[command(flatten)]
    #[serde(flatten)]
    choice: ChoiceArgs,
    #[command(flatten)]
    #[serde(flatten)]
    page: CellPageArgs,
}

/// The cells by one embedding.
struct Embedded {
    name: String,
    rows: Vec<f32>,
    width: usize,
    /// Whether it was computed here, and is written, too.
    is_new: bool,
}

pub(crate) fn run(args: &CellsArgs, printer: Printer) -> Result<()> {
    let page_path = args.page.path(&args.output);
    args.output.check_or_table([args.input.as_path()], page_path.as_deref())?;
    let mut warnings = Warnings::new(printer);
    let mut source = args.choice.open(&args.input, &mut warnings)?;
    let bar = Bar::new(printer);
    let embedded = args.embedded(&mut source, &mut warnings, printer, &bar)?;
    let mut options = NeighbourhoodOptions::default();
    options.n_neighbours = args.neighbours;
    options.resolution = Some(args.resolution);
    (options.umap, options.seed) = (!args.no_umap, args.seed);
    let Embedded { name, rows, width, is_new } = embedded;
    let n_empty = rows.chunks(width.max(1)).filter(|row| row.iter().all(|&x| x == 0.0)).count();
    warnings.without_rows(n_empty, "they are alike for no reason");
    let found = Neighbourhood::new(&rows, width, options, &bar)?;
    bar.finish();
    let layer = Layer::from(args.layer.as_str());
    let added: Vec<_> = found.column().into_iter().collect();
    let choice = args.page.colors.choice(&added, &[], (&layer, &GeneNames::BEST));
    let page = |path| {
        let page = found.page(&mut source, &name, (&rows, width), &choice, &bar)?;
        anyhow::Ok(MadePage::new(path, page, &warnings))
    };
    let page = page_path.map(page).transpose()?;
    let mut additions = Additions::default();
    if is_new {
        let mut spool = RowSpool::new(width)?;
        spool.push(&rows)?;
        additions.obsm.push((name.clone(), spool));
    }
    found.add_to(&mut additions, &name)?;
    additions.uns.extend(neighbourhood::colours(&found, &source)?);
    let copy = args.output.copy_of(&args.input, &layer);
    let skipped = copy.write(&mut source, additions, &bar, printer)?;
    write_effective(&args.output.path, "cells", args)?;
    let record = json!({
        "cells": rows.len() / width.max(1),
        "embedding": name,
        "clusters": found.n_clusters(),
        "slots": neighbourhood::slots(&found, &args.output.path),
        "not_carried_over": skipped,
        "output": args.output.path,
    });
    let mut summary = vec![
        ("cells", (rows.len() / width.max(1)).to_string()),
        ("compared by", format!("{name}, {width} wide")),
        ("neighbours", neighbourhood::line(&found, &args.output.path)),
        ("output", args.output.path.display().to_string()),
    ];
    summary.extend(page.map(MadePage::write).transpose()?);
    printer.written(&warnings.beside(&record), &summary)
}

/// The embedding that is meant where none was named: one of a usual name, else the only one; `None` if there is nothing
/// but maps and what was told of the cells.
///
/// # Errors
/// The names of several that might be meant.
fn usual(there: &[String]) -> Result<Option<&str>, Vec<&str>> {
    let known = EMBEDDINGS.into_iter().find(|name| there.iter().any(|other| other == name));
    if let Some(name) = known {
        return Ok(Some(name));
    }
    let is_other = |name: &&str| NO_EMBEDDINGS.iter().any(|other| name.starts_with(other));
    let rest: Vec<&str> = there.iter().map(String::as_str).filter(|name| !is_other(name)).collect();
    match rest[..] {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        _ => Err(rest),
    }
}

impl CellsArgs {
    /// The embedding that cells are compared by.
    fn embedded(
        &self,
        source: &mut dyn CellSource,
        warnings: &mut Warnings,
        printer: Printer,
        bar: &Bar,
    ) -> Result<Embedded> {
        let there: Vec<String> = source.summary().obsm().map(str::to_owned).collect();
        let chosen = match &self.embedding {
            Some(name) => name.clone(),
            None => match usual(&there) {
                Ok(Some(name)) => {
                    let others: Vec<&str> =
                        there.iter().map(String::as_str).filter(|other| *other != name).collect();
                    if !others.is_empty() {
                        printer.remark(&format!(
                            "note: cells are compared by obsm/{name}; --embedding takes another ({})",
                            others.join(", ")
                        ));
                    }
                    name.to_owned()
                }
                Ok(None) => return self.components(source, warnings, printer, bar),
                Err(many) => bail!(
                    "`{}` has several embeddings, and none has a usual name such as X_scGPT or X_pca: name one by \
                     --embedding ({})",
                    self.input.display(),
                    many.join(", ")
                ),
            },
        };
        let n = source.summary().n_cells;
        let (mut rows, mut width) = (Vec::new(), 0);
        for first in (0..n).step_by(BLOCK) {
            let (block, columns) = source.read_obsm(&chosen, first..n.min(first + BLOCK))?;
            rows.extend(block);
            width = columns;
        }
        if let Some(at) = rows.iter().position(|value| !value.is_finite()) {
            let cell = &source.obs()?.index[at / width];
            bail!(
                "`{}`: obsm/{chosen} of cell `{cell}` has a value that is no number",
                self.input.display()
            );
        }
        Ok(Embedded { name: chosen, rows, width, is_new: false })
    }

    /// Principal components of variable genes.
    fn components(
        &self,
        source: &mut dyn CellSource,
        warnings: &mut Warnings,
        printer: Printer,
        bar: &Bar,
    ) -> Result<Embedded> {
        let mut options = BaselineOptions::default();
        options.layer = Layer::from(self.layer.as_str());
        let mut empty = EmptyCells::default();
        let found = hvg_pca(&mut empty.among(source, &options.layer), &options, bar)?;
        bar.finish();
        warnings.without_counts(empty.len(), "their neighbours and clusters mean nothing");
        printer.remark(&format!(
            "note: there is no embedding in obsm: cells are compared by {} principal components of {} variable genes, \
             which are written to obsm/X_pca",
            found.n_components,
            found.genes.len()
        ));
        let (rows, width) = (found.rows, found.n_components);
        Ok(Embedded { name: "X_pca".into(), rows, width, is_new: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedding_that_is_meant_is_found_among_maps_and_answers() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let told = names(&["X_pca", "X_scgpt_pca", "X_umap", "scgpt_probabilities"]);
        assert_eq!(usual(&told), Ok(Some("X_scgpt_pca")));
        assert_eq!(usual(&names(&["X_umap", "X_own", "spatial"])), Ok(Some("X_own")));
        assert_eq!(usual(&names(&["X_umap"])), Ok(None));
        assert_eq!(usual(&names(&["a", "b"])), Err(vec!["a", "b"]));
    }
}
