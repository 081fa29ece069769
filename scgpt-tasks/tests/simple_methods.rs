//! Annotation by simple methods: the same artefact, without a network.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use burn::prelude::Device;
use scgpt_data::{CellSource as _, CellSubset, GeneSubset, Layer, Silent};
use scgpt_eval::{
    baseline::BaselineOptions,
    simulate::{SimulateOptions, Simulation},
};
use scgpt_stats::area_under_roc;
use scgpt_tasks::{
    LearnOptions, NetworkConfig, Recipe, Result,
    annotate::{
        AnnotateConfig, AnnotateOptions, AnnotateReport, Annotation, Artefact, CellClusters,
        Method, PredictOptions, UnknownScore,
    },
    open_model,
};
use scgpt_train::{TrainConfig, Unwatched};

const CELLS: SimulateOptions = {
    let mut options = SimulateOptions::new(600, 200);
    (options.types, options.batches, options.seed) = (4, 2, 3);
    options
};

const SIMPLE: [Method; 3] = [Method::Logistic, Method::Centroid, Method::Neighbours];

fn config(method: Method) -> AnnotateConfig {
    AnnotateConfig { method, ..AnnotateConfig::of(Recipe::Scratch) }
}

/// Learns the types of the simulation but the last.
fn train(config: &AnnotateConfig, output: &Path) -> Result<AnnotateReport> {
    let mut source = Simulation::new(&CELLS, None).unwrap();
    let known = (0..CELLS.cells).filter(|&cell| source.truth(cell).0 != 3).collect();
    let mut subset = CellSubset::new(&mut source, known);
    let mut baselines = BaselineOptions::default();
    (baselines.n_genes, baselines.n_components) = (150, 10);
    let mut options = AnnotateOptions::new("cell_type", LearnOptions::new(output, &Layer::X));
    options.baselines = Some(&baselines);
    std::fs::create_dir_all(output.join("training")).unwrap();
    let device = Device::flex();
    Annotation::prepare(&subset, config, options, &device)?.run(&mut subset, &Unwatched, &Silent)
}

#[test]
fn a_simple_method_is_an_artefact() {
    let place = tempfile::tempdir().unwrap();
    let mut source = Simulation::new(&CELLS, None).unwrap();
    let is_other: Vec<bool> = (0..CELLS.cells).map(|cell| source.truth(cell).0 == 3).collect();
    // One after the other in the same folder: nothing of one is taken for a part of another.
    for method in SIMPLE {
        let report = train(&config(method), place.path()).unwrap();
        assert!(report.learned.is_none() && report.curves.is_none() && report.choice.is_none());
        let evaluation = report.evaluation.as_ref().unwrap();
        assert!(evaluation.accuracy.mean > 0.9, "{method:?} {}", evaluation.accuracy);
        assert!(evaluation.coverage.as_ref().unwrap().overall > 0.8, "{method:?}");
        // The others are beside it, and it is there once.
        let names: Vec<_> = report.methods.iter().map(|it| it.name.as_str()).collect();
        assert_eq!((names[0], names.len()), (method.name(), 4));
        assert_eq!(names.iter().filter(|name| **name == method.name()).count(), 1);
        assert!(report.methods[0].lead.mean.abs() < 1e-12);

        let artefact = Artefact::open(place.path(), &Device::flex()).unwrap();
        assert_eq!(artefact.record().method, method);
        let error = open_model(place.path()).unwrap_err().to_string();
        assert!(error.contains("no network"), "{error}");
        for unknown_score in UnknownScore::ALL {
            let mut options = PredictOptions::default();
            (options.unknown_score, options.probabilities) = (unknown_score, true);
            let annotated = artefact.annotate(&mut source, &options, &Silent);
            if method == Method::Neighbours && unknown_score == UnknownScore::Energy {
                assert!(annotated.unwrap_err().to_string().contains("energy"));
                continue;
            }
            let annotated = annotated.unwrap();
            assert!(annotated.report.model.is_none() && annotated.held_out_accuracy.is_none());
            let scores: Vec<f32> = annotated.cells.iter().map(|cell| cell.strangeness).collect();
            let area = area_under_roc(&scores, &is_other, &Silent).unwrap().unwrap();
            if unknown_score == UnknownScore::default() {
                assert!(area > 0.9, "{method:?} {area}");
            }
            let rejected = annotated.cells.iter().zip(&is_other);
            let rejected = rejected.filter(|(cell, other)| cell.is_unknown && !**other).count();
            assert!(rejected < 100, "{method:?} {unknown_score:?} {rejected}");
            let right = (0..CELLS.cells).filter(|&cell| !is_other[cell]).filter(|&cell| {
                annotated.prediction(cell) == Some(&*format!("type_{}", source.truth(cell).0 + 1))
            });
            assert!(right.count() > 400, "{method:?}");
        }
    }
}

#[test]
fn fewer_genes_in_another_order_are_calibrated_for() {
    let place = tempfile::tempdir().unwrap();
    for method in SIMPLE {
        train(&config(method), place.path()).unwrap();
        let artefact = Artefact::open(place.path(), &Device::flex()).unwrap();
        let mut source = Simulation::new(&CELLS, None).unwrap();
        let options = PredictOptions::default();
        let whole = artefact.annotate(&mut source, &options, &Silent).unwrap();
        let half = (0..CELLS.genes).filter(|gene| gene % 2 == 0).collect();
        let mut half = GeneSubset::new(&mut source, &Layer::X, half).unwrap();
        let annotated = artefact.annotate(&mut half, &options, &Silent).unwrap();
        let accuracy = annotated.held_out_accuracy.unwrap();
        assert!(accuracy > 0.7, "{method:?} {accuracy}");
        let is_same = |cell: &usize| whole.cells[*cell].class == annotated.cells[*cell].class;
        let same = (0..CELLS.cells).filter(is_same).count();
        assert!(same > 420, "{method:?} {same}");
        // A cell's answer does not depend on the others.
        let mut few = CellSubset::new(&mut source, vec![1, 5, 9]);
        let few = artefact.annotate(&mut few, &options, &Silent).unwrap();
        assert_eq!(few.cells, [1, 5, 9].map(|cell| whole.cells[cell].clone()));
    }
}

#[test]
fn the_best_of_all_is_chosen_and_said() {
    let place = tempfile::tempdir().unwrap();
    // A network that can have learned nothing.
    let scratch = AnnotateConfig::of(Recipe::Scratch);
    let size = NetworkConfig { n_layers: 1, n_heads: 2, d_model: 16, d_ff: 16, ..scratch.network };
    let bad = AnnotateConfig {
        head: scgpt_tasks::annotate::HeadStart::Drawn,
        network: size,
        max_length: 60,
        training: TrainConfig { epochs: 1, max_steps: Some(1), ..scratch.training },
        ..config(Method::Best)
    };
    let report = train(&bad, place.path()).unwrap();
    let choice = report.choice.as_ref().unwrap();
    assert_eq!((choice.method, choice.accuracies.len()), (report.method, 4));
    assert!(choice.method.simple().is_some() && choice.accuracies[3].0 == Method::Network);
    assert!(report.learned.is_some() && report.methods.len() == 5);
    assert_eq!(report.methods[1].name, "scGPT");
    assert!(report.methods[1].lead.high < 0.0);
    let artefact = Artefact::open(place.path(), &Device::flex()).unwrap();
    assert_eq!(artefact.record().method, choice.method);
    let none = AnnotateConfig { validation_share: 0.0, ..bad.clone() };
    let error = train(&none, place.path()).unwrap_err().to_string();
    assert!(error.contains("validation_share"), "{error}");
    // A network beside which a simple method is the one to use.
    let report = train(&AnnotateConfig { method: Method::Network, ..bad }, place.path()).unwrap();
    assert_eq!(report.method, Method::Network);
    let verdict = report.verdict().unwrap();
    assert!(verdict.contains("the simple method is the one to use"), "{verdict}");
    assert!(report.better().unwrap().simple().is_some());
    let artefact = Artefact::open(place.path(), &Device::flex()).unwrap();
    assert_eq!(artefact.record().method, Method::Network);
    assert!(!place.path().join("method.json").exists(), "a file of the artefact that was replaced");
}

#[test]
fn clusters_vote() {
    let place = tempfile::tempdir().unwrap();
    train(&config(Method::Centroid), place.path()).unwrap();
    let artefact = Artefact::open(place.path(), &Device::flex()).unwrap();
    let mut source = Simulation::new(&CELLS, None).unwrap();
    let mut annotated =
        artefact.annotate(&mut source, &PredictOptions::default(), &Silent).unwrap();
    let clusters = annotated.over_clustering(&Silent).unwrap();
    assert!(clusters.names.len() > 4 && clusters.of_cells.iter().all(Option::is_some));
    // What is wrong of single cells is outvoted.
    let right: Vec<_> = annotated.cells.iter().map(|cell| cell.class).collect();
    for cell in annotated.cells.iter_mut().step_by(7) {
        cell.class = cell.class.map(|class| (class + 1) % 3);
    }
    annotated.cells[0].class = None;
    let votes = annotated.votes(&clusters, 0.0).unwrap();
    let voted = clusters.of_cells.iter().map(|cluster| votes[cluster.unwrap() as usize].class);
    // Cells of the type that was never seen are of several, one like the other.
    let is_known: Vec<bool> = (0..CELLS.cells).map(|cell| source.truth(cell).0 != 3).collect();
    let known = voted.zip(&right).zip(&is_known).filter(|(_, is_known)| **is_known);
    let (n, same) = known.fold((0, 0), |(n, same), ((voted, right), _)| {
        (n + 1, same + usize::from(voted == *right))
    });
    assert!(same * 20 > n * 19, "{same} of {n}");
    assert_eq!(votes.iter().map(|vote| vote.cells).sum::<usize>(), 599);
    assert!(votes.iter().all(|vote| vote.share > 0.4 && vote.share <= 1.0));
    let strict = annotated.votes(&clusters, 0.99).unwrap();
    assert!(strict.iter().any(|vote| vote.class.is_none()));
    annotated.votes(&clusters, 1.5).unwrap_err();

    let column = CellClusters::of_column(&source, "cell_type").unwrap();
    assert_eq!(column.names, ["type_1", "type_2", "type_3", "type_4"]);
    let error = CellClusters::of_column(&source, "louvain").unwrap_err().to_string();
    assert!(error.contains("`louvain` not found"), "{error}");
    assert_eq!(source.obs().unwrap().len(), column.of_cells.len());
}
