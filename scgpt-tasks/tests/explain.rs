//! Which genes said so: planted genes are found.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use burn::prelude::Device;
use scgpt_data::{CellSource as _, Layer, Silent};
use scgpt_eval::simulate::{SimulateOptions, Simulation};
use scgpt_tasks::{
    LearnOptions, NetworkConfig, Recipe,
    annotate::{
        AnnotateConfig, AnnotateOptions, Annotation, Artefact, ExplainOptions, Method,
        PredictOptions,
    },
};
use scgpt_train::{TrainConfig, Unwatched};

const CELLS: SimulateOptions = {
    let mut options = SimulateOptions::new(600, 200);
    (options.types, options.seed) = (4, 3);
    options
};

/// Names of the genes that cells of each type express at least four times as much as those of another: planted ones
/// are raised at least sevenfold.
fn planted(source: &mut Simulation) -> Vec<BTreeSet<String>> {
    let block = source.read(&Layer::X, 0..CELLS.cells).unwrap();
    let mut shares = vec![vec![0.0_f64; CELLS.genes]; CELLS.types];
    for (cell, row) in block.rows().enumerate() {
        let total: f32 = row.values.iter().sum();
        for (&gene, x) in row.indices.iter().zip(row.values) {
            shares[source.truth(cell).0][gene as usize] += f64::from(x / total);
        }
    }
    let names = source.var(&Layer::X).unwrap().index;
    let of = |kind: usize| {
        let is_planted = |gene: &usize| {
            let others = (0..CELLS.types).filter(|&other| other != kind);
            let least = others.map(|other| shares[other][*gene]).fold(f64::INFINITY, f64::min);
            shares[kind][*gene] > 4.0 * least && shares[kind][*gene] > 0.05
        };
        (0..CELLS.genes).filter(is_planted).map(|gene| names[gene].clone()).collect()
    };
    (0..CELLS.types).map(of).collect()
}

#[test]
fn planted_genes_told_the_types() {
    let scratch = AnnotateConfig::of(Recipe::Scratch);
    let size = NetworkConfig { n_layers: 2, n_heads: 2, d_model: 32, d_ff: 32, ..scratch.network };
    let mut source = Simulation::new(&CELLS, None).unwrap();
    let planted = planted(&mut source);
    assert!(planted.iter().all(|genes| genes.len() >= 10), "{planted:?}");
    for method in [Method::Network, Method::Logistic, Method::Centroid, Method::Neighbours] {
        let place = tempfile::tempdir().unwrap();
        let config = AnnotateConfig {
            method,
            batch_size: 16,
            max_length: 201,
            network: size,
            training: TrainConfig { epochs: 3, ..scratch.training.clone() },
            ..scratch.clone()
        };
        let learn = LearnOptions::new(place.path(), &Layer::X);
        let options = AnnotateOptions::new("cell_type", learn);
        std::fs::create_dir_all(place.path().join("training")).unwrap();
        let device = Device::flex();
        let prepared = Annotation::prepare(&source, &config, options, &device).unwrap();
        prepared.run(&mut source, &Unwatched, &Silent).unwrap();
        let artefact = Artefact::open(place.path(), &device).unwrap();
        let options = PredictOptions::default();
        let annotated = artefact.annotate(&mut source, &options, &Silent).unwrap();
        let mut explain = ExplainOptions::default();
        (explain.genes, explain.cells) = (10, 40);
        let explained =
            artefact.explain(&mut source, &annotated, &options, &explain, &device, &Silent);
        if method == Method::Neighbours {
            assert!(explained.unwrap_err().to_string().contains("no sum over genes"));
            continue;
        }
        let explained = explained.unwrap();
        assert_eq!(explained.types.len(), 4);
        let mut found = 0;
        for (of, planted) in explained.types.iter().zip(&planted) {
            assert_eq!((of.cells, of.genes.len()), (40, 10));
            assert!(of.genes.is_sorted_by(|a, b| a.added >= b.added));
            assert!(of.genes.iter().all(|gene| gene.expressed > 0.0 && gene.expressed <= 1.0));
            assert!(of.genes[0].reference_rank.unwrap() <= 40, "{method:?} {:?}", of.genes[0]);
            found += of.genes.iter().filter(|gene| planted.contains(&gene.gene)).count();
        }
        assert!(found >= 32, "{method:?}: {found} of 40");
        assert_eq!(explained.table().len(), 40);
        explain.genes = 0;
        artefact
            .explain(&mut source, &annotated, &options, &explain, &device, &Silent)
            .unwrap_err();
    }
}
