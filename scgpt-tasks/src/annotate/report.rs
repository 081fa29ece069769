//! [`AnnotateReport`]: what was learned, from what, and how good it is.

use scgpt_data::{InputState, ShardFolder};
use scgpt_model::ScgptConfig;
use scgpt_train::{Best, StepRecord, ValidationRecord};
use serde::Serialize;

use super::{AnnotateConfig, Annotation, Calibration, trial::Trial};
use crate::{
    evaluation::{CalibrationScores, LabelEvaluation, LabelMap},
    metrics::Interval,
};

/// The result of training an artefact.
#[derive(Debug, Serialize)]
pub struct AnnotateReport {
    /// The cells.
    pub data: AnnotateData,
    /// The settings.
    pub config: AnnotateConfig,
    /// The network.
    pub network: ScgptConfig,
    /// Optimiser steps done.
    pub steps: u64,
    /// The best validation, whose network was kept.
    pub best: Option<Best>,
    /// Whether training stopped because nothing improved any more.
    pub stopped_early: bool,
    /// What the validation cells told.
    pub calibration: Calibration,
    /// The network and simple methods on the same cells, if any were kept to judge them.
    pub methods: Vec<MethodScores>,
    /// Of the test cells, if any were kept.
    pub evaluation: Option<LabelEvaluation>,
    /// Calibration error of the test cells before the temperature.
    pub uncalibrated: Option<CalibrationScores>,
    /// Training losses; of many steps, every second, fourth, … is kept.
    pub training: Vec<StepRecord>,
    /// Validations.
    pub validation: Vec<ValidationRecord>,
    /// The test cells, or some of them, by their embeddings.
    pub map: Option<LabelMap>,
}

/// The labelled cells.
#[derive(Debug, Serialize)]
pub struct AnnotateData {
    /// The file.
    pub path: String,
    /// Column of `obs` with the classes.
    pub label: String,
    /// The classes.
    pub classes: Vec<ClassSize>,
    /// Classes left out because they have too few cells.
    pub dropped: Vec<String>,
    /// Cells without a class.
    pub unlabelled: usize,
    /// Cells that express no gene the model knows.
    pub without_genes: usize,
    /// What the values look like.
    pub input_state: Option<InputState>,
}

/// Cells of one class.
#[derive(Clone, Debug, Serialize)]
pub struct ClassSize {
    /// Its name.
    pub name: String,
    /// Cells trained on.
    pub training: usize,
    /// Cells that selected the network and calibrated it.
    pub validation: usize,
    /// Cells that judged it.
    pub test: usize,
}

/// How well a method does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MethodScores {
    /// The method.
    pub name: String,
    /// Share of the cells that are right: over the repeats, else by a bootstrap over cells.
    pub accuracy: Interval,
    /// Mean F1 of the classes, likewise.
    pub macro_f1: Interval,
    /// Accuracy and macro F1 of each repeat.
    pub repeats: Vec<[f64; 2]>,
}

impl MethodScores {
    pub(super) fn new(name: &str, evaluation: &LabelEvaluation) -> Self {
        let LabelEvaluation { accuracy, macro_f1, .. } = *evaluation;
        let repeats = vec![[accuracy.mean, macro_f1.mean]];
        Self { name: name.into(), accuracy, macro_f1, repeats }
    }

    /// Adds another repeat of the same methods.
    pub(super) fn add(methods: &mut [Self], others: Vec<Self>) {
        for (method, other) in methods.iter_mut().zip(others) {
            method.repeats.extend(other.repeats);
            let of = |score: usize| {
                let scores: Vec<f64> = method.repeats.iter().map(|scores| scores[score]).collect();
                Interval::of_repetitions(&scores).within(0.0, 1.0)
            };
            (method.accuracy, method.macro_f1) = (of(0), of(1));
        }
    }
}

impl AnnotateReport {
    pub(super) fn new(
        annotation: &Annotation<'_>,
        shards: &ShardFolder,
        (path, n_cells): (String, usize),
        trial: &Trial,
        methods: Vec<MethodScores>,
    ) -> Self {
        let judged = trial.judged.as_ref();
        Self {
            data: AnnotateData {
                path,
                label: annotation.options.label.into(),
                classes: trial.classes.clone(),
                dropped: annotation.dropped.clone(),
                unlabelled: annotation.unlabelled,
                without_genes: n_cells - shards.n_cells(),
                input_state: shards.manifest().sources.first().map(|source| source.input_state),
            },
            config: annotation.config.clone(),
            network: trial.network.clone(),
            steps: trial.outcome.steps,
            best: trial.outcome.best.clone(),
            stopped_early: trial.outcome.stopped_early,
            calibration: trial.calibration.clone(),
            methods,
            evaluation: judged.map(|judged| judged.evaluation.clone()),
            uncalibrated: judged.map(|judged| judged.uncalibrated.clone()),
            training: trial.history.steps.clone(),
            validation: trial.history.validations.clone(),
            map: judged.map(|judged| judged.map.clone()),
        }
    }

    /// A sentence on whether the network is worth its while, if there is something to compare with.
    pub fn verdict(&self) -> Option<String> {
        let (network, baselines) = self.methods.split_first()?;
        let best = baselines.iter().max_by(|a, b| a.accuracy.mean.total_cmp(&b.accuracy.mean))?;
        let [ours, theirs] = [network.accuracy.mean, best.accuracy.mean];
        Some(if network.accuracy.low > theirs {
            format!("The network is better than {} ({ours:.3} against {theirs:.3}).", best.name)
        } else if best.accuracy.low > ours {
            format!(
                "{} is better than the network ({theirs:.3} against {ours:.3}): on these cells the simple method is the one to use.",
                capitalised(&best.name)
            )
        } else {
            format!(
                "On these cells the network ({ours:.3}) and {} ({theirs:.3}) are about equally accurate.",
                best.name
            )
        })
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

impl AnnotateData {
    /// Cells of all classes: trained on, validated on, judged on.
    pub fn totals(&self) -> [usize; 3] {
        let sum = |of: fn(&ClassSize) -> usize| self.classes.iter().map(of).sum();
        [sum(|class| class.training), sum(|class| class.validation), sum(|class| class.test)]
    }

    /// Cells of the largest class for each cell of the smallest, in training.
    pub fn imbalance(&self) -> f64 {
        let sizes = || self.classes.iter().map(|class| class.training);
        sizes().max().unwrap_or(0) as f64 / sizes().min().unwrap_or(0).max(1) as f64
    }
}

/// How many cells of each class, by number, are in the three parts.
pub(super) fn class_sizes(names: &[String], codes: &[u32], parts: [&[usize]; 3]) -> Vec<ClassSize> {
    let count =
        |part: &[usize], class: u32| part.iter().filter(|&&cell| codes[cell] == class).count();
    (0..)
        .zip(names)
        .map(|(class, name)| ClassSize {
            name: name.clone(),
            training: count(parts[0], class),
            validation: count(parts[1], class),
            test: count(parts[2], class),
        })
        .collect()
}
