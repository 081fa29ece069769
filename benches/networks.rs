//! Gene networks: attention of cells by 1200 genes, and what simpler networks cost.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scgpt_data::{CellSource as _, GeneVocab, Layer, Silent};
use scgpt_eval::{
    baseline::{Association, GeneProfiles},
    simulate::{PerturbSimulateOptions, PerturbSimulation},
};
use scgpt_model::{Preprocess, ScgptConfig};
use scgpt_tasks::{embed::Embedder, grn::AttentionOptions};

const GENES: usize = 1200;
const CELLS: usize = 4;

#[allow(clippy::expect_used, reason = "a bench fails by panicking")]
fn simulation(cells: usize, genes: usize) -> PerturbSimulation {
    let options = PerturbSimulateOptions::new(cells, genes, 2);
    PerturbSimulation::new(&options, None).expect("a simulation")
}

/// Everything but baselines, of a network of 4 layers, 4 heads, 128 wide; without p values and with.
#[allow(clippy::expect_used, reason = "a bench fails by panicking")]
fn attention(c: &mut Criterion) {
    let vocab = GeneVocab::from_names((1..=GENES).map(|gene| format!("GENE{gene:05}")));
    let vocab = vocab.expect("a vocabulary");
    let config = ScgptConfig {
        d_model: 128,
        n_heads: 4,
        d_ff: 128,
        n_layers: 4,
        ..ScgptConfig::new(vocab.len())
    };
    let model = config.init(&scgpt_benches::device()).expect("a network");
    let preprocess = Preprocess { max_length: 1 + GENES, cls_value: 0.0 };
    let embedder = Embedder::new(model, config, preprocess, vocab).expect("a model");
    let mut source = simulation(100, GENES);
    let mut group = c.benchmark_group("networks/attention");
    group.sample_size(10).throughput(Throughput::Elements(2 * CELLS as u64));
    for permutations in [0, 20] {
        let mut options = AttentionOptions::default();
        options.condition_key = Some("condition");
        options.control = Some("ctrl");
        options.max_cells = CELLS;
        options.permutations = permutations;
        options.baselines = false;
        group.bench_with_input(
            BenchmarkId::from_parameter(permutations),
            &options,
            |bench, options| {
                bench
                    .iter(|| black_box(embedder.attention_networks(&mut source, options, &Silent)));
            },
        );
    }
    group.finish();
}

/// Networks from the expression of 300 genes in 250 cells.
#[allow(clippy::expect_used, reason = "a bench fails by panicking")]
fn baselines(c: &mut Criterion) {
    let (genes, cells) = (300, 250);
    let mut source = simulation(cells, genes);
    let block = source.read(&Layer::X, 0..cells).expect("cells");
    let mut values = vec![0.0; genes * cells];
    for (cell, row) in block.rows().enumerate() {
        for (&gene, &x) in row.indices.iter().zip(row.values) {
            values[gene as usize * cells + cell] = x.ln_1p();
        }
    }
    let profiles = GeneProfiles::new(genes, cells, values);
    let mut group = c.benchmark_group("networks/baselines");
    group.sample_size(10);
    for rule in Association::ALL {
        group.bench_function(rule.to_string(), |bench| {
            bench.iter(|| black_box(rule.network(&profiles, 0, &Silent)));
        });
    }
    group.finish();
}

criterion_group!(benches, attention, baselines);
criterion_main!(benches);
