//! Token shards: how fast training reads cells back in random order.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "the macros of criterion make public items; a bench fails by panicking"
)]

use std::{hint::black_box, path::PathBuf};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rayon::prelude::*;
use scgpt_benches::{cpu_seconds, peak_memory};
use scgpt_data::{
    CellKey, CellSource, CellSplit, CellTokens, Collator, GeneNames, GeneVocab, Layer, ShardFolder,
    ShardOptions, TokenConfig, TokenScratch, Tokenizer, write_shards,
};
use scgpt_eval::simulate::{SimulateOptions, Simulation};
use tempfile::TempDir;

const BATCH: usize = 64;
/// Cells of one measurement.
const CELLS: usize = 64 * BATCH;

/// The folder named by `SCGPT_SHARDS`, else one of 20 000 simulated cells of some 1 750 genes.
fn shards() -> (PathBuf, Option<TempDir>) {
    if let Some(path) = std::env::var_os("SCGPT_SHARDS") {
        return (path.into(), None);
    }
    let mut options = SimulateOptions::new(20_000, 12_000);
    options.types = 4;
    let mut cells = Simulation::new(&options, None).unwrap();
    let vocab = GeneVocab::from_genes([&cells.var(&Layer::X).unwrap()], &GeneNames::BEST).unwrap();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("shards");
    let sources = [&mut cells as &mut dyn CellSource];
    write_shards(sources, &vocab, &path, ShardOptions::default()).unwrap();
    (path, Some(place))
}

/// Cells in the order of an epoch to padded batches of 1200 tokens, on the threads of the pool.
fn read(c: &mut Criterion) {
    let (path, place) = shards();
    let shards = ShardFolder::open(&path).unwrap();
    eprintln!(
        "{} cells, {} tokens each",
        shards.n_cells(),
        shards.n_tokens() / shards.n_cells() as u64
    );
    let tokenizer = Tokenizer::of_tokens(shards.vocab(), TokenConfig::default()).unwrap();
    let collator = Collator::new(shards.vocab(), -2.0);
    let split = CellSplit::new(shards.n_cells(), 0.03, 0).unwrap();
    let mut group = c.benchmark_group("data/shards");
    group.throughput(Throughput::Elements(CELLS as u64));
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (mut n_read, cpu) = (0, cpu_seconds());
        let mut epoch = 0;
        let mut position = 0;
        group.bench_function(BenchmarkId::new("epoch", threads), |b| {
            b.iter(|| {
                let order = split.order(epoch);
                let cells: Vec<usize> = order.cells_from(position).take(CELLS).collect();
                position += CELLS;
                n_read += CELLS;
                if position + CELLS > order.len() {
                    (epoch, position) = (epoch + 1, 0);
                }
                pool.install(|| {
                    cells.par_chunks(BATCH).for_each_init(
                        TokenScratch::default,
                        |scratch, cells| {
                            let tokens: Vec<(usize, CellTokens)> = cells
                                .iter()
                                .map(|&cell| {
                                    let row = shards.cell(cell).unwrap();
                                    (
                                        cell,
                                        tokenizer.cell(
                                            row,
                                            CellKey::Number { cell: cell as u64, epoch },
                                            scratch,
                                        ),
                                    )
                                })
                                .collect();
                            let batch = tokens.iter().map(|(cell, tokens)| (*cell, tokens));
                            black_box(collator.collate(batch));
                        },
                    );
                });
            });
        });
        let cpu = 1e6 * (cpu_seconds() - cpu) / n_read.max(1) as f64;
        eprintln!("{threads} threads: {cpu:.1} µs of CPU a cell");
    }
    group.finish();
    eprintln!("peak memory {} MB", peak_memory() >> 20);
    // Opening, all checks included.
    c.bench_function("data/shards/open", |b| {
        b.iter(|| ShardFolder::open(&path).unwrap().n_cells());
    });
    drop(place);
}

criterion_group!(benches, read);
criterion_main!(benches);
