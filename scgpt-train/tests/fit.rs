//! The loop on a small task: what it promises about resuming, accumulating, freezing and stopping.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "fit/adapters.rs"]
mod adapters;
#[path = "fit/midst.rs"]
mod midst;
#[path = "fit/numbers.rs"]
mod numbers;
#[path = "fit/recompute.rs"]
mod recompute;

use std::sync::atomic::{AtomicU64, Ordering};

use burn::prelude::*;
use scgpt_model::{Scgpt, ScgptConfig};
use scgpt_train::{
    Error, LossTerms, Metric, Part, Precision, Progress, Result, RunOptions, Schedule, Task,
    TrainConfig, Unwatched, fit,
};
use serde_json::json;

use crate::numbers::{
    Cells, Numbers, Recorder, Start, alone, config, initial, network, train, weights,
};

#[test]
fn interrupted_anywhere_a_run_goes_on_bit_for_bit() {
    let _alone = alone();
    let task = Numbers::new(22, 4); // 6 batches, the last one smaller
    let config = TrainConfig { accumulate: 2, ..config() };
    let whole = tempfile::tempdir().unwrap();
    let watch = Recorder::new(u64::MAX);
    let expected = train(&task, &config, whole.path(), Start::Anew, &watch).unwrap();
    let expected_losses = watch.losses();
    assert_eq!(expected_losses.len(), 9);
    let first = f64::from_bits(expected_losses[0].1);
    let last = f64::from_bits(expected_losses[8].1);
    assert!(last < first, "it learns: {first} to {last}");

    for stop in [1, 4, 6, 8] {
        let folder = tempfile::tempdir().unwrap();
        let before = Recorder::new(stop);
        let error = train(&task, &config, folder.path(), Start::Anew, &before).unwrap_err();
        assert!(matches!(error, Error::Interrupted(_)), "{error}");
        let after = Recorder::new(u64::MAX);
        let resumed = train(&task, &config, folder.path(), Start::Resumed, &after).unwrap();
        let losses = [before.losses(), after.losses()].concat();
        assert_eq!(losses, expected_losses, "stopped after {stop}");
        assert!(
            weights(&resumed.model, folder.path()) == weights(&expected.model, whole.path()),
            "stopped after {stop}"
        );
    }
}

#[test]
fn accumulated_gradients_are_those_of_the_large_batch() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let mut losses = Vec::new();
    for (batch_size, accumulate) in [(9, 1), (3, 3), (4, 3)] {
        let watch = Recorder::new(u64::MAX);
        let config = TrainConfig { accumulate, ..config() };
        let device = Device::flex();
        let network = ScgptConfig { dropout: 0.0, ..network() };
        let mut run = RunOptions::new(folder.path());
        run.settings = json!(accumulate);
        let model = initial(&network);
        let task = Numbers::new(9, batch_size);
        fit(&task, model, &network, &config, &run, &device, &watch).unwrap();
        losses.push(watch.losses());
    }
    for other in &losses[1..] {
        for (a, b) in losses[0].iter().zip(other) {
            let [a, b] = [a.1, b.1].map(f64::from_bits);
            assert!((a - b).abs() < 2e-4 * a.abs(), "{a} and {b}");
        }
    }
}

#[test]
fn frozen_parts_stay() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let frozen = TrainConfig { freeze: vec![Part::Genes, Part::Blocks(1)], ..config() };
    let trained =
        train(&Numbers::new(8, 4), &frozen, folder.path(), Start::Anew, &Unwatched).unwrap().model;
    let initial = initial(&network());
    let table = |model: &Scgpt| model.genes.embedding.weight.val().into_data();
    let block = |model: &Scgpt, i: usize| model.encoder.blocks[i].linear1.weight.val().into_data();
    assert_eq!(table(&trained), table(&initial));
    assert_eq!(block(&trained, 0), block(&initial, 0));
    assert_ne!(block(&trained, 1), block(&initial, 1));
    let too_many = TrainConfig { freeze: vec![Part::Blocks(3)], ..config() };
    let error = train(&Numbers::new(8, 4), &too_many, folder.path(), Start::Anew, &Unwatched);
    assert!(error.unwrap_err().to_string().contains("3 blocks, but the network has 2"));
}

#[test]
fn training_stops_when_nothing_improves() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    // A learning rate that moves nothing but noise: the first validation stays the best.
    let config = TrainConfig {
        epochs: 50,
        patience: Some(2),
        optimizer: scgpt_train::OptimizerConfig { lr: 1.0, ..Default::default() },
        schedule: Schedule::Constant,
        ..config()
    };
    let outcome =
        train(&Numbers::new(8, 4), &config, folder.path(), Start::Anew, &Unwatched).unwrap();
    assert!(outcome.stopped_early);
    assert!(outcome.steps < 100, "{}", outcome.steps);
    assert!(outcome.best.unwrap().step < outcome.steps);
}

#[test]
fn a_divergence_names_step_term_and_last_good_checkpoint() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let task = Numbers { poison: Some(5), ..Numbers::new(8, 4) };
    let error = train(&task, &config(), folder.path(), Start::Anew, &Unwatched).unwrap_err();
    let message = error.to_string();
    for part in ["step 6", "`gep` (NaN)", "step-000000004"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(error.hint().is_some());
}

#[test]
fn damaged_checkpoints_are_passed_over_and_said_so() {
    let _alone = alone();
    let task = Numbers::new(8, 4);
    let folder = tempfile::tempdir().unwrap();
    let interrupted = train(&task, &config(), folder.path(), Start::Anew, &Recorder::new(4));
    assert!(interrupted.is_err());
    let newest = folder.path().join("checkpoints/step-000000004/model.safetensors");
    let mut bytes = std::fs::read(&newest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    let watch = Recorder::new(u64::MAX);
    train(&task, &config(), folder.path(), Start::Resumed, &watch).unwrap();
    assert_eq!(watch.losses()[0].0, 3, "goes on from step 2");
    let damaged = watch.damaged.lock().unwrap().join(" ");
    assert!(damaged.contains("step-000000004") && damaged.contains("SHA-256"), "{damaged}");

    for step in ["step-000000004", "step-000000006"] {
        drop(std::fs::write(folder.path().join("checkpoints").join(step).join("state.json"), "{"));
    }
    let error = train(&task, &config(), folder.path(), Start::Resumed, &Unwatched).unwrap_err();
    assert!(matches!(error, Error::NoCheckpoint { .. }), "{error}");
}

#[test]
fn the_best_network_is_chosen_by_a_named_metric() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let by = |name: &str| TrainConfig { select_by: Some(name.into()), ..config() };
    let task = Numbers::new(8, 4);
    let best = train(&task, &by("gep"), folder.path(), Start::Anew, &Unwatched).unwrap().best;
    assert_eq!(best.unwrap().metric.name, "gep");
    let error = train(&task, &by("accuracy"), folder.path(), Start::Anew, &Unwatched).unwrap_err();
    assert!(error.to_string().contains("the metrics are gep"), "{error}");
}

#[test]
fn another_configuration_does_not_resume() {
    let _alone = alone();
    let task = Numbers::new(8, 4);
    let folder = tempfile::tempdir().unwrap();
    assert!(train(&task, &config(), folder.path(), Start::Anew, &Recorder::new(2)).is_err());
    let mut other = config();
    other.optimizer.lr = 0.5;
    let error = train(&task, &other, folder.path(), Start::Resumed, &Unwatched).unwrap_err();
    assert!(error.to_string().contains("`train.optimizer.lr` was 0.01, is 0.5"), "{error}");
}

#[test]
fn nothing_to_train_on_is_an_error() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let error = train(&Numbers::new(0, 4), &config(), folder.path(), Start::Anew, &Unwatched);
    assert!(error.unwrap_err().to_string().contains("no cells"));
    let bad = TrainConfig { epochs: 0, accumulate: 0, clip_norm: Some(-1.0), ..config() };
    let error =
        train(&Numbers::new(4, 4), &bad, folder.path(), Start::Anew, &Unwatched).unwrap_err();
    for field in ["`epochs`", "`accumulate`", "`clip_norm`"] {
        assert!(error.to_string().contains(field), "{error}");
    }
}

/// A task that has six batches at first, and three once training goes on.
struct Dwindling(Numbers, AtomicU64);

impl Task for Dwindling {
    type Batch = Cells;

    fn batches_per_epoch(&self) -> u64 {
        if self.1.fetch_add(1, Ordering::Relaxed) < 3 { 6 } else { 3 }
    }

    fn batch(&self, epoch: u64, index: u64) -> Result<Cells> {
        self.0.batch(epoch, index)
    }

    fn losses(
        &self,
        model: &Scgpt,
        batch: &Cells,
        progress: Progress,
        device: &Device,
    ) -> LossTerms {
        self.0.losses(model, batch, progress, device)
    }

    fn validate(&self, model: &Scgpt, device: &Device) -> Result<Vec<Metric>> {
        self.0.validate(model, device)
    }
}

#[test]
fn training_that_did_not_happen_is_an_error() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let task = Dwindling(Numbers::new(24, 4), AtomicU64::new(0));
    let error = train(&task, &config(), folder.path(), Start::Anew, &Unwatched).unwrap_err();
    assert!(error.to_string().contains("batches for 9 of 18 steps only"), "{error}");
    // The first step in f16 only finds the scale of the loss.
    let one = TrainConfig { precision: Precision::F16, max_steps: Some(1), ..config() };
    let error =
        train(&Numbers::new(24, 4), &one, folder.path(), Start::Anew, &Unwatched).unwrap_err();
    assert!(error.to_string().contains("none of 1 steps could be used"), "{error}");
}

#[test]
fn sixteen_bits_learn_like_thirty_two() {
    let _alone = alone();
    let last = |precision: Precision| {
        let folder = tempfile::tempdir().unwrap();
        let watch = Recorder::new(u64::MAX);
        // In f16 the first steps only find the scale of the loss.
        let config = TrainConfig { precision, epochs: 10, ..config() };
        train(&Numbers::new(16, 4), &config, folder.path(), Start::Anew, &watch).unwrap();
        let losses = watch.losses();
        [0, losses.len() - 1].map(|step| f64::from_bits(losses[step].1))
    };
    let [_, expected] = last(Precision::F32);
    for (precision, most) in [(Precision::Bf16, 0.1), (Precision::Bf16x3, 0.01)] {
        let [_, loss] = last(precision);
        assert!((loss - expected).abs() < most * expected, "{precision}: {loss}, {expected}");
    }
    let [first, f16] = last(Precision::F16);
    assert!(f16 < 0.7 * first, "{f16}, {first}");
}
