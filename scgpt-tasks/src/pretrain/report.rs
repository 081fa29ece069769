//! [`PretrainReport`]: what a run learned, as values.

use std::sync::{Mutex, PoisonError};

use scgpt_train::{Best, Event, Outcome, StepRecord, ValidationRecord, Watch};
use serde::Serialize;

use super::{PretrainConfig, PretrainOptions, page, task::PretrainTask};

/// Most steps kept of the loss curve.
const POINTS: usize = 2000;

/// The result of pre-training.
#[derive(Debug, Serialize)]
pub struct PretrainReport {
    /// The cells.
    pub data: Data,
    /// The settings.
    pub config: PretrainConfig,
    /// Optimiser steps done.
    pub steps: u64,
    /// The best validation, whose network was kept.
    pub best: Option<Best>,
    /// Whether training stopped because nothing improved any more.
    pub stopped_early: bool,
    /// Training losses of this session.
    pub training: Vec<StepRecord>,
    /// Validations of this session.
    pub validation: Vec<ValidationRecord>,
}

/// The cells of a run.
#[derive(Debug, Serialize)]
pub struct Data {
    /// The folder of shards.
    pub shards: String,
    /// Files the shards were made from.
    pub sources: Vec<String>,
    /// Cells trained on.
    pub training_cells: usize,
    /// Cells of each validation.
    pub validation_cells: usize,
    /// Gene tokens of the vocabulary.
    pub vocabulary: usize,
    /// What the network was before, if not freshly initialised.
    pub from: Option<String>,
    /// Sources whose values are not counts.
    pub not_counts: Vec<String>,
}

impl Data {
    pub(super) fn of(task: &PretrainTask<'_>, options: &PretrainOptions<'_>) -> Self {
        let sources = &task.shards.manifest().sources;
        let is_counts = |state: scgpt_data::InputState| state == scgpt_data::InputState::Counts;
        Self {
            shards: options.shards.display().to_string(),
            sources: sources.iter().map(|source| source.path.clone()).collect(),
            training_cells: task.split.training().len(),
            validation_cells: task.validation.len(),
            vocabulary: task.network.vocab_size,
            from: task.config.model.as_ref().map(|path| path.display().to_string()),
            not_counts: sources
                .iter()
                .filter(|source| !is_counts(source.input_state))
                .map(|source| source.path.clone())
                .collect(),
        }
    }
}

impl PretrainReport {
    pub(super) fn new(
        config: &PretrainConfig,
        data: Data,
        outcome: &Outcome,
        history: History<'_>,
    ) -> Self {
        let History { training, validation, .. } = history;
        Self {
            data,
            config: config.clone(),
            steps: outcome.steps,
            best: outcome.best.clone(),
            stopped_early: outcome.stopped_early,
            training: training.into_inner().unwrap_or_else(PoisonError::into_inner).records,
            validation: validation.into_inner().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// The value of a metric in the best validation of this session.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let record = self.validation.iter().rev().find(|record| record.is_best)?;
        Some(record.metrics.iter().find(|metric| metric.name == name)?.value)
    }

    /// The report as a page.
    pub fn page(&self) -> crate::Page {
        page::page(self)
    }
}

/// Keeps what a run tells, the loss curve thinned out when it grows long.
pub(super) struct History<'a> {
    watch: &'a dyn Watch,
    training: Mutex<Thinned>,
    validation: Mutex<Vec<ValidationRecord>>,
}

impl<'a> History<'a> {
    /// Also passes everything on.
    pub(super) fn new(watch: &'a dyn Watch) -> Self {
        Self { watch, training: Mutex::default(), validation: Mutex::default() }
    }
}

/// Every `2^halvings`-th record.
#[derive(Debug, Default)]
struct Thinned {
    records: Vec<StepRecord>,
    halvings: u32,
    seen: u64,
}

impl Thinned {
    fn push(&mut self, record: &StepRecord) {
        if self.seen.is_multiple_of(1 << self.halvings) {
            self.records.push(record.clone());
        }
        self.seen += 1;
        if self.records.len() == POINTS {
            self.halvings += 1;
            let mut keep = false;
            self.records.retain(|_| {
                keep = !keep;
                keep
            });
        }
    }
}

impl Watch for History<'_> {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Step(record) => {
                self.training.lock().unwrap_or_else(PoisonError::into_inner).push(record);
            }
            Event::Validation(record) => {
                let mut records = self.validation.lock().unwrap_or_else(PoisonError::into_inner);
                records.push((*record).clone());
            }
            _ => {}
        }
        self.watch.event(event);
    }

    fn is_cancelled(&self) -> bool {
        self.watch.is_cancelled()
    }
}
