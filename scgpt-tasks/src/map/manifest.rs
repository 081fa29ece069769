//! [`IndexManifest`]: what an index says about itself.

use std::path::{Path, PathBuf};

use scgpt_data::{Advice, Setting, TieMode, write_file};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    folder_kind::{FolderKind, INDEX},
};

/// What this version writes and reads.
const FORMAT: u32 = 1;

/// The parts of an index, and where its cells came from. Written last, and replaced by renaming:
/// what the other files hold beyond it does not count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IndexManifest {
    /// Version of the format.
    pub format: u32,
    /// Version of the program that wrote it.
    pub version: String,
    /// Width of the embeddings.
    pub width: usize,
    /// Reference cells.
    pub n_cells: usize,
    /// How neighbours are found.
    pub search: Search,
    /// What made the embeddings.
    pub made_by: MadeBy,
    /// Columns of labels.
    pub labels: Vec<IndexLabels>,
    /// Files the cells came from, and how many of each.
    pub sources: Vec<(String, usize)>,
    /// Mean distance of reference cells to their neighbours, of a sample, ascending.
    pub strangeness: Vec<f32>,
    /// Files of embeddings, one for each time that cells were added.
    pub segments: Vec<Segment>,
    /// Lists of an approximate index; 0 of an exact one.
    pub n_lists: usize,
    /// Genes of the model that the cells had, of the file with most of them; none if no model embedded
    /// them, or that was not counted.
    #[serde(default)]
    pub genes: Option<usize>,
}

/// A file of embeddings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Segment {
    /// Its name.
    pub file: String,
    /// Cells in it.
    pub n_cells: usize,
    /// Its length.
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

/// What made embeddings. Distances between two of them mean something only if the same model with the same
/// settings, or the same other tool, made both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MadeBy {
    /// A model of scGPT.
    Model {
        /// Its folder when the index was made.
        path: PathBuf,
        /// SHA-256 of its weights.
        sha256: String,
        /// Most tokens per cell.
        max_length: usize,
        /// What happens to values on a bin edge.
        tie_mode: TieMode,
        /// Seed of the choice of genes.
        seed: u64,
    },
    /// Something else, that wrote them into `obsm`.
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
    /// Cells of each label.
    pub counts: Vec<u64>,
}

impl IndexManifest {
    /// A manifest of this version, of no cells yet.
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
        }
    }

    /// Reads that of an index; what it says is not yet checked.
    ///
    /// # Errors
    /// If the folder is something else, which is named, or the manifest is of another format or no
    /// manifest.
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

    /// That other embeddings are of the same making: by the same weights, or from the same `obsm`.
    /// Distances between others would be numbers without meaning.
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

    /// Writes it, by renaming.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(INDEX);
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| invalid(&path, error.to_string()))?;
        Ok(write_file(&path, text)?)
    }
}

/// All of a file, which is no pipe.
fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut scgpt_data::open_file(path)?, &mut bytes)?;
    Ok(bytes)
}

/// The error of a file of an index, with what is wrong with it.
pub(super) fn invalid(path: &Path, problem: String) -> Error {
    Error::Artefact { path: path.into(), problem }
}
