//! Scores of an integration: all of them, and the parts.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "the macros of criterion make public items; a bench fails by panicking"
)]

use std::{hint::black_box, time::Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rayon::prelude::*;
use scgpt_benches::peak_memory;
use scgpt_data::{Keyed, Purpose, Silent};
use scgpt_eval::{CellMap, CellSpace, IntegrationScores, baseline::harmony};
use scgpt_stats::{ClusterOptions, Clustering};

const WIDTH: usize = 512;
const LABELS: usize = 20;
const BATCHES: usize = 5;

struct Cells {
    rows: Vec<f32>,
    width: usize,
    labels: Vec<usize>,
    batches: Vec<usize>,
}

impl Cells {
    /// Labels around 20 centres, every batch a little moved, and noise.
    fn new(n: usize, width: usize) -> Self {
        let key = |about: u64| Keyed::new(1, Purpose::Simulate, about, 0);
        let value = |cell: usize, i: usize| -> f32 {
            let centre = key(1).uniform((cell % LABELS * width + i) as u64);
            let batch = 0.3 * key(2).uniform((cell / LABELS % BATCHES * width + i) as u64);
            #[allow(clippy::cast_possible_truncation, reason = "simulated")]
            let value = (centre + batch + 2.0 * key(3).uniform((cell * width + i) as u64)) as f32;
            value
        };
        Self {
            rows: (0..n)
                .into_par_iter()
                .flat_map_iter(|cell| (0..width).map(move |i| value(cell, i)))
                .collect(),
            width,
            labels: (0..n).map(|cell| cell % LABELS).collect(),
            batches: (0..n).map(|cell| cell / LABELS % BATCHES).collect(),
        }
    }

    fn scores(&self, clustering: Clustering) -> IntegrationScores {
        let mut options = ClusterOptions::default();
        options.clustering = clustering;
        let space = CellSpace::rows(&self.rows, self.width);
        IntegrationScores::new(&space, Some(&self.labels), &self.batches, &options, &Silent)
            .unwrap()
    }
}

/// Once, of as many cells as `SCGPT_CELLS` says.
fn large() {
    let Some(n) = std::env::var("SCGPT_CELLS").ok().and_then(|n| n.parse().ok()) else { return };
    let cells = Cells::new(n, WIDTH);
    for clustering in [Clustering::Leiden, Clustering::Louvain] {
        let begin = Instant::now();
        let scores = cells.scores(clustering);
        eprintln!(
            "{n} cells, {}: {:.1} s, peak {:.2} GB, AvgBIO {:.3}, AvgBATCH {:.3}",
            clustering.name(),
            begin.elapsed().as_secs_f64(),
            peak_memory() as f64 / 1e9,
            scores.avg_bio.unwrap(),
            scores.avg_batch.unwrap()
        );
    }
}

fn integration(criterion: &mut Criterion) {
    large();
    let mut group = criterion.benchmark_group("tasks/integration");
    group.sample_size(10);
    let cells = Cells::new(5_000, WIDTH);
    for clustering in [Clustering::Leiden, Clustering::Louvain] {
        group.bench_with_input(
            BenchmarkId::new("scores/5000", clustering.name()),
            &clustering,
            |bencher, &clustering| bencher.iter(|| black_box(cells.scores(clustering))),
        );
    }
    group.bench_function("map", |bencher| {
        bencher.iter(|| black_box(CellMap::new(&cells.rows, WIDTH, 0, &Silent)));
    });
    let narrow = Cells::new(5_000, 50);
    group.bench_function("harmony/5000", |bencher| {
        bencher.iter(|| black_box(harmony(&narrow.rows, 50, &narrow.batches, 0, &Silent)));
    });
    group.finish();
}

criterion_group!(benches, integration);
criterion_main!(benches);
