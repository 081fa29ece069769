//! The attention operator over the number of tokens: all known, and 60 % known.

use std::hint::black_box;

use burn::{prelude::*, tensor::Distribution};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scgpt_model::{AttentionMask, attend};

const CELLS: usize = 4;
const WIDTH: usize = 512;
const HEADS: usize = 8;

fn attention(c: &mut Criterion) {
    let device = scgpt_benches::device();
    for (name, known_of_ten) in [("all_known", 10), ("generative", 6)] {
        let mut group = c.benchmark_group(format!("model/attention/{name}"));
        group.sample_size(10);
        for tokens in [512, 1200, 3000] {
            let known = vec![tokens * known_of_ten / 10; CELLS];
            let mask = AttentionMask::generative(known, vec![tokens; CELLS], tokens);
            let shape = [CELLS, tokens, 3 * WIDTH];
            let qkv = Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), &device);
            group.throughput(Throughput::Elements((CELLS * tokens) as u64));
            group.bench_with_input(BenchmarkId::from_parameter(tokens), &qkv, |bench, qkv| {
                bench.iter(|| black_box(attend(qkv.clone(), HEADS, &mask, tokens).into_data()));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, attention);
criterion_main!(benches);
