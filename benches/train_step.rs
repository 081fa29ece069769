//! A training step: forward, backward and Adam. Small by default; `SCGPT_BENCH_LARGE=1` adds the
//! released shape. Peak memory is printed by the example of the same name.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scgpt_benches::TrainStep;
use scgpt_model::ScgptConfig;

fn step(c: &mut Criterion) {
    let device = scgpt_benches::device().autodiff();
    let small =
        ScgptConfig { d_model: 128, n_heads: 4, d_ff: 128, n_layers: 4, ..ScgptConfig::new(5_000) };
    let mut group = c.benchmark_group("model/train_step");
    group.sample_size(10);
    let mut cases = vec![("small", small, [8, 300])];
    if std::env::var_os("SCGPT_BENCH_LARGE").is_some() {
        cases.push(("released", ScgptConfig::new(60_697), [8, 512]));
        cases.push(("released", ScgptConfig::new(60_697), [8, 1200]));
    }
    for (name, config, [cells, tokens]) in cases {
        let mut train = TrainStep::new(&config, [cells, tokens], &device);
        group.throughput(Throughput::Elements((cells * tokens) as u64));
        group.bench_function(BenchmarkId::new(name, tokens), |bench| {
            bench.iter(|| black_box(train.step()));
        });
    }
    // All objectives of integration, genes of value zero included: a value each of 1201 tokens.
    let small =
        ScgptConfig { d_model: 64, n_heads: 4, d_ff: 64, n_layers: 2, ..ScgptConfig::new(5_000) };
    for tokens in [301, 1201] {
        let mut train = TrainStep::integration(&small, [4, tokens], &device);
        group.throughput(Throughput::Elements(4 * tokens as u64));
        group.bench_function(BenchmarkId::new("integration", tokens), |bench| {
            bench.iter(|| black_box(train.step()));
        });
    }
    group.finish();
}

criterion_group!(benches, step);
criterion_main!(benches);
