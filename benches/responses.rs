//! Responses to perturbations: whole profiles of a condition, by genes that are predicted together.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "the macros of criterion make public items; a bench fails by panicking"
)]

use std::{hint::black_box, path::Path};

use burn::prelude::Device;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scgpt_data::{Layer, Silent, Source};
use scgpt_eval::{
    perturbation::{DesignOptions, PrepareOptions, SplitMode, prepare, singles},
    simulate::{PerturbSimulateOptions, PerturbSimulation},
};
use scgpt_tasks::{
    LearnOptions, NetworkConfig, Recipe,
    perturb::{
        PerturbArtefact, PerturbConfig, PerturbOptions, Perturbation, RespondOptions, SplitChoice,
    },
};
use scgpt_train::{TrainConfig, Unwatched};

const GENES: usize = 5000;

/// An artefact that learned one step from a simulated screen of 5 000 genes.
fn artefact(place: &Path, network: NetworkConfig, device: &Device) -> PerturbArtefact {
    let options = PerturbSimulateOptions::new(420, GENES, 20);
    let mut screen = PerturbSimulation::new(&options, None).unwrap();
    let (design, prepared) = (DesignOptions::default(), place.join("screen.h5ad"));
    let options = PrepareOptions::new(&design, &prepared);
    prepare(&mut screen, &options, &Silent).unwrap();
    let scratch = PerturbConfig::of(Recipe::Scratch);
    let config = PerturbConfig {
        batch_size: 1,
        network,
        training: TrainConfig { max_steps: Some(1), ..scratch.training.clone() },
        ..scratch
    };
    let output = place.join("artefact");
    let split = SplitChoice::Mode(SplitMode::NoSplit);
    let options = PerturbOptions::new(&design, &split, LearnOptions::new(&output, &Layer::X));
    std::fs::create_dir_all(output.join("training")).unwrap();
    let mut source = Source::open(&prepared).unwrap();
    let perturbation = Perturbation::prepare(&mut source, &config, options, device).unwrap();
    perturbation.run(&mut source, &Unwatched, &Silent).unwrap();
    PerturbArtefact::open(&output, device).unwrap()
}

fn predict(c: &mut Criterion) {
    let device = scgpt_benches::device();
    let is_large = std::env::var_os("SCGPT_BENCH_LARGE").is_some();
    let (network, cells) = if is_large {
        (NetworkConfig::RELEASED, 1)
    } else {
        (PerturbConfig::of(Recipe::Scratch).network, 8)
    };
    let place = tempfile::tempdir().unwrap();
    let artefact = artefact(place.path(), network, &device);
    let condition = singles(&["GENE00001".into()]).unwrap();
    let mut group = c.benchmark_group("tasks/responses");
    group.throughput(Throughput::Elements((cells * GENES) as u64)).sample_size(10);
    for genes_per_pass in [256, 1536, 0] {
        let mut options = RespondOptions::new(cells);
        options.genes_per_pass = Some(genes_per_pass);
        let name = BenchmarkId::new("predict", genes_per_pass);
        group.bench_function(name, |b| {
            b.iter(|| black_box(artefact.respond(&condition, &options, &device, &Silent).unwrap()));
        });
    }
    group.finish();
}

criterion_group!(benches, predict);
criterion_main!(benches);
