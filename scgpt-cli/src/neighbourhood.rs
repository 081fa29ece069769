//! [`NeighbourhoodArgs`]: clusters and a map of the cells whose embedding a command writes.

use std::path::Path;

use anyhow::Result;
use clap::Args;
use scgpt_data::{Additions, CellSource, Column, RowSpool};
use scgpt_eval::{Neighbourhood, NeighbourhoodOptions, added_colours};
use serde::Serialize;
use serde_json::Value;

use crate::{output::is_table, progress::Bar};

/// Options of every command that writes an embedding of cells.
#[derive(Clone, Copy, Debug, Args, Serialize)]
pub(crate) struct NeighbourhoodArgs {
    /// Write a UMAP of the embedding, too, and the neighbours of each cell: obsm/X_umap, obsp, uns/neighbors
    #[arg(long)]
    umap: bool,
    /// Write Leiden clusters of the embedding, too: obs/leiden; the higher the resolution, the more, 1 if none is
    /// given
    #[arg(
        long,
        value_name = "RESOLUTION",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1",
        env = "SCGPT_LEIDEN"
    )]
    leiden: Option<f64>,
}

impl NeighbourhoodArgs {
    /// The name of an option that was given: what it makes is of all cells.
    pub(crate) fn option(self) -> Option<&'static str> {
        let leiden = self.leiden.is_some().then_some("--leiden");
        self.umap.then_some("--umap").or(leiden)
    }

    /// Columns of obs that are added.
    pub(crate) fn columns(self) -> &'static [&'static str] {
        if self.leiden.is_some() { &[Neighbourhood::COLUMN] } else { &[] }
    }

    /// What was asked for of the cells with the rows of an embedding, if anything was.
    pub(crate) fn find(self, rows: &RowSpool, seed: u64, bar: &Bar) -> Result<Found> {
        if !self.umap && self.leiden.is_none() {
            return Ok(Found(None));
        }
        let mut options = NeighbourhoodOptions::default();
        (options.umap, options.resolution, options.seed) = (self.umap, self.leiden, seed);
        let found = Neighbourhood::new(&rows_of(rows)?, rows.n_columns(), options, bar)?;
        bar.finish();
        Ok(Found(Some(found)))
    }
}

/// What was found of the cells, if anything was asked for.
#[derive(Debug)]
pub(crate) struct Found(Option<Neighbourhood>);

impl Found {
    /// What a page is to show.
    pub(crate) fn shown(&self) -> Option<&Neighbourhood> {
        self.0.as_ref()
    }

    /// Columns of obs that are added.
    pub(crate) fn columns(&self) -> Vec<(String, Column)> {
        self.0.iter().filter_map(Neighbourhood::column).collect()
    }

    /// Adds it to what is written of the cells to `output`; `name` is the embedding in obsm. Returns the row of the summary, if there
    /// is one.
    pub(crate) fn add_to(
        &self,
        additions: &mut Additions,
        name: &str,
        source: &dyn CellSource,
        output: &Path,
    ) -> Result<Option<(&'static str, String)>> {
        let Some(found) = &self.0 else { return Ok(None) };
        found.add_to(additions, name)?;
        additions.uns.extend(colours(found, source)?);
        Ok(Some(("neighbours", line(found, output))))
    }
}

/// The colours of clusters, for `uns`.
pub(crate) fn colours(
    found: &Neighbourhood,
    source: &dyn CellSource,
) -> Result<Vec<(String, Value)>> {
    let column: Vec<_> = found.column().into_iter().collect();
    Ok(added_colours(source, &column, &[])?)
}

/// All rows of a spool.
fn rows_of(spool: &RowSpool) -> Result<Vec<f32>> {
    let mut rows = Vec::new();
    spool.read_rows(0, spool.n_rows(), &mut rows)?;
    Ok(rows)
}

/// What was found and is written to `output`, for a summary.
pub(crate) fn line(found: &Neighbourhood, output: &Path) -> String {
    let clusters =
        found.n_clusters().map_or_else(String::new, |clusters| format!("{clusters} clusters; "));
    format!("{clusters}{}", slots(found, output).join(", "))
}

/// Names of what is written to `output`: a table has no matrices of cells against cells.
pub(crate) fn slots(found: &Neighbourhood, output: &Path) -> Vec<String> {
    let mut slots = found.slots();
    slots.retain(|slot| !is_table(output) || !slot.starts_with("obsp"));
    slots
}
