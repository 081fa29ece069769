//! What one cell costs between the file and its tokens.
#![allow(missing_docs, reason = "the macros of criterion make public items")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use scgpt_benches::{cells, tokenizer};
use scgpt_data::{
    BinScratch, Binner, Collator, TieMode, TokenConfig, buckets, log1p, normalise_total,
};

const CELLS: usize = 2000;
const GENES: u32 = 5000;

/// Quantile bins of the values of every cell.
fn quantile(c: &mut Criterion) {
    let block = cells(CELLS, GENES);
    let mut group = c.benchmark_group("data/binning/quantile");
    group.throughput(Throughput::Elements(CELLS as u64));
    for mode in [TieMode::Upper, TieMode::Random] {
        let binner = Binner::new(51, mode).unwrap();
        let mut scratch = BinScratch::default();
        group.bench_function(format!("{mode:?}"), |b| {
            b.iter(|| {
                let mut bins = block.clone();
                for cell in 0..CELLS {
                    binner.bin(bins.row_values_mut(cell), |_| 0.5, &mut scratch);
                }
                black_box(bins)
            });
        });
    }
    group.finish();
}

/// Counts to padded batches: normalisation, `log1p`, bins, tokens, collation.
fn preprocess(c: &mut Criterion) {
    let block = cells(CELLS, GENES);
    let tokenizer = tokenizer(GENES, TokenConfig::default());
    let collator = Collator::new(&scgpt_benches::vocab(GENES), -2.0);
    let mut group = c.benchmark_group("data/preprocess/all");
    group.throughput(Throughput::Elements(CELLS as u64));
    group.bench_function("2000x5000", |b| {
        b.iter(|| {
            let mut block = block.clone();
            normalise_total(&mut block, 1e4);
            log1p(&mut block);
            let tokens = tokenizer.block(&block);
            let lengths: Vec<usize> = tokens.iter().map(scgpt_data::CellTokens::len).collect();
            for bucket in buckets(&lengths, 64) {
                black_box(collator.collate(bucket.iter().map(|&cell| (cell, &tokens[cell]))));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, quantile, preprocess);
criterion_main!(benches);
