//! [`AnnotateReport`]: what was learned, from what, and how good it is.

use scgpt_data::InputState;
use scgpt_model::ScgptConfig;
use scgpt_train::{Best, StepRecord, ValidationRecord};
use serde::Serialize;

use super::{AnnotateConfig, Calibration, judge::Judged};
use crate::evaluation::{CalibrationScores, LabelEvaluation};

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
    /// Of the test cells, if any were kept.
    pub evaluation: Option<LabelEvaluation>,
    /// Calibration error of the test cells before the temperature.
    pub uncalibrated: Option<CalibrationScores>,
    /// Training losses; of many steps, every second, fourth, … is kept.
    pub training: Vec<StepRecord>,
    /// Validations.
    pub validation: Vec<ValidationRecord>,
    #[serde(skip)]
    pub(super) judged: Option<Judged>,
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
