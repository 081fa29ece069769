//! What opening a vocabulary and finding the genes of a file in it costs.
#![allow(missing_docs, reason = "the macros of criterion make public items")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use scgpt_benches::vocab;
use scgpt_data::{Frame, GeneNames, GeneVocab};

/// Genes of the released whole-human vocabulary.
const GENES: u32 = 60_694;

fn load(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocab.json");
    let vocab = vocab(GENES);
    vocab.write_json(&path).unwrap();
    let var = Frame {
        index: (0..30_000).map(|gene| format!("GENE{}", gene * 3)).collect(),
        ..Frame::default()
    };
    let mut group = c.benchmark_group("data/vocab");
    group.throughput(Throughput::Elements(GENES.into()));
    group.bench_function("load", |b| {
        b.iter(|| black_box(GeneVocab::from_json(&path).unwrap()));
    });
    group.throughput(Throughput::Elements(30_000));
    group.bench_function("align", |b| {
        b.iter(|| black_box(vocab.align(&var, &GeneNames::BEST).unwrap()));
    });
    group.finish();
}

criterion_group!(benches, load);
criterion_main!(benches);
