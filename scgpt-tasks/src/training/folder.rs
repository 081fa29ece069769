//! [`RunFolder`]: where a training leaves its cells, its checkpoints and its network.

use std::path::{Path, PathBuf};

use scgpt_data::{CellSource, GeneVocab, Layer, ShardFolder, ShardOptions, write_shards};
use scgpt_model::{Preprocess, Scgpt, ScgptConfig, write_model_dir};

use crate::{
    error::Result,
    observe::{Observer, Watched},
};

/// The folder `training` in that of an artefact: `cells`, checkpoints, logs, and a folder for each
/// further repeat.
#[derive(Clone, Debug)]
pub(crate) struct RunFolder(PathBuf);

impl RunFolder {
    /// The one in `output`.
    pub(crate) fn of(output: &Path) -> Self {
        Self(output.join("training"))
    }

    /// The folder of a repeat; the first has no name of its own.
    pub(crate) fn repeat(&self, repeat: u64) -> PathBuf {
        match repeat {
            0 => self.0.clone(),
            repeat => self.0.join(format!("repeat-{repeat}")),
        }
    }

    /// The folder of a training on the side.
    pub(crate) fn part(&self, name: &str) -> PathBuf {
        self.0.join(format!("without-{name}"))
    }

    /// The cells as tokens; of a run that goes on, they are there.
    pub(crate) fn cells(
        &self,
        source: &mut dyn CellSource,
        vocab: &GeneVocab,
        (layer, gene_column): (&Layer, Option<&str>),
        resume: bool,
        observer: &dyn Observer,
    ) -> Result<ShardFolder> {
        let folder = self.0.join("cells");
        if !(resume && folder.exists()) {
            let options = ShardOptions {
                layer: layer.clone(),
                gene_column: gene_column.map(str::to_owned),
                overwrite: true,
                ..ShardOptions::default()
            };
            observer.begin("reading cells", source.summary().n_cells);
            let mut watched = Watched { source, observer };
            let sources: [&mut dyn CellSource; 1] = [&mut watched];
            write_shards(sources, vocab, &folder, options)?;
        }
        Ok(ShardFolder::open(&folder)?)
    }

    /// Writes the network as a model directory over the vocabulary of the cells; its place.
    pub(crate) fn build(
        &self,
        shards: &ShardFolder,
        model: &Scgpt,
        (network, preprocess): (&ScgptConfig, &Preprocess),
        card: &str,
    ) -> Result<PathBuf> {
        let built = self.0.join("artefact");
        let vocab = self.0.join("cells").join(&shards.manifest().vocab.file);
        write_model_dir(&built, true, network, preprocess, &vocab, card, |path| model.save(path))?;
        Ok(built)
    }

    /// Removes what is of no further use: checkpoints and cells are large. What is left are the logs.
    pub(crate) fn clear(&self, repeats: u64) {
        let repeats = (1..repeats).map(|repeat| self.repeat(repeat));
        for folder in repeats.chain([self.0.join("checkpoints"), self.0.join("cells")]) {
            drop(std::fs::remove_dir_all(folder));
        }
    }
}
