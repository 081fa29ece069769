//! `cargo run --release -p scgpt-train --example own_task`: a training task of one's own.
#![allow(clippy::print_stdout, reason = "an example says what it found")]

use burn::prelude::Device;
use scgpt_data::GeneToken;
use scgpt_model::{Scgpt, ScgptConfig, host_values};
use scgpt_train::{
    LossTerms, Metric, Objectives, Progress, Result, RunOptions, Task, TrainBatch, TrainCell,
    TrainConfig, Unwatched, fit,
};

/// Of which of two kinds is a cell? Cell `i` is of kind `i % 2`, and its last gene says so.
struct Kinds;

fn cells(first: u32) -> TrainBatch {
    let cell = |i: u32| {
        let tokens = [(0, 0.0), (2 + i % 5, 25.0), (7 + i % 2, 40.0)];
        TrainCell::seen(tokens.map(|(gene, value)| (GeneToken(gene), value)).into_iter().collect())
    };
    let made: Vec<TrainCell> = (first..first + 16).map(cell).collect();
    let mut batch = TrainBatch::new(&made, GeneToken(1), -2.0);
    batch.classes = Some((first..first + 16).map(|i| (i % 2).cast_signed()).collect());
    batch
}

impl Task for Kinds {
    type Batch = TrainBatch;

    fn batches_per_epoch(&self) -> u64 {
        20
    }

    fn batch(&self, _epoch: u64, index: u64) -> Result<TrainBatch> {
        Ok(cells(u32::try_from(16 * index).unwrap_or(0)))
    }

    fn losses(&self, model: &Scgpt, of: &TrainBatch, _: Progress, device: &Device) -> LossTerms {
        let (input, targets) = of.to_device(device);
        Objectives { class: 1.0, ..Objectives::default() }.terms(model, &input, &targets)
    }

    fn validate(&self, model: &Scgpt, device: &Device) -> Result<Vec<Metric>> {
        let encoded = model.encode(&cells(1000).input.to_device(device));
        let logits = model.classify(&encoded).map(host_values).unwrap_or_default();
        let right = logits.chunks(2).enumerate().filter(|(i, of)| (of[1] > of[0]) == (i % 2 == 1));
        Ok(vec![Metric::score("accuracy", right.count() as f64 / 16.0)])
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let (folder, device) = (tempfile::tempdir()?, Device::default());
    let network = ScgptConfig { d_model: 16, n_heads: 2, n_classes: 2, ..ScgptConfig::new(9) };
    let mut config = TrainConfig { epochs: 10, ..TrainConfig::default() };
    config.optimizer.lr = 3e-3;
    let (model, run) = (network.init(&device)?, RunOptions::new(folder.path()));
    let outcome = fit(&Kinds, model, &network, &config, &run, &device, &Unwatched)?;
    println!("{} steps, best {:?}", outcome.steps, outcome.best);
    Ok(())
}
