//! [`Checkpoints`]: states of a run, from which it goes on bit for bit.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use burn::{prelude::*, tensor::TensorData};
use scgpt_data::{differences, make_durable};
use scgpt_model::{Lora, Scgpt, ScgptConfig, Strictness, Weights, host_values, save_tensors};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    error::{Error, Result},
    metric::Metric,
    optimizer::Optimizer,
    precision::LossScale,
    train_observer::{Event, TrainObserver},
};

const MODEL: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "state.json";
/// Extension of a checkpoint that is not complete.
const PARTIAL: &str = "partial";

/// Everything that the next step depends on, beside weights and moments. Random choices are
/// functions of seed, epoch, cell and step, so there is no generator to save.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Optimiser steps done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// Batches of the current epoch done.
    pub index: u64,
    /// The best validation so far.
    pub best: Option<Best>,
    /// Number of validations since the best one.
    pub stale: u64,
    /// The factor on the loss.
    pub loss_scale: LossScale,
    /// Whether the validation after these steps was interrupted, and is still to be done.
    #[serde(default)]
    pub is_unvalidated: bool,
}

/// The best validation of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Steps done by then.
    pub step: u64,
    /// The metric that selects the best network.
    pub metric: Metric,
}

/// The contents of `state.json`.
#[derive(Serialize, Deserialize)]
struct Saved {
    state: State,
    /// Steps of the optimiser by parameter.
    times: BTreeMap<String, usize>,
    /// The settings of the run.
    settings: Value,
    /// Number of workers that made it.
    #[serde(default)]
    workers: usize,
    /// SHA-256 of the other files.
    files: BTreeMap<String, String>,
}

/// Whether a run has a checkpoint to go on from. If not, it was killed before it wrote the first
/// one, and begins anew.
pub fn has_checkpoint(run: &Path) -> bool {
    !Checkpoints::new(run, Value::Null, 1).steps().is_empty()
}

/// The folder of a run's checkpoints.
///
/// ```
/// use scgpt_train::Checkpoints;
///
/// let run = tempfile::tempdir()?;
/// let checkpoints = Checkpoints::new(run.path(), serde_json::json!({ "seed": 0 }), 2);
/// assert!(checkpoints.steps().is_empty());
/// assert!(checkpoints.path(500).ends_with("checkpoints/step-000000500"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    settings: Value,
    keep: usize,
    lora: Option<Lora>,
    workers: usize,
}

impl Checkpoints {
    /// Checkpoints in the folder `run`, of which the newest `keep` and the best stay. A run goes on
    /// from them only if its `settings` are equal.
    pub fn new(run: &Path, settings: Value, keep: usize) -> Self {
        let folder = run.join("checkpoints");
        Self { folder, settings, keep: keep.max(1), lora: None, workers: 1 }
    }

    /// The same, of so many workers. A run goes on with any number of them.
    #[must_use]
    pub fn of_workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// The same, of networks with such adapters.
    #[must_use]
    pub fn with_adapters(self, lora: Option<Lora>) -> Self {
        Self { lora, ..self }
    }

    /// The folder of the checkpoint after that many steps.
    pub fn path(&self, step: u64) -> PathBuf {
        self.folder.join(format!("step-{step:09}"))
    }

    /// Writes a checkpoint, whole or not at all, and removes old ones.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self, state: &State, model: &Scgpt, optimizer: &Optimizer) -> Result<PathBuf> {
        let path = self.path(state.step);
        let partial = path.with_extension(PARTIAL);
        let failed = |error| Error::file("write", &path, error);
        self.tidy();
        fs::create_dir_all(&partial).map_err(failed)?;
        model.save(&partial.join(MODEL))?;
        let mut tensors = Vec::new();
        let mut times = BTreeMap::new();
        for (name, time, moments) in optimizer.moments() {
            times.insert(name.to_owned(), time);
            for (order, moment) in (1..).zip(moments) {
                let values = host_values(moment);
                tensors.push((format!("{order}:{name}"), vec![values.len()], values));
            }
        }
        save_tensors(&partial.join(OPTIMIZER), tensors)?;
        let mut files = BTreeMap::new();
        for name in [MODEL, OPTIMIZER] {
            files.insert(name.to_owned(), hash(&partial.join(name))?);
        }
        let saved = Saved {
            state: state.clone(),
            times,
            settings: self.settings.clone(),
            workers: self.workers,
            files,
        };
        let write = || -> std::io::Result<()> {
            fs::write(partial.join(STATE), serde_json::to_string_pretty(&saved)?)?;
            make_durable(&partial)?;
            if path.exists() {
                fs::remove_dir_all(&path)?;
            }
            fs::rename(&partial, &path)
        };
        write().map_err(failed)?;
        self.prune(state);
        Ok(path)
    }

    /// The steps after which there are checkpoints, ascending.
    pub fn steps(&self) -> Vec<u64> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut steps: Vec<u64> = entries
            .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("step-")?.parse().ok())
            .collect();
        steps.sort_unstable();
        steps
    }

    /// Removes what a killed run was writing; a run has one writer at a time.
    fn tidy(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == PARTIAL) {
                drop(fs::remove_dir_all(path));
            }
        }
    }

    /// Removes old checkpoints. One that cannot be removed does no harm.
    fn prune(&self, state: &State) {
        let steps = self.steps();
        let best = state.best.as_ref().map(|best| best.step);
        for &step in steps.iter().rev().skip(self.keep).filter(|step| Some(**step) != best) {
            drop(fs::remove_dir_all(self.path(step)));
        }
    }

    /// Reads the newest usable checkpoint: its state, network and optimiser. `watch` is told of
    /// those that are not usable.
    ///
    /// # Errors
    /// [`Error::OtherConfig`] if the settings differ, [`Error::NoCheckpoint`] if there is no usable
    /// one.
    pub fn latest(
        &self,
        network: &ScgptConfig,
        optimizer: Optimizer,
        device: &Device,
        watch: &dyn TrainObserver,
    ) -> Result<(State, Scgpt, Optimizer)> {
        let mut problems = Vec::new();
        for step in self.steps().into_iter().rev() {
            let path = self.path(step);
            match verified(&path) {
                Ok(saved) => return self.read(&path, saved, network, optimizer, device),
                Err(problem) => {
                    watch.event(&Event::Damaged { path: &path, problem: &problem });
                    problems.push(problem);
                }
            }
        }
        Err(self.no_checkpoint(problems))
    }

    fn no_checkpoint(&self, problems: Vec<String>) -> Error {
        Error::NoCheckpoint { run: self.folder.parent().unwrap_or(&self.folder).into(), problems }
    }

    fn read(
        &self,
        path: &Path,
        saved: Saved,
        network: &ScgptConfig,
        mut optimizer: Optimizer,
        device: &Device,
    ) -> Result<(State, Scgpt, Optimizer)> {
        let differences = differences(&saved.settings, &self.settings);
        if !differences.is_empty() {
            let run = self.folder.parent().unwrap_or(&self.folder).into();
            return Err(Error::OtherConfig { run, differences });
        }
        let model = self.weights(path, network, &device.clone().autodiff())?;
        // Before the first step there are none, and a file without tensors cannot be opened.
        if !saved.times.is_empty() {
            let moments = Weights::open(&path.join(OPTIMIZER))?;
            for (name, time) in saved.times {
                let read = |order: usize| -> Result<Tensor<1>> {
                    let values = moments.read(&format!("{order}:{name}"))?;
                    let n = values.len();
                    Ok(Tensor::from_data(TensorData::new(values, [n]), device))
                };
                let both = [read(1)?, read(2)?];
                optimizer.restore(name, time, both);
            }
        }
        Ok((saved.state, model, optimizer))
    }

    /// Reads the weights after that many steps, without gradients.
    ///
    /// # Errors
    /// If they cannot be read or are damaged.
    pub fn model(&self, step: u64, network: &ScgptConfig, device: &Device) -> Result<Scgpt> {
        let path = self.path(step);
        verified(&path).map_err(|problem| self.no_checkpoint(vec![problem]))?;
        self.weights(&path, network, device)
    }

    fn weights(&self, path: &Path, network: &ScgptConfig, device: &Device) -> Result<Scgpt> {
        let model = network.init(device)?;
        let model = match self.lora {
            Some(lora) => model.with_adapters(lora),
            None => model,
        };
        Ok(Weights::open(&path.join(MODEL))?.load_into(model, Strictness::Strict)?.0)
    }
}

/// The state of a checkpoint, once its files are found to be those that were written.
fn verified(path: &Path) -> Result<Saved, String> {
    let damaged = |name: &str, problem: &dyn std::fmt::Display| {
        format!("`{}` is damaged: {problem}", path.join(name).display())
    };
    let text = fs::read_to_string(path.join(STATE)).map_err(|error| damaged(STATE, &error))?;
    let saved: Saved = serde_json::from_str(&text).map_err(|error| damaged(STATE, &error))?;
    for (name, expected) in &saved.files {
        let found = hash(&path.join(name)).map_err(|_| damaged(name, &"it cannot be read"))?;
        if found != *expected {
            return Err(damaged(name, &"its SHA-256 is not the recorded one"));
        }
    }
    Ok(saved)
}

fn hash(path: &Path) -> Result<String> {
    let mut file = fs::File::open(path).map_err(|error| Error::file("read", path, error))?;
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher).map_err(|error| Error::file("read", path, error))?;
    Ok(format!("{:x}", hasher.finalize()))
}
