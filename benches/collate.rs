//! What a batch costs between tokens and padded buffers.
#![allow(missing_docs, reason = "the macros of criterion make public items")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scgpt_benches::{cells, tokenizer, vocab};
use scgpt_data::{Collator, TokenConfig};

const GENES: u32 = 5000;

/// One batch of tokens to padded buffers.
fn collate(c: &mut Criterion) {
    let tokens = tokenizer(GENES, TokenConfig::default()).block(&cells(256, GENES));
    let collator = Collator::new(&vocab(GENES), -2.0);
    let mut group = c.benchmark_group("data/collate/pad");
    for n_cells in [16, 64, 256] {
        group.throughput(Throughput::Elements(n_cells as u64));
        let batch = &tokens[..n_cells];
        group.bench_with_input(BenchmarkId::from_parameter(n_cells), batch, |b, batch| {
            b.iter(|| black_box(collator.collate(batch.iter().enumerate())));
        });
    }
    group.finish();
}

/// Rows to tokens, with and without sampling.
fn tokenize(c: &mut Criterion) {
    let block = cells(256, GENES);
    let mut group = c.benchmark_group("data/tokenize/cell");
    group.throughput(Throughput::Elements(256));
    for max_length in [300, 1200] {
        let config = TokenConfig { max_length, ..TokenConfig::default() };
        let tokenizer = tokenizer(GENES, config);
        group.bench_function(BenchmarkId::from_parameter(max_length), |b| {
            b.iter(|| black_box(tokenizer.block(&block)));
        });
    }
    group.finish();
}

criterion_group!(benches, collate, tokenize);
criterion_main!(benches);
