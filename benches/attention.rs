//! The attention operator: over the number of tokens, and against a dense mask over the share of
//! unknown tokens, forward alone and with its backward.

use std::{hint::black_box, time::Duration};

use burn::{
    prelude::*,
    tensor::{Distribution, module::attention as dense_attention, ops::AttentionModuleOptions},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scgpt_model::{AttentionMask, attend};

const CELLS: usize = 4;
const WIDTH: usize = 512;
const HEADS: usize = 8;

fn tokens(c: &mut Criterion) {
    let device = scgpt_benches::device();
    for (name, known_of_ten) in [("all_known", 10), ("generative", 6)] {
        let mut group = c.benchmark_group(format!("model/attention/{name}"));
        group.sample_size(10);
        for tokens in [512, 1200, 3000] {
            let known = vec![tokens * known_of_ten / 10; CELLS];
            let mask = AttentionMask::generative(known, vec![tokens; CELLS], tokens);
            let qkv = random(tokens, 3 * WIDTH, &device);
            group.throughput(Throughput::Elements((CELLS * tokens) as u64));
            group.bench_with_input(BenchmarkId::from_parameter(tokens), &qkv, |bench, qkv| {
                bench.iter(|| black_box(attend(qkv.clone(), HEADS, &mask, tokens).into_data()));
            });
        }
        group.finish();
    }
}

/// The structured mask against the same mask as a matrix, which burn's own attention applies.
fn unknown_share(c: &mut Criterion) {
    let device = scgpt_benches::device();
    let recording = device.clone().autodiff();
    let mut group = c.benchmark_group("model/attention/unknown");
    group.sample_size(10).warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(1));
    for tokens in [300, 600, 1200] {
        let qkv = random(tokens, 3 * WIDTH, &device);
        let weights = random(tokens, WIDTH, &device);
        let recorded = Tensor::from_data(qkv.to_data(), &recording).require_grad();
        let recorded_weights = Tensor::<3>::from_data(weights.to_data(), &recording);
        for unknown_percent in [0, 40, 75] {
            let known = tokens * (100 - unknown_percent) / 100;
            let mask = AttentionMask::generative(vec![known; CELLS], vec![tokens; CELLS], tokens);
            let structured = |qkv: Tensor<3>| attend(qkv, HEADS, &mask, tokens);
            let [plain_matrix, recording_matrix] =
                [&device, &recording].map(|device| matrix(known, tokens, device));
            let is_hidden = |qkv: &Tensor<3>| {
                if qkv.device().is_autodiff() { &recording_matrix } else { &plain_matrix }.clone()
            };
            let dense = |qkv: Tensor<3>| attend_dense(qkv.clone(), is_hidden(&qkv));
            let operators: [(&str, &dyn Fn(Tensor<3>) -> Tensor<3>); 2] =
                [("structured", &structured), ("dense", &dense)];
            for (name, operator) in operators {
                let parameter = format!("{tokens}/{unknown_percent}%");
                group.bench_function(
                    BenchmarkId::new(format!("{name}/forward"), &parameter),
                    |b| {
                        b.iter(|| black_box(operator(qkv.clone()).into_data()));
                    },
                );
                group.bench_function(BenchmarkId::new(format!("{name}/step"), &parameter), |b| {
                    b.iter(|| {
                        let loss = (operator(recorded.clone()) * recorded_weights.clone()).sum();
                        black_box(recorded.grad(&loss.backward()).map(Tensor::into_data))
                    });
                });
            }
        }
    }
    group.finish();
}

fn random(tokens: usize, width: usize, device: &Device) -> Tensor<3> {
    Tensor::random([CELLS, tokens, width], Distribution::Normal(0.0, 1.0), device)
}

/// `true` where a query does not see a key, `[b, 1, t, t]`.
fn matrix(known: usize, tokens: usize, device: &Device) -> Tensor<4, Bool> {
    let sees = |query, key| key < known || key == query;
    let hidden: Vec<bool> =
        (0..tokens * tokens).map(|at| !sees(at / tokens, at % tokens)).collect();
    Tensor::<4, Bool>::from_data(TensorData::new(hidden, [1, 1, tokens, tokens]), device)
        .repeat_dim(0, CELLS)
}

/// burn's attention with an explicit mask.
fn attend_dense(qkv: Tensor<3>, is_hidden: Tensor<4, Bool>) -> Tensor<3> {
    let [b, t, d3] = qkv.dims();
    let qkv = qkv.reshape([b, t, 3, HEADS, d3 / 3 / HEADS]).permute([2, 0, 3, 1, 4]);
    let [q, k, v] = [0, 1, 2].map(|index| qkv.clone().narrow(0, index, 1).squeeze_dim::<4>(0));
    let context =
        dense_attention(q, k, v, Some(is_hidden), None, AttentionModuleOptions::default());
    context.swap_dims(1, 2).reshape([b, t, d3 / 3])
}

criterion_group!(benches, tokens, unknown_share);
criterion_main!(benches);
