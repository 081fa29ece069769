//! [`RunFolder`]: the folder of a training, with its cells, checkpoints and network.

use std::{
    borrow::Cow,
    fs, io,
    path::{Path, PathBuf},
};

use scgpt_data::{
    CellSource, Existing, GeneNames, GeneVocab, Layer, Observer, ShardFolder, ShardOptions,
    Watched, write_shards,
};
use scgpt_model::{Preprocess, Scgpt, ScgptConfig, write_model_dir};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::beginning::FOLDER as START_FOLDER;
use crate::{
    error::{Error, Result},
    folder_kind::TRAINING,
};

/// The folder `training` in the folder of an artefact: `cells`, checkpoints, logs, and a folder for
/// each further repeat.
#[derive(Clone, Debug)]
pub(crate) struct RunFolder(PathBuf);

impl RunFolder {
    /// The folder of the training of the artefact `output`.
    pub(crate) fn of(output: &Path) -> Self {
        Self(output.join(TRAINING))
    }

    /// The folder of a repeat; the first repeat uses the folder itself.
    pub(crate) fn repeat(&self, repeat: u64) -> PathBuf {
        match repeat {
            0 => self.0.clone(),
            repeat => self.0.join(format!("repeat-{repeat}")),
        }
    }

    /// The folder of a further training, such as one without a part.
    pub(crate) fn part(&self, name: &str) -> PathBuf {
        self.0.join(format!("without-{name}"))
    }

    /// The folder of the same cells for a method that needs no network, made if it is not there.
    pub(crate) fn without_network(&self) -> Result<Self> {
        let folder = self.part("network");
        fs::create_dir_all(&folder).map_err(|error| failed(&folder, &error))?;
        Ok(Self(folder))
    }

    /// Writes the cells as tokens, the first to be in the folder. When a run goes on they are read again, as there is no
    /// other way to tell whether they are the same.
    pub(crate) fn cells(
        &self,
        source: &mut dyn CellSource,
        vocab: &GeneVocab,
        layer: &Layer,
        gene_names: &GeneNames,
        observer: &dyn Observer,
    ) -> Result<ShardFolder> {
        fs::create_dir_all(&self.0).map_err(|error| failed(&self.0, &error))?;
        let folder = self.0.join("cells");
        let mut options = ShardOptions::default();
        options.layer = layer.clone();
        options.gene_names = gene_names.clone();
        options.existing = Existing::Replace;
        observer.begin("reading cells", source.summary().n_cells);
        let mut watched = Watched { source, observer };
        let sources: [&mut dyn CellSource; 1] = [&mut watched];
        write_shards(sources, vocab, &folder, options)?;
        Ok(ShardFolder::open(&folder)?)
    }

    /// Where an artefact is put together: a path at which there is nothing yet.
    fn cleared(&self) -> Result<PathBuf> {
        let built = self.0.join("artefact");
        // Of a run that was killed meanwhile.
        match fs::remove_dir_all(&built) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&built, &error)),
            _ => Ok(built),
        }
    }

    /// An empty folder in which an artefact without a network is put together.
    pub(crate) fn emptied(&self) -> Result<PathBuf> {
        let built = self.cleared()?;
        fs::create_dir_all(&built).map_err(|error| failed(&built, &error))?;
        Ok(built)
    }

    /// Writes the network as a model directory over the vocabulary of the cells, and returns its
    /// path.
    pub(crate) fn build(
        &self,
        shards: &ShardFolder,
        model: &Scgpt,
        network: &ScgptConfig,
        preprocess: &Preprocess,
        card: &str,
    ) -> Result<PathBuf> {
        let built = self.cleared()?;
        let vocab = self.0.join("cells").join(&shards.manifest().vocab.file);
        write_model_dir(&built, network, preprocess, &vocab, card, |path| model.save(path))?;
        Ok(built)
    }
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::Artefact { path: path.into(), problem: error.to_string() }
}

/// Removes what is of no further use after an artefact and everything about it are written:
/// checkpoints and cells, which are large. The logs stay.
///
/// Until then the run can go on, so this comes last.
pub fn clear_training(output: &Path) {
    let entries = fs::read_dir(RunFolder::of(output).0).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if matches!(name.as_str(), "cells" | "checkpoints" | "artefact" | START_FOLDER)
            || ["repeat-", "without-"].iter().any(|begin| name.starts_with(begin))
        {
            // What cannot be removed does no harm.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

/// Codes of cells, or of genes, on which training depends, each with what they are of.
pub(crate) type Codes<'a> = Vec<(&'static str, Cow<'a, [Option<u32>]>)>;

/// The content by which a run that goes on recognises its cells: their number, a hash of their
/// tokens, and one of each of the codes on which training depends, such as those of their labels.
pub(super) fn content(shards: &ShardFolder, codes: &Codes<'_>) -> Value {
    let mut content = Map::new();
    let manifest = shards.manifest();
    content.insert("number".into(), manifest.n_cells.into());
    content.insert("tokens".into(), manifest.content_hash().into());
    for (name, codes) in codes {
        let mut hash = Sha256::new();
        for code in codes.iter() {
            hash.update(code.map_or(-1, i64::from).to_le_bytes());
        }
        content.insert((*name).into(), format!("{:x}", hash.finalize()).into());
    }
    Value::Object(content)
}
