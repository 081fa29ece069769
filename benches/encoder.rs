//! Cell embeddings by the released shape (12 layers, 512 wide) over the number of tokens.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scgpt_model::{CellEncoder, ScgptConfig, TokenBatchView};

const CELLS: usize = 2;
const GENES: usize = 5_000;

#[allow(clippy::expect_used, reason = "a bench fails by panicking")]
fn embed(c: &mut Criterion) {
    let device = scgpt_benches::device();
    let config = ScgptConfig::new(GENES);
    let encoder = CellEncoder::new(config.init(&device).expect("a valid configuration"), &config);
    let mut group = c.benchmark_group("model/embed");
    group.sample_size(10);
    for n_tokens in [512, 1200] {
        let (genes, values) = scgpt_benches::tokens(CELLS, n_tokens, GENES);
        let rows = TokenBatchView {
            n_tokens,
            genes: &genes,
            values: &values,
            lengths: &[n_tokens; CELLS],
            domain: 0,
        };
        group.throughput(Throughput::Elements(CELLS as u64));
        group.bench_with_input(BenchmarkId::from_parameter(n_tokens), &rows, |bench, rows| {
            bench.iter(|| black_box(encoder.embed(*rows)));
        });
    }
    group.finish();
}

criterion_group!(benches, embed);
criterion_main!(benches);
