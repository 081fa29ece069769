//! [`PartManifest`]: what the file of a part says of itself.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::merge::Merge;
use crate::{
    cell_source::CellSource, error::Result, frame::Frame, hex::hex, part_number::PartNumber,
    summary::Layer,
};

/// The cells that are divided, by what tells them from others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DividedCells {
    /// How many there are in all parts.
    pub n_cells: usize,
    /// SHA-256 of their names, in order.
    pub names: String,
    /// The condition by which they were chosen, if they were.
    #[serde(rename = "where")]
    pub condition: Option<String>,
    /// Numbers of genes and of stored values of the matrix that is read, of all cells of the file; `None` if none is.
    pub matrix: Option<(usize, u64)>,
}

impl DividedCells {
    /// The cells of `source`, of which `layer` is read.
    ///
    /// # Errors
    /// If their names cannot be read.
    pub fn of(source: &dyn CellSource, layer: &Layer) -> Result<Self> {
        let summary = source.summary();
        let matrix = summary.matrices.iter().find(|matrix| matrix.layer == *layer);
        Ok(Self {
            n_cells: summary.n_cells,
            names: Self::names_of(&source.obs()?),
            condition: summary.chosen.as_ref().map(|choice| choice.condition.clone()),
            matrix: matrix.map(|matrix| (matrix.n_genes, matrix.n_stored)),
        })
    }

    /// SHA-256 of the names of cells, in order.
    pub fn names_of(obs: &Frame) -> String {
        let mut hash = Sha256::new();
        for name in &obs.index {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
        }
        hex(&hash.finalize())
    }
}

/// What all parts of a run have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DividedRun {
    /// Version of the program.
    pub version: String,
    /// The command, such as `annotate predict`.
    pub command: String,
    /// SHA-256 by which the model, artefact or index is known.
    pub model: Option<String>,
    /// The options that numbers depend on.
    pub options: Value,
    /// The cells.
    pub cells: DividedCells,
}

/// What a command says of the cells of a part together, and how it becomes what is said of all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartRecord {
    /// Its name in `uns`.
    pub name: String,
    /// The record.
    pub record: Value,
    /// How fields of the records of parts become one; those without a rule have to be the same in all.
    pub merge: BTreeMap<String, Merge>,
}

/// What the file of a part says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartManifest {
    /// Which part it is.
    pub part: PartNumber,
    /// Number of its first cell among all that are divided.
    pub first: usize,
    /// How many cells it has: none, if there are more parts than cells.
    pub cells: usize,
    /// What all parts of the run have in common.
    pub run: DividedRun,
    /// What is said of its cells; `None` if there are none.
    pub record: Option<PartRecord>,
    /// What has to be known before the result is believed.
    pub warnings: Vec<String>,
    /// All options in force, for whoever repeats the run.
    pub settings: Value,
    /// A table whose columns joined `obs`.
    pub obs_from: Option<PathBuf>,
    /// The command line, with `I/N` for the part.
    pub line: String,
    /// What is in the rows; it is found when they are written.
    #[serde(default)]
    pub(super) content: PartContent,
}

/// The columns of a file, and a hash of what is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartContent {
    /// Name of the index of `obs`.
    pub(super) index: String,
    /// Columns of `obs`.
    pub(super) columns: Vec<PartColumn>,
    /// Names of matrices of `obsm`, and their widths.
    pub(super) matrices: Vec<(String, usize)>,
    /// SHA-256 of all rows.
    pub(super) sha256: String,
}

/// A column of `obs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartColumn {
    pub(super) name: String,
    /// Categories, and whether their order means something, of a categorical.
    pub(super) categories: Option<(Vec<String>, bool)>,
}

impl PartManifest {
    /// The manifest of a part of a run that has found nothing yet; `line` is the command line, with `I/N` for the part.
    pub fn new(part: PartNumber, run: DividedRun, line: String) -> Self {
        let rows = part.rows(run.cells.n_cells);
        Self {
            part,
            first: rows.start,
            cells: rows.len(),
            run,
            record: None,
            warnings: Vec::new(),
            settings: Value::Null,
            obs_from: None,
            line,
            content: PartContent::default(),
        }
    }
}
