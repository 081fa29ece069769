//! One run of a study: trained, measured, written down.

use std::fs;

use burn::prelude::Device;
use scgpt_data::{Advice, Claim, Existing, Observer, Setting, differences};
use scgpt_eval::study::{Measure, RunResult};
use scgpt_train::TrainObserver;
use serde_json::{Value, json};

use super::{
    PreparedStudy, StudyRun,
    held_out::HeldOut,
    measure::Measured,
    record::{
        PRETRAIN, RunFiles, RunRecord, RunState, SECONDS, TargetScores, TrainingRecord, hash,
        recipe,
    },
    stopwatch::Stopwatch,
};
use crate::{
    error::{Error, Result},
    folder_kind::open_model,
    pretrain::{PretrainOptions, Pretraining},
};

/// Folders and files of a run.
const MODEL: &str = "model";
const CHECKPOINTS: &str = "checkpoints";
/// Optimiser steps between checkpoints, beside those at validations.
const CHECKPOINT_EVERY: u64 = 200;

impl PreparedStudy<'_> {
    /// How far a run is.
    pub fn state(&self, run: &StudyRun) -> RunState {
        let files = RunFiles(self.run_folder(run));
        let recipe = recipe(&run.config, &self.corpus);
        let Some(was) = files.recipe() else { return RunState::New };
        if was != recipe {
            return RunState::Changed(differences(&was, &recipe));
        }
        let is_measured = |record: &RunRecord| {
            let is_same =
                |(name, target)| record.measured.get(name) == Some(&self.key(run, target));
            record.recipe == hash(&recipe) && self.targets.iter().all(is_same)
        };
        match RunRecord::read(&files.0) {
            Some(record) if is_measured(&record) => RunState::Done,
            _ => RunState::Begun,
        }
    }

    /// The result of a run, if it is done.
    pub fn result(&self, run: &StudyRun) -> Option<RunResult> {
        RunRecord::read(&self.run_folder(run)).map(|record| record.result)
    }

    /// Trains and measures a run, as far as that is not done, and writes its result down. One that was ended goes on
    /// where it was.
    ///
    /// # Errors
    /// If another process has it; if there is one of other settings, unless `existing` replaces it; and everything that
    /// stops training or measuring.
    pub fn run(
        &self,
        run: &StudyRun,
        existing: Existing,
        device: &Device,
        watch: &dyn TrainObserver,
        observer: &dyn Observer,
    ) -> Result<RunResult> {
        let folder = self.run_folder(run);
        let _claim = Claim::of_folder(&folder)?;
        let files = RunFiles(folder.clone());
        match self.state(run) {
            RunState::Done => {
                if let Some(record) = RunRecord::read(&folder) {
                    return Ok(record.result);
                }
            }
            RunState::Changed(_) if existing == Existing::Replace => files.clear()?,
            RunState::Changed(differences) => {
                return Err(Error::Incompatible {
                    path: folder,
                    problem: format!("it was made otherwise: {}", differences.join("; ")),
                    remedy: Advice::from("choose another folder, or repeat such runs by ")
                        + Setting("overwrite"),
                });
            }
            RunState::Begun | RunState::New => {}
        }
        let recipe = recipe(&run.config, &self.corpus);
        files.write_recipe(&recipe)?;
        let place = folder.join(PRETRAIN);
        let mut options = PretrainOptions::new(&self.study.data, &place);
        (options.resume, options.checkpoint_every) = (true, Some(CHECKPOINT_EVERY));
        let pretraining = Pretraining::prepare(&run.config, &options, device)?;
        let training = if let Some(training) = files.training() {
            training
        } else {
            let training = self.train(run, &pretraining, watch)?;
            files.write_training(&training)?;
            training
        };
        // They are large, and nothing goes on from them.
        drop(fs::remove_dir_all(place.join(CHECKPOINTS)));
        let mut scores = files.scores();
        let measured = Measured {
            run,
            pretraining: &pretraining,
            model: &place.join(MODEL),
            scratch: &folder,
            by: &self.study.base,
            device,
        };
        for (name, target) in &self.targets {
            let key = self.key(run, target);
            if scores.get(name).is_none_or(|there| there.key != key) {
                let found = measured.on(target, watch, observer)?;
                scores.insert(name.clone(), TargetScores { key, scores: found });
                files.write_scores(&scores)?;
            }
        }
        // Targets of an earlier plan stay in the scores, and are not of the result.
        scores.retain(|name, _| self.targets.contains_key(name));
        let mut result = RunResult::new(&run.plan, training.cells);
        result.seed = run.config.training.seed;
        (result.steps, result.parameters) = (training.steps, training.parameters);
        result.seconds = training.seconds;
        let measured = scores.iter().map(|(name, of)| (name.clone(), of.key.clone())).collect();
        result.scores = scores.into_iter().map(|(name, of)| (name, of.scores)).collect();
        let record = RunRecord { result, recipe: hash(&recipe), measured };
        files.write_result(&record)?;
        Ok(record.result)
    }

    fn train(
        &self,
        run: &StudyRun,
        pretraining: &Pretraining<'_>,
        watch: &dyn TrainObserver,
    ) -> Result<TrainingRecord> {
        let folder = self.run_folder(run);
        let cells = pretraining.training_cells();
        let watch = Stopwatch::new(folder.join(SECONDS), watch);
        let report = pretraining.run(&watch)?;
        let model = open_model(&folder.join(PRETRAIN).join(MODEL))?;
        Ok(TrainingRecord {
            cells,
            steps: report.steps,
            parameters: model.weights().n_parameters(),
            seconds: watch.seconds(),
        })
    }

    /// By what a run is measured on a target: its cells, what is asked, and the settings that decide it.
    fn key(&self, run: &StudyRun, target: &HeldOut) -> String {
        let by = &self.study.base;
        let is_annotated = target.config.measures_any(&[Measure::Annotation]);
        let annotate = if is_annotated { json!(run.annotate) } else { Value::Null };
        hash(&json!({
            "target": target.content(),
            "measures": target.config.measures(),
            "max_length": by.max_length,
            "unknown_shares": by.unknown_shares,
            "tie_mode": by.tie_mode,
            "cells": by.validation_cells,
            "batch_size": by.batch_size,
            "seed": by.training.seed,
            "annotate": annotate,
        }))
    }
}
