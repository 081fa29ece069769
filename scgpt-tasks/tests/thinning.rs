//! What validations say of cells that are told apart, and the network that is kept for it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use burn::prelude::Device;
use scgpt_data::{
    CellSource, CellSubset, GeneNames, GeneVocab, Layer, ShardOptions, Silent, write_shards,
};
use scgpt_eval::simulate::{SimulateOptions, Simulation};
use scgpt_model::{CellPooling, InputNorm, Strictness};
use scgpt_tasks::{
    Error, GeneStart, LearnOptions, NetworkConfig, Recipe,
    embed::{EmbedOptions, Embedder},
    integrate::{IntegrateConfig, IntegrateOptions, IntegrateReport, Integration},
    pretrain::{Preset, PretrainConfig, PretrainOptions, Pretraining},
};
use scgpt_train::{
    Event, Metric, Objectives, OptimizerConfig, Schedule, TrainConfig, TrainObserver, Unwatched,
    ValidationRecord,
};

const CELLS: SimulateOptions = {
    let mut options = SimulateOptions::new(300, 200);
    (options.types, options.batches, options.seed) = (40, 2, 3);
    options
};
const TINY: NetworkConfig =
    NetworkConfig { n_layers: 1, n_heads: 2, d_model: 32, d_ff: 32, ..NetworkConfig::SMALL };

/// A start that tells cells apart, and a rate at which it is soon forgotten or improved.
fn config(start: GeneStart, lr: f64) -> IntegrateConfig {
    let scratch = IntegrateConfig::of(Recipe::Scratch);
    IntegrateConfig {
        batch_size: 16,
        hvg: 100,
        max_length: 61,
        start,
        pooling: CellPooling::ValueMean,
        input_norm: InputNorm::None,
        batch_labels: false,
        validation_share: 0.3,
        network: TINY,
        include_zeros: true,
        objectives: Objectives {
            gep: 1.0,
            gep_zero: 1.0,
            gepc: 1.0,
            gepc_zero: 1.0,
            ..Objectives::default()
        },
        training: TrainConfig {
            epochs: 3,
            select_by: Some(Metric::THINNING.into()),
            optimizer: OptimizerConfig { lr, ..OptimizerConfig::default() },
            schedule: Schedule::Constant,
            ..scratch.training
        },
        ..scratch
    }
}

/// One training at a time: a device has one generator for all of them.
static TRAINING: Mutex<()> = Mutex::new(());

fn train(
    config: &IntegrateConfig,
    output: &Path,
    watch: &dyn TrainObserver,
    change: impl FnOnce(&mut IntegrateOptions<'_>),
) -> Result<IntegrateReport, Error> {
    let _alone = TRAINING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut options = IntegrateOptions::new(LearnOptions::new(output, &Layer::X));
    options.batch_key = Some("batch");
    change(&mut options);
    std::fs::create_dir_all(output.join("training")).unwrap();
    let device = Device::flex();
    let mut source = Simulation::new(&CELLS, None).unwrap();
    let prepared = Integration::prepare(&source, config, options, &device)?;
    Ok(prepared.run(&mut source, None, watch, &Silent)?.report)
}

fn shares(validations: &[ValidationRecord]) -> Vec<(u64, f64)> {
    let share = |record: &ValidationRecord| {
        let mut metrics = record.metrics.iter();
        (record.step, metrics.find(|metric| metric.name == Metric::THINNING).unwrap().value)
    };
    validations.iter().map(share).collect()
}

#[test]
fn a_start_that_training_destroys_is_kept_and_said_so() {
    let place = tempfile::tempdir().unwrap();
    let report =
        train(&config(GeneStart::Spectral, 0.3), place.path(), &Unwatched, |_| ()).unwrap();
    let shares = shares(&report.curves.validation);
    let (first, later) = shares.split_first().unwrap();
    assert!(first.0 == 0 && first.1 > 0.2, "{shares:?}");
    assert!(later.len() == 3 && later.iter().all(|share| share.1 < first.1), "{shares:?}");
    let best = report.learned.best.as_ref().unwrap();
    assert_eq!((best.step, best.metric.name.as_str()), (0, Metric::THINNING));
    let thinned = report.learned.thinned.unwrap();
    assert!((80..=100).contains(&thinned.cells) && thinned.by_coin == 0, "{thinned:?}");
    let said = report.learned.kept_start.as_ref().unwrap();
    assert!(said.contains("the start is kept") && report.page().to_html().contains(said), "{said}");
    let card = std::fs::read_to_string(place.path().join("README.md")).unwrap();
    assert!(card.contains("find each other by their embeddings"), "{card}");
}

/// A network whose embedding tells hardly a cell before it has learned what `<cls>` should look at.
fn learning() -> IntegrateConfig {
    IntegrateConfig { pooling: CellPooling::Cls, ..config(GeneStart::Random, 3e-3) }
}

#[test]
fn a_network_that_learned_to_tell_cells_apart_is_kept() {
    let place = tempfile::tempdir().unwrap();
    let report = train(&learning(), place.path(), &Unwatched, |_| ()).unwrap();
    let shares = shares(&report.curves.validation);
    // 0.03 before the first step, 0.09 at best when this was written.
    assert!(shares.iter().any(|share| share.1 > shares[0].1 + 0.03), "{shares:?}");
    assert!(report.learned.best.unwrap().step > 0, "{shares:?}");
    assert_eq!(report.learned.kept_start, None);
}

#[test]
fn by_loss_the_start_is_no_candidate_and_cells_computed_at_once_change_nothing() {
    let shares = [1, 7].map(|at_once| {
        let place = tempfile::tempdir().unwrap();
        let mut config = config(GeneStart::Spectral, 1e-3);
        config.training.select_by = Some(Metric::LOSS.into());
        config.training.epochs = 1;
        let change = |options: &mut IntegrateOptions<'_>| options.predict_batch = at_once;
        let report = train(&config, place.path(), &Unwatched, change).unwrap();
        assert_eq!(report.learned.best.unwrap().metric.name, "gep");
        shares(&report.curves.validation)
    });
    assert!(shares[0].len() == 1 && shares[0] == shares[1], "{shares:?}");
}

/// Stops a run after a step.
struct StopAfter(u64, AtomicU64);

impl TrainObserver for StopAfter {
    fn event(&self, event: &Event<'_>) {
        if let Event::Step(record) = event {
            self.1.store(record.step, Ordering::Relaxed);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.1.load(Ordering::Relaxed) >= self.0
    }
}

#[test]
fn a_run_that_goes_on_remembers_its_start() {
    let outcome = |place: &Path, report: &IntegrateReport| {
        let weights = std::fs::read(place.join("model.safetensors")).unwrap();
        (weights, report.learned.best.clone(), report.curves.validation.clone())
    };
    // Of the one the start is kept, of the other a later network.
    for config in [config(GeneStart::Spectral, 0.3), learning()] {
        let whole = tempfile::tempdir().unwrap();
        let expected = train(&config, whole.path(), &Unwatched, |_| ()).unwrap();
        let is_kept = expected.learned.best.as_ref().unwrap().step == 0;
        assert_eq!(is_kept, config.start == GeneStart::Spectral);
        for (stop, only_start) in [(3, true), (20, false)] {
            let place = tempfile::tempdir().unwrap();
            let watch = StopAfter(stop, AtomicU64::new(0));
            assert!(train(&config, place.path(), &watch, |_| ()).is_err());
            let checkpoints = place.path().join("training/checkpoints");
            if only_start {
                std::fs::remove_dir_all(checkpoints.join("step-000000003")).unwrap();
            }
            let found =
                train(&config, place.path(), &Unwatched, |options| options.learn.resume = true);
            let (found, expected) = (found.unwrap(), &expected);
            assert!(
                outcome(place.path(), &found) == outcome(whole.path(), expected),
                "stopped after {stop}: {:?} {:?}",
                found.curves.validation,
                expected.curves.validation
            );
        }
    }
}

#[test]
fn the_network_before_training_is_the_one_that_training_begins_with() {
    let place = tempfile::tempdir().unwrap();
    let [shards, run] = ["shards", "run"].map(|name| place.path().join(name));
    let mut cells = Simulation::new(&CELLS, None).unwrap();
    let vocab = GeneVocab::from_genes([&cells.var(&Layer::X).unwrap()], &GeneNames::BEST).unwrap();
    let sources: [&mut dyn CellSource; 1] = [&mut cells];
    write_shards(sources, &vocab, &shards, ShardOptions::default()).unwrap();
    let laptop = Preset::Laptop.config();
    let config = |start: GeneStart| PretrainConfig {
        max_length: 60,
        validation_share: 0.3,
        start,
        pooling: CellPooling::ValueMean,
        network: TINY,
        training: TrainConfig { epochs: 1, ..self::config(start, 0.3).training },
        ..laptop.clone()
    };
    let device = Device::flex();
    let options = PretrainOptions::new(&shards, &run);
    let embed = |embedder: &Embedder| {
        let mut cells = Simulation::new(&CELLS, None).unwrap();
        let mut some = CellSubset::new(&mut cells, (0..20).collect());
        let embedded = embedder.embed(&mut some, &EmbedOptions::default(), &Silent).unwrap();
        let mut rows = Vec::new();
        embedded.rows.read_rows(0, embedded.rows.n_rows(), &mut rows).unwrap();
        rows
    };
    let [random, spectral] = [GeneStart::Random, GeneStart::Spectral].map(config);
    let prepare = |config| Pretraining::prepare(config, &options, &device).unwrap();
    let _alone = TRAINING.lock().unwrap_or_else(PoisonError::into_inner);
    let start = embed(&prepare(&spectral).untrained(&Silent).unwrap());
    assert_ne!(start, embed(&prepare(&random).untrained(&Silent).unwrap()));
    let report = prepare(&spectral).run(&Unwatched).unwrap();
    assert_eq!(report.best.as_ref().unwrap().step, 0, "{:?}", shares(&report.curves.validation));
    assert!(report.kept_start.is_some());
    let kept = Embedder::open(&run.join("model"), &device, Strictness::Strict).unwrap();
    assert_eq!(embed(&kept), start);
}
