//! [`Artefact`]: everything that annotating needs, in one directory.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use burn::prelude::Device;
use scgpt_data::TieMode;
use scgpt_model::Strictness;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::calibration::Calibration;
use crate::{
    embed::Embedder,
    error::{Error, Result},
};

/// The file that makes a model directory an artefact.
pub(super) const ANNOTATION: &str = "annotation.json";
/// The files of a model directory that have to belong together.
const MODEL_FILES: [&str; 4] =
    ["config.json", "model.safetensors", "preprocess.json", "vocab.json"];
/// What this version writes and reads.
const FORMAT: u32 = 1;

/// What an artefact knows beyond its model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArtefactRecord {
    /// Version of the format.
    pub format: u32,
    /// Version of the program that wrote it.
    pub version: String,
    /// The column of `obs` it was trained on.
    pub label: String,
    /// Names of the classes, in the order of the class head.
    pub classes: Vec<String>,
    /// Cells of each class that it was trained on.
    pub counts: Vec<usize>,
    /// Most tokens per cell.
    pub max_length: usize,
    /// What happens to values on a bin edge.
    pub tie_mode: TieMode,
    /// Seed of the choice of genes of cells with too many.
    pub seed: u64,
    /// Confidence, plausible classes, unknown cells.
    pub calibration: Calibration,
    /// SHA-256 of the other files, by name.
    pub files: BTreeMap<String, String>,
}

/// An artefact, ready to annotate.
#[derive(Debug)]
pub struct Artefact {
    pub(super) embedder: Embedder,
    pub(super) record: ArtefactRecord,
}

impl Artefact {
    /// Opens a directory made by [`Annotation`](super::Annotation).
    ///
    /// # Errors
    /// If a file is missing or was changed, the format is of another version, or the parts do not
    /// belong together.
    pub fn open(folder: &Path, device: &Device) -> Result<Self> {
        let record = ArtefactRecord::read(folder)?;
        record.check_files(folder)?;
        let embedder = Embedder::open(folder, device, Strictness::Strict)?;
        let n_classes = embedder.config().n_classes;
        if n_classes != record.classes.len() {
            return Err(invalid(
                folder.join(ANNOTATION),
                format!(
                    "it names {} classes, but the network has {n_classes}",
                    record.classes.len()
                ),
            ));
        }
        Ok(Self { embedder, record })
    }

    /// What it knows beyond its model.
    pub fn record(&self) -> &ArtefactRecord {
        &self.record
    }
}

impl ArtefactRecord {
    /// Moves the model directory `built` into `folder`, and with it this record, last: a folder
    /// whose files do not belong together is never taken for an artefact.
    pub(super) fn publish(mut self, built: &Path, folder: &Path) -> Result<()> {
        self.format = FORMAT;
        self.version = env!("CARGO_PKG_VERSION").into();
        for name in MODEL_FILES {
            self.files.insert(name.into(), hash(&built.join(name))?);
        }
        let failed = |error: &dyn std::fmt::Display| invalid(folder.into(), error.to_string());
        let text = serde_json::to_string_pretty(&self).map_err(|error| failed(&error))?;
        std::fs::write(built.join(ANNOTATION), text).map_err(|error| failed(&error))?;
        for name in MODEL_FILES.iter().chain(&["README.md", ANNOTATION]) {
            std::fs::rename(built.join(name), folder.join(name)).map_err(|error| failed(&error))?;
        }
        drop(std::fs::remove_dir(built));
        Ok(())
    }

    fn read(folder: &Path) -> Result<Self> {
        /// Read first: a record of another format need not have the same fields.
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            version: String,
        }
        let path = folder.join(ANNOTATION);
        let text = std::fs::read(&path).map_err(|error| {
            let what = if folder.is_dir() {
                "no such file: the folder is no artefact of `scgpt annotate train`".into()
            } else {
                error.to_string()
            };
            invalid(path.clone(), what)
        })?;
        let broken = |error: serde_json::Error| invalid(path.clone(), error.to_string());
        let head: Head = serde_json::from_slice(&text).map_err(broken)?;
        if head.format != FORMAT {
            return Err(invalid(
                path.clone(),
                format!(
                    "format {} (written by scgpt {}), but this version reads format {FORMAT}: train anew, or use that version",
                    head.format, head.version
                ),
            ));
        }
        serde_json::from_slice(&text).map_err(broken)
    }

    fn check_files(&self, folder: &Path) -> Result<()> {
        for (name, expected) in &self.files {
            let path = folder.join(name);
            if hash(&path)? != *expected {
                return Err(invalid(
                    path,
                    "it was changed since the artefact was made (its SHA-256 differs)".into(),
                ));
            }
        }
        Ok(())
    }
}

fn hash(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    let copied = File::open(path).and_then(|mut file| io::copy(&mut file, &mut hasher));
    copied.map_err(|error| invalid(path.into(), error.to_string()))?;
    Ok(format!("{:x}", hasher.finalize()))
}

fn invalid(path: PathBuf, problem: String) -> Error {
    Error::Artefact { path, problem }
}
