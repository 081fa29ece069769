//! A small task, its network, and runs of it that can be watched and stopped.

use std::{
    path::Path,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use burn::{prelude::*, tensor::TensorData};
use scgpt_data::{Keyed, Purpose};
use scgpt_model::{AttentionMask, ModelInput, Scgpt, ScgptConfig};
use scgpt_train::{
    Batch, Event, LossTerms, Metric, Objectives, Outcome, Progress, Result, RunOptions, Schedule,
    Targets, Task, TrainConfig, TrainObserver, fit,
};
use serde_json::json;

pub(crate) const GENES: usize = 24;
const TOKENS: usize = 10;

/// Dropout draws from the generator of the whole process: one run at a time.
static ONE_RUN: Mutex<()> = Mutex::new(());

pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ONE_RUN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Cells whose value at a gene is the gene's number, hidden at every third token.
pub(crate) struct Numbers {
    pub(crate) n_cells: usize,
    pub(crate) batch_size: usize,
    pub(crate) poison: Option<u64>,
}

impl Numbers {
    pub(crate) fn new(n_cells: usize, batch_size: usize) -> Self {
        Self { n_cells, batch_size, poison: None }
    }
}

/// Genes of each cell.
pub(crate) struct Cells(Vec<Vec<i32>>);

impl Batch for Cells {
    fn n_cells(&self) -> usize {
        self.0.len()
    }

    fn n_targets(&self) -> usize {
        self.0.len() * hidden().count()
    }
}

impl Task for Numbers {
    type Batch = Cells;

    fn batches_per_epoch(&self) -> u64 {
        self.n_cells.div_ceil(self.batch_size) as u64
    }

    fn batch(&self, epoch: u64, index: u64) -> Result<Cells> {
        let first = usize::try_from(index).unwrap() * self.batch_size;
        let cell = |cell: usize| {
            let key = Keyed::new(0, Purpose::Sample, epoch, cell as u64);
            let gene = |token: u64| i32::try_from(key.bits(token) % GENES as u64).unwrap();
            (0..TOKENS as u64).map(gene).collect()
        };
        Ok(Cells((first..self.n_cells.min(first + self.batch_size)).map(cell).collect()))
    }

    fn losses(
        &self,
        model: &Scgpt,
        batch: &Cells,
        progress: Progress,
        device: &Device,
    ) -> LossTerms {
        let poison = self.poison == Some(progress.step);
        let (input, targets) = tensors(batch, if poison { f32::NAN } else { 1.0 }, device);
        Objectives { gep: 1.0, gepc: 0.5, ..Objectives::default() }.terms(model, &input, &targets)
    }

    fn validate(&self, model: &Scgpt, device: &Device) -> Result<Vec<Metric>> {
        let (input, targets) = tensors(&self.batch(1000, 0)?, 1.0, device);
        let objectives = Objectives { gep: 1.0, ..Objectives::default() };
        let losses = objectives.terms(model, &input, &targets).total().unwrap();
        Ok(vec![Metric::loss("gep", f64::from(losses.into_scalar::<f32>()))])
    }
}

fn hidden() -> impl Iterator<Item = usize> {
    (1..TOKENS).filter(|token| token % 3 == 0)
}

pub(crate) fn tensors(batch: &Cells, scale: f32, device: &Device) -> (ModelInput, Targets) {
    let b = batch.n_cells();
    let genes: Vec<i32> = batch.0.iter().flatten().copied().collect();
    let is_target: Vec<f32> = (0..b * TOKENS)
        .map(|row| f32::from(u8::from(hidden().any(|t| t == row % TOKENS))))
        .collect();
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    let truth: Vec<f32> = genes.iter().map(|&gene| gene as f32 * scale).collect();
    let values =
        std::iter::zip(&truth, &is_target).map(|(&v, &h)| if h > 0.0 { -1.0 } else { v }).collect();
    let floats =
        |data: Vec<f32>| Tensor::<2>::from_data(TensorData::new(data, [b, TOKENS]), device);
    let input = ModelInput::new(
        Tensor::from_data(TensorData::new(genes, [b, TOKENS]), device),
        floats(values),
        AttentionMask::padding(vec![TOKENS; b], TOKENS),
    );
    let targets = Targets {
        values: floats(truth),
        is_target: floats(is_target),
        class_weights: None,
        classes: None,
        domains: None,
    };
    (input, targets)
}

pub(crate) fn network() -> ScgptConfig {
    ScgptConfig {
        d_model: 32,
        n_heads: 2,
        d_ff: 32,
        n_layers: 2,
        dropout: 0.2,
        ..ScgptConfig::new(GENES)
    }
}

pub(crate) fn config() -> TrainConfig {
    TrainConfig {
        epochs: 3,
        schedule: Schedule::WarmupCosine { warmup: 0.2 },
        optimizer: scgpt_train::OptimizerConfig { lr: 1e-2, ..Default::default() },
        ..TrainConfig::default()
    }
}

/// Losses of every step, and a step after which to stop.
pub(crate) struct Recorder {
    losses: Mutex<Vec<(u64, u64)>>,
    stop_after: u64,
    step: AtomicU64,
    pub(crate) damaged: Mutex<Vec<String>>,
}

impl Recorder {
    pub(crate) fn new(stop_after: u64) -> Self {
        Self {
            losses: Mutex::default(),
            stop_after,
            step: AtomicU64::new(0),
            damaged: Mutex::default(),
        }
    }

    pub(crate) fn losses(&self) -> Vec<(u64, u64)> {
        self.losses.lock().unwrap().clone()
    }
}

impl TrainObserver for Recorder {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Step(record) => {
                self.losses.lock().unwrap().push((record.step, record.loss.to_bits()));
                self.step.store(record.step, Ordering::Relaxed);
            }
            Event::Damaged { path, problem } => {
                self.damaged.lock().unwrap().push(format!("{} {problem}", path.display()));
            }
            _ => {}
        }
    }

    fn is_cancelled(&self) -> bool {
        self.step.load(Ordering::Relaxed) >= self.stop_after
    }
}

/// Where a run begins.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Start {
    Anew,
    /// At its newest checkpoint.
    Resumed,
}

pub(crate) fn train<T: Task>(
    task: &T,
    config: &TrainConfig,
    folder: &Path,
    start: Start,
    watch: &dyn TrainObserver,
) -> Result<Outcome> {
    let device = Device::flex();
    let network = network();
    let model = initial(&network);
    let mut run = RunOptions::new(folder);
    run.settings = json!({ "train": config, "network": network });
    run.resume = start == Start::Resumed;
    run.checkpoint_every = Some(2);
    run.keep = 2;
    fit(task, model, &network, config, &run, &device, watch)
}

pub(crate) fn initial(network: &ScgptConfig) -> Scgpt {
    let device = Device::flex();
    device.seed(3);
    let model = network.init(&device).unwrap();
    model.draw();
    model
}

pub(crate) fn weights(model: &Scgpt, folder: &Path) -> Vec<u8> {
    let path = folder.join("weights.safetensors");
    model.save(&path).unwrap();
    std::fs::read(path).unwrap()
}
