//! [`Rehearsal`]: the first steps of a run, from which the others can be foreseen.

use std::time::Instant;

use burn::{module::Param, prelude::*};
use scgpt_model::{ParameterName, Scgpt, VisitNamed};
use serde::Serialize;

use crate::{config::TrainConfig, lora::learns_beside_adapters};

/// Steps that are measured, after one in which memory is taken and weights are packed.
const MEASURED: usize = 3;

/// What a run needs, as its first steps tell.
#[derive(Clone, Copy, Debug, Serialize)]
#[non_exhaustive]
pub struct Rehearsal {
    /// Numbers of the network, running statistics included.
    pub parameters: usize,
    /// Those of them that learn.
    pub learning: usize,
    /// Those of them in whose place adapters could learn: the blocks without their norms, and gene vectors.
    pub adaptable: usize,
    /// Whether its blocks are computed again for their gradients.
    pub recomputes: bool,
    /// Optimiser steps of the whole run.
    pub steps: u64,
    /// Its validations, each with a checkpoint.
    pub validations: u64,
    /// Its further checkpoints.
    pub checkpoints: u64,
    /// Cells per second, of the measured steps.
    pub cells_per_second: f64,
    /// Seconds of a step, from one to the next.
    pub step_seconds: f64,
    /// Seconds of a validation.
    pub validation_seconds: f64,
    /// Seconds in which a checkpoint is written.
    pub checkpoint_seconds: f64,
}

impl Rehearsal {
    /// Seconds of the whole training, without what is done before and after.
    pub fn seconds(&self) -> f64 {
        self.step_seconds * self.steps as f64
            + (self.validation_seconds + self.checkpoint_seconds) * self.validations as f64
            + self.checkpoint_seconds * self.checkpoints as f64
    }
}

/// A rehearsal that goes on.
pub(crate) struct Rehearsing {
    /// When the last step, or what followed it, was done.
    last: Instant,
    /// Seconds and cells of each step.
    steps: Vec<(f64, usize)>,
    validation_seconds: f64,
    checkpoint_seconds: f64,
}

impl Rehearsing {
    pub(crate) fn begin() -> Self {
        Self {
            last: Instant::now(),
            steps: Vec::new(),
            validation_seconds: 0.0,
            checkpoint_seconds: 0.0,
        }
    }

    fn lap(&mut self) -> f64 {
        let now = Instant::now();
        now.duration_since(std::mem::replace(&mut self.last, now)).as_secs_f64()
    }

    /// Takes note of a step that is done, and says whether it is the last.
    pub(crate) fn step(&mut self, cells: usize) -> bool {
        let seconds = self.lap();
        self.steps.push((seconds, cells));
        self.steps.len() > MEASURED
    }

    pub(crate) fn validated(&mut self) {
        self.validation_seconds = self.lap();
    }

    pub(crate) fn saved(&mut self) {
        self.checkpoint_seconds = self.lap();
    }

    /// What was seen.
    pub(crate) fn end(
        &self,
        (model, recomputes): (&Scgpt, bool),
        config: &TrainConfig,
        [batches_per_epoch, steps]: [u64; 2],
        checkpoint_every: Option<u64>,
    ) -> Rehearsal {
        let first = usize::from(self.steps.len() > 1);
        let measured = &self.steps[first..];
        let seconds: f64 = measured.iter().map(|step| step.0).sum();
        let cells: usize = measured.iter().map(|step| step.1).sum();
        let validation_every =
            config.validate_every.unwrap_or_else(|| config.steps_per_epoch(batches_per_epoch));
        let due = |every: u64| steps / every.max(1);
        let validations = steps.div_ceil(validation_every.max(1));
        let mut count = Count::default();
        model.visit_named(&mut count);
        Rehearsal {
            parameters: count.all,
            learning: count.learning,
            adaptable: count.adaptable,
            recomputes,
            steps,
            validations,
            checkpoints: checkpoint_every.map_or(0, due),
            cells_per_second: cells as f64 / seconds,
            step_seconds: seconds / measured.len().max(1) as f64,
            validation_seconds: self.validation_seconds,
            checkpoint_seconds: self.checkpoint_seconds,
        }
    }
}

/// Counts the numbers of a network.
#[derive(Default)]
struct Count {
    all: usize,
    learning: usize,
    adaptable: usize,
}

impl VisitNamed for Count {
    fn visit<const D: usize>(&mut self, name: ParameterName, parameter: &Param<Tensor<D>>) {
        let n = parameter.val().shape().num_elements();
        self.all += n;
        if parameter.is_require_grad() {
            self.learning += n;
            self.adaptable += if learns_beside_adapters(&name.key) { 0 } else { n };
        }
    }
}
