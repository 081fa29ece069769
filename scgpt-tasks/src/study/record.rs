//! What a run writes down: its recipe first, its result last.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use scgpt_data::{ShardFolder, write_file};
use scgpt_eval::study::{Measure, RunResult};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    error::{Error, Result},
    pretrain::PretrainConfig,
};

/// Files of a run.
const RECIPE: &str = "recipe.json";
const TRAINING: &str = "training.json";
const SCORES: &str = "scores.json";
const RESULT: &str = "result.json";
/// The time of training so far, and the folder in which that is done.
pub(super) const SECONDS: &str = "seconds";
pub(super) const PRETRAIN: &str = "pretrain";
/// Folders that are there while a run is measured: an index, and fine-tunings, by the name of the target.
pub(super) const INDEX: &str = "index";
pub(super) const ANNOTATION: &str = "annotation-";

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunState {
    /// Trained and measured.
    Done,
    /// Begun: what is there is not done again.
    Begun,
    /// Nothing of it is there.
    New,
    /// There is a run by that name of other settings or another corpus; a sentence for each.
    Changed(Vec<String>),
}

/// The result of a run, and by what it is known.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RunRecord {
    #[serde(flatten)]
    pub(super) result: RunResult,
    /// Hash of the recipe.
    pub(super) recipe: String,
    /// By what each target was measured, as a hash.
    pub(super) measured: BTreeMap<String, String>,
}

/// What training gave.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TrainingRecord {
    pub(super) cells: usize,
    pub(super) steps: u64,
    pub(super) parameters: usize,
    pub(super) seconds: f64,
}

/// The measures of a target, and by what it was measured.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TargetScores {
    pub(super) key: String,
    pub(super) scores: BTreeMap<Measure, f64>,
}

/// Measures by target.
pub(super) type Scores = BTreeMap<String, TargetScores>;

/// The documents in the folder of a run.
#[derive(Debug)]
pub(super) struct RunFiles(pub(super) PathBuf);

impl RunRecord {
    /// The result of a run, if it is done.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        read(&folder.join(RESULT))
    }
}

impl RunFiles {
    pub(super) fn recipe(&self) -> Option<Value> {
        read(&self.0.join(RECIPE))
    }

    pub(super) fn training(&self) -> Option<TrainingRecord> {
        read(&self.0.join(TRAINING))
    }

    pub(super) fn scores(&self) -> Scores {
        read(&self.0.join(SCORES)).unwrap_or_default()
    }

    pub(super) fn write_recipe(&self, recipe: &Value) -> Result<()> {
        fs::create_dir_all(&self.0).map_err(|error| scgpt_data::Error::write(&self.0, error))?;
        write(&self.0.join(RECIPE), recipe)
    }

    pub(super) fn write_training(&self, training: &TrainingRecord) -> Result<()> {
        write(&self.0.join(TRAINING), training)
    }

    pub(super) fn write_scores(&self, scores: &Scores) -> Result<()> {
        write(&self.0.join(SCORES), scores)
    }

    pub(super) fn write_result(&self, record: &RunRecord) -> Result<()> {
        write(&self.0.join(RESULT), record)
    }

    /// Removes what a run of other settings has left, and nothing else; its recipe last, by which the rest is known.
    pub(super) fn clear(&self) -> Result<()> {
        let is_own = |name: &str| {
            [TRAINING, SCORES, RESULT, SECONDS, PRETRAIN, INDEX].contains(&name)
                || name.starts_with(ANNOTATION)
        };
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let own = entries.filter(|entry| is_own(&entry.file_name().to_string_lossy()));
        for path in own.map(|entry| entry.path()).chain([self.0.join(RECIPE)]) {
            let removed =
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(|error| scgpt_data::Error::write(&path, error))?;
        }
        Ok(())
    }
}

/// All that decides what a run learns: its settings, and the corpus by its tokens.
pub(super) fn recipe(config: &PretrainConfig, corpus: &ShardFolder) -> Value {
    let manifest = corpus.manifest();
    json!({
        "settings": config,
        "vocabulary": manifest.vocab.sha256,
        "corpus": manifest.content_hash(),
    })
}

/// A hash that stands for a document.
pub(super) fn hash(value: &Value) -> String {
    format!("{:x}", Sha256::digest(value.to_string()))
}

/// A document of the study as text.
pub(super) fn json(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|error| Error::option(format!("cannot be written as JSON: {error}")));
    Ok(text? + "\n")
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    Ok(write_file(path, json(value)?)?)
}
