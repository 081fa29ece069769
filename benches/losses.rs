//! Every loss with its gradient, on a batch of 32 cells × 1200 tokens, 512 wide.

use std::hint::black_box;

use burn::{
    prelude::*,
    tensor::{Distribution, activation::sigmoid},
};
use criterion::{Criterion, criterion_group, criterion_main};
use scgpt_train::{
    contrastive, cross_entropy, elastic_cell_similarity, masked_squared_error,
    negative_log_bernoulli,
};

const CELLS: usize = 32;
const TOKENS: usize = 1200;
const WIDTH: usize = 512;
const CLASSES: usize = 40;

fn losses(c: &mut Criterion) {
    let device = scgpt_benches::device().autodiff();
    let random = |shape: [usize; 2]| -> Tensor<2> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device)
    };
    let leaf = |tensor: Tensor<2>| tensor.detach().require_grad();
    let (values, target) = (random([CELLS, TOKENS]), random([CELLS, TOKENS]));
    let is_masked = random([CELLS, TOKENS]).greater_elem(0.0).float();
    let (cell, other) = (random([CELLS, WIDTH]), random([CELLS, WIDTH]));
    let logits = random([CELLS, CLASSES]);
    let classes = Tensor::<1, Int>::arange(0..32, &device);
    let mut group = c.benchmark_group("train/loss");
    group.bench_function("gep", |bench| {
        bench.iter(|| {
            let loss =
                masked_squared_error(leaf(values.clone()), target.clone(), is_masked.clone());
            black_box(loss.backward())
        });
    });
    group.bench_function("gep_zero", |bench| {
        bench.iter(|| {
            let probability = sigmoid(leaf(values.clone()));
            let loss = negative_log_bernoulli(probability, target.clone(), is_masked.clone());
            black_box(loss.backward())
        });
    });
    group.bench_function("ecs", |bench| {
        bench.iter(|| black_box(elastic_cell_similarity(leaf(cell.clone()), 0.8).backward()));
    });
    group.bench_function("contrastive", |bench| {
        bench.iter(|| black_box(contrastive(leaf(cell.clone()), other.clone()).backward()));
    });
    group.bench_function("class", |bench| {
        bench.iter(|| {
            black_box(cross_entropy(leaf(logits.clone()), classes.clone(), None).backward())
        });
    });
    group.finish();
}

criterion_group!(benches, losses);
criterion_main!(benches);
