//! Annotation, from simulated cells to an artefact that knows what it does not know.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Mutex, PoisonError};

use burn::prelude::Device;
use scgpt_data::{CellSubset, GeneSubset, Layer, Silent};
use scgpt_eval::simulate::{SimulateOptions, Simulation};
use scgpt_stats::area_under_roc;
use scgpt_tasks::{
    Error, LearnOptions, Recipe,
    annotate::{
        AnnotateConfig, AnnotateOptions, AnnotateReport, Annotation, Artefact, PredictOptions,
        UnknownScore,
    },
};
use scgpt_train::{Objectives, TrainConfig, Unwatched};

const CELLS: SimulateOptions = {
    let mut options = SimulateOptions::new(600, 200);
    (options.types, options.batches, options.seed) = (4, 2, 3);
    options
};

fn config() -> AnnotateConfig {
    let scratch = AnnotateConfig::of(Recipe::Scratch);
    AnnotateConfig {
        batch_size: 16,
        max_length: 120,
        network: scgpt_tasks::NetworkConfig {
            n_layers: 2,
            n_heads: 2,
            d_model: 32,
            d_ff: 32,
            ..scratch.network
        },
        training: TrainConfig { epochs: 12, patience: None, ..scratch.training },
        ..scratch
    }
}

/// One training at a time: a device has one generator for all of them.
static TRAINING: Mutex<()> = Mutex::new(());

/// Cells of a simulation, of all types but the last.
fn known_cells(source: &Simulation) -> Vec<usize> {
    (0..CELLS.cells).filter(|&cell| source.truth(cell).0 != 3).collect()
}

fn train(config: &AnnotateConfig, output: &std::path::Path) -> Result<AnnotateReport, Error> {
    let _alone = TRAINING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut source = Simulation::new(&CELLS, None).unwrap();
    let known = known_cells(&source);
    let mut subset = CellSubset::new(&mut source, known);
    let mut options = AnnotateOptions::new("cell_type", LearnOptions::new(output, &Layer::X));
    options.batch_key = (config.objectives.dar > 0.0).then_some("batch");
    options.predict_batch = 16;
    std::fs::create_dir_all(output.join("training")).unwrap();
    let device = Device::flex();
    let prepared = Annotation::prepare(&subset, config, options, &device)?;
    prepared.run(&mut subset, &Unwatched, &Silent)
}

#[test]
fn cells_of_a_type_that_was_never_seen_are_unknown() {
    let place = tempfile::tempdir().unwrap();
    let report = train(&config(), place.path()).unwrap();
    let evaluation = report.evaluation.unwrap();
    assert!(evaluation.accuracy.mean > 0.9, "{}", evaluation.accuracy);

    let artefact = Artefact::open(place.path(), &Device::flex()).unwrap();
    assert_eq!(artefact.record().classes.len(), 3);
    let mut source = Simulation::new(&CELLS, None).unwrap();
    let is_other: Vec<bool> = (0..CELLS.cells).map(|cell| source.truth(cell).0 == 3).collect();
    for unknown_score in UnknownScore::ALL {
        let mut options = PredictOptions::default();
        options.unknown_score = unknown_score;
        let annotated = artefact.annotate(&mut source, &options, &Silent).unwrap();
        let rejected = |wanted: bool| {
            let cells =
                || annotated.cells.iter().zip(&is_other).filter(|(_, other)| **other == wanted);
            cells().filter(|(cell, _)| cell.is_unknown).count() as f64 / cells().count() as f64
        };
        let scores: Vec<f32> = annotated.cells.iter().map(|cell| cell.strangeness).collect();
        let area = area_under_roc(&scores, &is_other, &Silent).unwrap().unwrap();
        let (others, known) = (rejected(true), rejected(false));
        assert!(area > 0.7 && known < 0.15, "{unknown_score:?} {area:.3} {others:.3} {known:.3}");
        if unknown_score == UnknownScore::default() {
            assert!(area > 0.9 && others > 0.4, "{area:.3} {others:.3} {known:.3}");
        }
    }
    // Cells of half the genes are calibrated for anew, before the first of them is computed.
    let mut options = PredictOptions::default();
    options.batch_size = 0;
    let half = (0..CELLS.genes / 2).collect();
    let mut half = GeneSubset::new(&mut source, &Layer::X, half).unwrap();
    let error = artefact.annotate(&mut half, &options, &Silent).unwrap_err();
    assert!(error.to_string().contains("batch_size"), "{error}");
}

#[test]
fn every_objective_and_score_can_be_asked_for() {
    for dar in [0.0, 1.0] {
        let place = tempfile::tempdir().unwrap();
        let config = AnnotateConfig {
            hidden_share: 0.4,
            shuffle: dar > 0.0,
            objectives: Objectives { gep: 1.0, gepc: 1.0, ecs: 10.0, dar, ..config().objectives },
            training: TrainConfig { epochs: 1, ..config().training },
            ..config()
        };
        let report = train(&config, place.path()).unwrap();
        let curves = report.curves.unwrap();
        assert!(curves.training.iter().all(|record| record.loss.is_finite()));
        assert_eq!(curves.training[0].terms.len(), if dar > 0.0 { 5 } else { 4 });
        let artefact = Artefact::open(place.path(), &Device::flex()).unwrap();
        let mut source = Simulation::new(&CELLS, None).unwrap();
        let mut few = CellSubset::new(&mut source, vec![1, 5, 9]);
        let annotated = artefact.annotate(&mut few, &PredictOptions::default(), &Silent).unwrap();
        assert_eq!(annotated.cells.len(), 3);
    }
}

#[test]
fn settings_that_contradict_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let fail = |config: AnnotateConfig| train(&config, place.path()).unwrap_err().to_string();
    let many = AnnotateConfig { min_cells: 10_000, ..config() };
    assert!(fail(many).contains("no class with at least 10000 cells"));
    let no_class = AnnotateConfig { objectives: Objectives::default(), ..config() };
    assert!(fail(no_class).contains("objectives.class"));
    let dar = Objectives { dar: 1.0, ..config().objectives };
    let cell_prompt = Objectives { cell_prompt: 1.0, ..dar };
    let pretraining = AnnotateConfig { objectives: cell_prompt, ..config() };
    assert!(fail(pretraining).contains("objective of pre-training"));
}

#[test]
fn no_cell_at_once_is_a_mistake_among_the_others() {
    let source = Simulation::new(&CELLS, None).unwrap();
    let config = AnnotateConfig { batch_size: 0, ..config() };
    let learn = LearnOptions::new(std::path::Path::new("nowhere"), &Layer::X);
    // There is no such column, which nobody looks for before the settings are sound.
    let mut options = AnnotateOptions::new("no such column", learn);
    options.predict_batch = 0;
    let error = Annotation::prepare(&source, &config, options, &Device::flex()).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("`batch_size` is 0") && message.contains("`predict_batch` is 0"));
}
