//! [`IndexManifest`]: what an index holds and what made it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use scgpt_data::{Advice, Setting, TieMode, write_file};
use scgpt_model::InferencePrecision;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    folder_kind::{FolderKind, INDEX},
};

/// The version of the format that is written, and alone is read.
const FORMAT: u32 = 1;

/// The parts of an index, and where its cells came from. It is written last and replaced by
/// renaming: what the other files hold beyond what it counts does not exist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IndexManifest {
    /// Version of the format.
    pub format: u32,
    /// Version of the program that wrote it.
    pub version: String,
    /// Width of the embeddings.
    pub width: usize,
    /// Number of reference cells.
    pub n_cells: usize,
    /// How neighbours are found.
    pub search: Search,
    /// What made the embeddings.
    pub made_by: MadeBy,
    /// Columns of labels.
    pub labels: Vec<IndexLabels>,
    /// Files from which the cells came, and the number of cells of each.
    pub sources: Vec<(String, usize)>,
    /// For a sample of the reference cells, their mean distances to their neighbours, ascending.
    pub strangeness: Vec<f32>,
    /// Files of embeddings, one for each time that cells were added.
    pub segments: Vec<Segment>,
    /// Number of lists of an approximate index; 0 for an exact one.
    pub n_lists: usize,
    /// Number of genes of the model that the cells had, in the file with most of them; `None` if no
    /// model embedded the cells, or genes were not counted.
    #[serde(default)]
    pub genes: Option<usize>,
    /// The colour of labels, as `#rrggbb`, by their names: those of the cells that brought them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub colours: BTreeMap<String, String>,
}

/// A file of embeddings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Segment {
    /// Its name.
    pub file: String,
    /// Number of cells in it.
    pub n_cells: usize,
    /// Its length in bytes.
    pub n_bytes: u64,
}

/// How neighbours are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Search {
    /// By comparing with all cells: right, and fast enough for a few hundred thousand.
    #[default]
    Exact,
    /// In the nearest lists only, with vectors of one byte a number: for atlases.
    Approximate,
}

/// What made the embeddings. Distances between two embeddings mean something only if the same model
/// with the same settings, or the same other tool, made both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MadeBy {
    /// A model of scGPT.
    Model {
        /// Path of its folder when the index was made.
        path: PathBuf,
        /// SHA-256 of its weights.
        sha256: String,
        /// Most tokens per cell that were used.
        max_length: usize,
        /// What happens to values on a bin edge.
        tie_mode: TieMode,
        /// Seed of the choice of genes.
        seed: u64,
        /// In which numbers the first cells were computed.
        #[serde(default)]
        precision: InferencePrecision,
    },
    /// Something else, which wrote them into this matrix of `obsm`.
    Obsm(String),
}

/// A column of labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IndexLabels {
    /// Its name in `obs`.
    pub column: String,
    /// The labels; cells hold positions in this list.
    pub names: Vec<String>,
    /// Number of cells with each label.
    pub counts: Vec<u64>,
}

impl IndexManifest {
    /// A manifest of this version, without cells yet.
    pub(super) fn new(width: usize, search: Search, made_by: MadeBy) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            width,
            n_cells: 0,
            search,
            made_by,
            labels: Vec::new(),
            sources: Vec::new(),
            strangeness: Vec::new(),
            segments: Vec::new(),
            n_lists: 0,
            genes: None,
            colours: BTreeMap::new(),
        }
    }

    /// Reads the manifest of an index; what it says is not checked yet.
    ///
    /// # Errors
    /// If the folder is something else, which the message names, or the manifest is of another
    /// format or is none.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        /// Read first: a manifest of another format need not have the same fields.
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            version: String,
        }
        let path = folder.join(INDEX);
        let text = read_file(&path).map_err(|error| {
            if let Some(error) = FolderKind::Index.instead(folder) {
                return error;
            }
            let no_index = folder.is_dir() && !path.exists();
            let problem = if no_index {
                "no such file: the folder is no index of `scgpt map index`".into()
            } else {
                error.to_string()
            };
            invalid(&path, problem)
        })?;
        let broken = |error: serde_json::Error| invalid(&path, error.to_string());
        let head: Head = serde_json::from_slice(&text).map_err(broken)?;
        if head.format != FORMAT {
            let Head { format, version } = head;
            return Err(Error::Incompatible {
                path,
                problem: format!(
                    "format {format} (written by scgpt {version}), but this version reads format {FORMAT}"
                ),
                remedy: format!("make the index anew, or use scgpt {version}").into(),
            });
        }
        serde_json::from_slice(&text).map_err(broken)
    }

    /// Checks that other embeddings were made in the same way: by the same weights, or from the
    /// same `obsm`. Distances between others would mean nothing.
    ///
    /// # Errors
    /// [`Error::Incompatible`] with a remedy.
    pub(super) fn check_made_by(&self, other: &MadeBy, folder: &Path) -> Result<()> {
        let (problem, remedy) = match (&self.made_by, other) {
            (MadeBy::Model { sha256: ours, path, .. }, MadeBy::Model { sha256, .. }) => {
                if ours == sha256 {
                    return Ok(());
                }
                let problem = format!(
                    "its cells were embedded by another model (weights {}…); neighbours of cells embedded by weights {}… would mean nothing",
                    &ours[..ours.len().min(12)],
                    &sha256[..sha256.len().min(12)]
                );
                let remedy = format!(
                    "name the model of the index, once at `{}`, or make an index with this one",
                    path.display()
                );
                (problem, remedy.into())
            }
            (MadeBy::Obsm(ours), MadeBy::Obsm(other)) if ours == other => return Ok(()),
            (MadeBy::Obsm(ours), _) => (
                format!("its embeddings are those of obsm/{ours}"),
                Advice::from("give ") + Setting("embedding") + format!(" {ours}"),
            ),
            (MadeBy::Model { path, .. }, MadeBy::Obsm(_)) => (
                format!("its cells were embedded by the model `{}`", path.display()),
                Advice::from("leave out ") + Setting("embedding"),
            ),
        };
        Err(Error::Incompatible { path: folder.into(), problem, remedy })
    }

    /// Writes the manifest, by renaming.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(INDEX);
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| invalid(&path, error.to_string()))?;
        Ok(write_file(&path, text)?)
    }
}

/// All bytes of a file, which may not be a pipe.
fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut scgpt_data::open_file(path)?, &mut bytes)?;
    Ok(bytes)
}

/// The error for a file of an index, with what is wrong with it.
pub(super) fn invalid(path: &Path, problem: String) -> Error {
    Error::Artefact { path: path.into(), problem }
}
