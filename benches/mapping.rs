//! Reference mapping: building an index, and finding neighbours, exactly and approximately.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "the macros of criterion make public items; a bench fails by panicking"
)]

use std::{collections::HashSet, hint::black_box, time::Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rayon::prelude::*;
use scgpt_benches::peak_memory;
use scgpt_data::{Keyed, Purpose, RowSpool, Silent};
use scgpt_eval::Labels;
use scgpt_stats::unit_rows;
use scgpt_tasks::map::{MadeBy, ReferenceCells, ReferenceIndex, Search};

const WIDTH: usize = 512;
/// Dimensions in which cells of a type differ.
const INTRINSIC: usize = 24;
const TYPES: u64 = 200;
const K: usize = 10;
const QUERIES: usize = 10_000;

/// A number of about normal distribution.
#[allow(clippy::cast_possible_truncation, reason = "test data")]
fn normal(key: Keyed, index: u64) -> f32 {
    ((0..4).map(|i| key.uniform(4 * index + i)).sum::<f64>() * 1.732 - 3.464) as f32
}

/// Unit vectors: one of 200 centres, plus noise half as long in 24 directions and a tenth as long
/// in all.
fn embedding(cell: u64, basis: &[f32]) -> Vec<f32> {
    let key = Keyed::new(1, Purpose::Simulate, 1, cell);
    let centre = Keyed::new(1, Purpose::Simulate, 2, key.bits(u64::MAX) % TYPES);
    let mut row: Vec<f32> =
        (0..WIDTH as u64).map(|i| normal(centre, i) + 0.1 * normal(key, 1000 + i)).collect();
    for direction in 0..INTRINSIC {
        let along = 0.5 * normal(key, direction as u64) * (WIDTH as f32 / INTRINSIC as f32).sqrt();
        let axis = &basis[direction * WIDTH..(direction + 1) * WIDTH];
        row.iter_mut().zip(axis).for_each(|(x, a)| *x += along * a);
    }
    unit_rows(&row, WIDTH)
}

fn cells(range: std::ops::Range<u64>) -> Vec<f32> {
    let key = Keyed::new(1, Purpose::Simulate, 3, 0);
    let scale = (WIDTH as f32).sqrt().recip();
    let basis: Vec<f32> = (0..(INTRINSIC * WIDTH) as u64).map(|i| scale * normal(key, i)).collect();
    range.into_par_iter().flat_map_iter(|cell| embedding(cell, &basis)).collect()
}

fn build(n: usize, search: Search) -> (ReferenceIndex, tempfile::TempDir) {
    let mut rows = RowSpool::new(WIDTH).unwrap();
    for first in (0..n).step_by(16_384) {
        rows.push(&cells(first as u64..n.min(first + 16_384) as u64)).unwrap();
    }
    let labels = [("type".to_owned(), Labels::new(vec![Some("a".into()); n]))];
    let of = ReferenceCells {
        rows: &rows,
        labels: &labels,
        colours: Vec::new(),
        source: "simulated".into(),
        made_by: MadeBy::Obsm("X".into()),
        genes: None,
    };
    let place = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    let index = ReferenceIndex::create(&place.path().join("index"), &of, search, &Silent).unwrap();
    eprintln!(
        "{search:?}, {n} cells: built in {:.1} s, {:.0} bytes a cell",
        begin.elapsed().as_secs_f64(),
        index.n_bytes() as f64 / n as f64
    );
    (index, place)
}

/// Share of the exact neighbours that are found.
fn recall(exact: &ReferenceIndex, other: &ReferenceIndex, queries: &[f32]) -> f64 {
    let [exact, other] = [exact, other].map(|index| index.search(queries, K, &Silent).unwrap());
    let found: usize = exact
        .iter()
        .zip(&other)
        .map(|(exact, other)| {
            let exact: HashSet<usize> = exact.iter().map(|one| one.cell).collect();
            other.iter().filter(|one| exact.contains(&one.cell)).count()
        })
        .sum();
    found as f64 / (exact.len() * K) as f64
}

fn search(c: &mut Criterion) {
    let queries = cells(1 << 40..(1 << 40) + 256);
    let mut group = c.benchmark_group("tasks/mapping");
    group.throughput(Throughput::Elements(256)).sample_size(10);
    for n in [10_000, 50_000] {
        let [exact, approximate] =
            [Search::Exact, Search::Approximate].map(|search| build(n, search));
        eprintln!("recall@{K} {:.3}", recall(&exact.0, &approximate.0, &queries));
        for (name, (index, _)) in [("exact", &exact), ("approximate", &approximate)] {
            group.bench_function(BenchmarkId::new(name, n), |b| {
                b.iter(|| black_box(index.search(&queries, K, &Silent).unwrap()));
            });
        }
    }
    group.finish();
}

/// Once, with as many cells as `SCGPT_ATLAS` says: whole builds take too long to repeat.
fn atlas(_: &mut Criterion) {
    let Some(n) = std::env::var("SCGPT_ATLAS").ok().and_then(|n| n.parse().ok()) else { return };
    let queries = cells(1 << 40..(1 << 40) + QUERIES as u64);
    let (index, place) = build(n, Search::Approximate);
    let begin = Instant::now();
    ReferenceIndex::open(&place.path().join("index")).unwrap();
    eprintln!("opened in {:.1} ms", begin.elapsed().as_secs_f64() * 1e3);
    let begin = Instant::now();
    black_box(index.search(&queries, K, &Silent).unwrap());
    eprintln!("{QUERIES} queries in {:.1} s", begin.elapsed().as_secs_f64());
    let few = &queries[..200 * WIDTH];
    let (exact, _exact_place) = build(n, Search::Exact);
    let begin = Instant::now();
    eprintln!("recall@{K} {:.3}", recall(&exact, &index, few));
    eprintln!("200 exact queries in {:.1} s", begin.elapsed().as_secs_f64());
    eprintln!("peak memory {} MB", peak_memory() / 1_000_000);
}

criterion_group!(benches, search, atlas);
criterion_main!(benches);
