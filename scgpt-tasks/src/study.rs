//! What does it take: more cells, other cells, or a larger network?
//!
//! A [`Study`] trains a network for every combination of what its axes vary, each by the settings of
//! [`pretrain`](crate::pretrain), and measures all of them on the same held-out cells, its targets: cells that express
//! exactly what a cell of the corpus does are left out of these. What all runs tell is judged by
//! [`scgpt_eval::study`].
//!
//! ```text
//! STUDY/
//!    study.json           what was planned, written when runs begin
//!    targets/NAME/        the held-out cells as tokens, and what simple methods make of them
//!    runs/NAME/           a run: recipe.json, pretrain/ with model/, training.json, scores.json
//!       result.json       written last: the run is done
//! ```
//!
//! A run is claimed by one process at a time, so that several, on several machines, may share the folder; it goes on
//! where it was ended, by the checkpoints of its training; and one that is done is not repeated. One whose recipe is
//! another one now is refused, unless it is to be replaced. A further target is measured without training again.
//!
//! ```no_run
//! use std::{collections::BTreeMap, path::Path};
//!
//! use burn::prelude::Device;
//! use scgpt_data::{Existing, Silent};
//! use scgpt_eval::study::{AxisRole, StudyAxis, StudyOutline};
//! use scgpt_tasks::{
//!     Recipe,
//!     annotate::AnnotateConfig,
//!     pretrain::{PretrainConfig, Preset},
//!     study::{Study, StudyRun, TargetConfig},
//! };
//! use scgpt_train::Unwatched;
//!
//! let outline = StudyOutline::new("corpus", vec![StudyAxis::new("cells", AxisRole::Cells, ["1000", "4000"])]);
//! let base = Preset::Laptop.config();
//! let runs = outline.runs.iter().map(|plan| StudyRun {
//!     plan: plan.clone(),
//!     config: PretrainConfig { cells: plan.choices[0].parse().ok(), ..base.clone() },
//!     annotate: AnnotateConfig::of(Recipe::FineTune(base.network)),
//! });
//! let targets = BTreeMap::from([("blood".into(), TargetConfig::new("blood.h5ad"))]);
//! let study = Study { data: "corpus".into(), runs: runs.collect(), base, outline, targets };
//!
//! let folder = Path::new("study");
//! let prepared = study.prepare(folder, &Silent)?;
//! for run in &study.runs {
//!     prepared.run(run, Existing::Refuse, &Device::default(), &Unwatched, &Silent)?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod embedding;
mod folder;
mod held_out;
mod measure;
mod record;
mod run;
mod stopwatch;
mod target;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::prelude::Device;
use scgpt_data::{Observer, ShardFolder};
use scgpt_eval::study::{PlannedRun, StudyOutline};

use self::{
    folder::{RUNS, TARGETS, write_outline},
    held_out::HeldOut,
};
pub use self::{
    folder::{claim_study, read_study, write_shared},
    record::RunState,
    target::TargetConfig,
};
use crate::{
    annotate::AnnotateConfig,
    error::{Error, Result},
    folder_kind::FolderKind,
    pretrain::{PretrainConfig, PretrainOptions, Pretraining},
};

/// A study: see the [example of the module](self).
#[derive(Clone, Debug)]
pub struct Study {
    /// Folder of token shards that all runs learn from.
    pub data: PathBuf,
    /// The settings by which all runs are measured: tokens, shares of unknown genes, batches and the seed.
    pub base: PretrainConfig,
    /// What was planned.
    pub outline: StudyOutline,
    /// The runs, in the order of the outline.
    pub runs: Vec<StudyRun>,
    /// The held-out cells, by name.
    pub targets: BTreeMap<String, TargetConfig>,
}

/// One run of a study.
#[derive(Clone, Debug)]
pub struct StudyRun {
    /// Its name and its choices.
    pub plan: PlannedRun,
    /// How its network is trained.
    pub config: PretrainConfig,
    /// How it is fine-tuned, where annotation is measured; the model is that of the run.
    pub annotate: AnnotateConfig,
}

/// How much a run will have to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunSize {
    /// Number of cells trained on.
    pub cells: usize,
    /// Number of optimiser steps.
    pub steps: u64,
    /// Most tokens that all steps see.
    pub tokens: u64,
}

/// A study whose corpus and targets are sound.
#[derive(Debug)]
pub struct PreparedStudy<'a> {
    study: &'a Study,
    folder: &'a Path,
    corpus: ShardFolder,
    targets: BTreeMap<String, HeldOut>,
}

impl Study {
    /// Checks one run: its settings, and that the corpus has its cells. Writes nothing.
    ///
    /// # Errors
    /// If it could not be trained.
    pub fn size(&self, run: &StudyRun, device: &Device) -> Result<RunSize> {
        // Nothing is written; a folder of shards holds no model that a run would have to replace.
        let options = PretrainOptions::new(&self.data, &self.data);
        let prepared = Pretraining::prepare(&run.config, &options, device)?;
        let (cells, steps) = (prepared.training_cells(), prepared.steps());
        let of_step = run.config.training.accumulate * run.config.batch_size as u64;
        let tokens = steps.saturating_mul(of_step).saturating_mul(run.config.max_length as u64);
        Ok(RunSize { cells, steps, tokens })
    }

    /// Checks targets, makes their tokens where they are not there yet, and writes down what is planned.
    ///
    /// # Errors
    /// If the corpus or a target is of no use, or nothing can be written.
    pub fn prepare<'a>(
        &'a self,
        folder: &'a Path,
        observer: &dyn Observer,
    ) -> Result<PreparedStudy<'a>> {
        let corpus = ShardFolder::open(&self.data)
            .map_err(|error| FolderKind::Shards.instead(&self.data).unwrap_or(error.into()))?;
        if self.targets.is_empty() {
            return Err(Error::option("a study needs a held-out file to measure on (targets)"));
        }
        for (name, target) in &self.targets {
            target.check(name)?;
        }
        let mut targets = BTreeMap::new();
        let mut outline = self.outline.clone();
        for (name, target) in &self.targets {
            let place = folder.join(TARGETS).join(name);
            let held_out = HeldOut::open(&place, name, target, &corpus, observer)?;
            outline.targets.push(name.clone());
            outline.baselines.insert(name.clone(), held_out.baselines().clone());
            targets.insert(name.clone(), held_out);
        }
        write_outline(folder, &outline)?;
        Ok(PreparedStudy { study: self, folder, corpus, targets })
    }
}

impl PreparedStudy<'_> {
    /// What is to be known of the targets before their measures are believed, a sentence each.
    pub fn remarks(&self) -> Vec<String> {
        self.targets.values().flat_map(HeldOut::remarks).collect()
    }

    /// The folder of a run.
    pub fn run_folder(&self, run: &StudyRun) -> PathBuf {
        self.folder.join(RUNS).join(&run.plan.name)
    }
}
