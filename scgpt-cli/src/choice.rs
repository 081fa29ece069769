//! [`ChoiceArgs`]: which cells of its inputs a command reads.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use scgpt_data::{CellQuery, CellSource, ChosenCells, Error, JoinedTable, MultimodalCells, Source};
use scgpt_tasks::instead_of_cells;
use serde::Serialize;

use crate::warnings::Warnings;

/// Options of every command that reads cells.
#[derive(Clone, Debug, Args, Serialize)]
pub(crate) struct ChoiceArgs {
    /// Read the cells for which this is true of their columns of obs and no others, in SQL, such as
    /// "tissue = 'blood' AND n_genes > 500"
    #[arg(id = "where", long = "where", value_name = "CONDITION", env = "SCGPT_WHERE")]
    #[serde(rename = "where")]
    query: Option<CellQuery>,
    /// Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells
    #[arg(long, value_name = "FILE", env = "SCGPT_OBS_FROM")]
    obs_from: Option<PathBuf>,
}

impl ChoiceArgs {
    /// The choice of which a part of the cells remembers the condition and the table.
    pub(crate) fn remembered(condition: Option<&str>, obs_from: Option<&Path>) -> Result<Self> {
        let query = condition.map(str::parse).transpose()?;
        Ok(Self { query, obs_from: obs_from.map(Path::to_owned) })
    }

    /// The table whose columns join `obs`.
    pub(crate) fn table(&self) -> Option<&Path> {
        self.obs_from.as_deref()
    }

    /// The cells of an input that are to be read.
    pub(crate) fn open(&self, input: &Path, warnings: &mut Warnings) -> Result<Source> {
        let source = Source::open(input).map_err(|error| instead(input, error))?;
        self.of(source, warnings)
    }

    /// As [`open`](Self::open), for a source that is open.
    pub(crate) fn of(&self, source: Source, warnings: &mut Warnings) -> Result<Source> {
        let (source, joined) = self.annotated(source)?;
        warnings.joined(joined.as_ref());
        Ok(match self.some(&source, warnings)? {
            Some(chosen) => source.only(chosen),
            None => source,
        })
    }

    /// A source with the columns of the table, if there is one.
    pub(crate) fn annotated(
        &self,
        source: Source,
    ) -> scgpt_data::Result<(Source, Option<JoinedTable>)> {
        Ok(match &self.obs_from {
            Some(table) => {
                let (source, joined) = source.annotated(table)?;
                (source, Some(joined))
            }
            None => (source, None),
        })
    }

    /// As [`of`](Self::of), for cells of several modalities.
    pub(crate) fn of_several(
        &self,
        mut cells: MultimodalCells,
        warnings: &mut Warnings,
    ) -> Result<MultimodalCells> {
        if let Some(table) = &self.obs_from {
            warnings.joined(Some(&cells.annotate(table)?));
        }
        Ok(match self.some(&cells, warnings)? {
            Some(chosen) => cells.only(chosen),
            None => cells,
        })
    }

    /// Which cells are chosen, if there is a condition; there may be none.
    pub(crate) fn choose(&self, source: &dyn CellSource) -> Result<Option<ChosenCells>> {
        Ok(self.query.as_ref().map(|query| query.choose(source)).transpose()?)
    }

    /// As [`choose`](Self::choose); says how many there are, and takes none for a mistake.
    fn some(
        &self,
        source: &dyn CellSource,
        warnings: &mut Warnings,
    ) -> Result<Option<ChosenCells>> {
        let path = &source.summary().path;
        let chosen = self.choose(source)?.map(|chosen| chosen.some_of(path)).transpose()?;
        if let Some(chosen) = &chosen {
            warnings.chosen(path, chosen);
        }
        Ok(chosen)
    }

    /// The name of an option that was given.
    pub(crate) fn option(&self) -> Option<&'static str> {
        let of = |is_given: bool, option| is_given.then_some(option);
        of(self.query.is_some(), "--where").or(of(self.obs_from.is_some(), "--obs-from"))
    }
}

/// The error for an input that is no cells: if it is a model or the like, it says so.
pub(crate) fn instead(input: &Path, error: Error) -> Error {
    match instead_of_cells(input) {
        Some(kind) => Error::unsuited(
            format!("`{}` is {kind}, expected cells", input.display()),
            "name the file or folder of the cells here, and the model by its option; perhaps both are swapped",
        ),
        None => error,
    }
}
