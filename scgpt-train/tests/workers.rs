//! Several workers, as threads of one process: their weights are those of one, bit for bit.
//!
//! Dropout draws from the generator of the whole process, so networks have none here.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "workers/ends.rs"]
mod ends;
#[path = "workers/fast.rs"]
mod fast;
#[path = "workers/threads.rs"]
mod threads;

use std::{
    path::Path,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use burn::prelude::*;
use scgpt_data::{CellTokens, GeneToken, Keyed, Purpose};
use scgpt_model::{DomainNorm, InputNorm, Scgpt, ScgptConfig};
use scgpt_train::{
    Error, Event, LossTerms, Metric, Objectives, Outcome, Precision, Progress, Reduce, Result,
    RunOptions, Task, TrainBatch, TrainCell, TrainConfig, TrainObserver, Workers, fit,
};
use serde_json::json;

use self::threads::{Thread, threads};

const GENES: usize = 24;
const CELLS: usize = 37;
const BATCH: usize = 3;

/// Cells of different lengths, in 13 batches, the last of which is smaller.
struct Cells {
    objectives: Objectives,
    /// Cells of a batch.
    batch: usize,
    /// The batch that cannot be read.
    bad: Option<u64>,
    /// Of the network that learns from them.
    norm: InputNorm,
}

impl Cells {
    fn of(objectives: Objectives) -> Self {
        Self { objectives, batch: BATCH, bad: None, norm: InputNorm::None }
    }
}

impl Task for Cells {
    type Batch = TrainBatch;

    fn batches_per_epoch(&self) -> u64 {
        CELLS.div_ceil(self.batch) as u64
    }

    fn batch(&self, epoch: u64, index: u64) -> Result<TrainBatch> {
        if self.bad == Some(index) && epoch == 1 {
            return Err(Error::Data("the cells cannot be read".into()));
        }
        let first = usize::try_from(index).unwrap() * self.batch;
        let cells: Vec<usize> = (first..CELLS.min(first + self.batch)).collect();
        let made = cells.iter().map(|&cell| {
            let key = Keyed::new(0, Purpose::Sample, epoch, cell as u64);
            let token = |at: u64| {
                let gene = u32::try_from(key.bits(at) % GENES as u64).unwrap();
                (GeneToken(gene), f32::from(u8::try_from(gene).unwrap()))
            };
            let known: CellTokens = (0..4 + cell as u64 % 3).map(token).collect();
            let unknown: CellTokens = (9..10 + cell as u64 % 4).map(token).collect();
            TrainCell { known, hidden: Vec::new(), unknown }
        });
        let mut batch = TrainBatch::new(&made.collect::<Vec<_>>(), GeneToken(1), -2.0);
        batch.classes = Some(cells.iter().map(|&cell| i32::try_from(cell % 3).unwrap()).collect());
        batch.input.batches =
            Some(cells.iter().map(|&cell| i32::try_from(cell % 2).unwrap()).collect());
        Ok(batch)
    }

    fn losses(
        &self,
        model: &Scgpt,
        batch: &TrainBatch,
        progress: Progress,
        device: &Device,
    ) -> LossTerms {
        let (input, targets) = batch.to_device(device);
        // An objective that begins later: parameters without a gradient until then.
        let mut objectives = self.objectives;
        if progress.step < 2 {
            objectives.gepc = 0.0;
        }
        objectives.terms(model, &input, &targets)
    }

    fn validate(&self, model: &Scgpt, device: &Device) -> Result<Vec<Metric>> {
        let (input, targets) = self.batch(1000, 0)?.to_device(device);
        let total = self.objectives.terms(model, &input, &targets).total().unwrap();
        Ok(vec![Metric::loss("total", f64::from(total.into_scalar::<f32>()))])
    }
}

fn network(input_norm: InputNorm) -> ScgptConfig {
    ScgptConfig {
        d_model: 16,
        n_heads: 2,
        d_ff: 16,
        n_layers: 1,
        dropout: 0.0,
        n_classes: 3,
        n_domains: 2,
        dar: true,
        input_norm,
        zero_probability: true,
        gepc: Some(scgpt_model::GepcStyle::default()),
        ..ScgptConfig::new(GENES)
    }
}

fn config(accumulate: u64) -> TrainConfig {
    let optimizer = scgpt_train::OptimizerConfig { lr: 1e-2, ..Default::default() };
    TrainConfig { epochs: 2, accumulate, optimizer, ..TrainConfig::default() }
}

/// Losses of every step, and a step after which it asks to stop.
struct Watch {
    losses: Mutex<Vec<(u64, usize)>>,
    stop_after: u64,
    step: AtomicU64,
}

impl Watch {
    fn new(stop_after: u64) -> Self {
        Self { losses: Mutex::default(), stop_after, step: AtomicU64::new(0) }
    }
}

impl TrainObserver for Watch {
    fn event(&self, event: &Event<'_>) {
        if let Event::Step(record) = event {
            self.losses.lock().unwrap().push((record.loss.to_bits(), record.cells));
            self.step.store(record.step, Ordering::Relaxed);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.step.load(Ordering::Relaxed) >= self.stop_after
    }
}

/// The weights of the first worker, the same in all runs, without and with batch norm; the others begin with weights of their own, and get these.
static FIRST: [OnceLock<Scgpt>; 2] = [const { OnceLock::new() }; 2];

struct Run<'a> {
    task: &'a Cells,
    config: TrainConfig,
    folder: &'a Path,
    resume: bool,
    reduce: Reduce,
}

impl Run<'_> {
    fn by(&self, workers: &Workers, watch: &dyn TrainObserver) -> Result<Outcome> {
        let device = Device::flex();
        let network = network(self.task.norm);
        let own = network.init(&device).unwrap();
        let first = &FIRST[usize::from(self.task.norm != InputNorm::None)];
        let model = if workers.is_first() { first.get_or_init(|| own).clone() } else { own };
        let mut run = RunOptions::new(self.folder);
        run.settings = json!({ "train": self.config });
        run.resume = self.resume;
        run.checkpoint_every = Some(2);
        run.workers = workers;
        fit(self.task, model, &network, &self.config, &run, &device, watch)
    }

    /// The results of so many workers, the last of which asks to stop after a step.
    fn by_threads(&self, n: usize, stop_after: u64) -> Vec<(Result<Outcome>, Watch)> {
        self.by_these(threads(n), stop_after)
    }

    fn by_these(&self, threads: Vec<Thread>, stop_after: u64) -> Vec<(Result<Outcome>, Watch)> {
        let n = threads.len();
        thread::scope(|scope| {
            let begin = |(rank, transport)| {
                let stop = if rank + 1 == n { stop_after } else { u64::MAX };
                scope.spawn(move || {
                    let watch = Watch::new(stop);
                    let workers = Workers::of(transport).summing(self.reduce);
                    // The network has thousands of numbers.
                    let workers = workers.in_buckets_of(500);
                    (self.by(&workers, &watch), watch)
                })
            };
            let all: Vec<_> = threads.into_iter().enumerate().map(begin).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }
}

/// Weights after all steps, and losses and cells of each step.
type Seen = (Vec<u8>, Vec<(u64, usize)>);

fn weights(model: &Scgpt) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    model.save(&path).unwrap();
    std::fs::read(path).unwrap()
}

fn loss_of(losses: &[(u64, usize)]) -> impl Iterator<Item = f64> {
    losses.iter().map(|&(bits, _)| f64::from_bits(bits))
}

fn seen(ended: Vec<(Result<Outcome>, Watch)>) -> Seen {
    let mut ended = ended.into_iter().map(|(outcome, watch)| {
        (weights(&outcome.unwrap().model), watch.losses.into_inner().unwrap())
    });
    let first = ended.next().unwrap();
    for other in ended {
        assert!(other.1 == first.1, "everyone sees the same losses");
    }
    first
}

/// One run of so many workers.
fn trained(task: &Cells, config: &TrainConfig, workers: usize) -> Seen {
    let folder = tempfile::tempdir().unwrap();
    let run = Run {
        task,
        config: config.clone(),
        folder: folder.path(),
        resume: false,
        reduce: Reduce::Ordered,
    };
    if workers > 1 {
        return seen(run.by_threads(workers, u64::MAX));
    }
    let watch = Watch::new(u64::MAX);
    let outcome = run.by(&Workers::ALONE, &watch);
    seen(vec![(outcome, watch)])
}

/// Each objective.
fn objectives() -> Vec<Objectives> {
    let none = Objectives { ecs_threshold: 0.3, ..Objectives::default() };
    vec![
        Objectives { gep: 1.0, gepc: 0.5, ..none },
        Objectives { gep: 1.0, gep_zero: 1.0, gepc: 1.0, gepc_zero: 1.0, ..none },
        Objectives { class: 1.0, ecs: 1.0, ..none },
        Objectives { gep: 1.0, dar: 1.0, contrastive: 1.0, ..none },
        Objectives { gep: 1.0, cell_prompt: 1.0, ..none },
    ]
}

#[test]
fn workers_have_the_weights_of_one_that_accumulates() {
    for objectives in objectives() {
        let task = Cells::of(objectives);
        for n in [2, 4] {
            let alone = trained(&task, &config(n as u64), 1);
            assert!(trained(&task, &config(n as u64), n) == alone, "{n}, {objectives:?}");
        }
    }
}

#[test]
fn gathered_cells_are_compared_as_those_of_one_large_batch() {
    let none = Objectives { ecs_threshold: 0.3, ..Objectives::default() };
    let objectives = Objectives { gep: 1.0, ecs: 2.0, contrastive: 1.0, ..none };
    let (small, large) =
        (Cells::of(objectives), Cells { batch: 4 * BATCH, ..Cells::of(objectives) });
    let apart = trained(&small, &config(4), 1);
    let config = |accumulate| TrainConfig { gather_cells: true, ..config(accumulate) };
    let alone = trained(&small, &config(4), 1);
    for n in [2, 3, 4] {
        assert!(trained(&small, &config(4), n) == alone, "{n}");
    }
    let whole = trained(&large, &config(1), 1);
    let difference = |seen: &Seen| {
        let pairs = loss_of(&seen.1).zip(loss_of(&whole.1));
        pairs.map(|(seen, whole)| (seen - whole).abs() / whole.abs()).fold(0.0, f64::max)
    };
    // Of a step it is the order of sums; the weights of later ones add to that.
    let [one, all] = [&alone, &whole].map(|seen| loss_of(&seen.1).next().unwrap());
    assert!((one - all).abs() < 1e-6 * all, "{one}, {all}");
    assert!(difference(&alone) < 1e-5, "{}", difference(&alone));
    assert!(difference(&apart) > 1e-3, "{}", difference(&apart));
}

#[test]
fn running_statistics_move_by_the_batches_of_all() {
    let none = Objectives { ecs_threshold: 0.3, ..Objectives::default() };
    for objectives in [
        Objectives { gep: 1.0, ..none },
        // Two passes of each batch; and where cells are gathered, two more that only look.
        Objectives { contrastive: 1.0, ..none },
    ] {
        let task = Cells { norm: InputNorm::Batch, ..Cells::of(objectives) };
        let mut alone = Vec::new();
        for (gather_cells, precision) in
            [(false, Precision::F32), (true, Precision::F32), (false, Precision::Bf16)]
        {
            let config = TrainConfig { gather_cells, precision, ..config(4) };
            alone.push(trained(&task, &config, 1));
            for n in [2, 3, 4] {
                let shared = trained(&task, &config, n);
                assert!(Some(&shared) == alone.last(), "{n}, {gather_cells}, {objectives:?}");
            }
        }
        let compares = objectives.contrastive > 0.0;
        assert_eq!(alone[0] != alone[1], compares, "{objectives:?}");
        let folder = tempfile::tempdir().unwrap();
        let (config, folder) = (config(4), folder.path());
        let run = Run { task: &task, config, folder, resume: false, reduce: Reduce::Ordered };
        let model = run.by(&Workers::ALONE, &Watch::new(u64::MAX)).unwrap().model;
        let Some(DomainNorm::Batch(norm)) = &model.input_norm else { panic!("no norm") };
        let [mean, var] = [&norm.running_mean, &norm.running_var].map(|it| it.value().into_data());
        assert!(mean.iter::<f32>().all(|mean| mean != 0.0), "{mean}");
        assert!(var.iter::<f32>().all(|var| (var - 1.0).abs() > 1e-6), "{var}");
    }
}

#[test]
fn how_many_workers_there_are_changes_no_bit() {
    let task = Cells::of(objectives()[0]);
    for precision in [Precision::F32, Precision::Bf16] {
        for accumulate in [4, 5] {
            let config = TrainConfig { precision, ..config(accumulate) };
            let alone = trained(&task, &config, 1);
            for n in [2, 3, 4] {
                assert!(trained(&task, &config, n) == alone, "{n} of {accumulate}, {precision}");
            }
        }
    }
    assert_ne!(trained(&task, &config(1), 1).0, trained(&task, &config(4), 1).0);
}

#[test]
fn workers_of_other_settings_do_not_begin() {
    let task = Cells::of(objectives()[0]);
    let folder = tempfile::tempdir().unwrap();
    let ended: Vec<_> = thread::scope(|scope| {
        let begin = |(rank, transport)| {
            // Another rate.
            let mut config = config(2);
            config.optimizer.lr *= 1.0 + rank as f64;
            let run = Run {
                task: &task,
                config,
                folder: folder.path(),
                resume: false,
                reduce: Reduce::Ordered,
            };
            scope.spawn(move || run.by(&Workers::of(transport), &Watch::new(u64::MAX)))
        };
        let all: Vec<_> = threads(2).into_iter().enumerate().map(begin).collect();
        all.into_iter().map(|thread| thread.join().unwrap().unwrap_err().to_string()).collect()
    });
    assert!(ended[0].contains("is gone"), "{}", ended[0]);
    assert!(ended[1].contains("`train.optimizer.lr` was 0.01, is 0.02"), "{}", ended[1]);
}

#[test]
fn a_run_goes_on_with_another_number_of_workers() {
    let task = Cells::of(objectives()[0]);
    let (weights_alone, losses_alone) = trained(&task, &config(4), 1);
    let folder = tempfile::tempdir().unwrap();
    let mut losses = Vec::new();
    for (n, stop_after, resume) in [(4, 3, false), (2, 5, true)] {
        let run = Run {
            task: &task,
            config: config(4),
            folder: folder.path(),
            resume,
            reduce: Reduce::Ordered,
        };
        for (rank, (outcome, watch)) in run.by_threads(n, stop_after).into_iter().enumerate() {
            // The last asks for it, and all stop.
            assert!(matches!(outcome, Err(Error::Interrupted(_))), "worker {rank}");
            if rank == 0 {
                losses.extend(watch.losses.into_inner().unwrap());
            }
        }
        let state = format!("checkpoints/step-{:09}/state.json", losses.len());
        let state = std::fs::read_to_string(folder.path().join(state)).unwrap();
        assert!(state.contains(&format!("\"workers\": {n}")), "{state}");
    }
    let run = Run {
        task: &task,
        config: config(4),
        folder: folder.path(),
        resume: true,
        reduce: Reduce::Ordered,
    };
    let (weights, rest) = seen(run.by_threads(4, u64::MAX));
    losses.extend(rest);
    assert_eq!(losses, losses_alone);
    assert!(weights == weights_alone);
}

#[test]
fn a_worker_that_fails_ends_the_training_of_all() {
    let task = Cells { bad: Some(6), ..Cells::of(objectives()[0]) };
    let folder = tempfile::tempdir().unwrap();
    let run = Run {
        task: &task,
        config: config(4),
        folder: folder.path(),
        resume: false,
        reduce: Reduce::Ordered,
    };
    for (rank, (outcome, _)) in run.by_threads(4, u64::MAX).into_iter().enumerate() {
        let message = outcome.unwrap_err().to_string();
        // Batch 6 is the third of its step.
        let expected = if rank == 2 { "cannot be read" } else { "is gone" };
        assert!(message.contains(expected), "worker {rank}: {message}");
    }
    // What was saved is there to go on from.
    let task = Cells::of(objectives()[0]);
    let run = Run { task: &task, resume: true, ..run };
    assert!(seen(run.by_threads(2, u64::MAX)).0 == trained(&task, &config(4), 1).0);
}

#[test]
fn a_worker_that_computes_otherwise_is_found_at_the_next_checkpoint() {
    let task = Cells::of(objectives()[0]);
    let folder = tempfile::tempdir().unwrap();
    let run = Run {
        task: &task,
        config: config(3),
        folder: folder.path(),
        resume: false,
        reduce: Reduce::Ordered,
    };
    let mut workers = threads(3);
    workers[2].is_faulty = true;
    for (rank, (outcome, watch)) in run.by_these(workers, u64::MAX).into_iter().enumerate() {
        let error = outcome.unwrap_err();
        let Error::Drifted { parameter, worker } = &error else { panic!("worker {rank}: {error}") };
        assert_eq!(*worker, 2);
        let message = format!("`{parameter}` of worker 2 is not that of the first worker");
        assert_eq!(error.to_string(), message);
        assert!(error.hint().unwrap().contains("the machine of that worker"));
        assert_eq!(watch.losses.into_inner().unwrap().len(), 2, "it is saved after two steps");
    }
    assert!(!scgpt_train::has_checkpoint(folder.path()), "weights that differ are not saved");
}

#[test]
fn a_state_that_cannot_be_saved_ends_the_training_of_all() {
    let task = Cells::of(objectives()[0]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("checkpoints"), "in the way").unwrap();
    let run = Run {
        task: &task,
        config: config(2),
        folder: folder.path(),
        resume: false,
        reduce: Reduce::Ordered,
    };
    for (rank, (outcome, watch)) in run.by_threads(2, u64::MAX).into_iter().enumerate() {
        let message = outcome.unwrap_err().to_string();
        let expected = if rank == 0 { "cannot write" } else { "is gone" };
        assert!(message.contains(expected), "worker {rank}: {message}");
        assert_eq!(watch.losses.into_inner().unwrap().len(), 2, "nobody goes on unsaved");
    }
}

#[test]
fn more_workers_than_batches_of_a_step_are_refused() {
    let task = Cells::of(objectives()[0]);
    let folder = tempfile::tempdir().unwrap();
    let run = Run {
        task: &task,
        config: config(2),
        folder: folder.path(),
        resume: false,
        reduce: Reduce::Ordered,
    };
    for (outcome, _) in run.by_threads(3, u64::MAX) {
        let message = outcome.unwrap_err().to_string();
        assert!(
            message.contains("`accumulate` is 2") && message.contains("3 workers"),
            "{message}"
        );
    }
}
