//! Kernels of the CPU by themselves, in every format that the processor has instructions for.

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scgpt_data::{Keyed, Purpose};
use scgpt_kernels::{
    Affine, Attended, BlockWeights, Cpu, EncoderStack, Epilogue, Format, Norm, PackedMatrix, Start,
    Tokens, Widths, attend, attend_gradient, attend_recorded, exp, linear, linear_gradient, norm,
    recorded,
};

const TOKENS: usize = 1200;
const WIDTH: usize = 512;
const HEADS: usize = 8;
const LAYERS: usize = 12;

/// Uniform numbers of a standard deviation, the same in every run.
fn numbers(n: usize, deviation: f64) -> Vec<f32> {
    let key = Keyed::new(0, Purpose::Simulate, 0, n as u64);
    #[allow(clippy::cast_possible_truncation, reason = "f32 is what kernels take")]
    let number = |i: usize| ((2.0 * key.uniform(i as u64) - 1.0) * 3_f64.sqrt() * deviation) as f32;
    (0..n).map(number).collect()
}

/// Formats that are computed in themselves here.
fn formats(cpu: Cpu) -> impl Iterator<Item = Format> {
    Format::ALL.into_iter().filter(move |&format| cpu.computes_in(format) == format)
}

fn products(c: &mut Criterion) {
    let cpu = Cpu::best();
    let mut group = c.benchmark_group("kernels/linear");
    group.sample_size(10).measurement_time(Duration::from_secs(1));
    for (rows, columns) in [(TOKENS, WIDTH), (TOKENS, 3 * WIDTH), (8 * TOKENS, WIDTH)] {
        let [x, bias] = [rows * WIDTH, columns].map(|n| numbers(n, 1.0));
        let weight = numbers(WIDTH * columns, 0.04);
        let mut out = vec![0.0; rows * columns];
        group.throughput(Throughput::Elements(2 * (rows * WIDTH * columns) as u64));
        for format in formats(cpu) {
            let weight = PackedMatrix::new(cpu, format, &weight, [WIDTH, columns]);
            let epilogue = Epilogue { bias: Some(&bias), ..Epilogue::default() };
            group.bench_function(
                BenchmarkId::new(format.name(), format!("{rows}x{columns}")),
                |bench| bench.iter(|| linear(cpu, black_box(&x), &weight, epilogue, &mut out)),
            );
        }
    }
}

/// Of weights and biases, and of what weights were multiplied with, packing included.
fn product_gradients(c: &mut Criterion) {
    let cpu = Cpu::best();
    let mut group = c.benchmark_group("kernels/linear_gradient");
    group.sample_size(10).measurement_time(Duration::from_secs(1));
    let rows = 8 * TOKENS;
    for columns in [WIDTH, 3 * WIDTH] {
        let [x, gradient] = [rows * WIDTH, rows * columns].map(|n| numbers(n, 1.0));
        let weight = numbers(WIDTH * columns, 0.04);
        let [mut of_x, mut of_weight, mut of_bias] =
            [rows * WIDTH, WIDTH * columns, columns].map(|n| vec![0.0; n]);
        group.throughput(Throughput::Elements(2 * (rows * WIDTH * columns) as u64));
        for format in formats(cpu) {
            let id = |part: &str| {
                BenchmarkId::new(format!("{}/{part}", format.name()), format!("{rows}x{columns}"))
            };
            group.bench_function(id("weight"), |bench| {
                bench.iter(|| {
                    linear_gradient(
                        cpu,
                        format,
                        black_box(&x),
                        &gradient,
                        &mut of_weight,
                        &mut of_bias,
                    );
                });
            });
            group.bench_function(id("input"), |bench| {
                bench.iter(|| {
                    let weight = black_box(&weight);
                    let weight = PackedMatrix::transposed(cpu, format, weight, [WIDTH, columns]);
                    linear(cpu, &gradient, &weight, Epilogue::default(), &mut of_x);
                });
            });
        }
    }
}

fn attention(c: &mut Criterion) {
    let cpu = Cpu::best();
    let mut group = c.benchmark_group("kernels/attend");
    group.sample_size(10).measurement_time(Duration::from_secs(1));
    let qkv = numbers(TOKENS * 3 * WIDTH, 1.0);
    let mut out = vec![0.0; TOKENS * WIDTH];
    for (name, known) in [("all_known", TOKENS), ("generative", TOKENS * 6 / 10)] {
        let tokens = Tokens { known, ..Tokens::all(TOKENS) };
        group.throughput(Throughput::Elements(TOKENS as u64));
        for format in formats(cpu) {
            group.bench_function(BenchmarkId::new(format.name(), name), |bench| {
                bench.iter(|| attend(cpu, format, black_box(&qkv), HEADS, tokens, &mut out));
            });
        }
    }
}

/// Forward with what the gradient needs, and the gradient; `recorded` is the operator in f32 alone.
fn attention_gradients(c: &mut Criterion) {
    let cpu = Cpu::best();
    let mut group = c.benchmark_group("kernels/attend_gradient");
    group.sample_size(10).measurement_time(Duration::from_secs(1));
    let (qkv, gradient) = (numbers(TOKENS * 3 * WIDTH, 1.0), numbers(TOKENS * WIDTH, 1.0));
    for (name, known) in [("all_known", TOKENS), ("generative", TOKENS * 6 / 10)] {
        let tokens = Tokens { known, ..Tokens::all(TOKENS) };
        group.throughput(Throughput::Elements(TOKENS as u64));
        let plan = recorded::AttentionPlan { n_heads: HEADS, n: TOKENS, cells: vec![tokens] };
        let shape = [1, TOKENS, WIDTH];
        group.bench_function(BenchmarkId::new("recorded/forward", name), |bench| {
            bench.iter(|| recorded::attend(black_box(&qkv), shape, &plan));
        });
        let (context, log_sums) = recorded::attend(&qkv, shape, &plan);
        let attended = recorded::AttentionGradient {
            qkv: &qkv,
            context: &context,
            log_sums: &log_sums,
            gradient: &gradient,
        };
        group.bench_function(BenchmarkId::new("recorded/backward", name), |bench| {
            bench.iter(|| black_box(attended).compute(shape, &plan));
        });
        for format in formats(cpu) {
            let (mut context, mut log_sums) = (context.clone(), log_sums.clone());
            let of = |part: &str| BenchmarkId::new(format!("{}/{part}", format.name()), name);
            group.bench_function(of("forward"), |bench| {
                bench.iter(|| {
                    let qkv = black_box(&qkv);
                    attend_recorded(cpu, format, qkv, HEADS, tokens, &mut context, &mut log_sums);
                });
            });
            let mut out = vec![0.0; TOKENS * 3 * WIDTH];
            let attended = Attended { qkv: &qkv, context: &context, log_sums: &log_sums, tokens };
            group.bench_function(of("backward"), |bench| {
                bench.iter(|| {
                    attend_gradient(cpu, format, black_box(attended), HEADS, &gradient, &mut out);
                });
            });
        }
    }
}

fn norms(c: &mut Criterion) {
    let cpu = Cpu::best();
    let mut group = c.benchmark_group("kernels/norm");
    let mut x = numbers(TOKENS * WIDTH, 1.0);
    let [gamma, beta] = [numbers(WIDTH, 1.0), numbers(WIDTH, 1.0)];
    let parameters = Norm { gamma: &gamma, beta: &beta, epsilon: 1e-5 };
    group.throughput(Throughput::Elements((TOKENS * WIDTH) as u64));
    group.bench_function("f32", |bench| {
        bench.iter(|| norm(cpu, black_box(&mut x), parameters));
    });
}

/// Of numbers that stay in the first cache.
fn exponentials(c: &mut Criterion) {
    let cpu = Cpu::best();
    let mut group = c.benchmark_group("kernels/exp");
    let x = numbers(4096, 1.0);
    let mut out = x.clone();
    group.throughput(Throughput::Elements(x.len() as u64));
    for format in formats(cpu) {
        group.bench_function(format.name(), |bench| {
            bench.iter(|| {
                out.copy_from_slice(black_box(&x));
                exp(cpu, format, &mut out);
            });
        });
    }
}

fn stack(c: &mut Criterion) {
    let cpu = Cpu::best();
    let mut group = c.benchmark_group("kernels/stack");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    let widths = Widths { model: WIDTH, inner: WIDTH, heads: HEADS };
    let weights = [3 * WIDTH, WIDTH].map(|n| (numbers(WIDTH * n, 0.025), numbers(n, 0.025)));
    let [qkv, other] = weights.each_ref().map(|(weight, bias)| Affine { weight, bias });
    let (ones, zeros) = (vec![1.0; WIDTH], vec![0.0; WIDTH]);
    let norm = Norm { gamma: &ones, beta: &zeros, epsilon: 1e-5 };
    let block =
        BlockWeights { qkv, out: other, norm1: norm, linear1: other, linear2: other, norm2: norm };
    let x = numbers(TOKENS * WIDTH, 1.0);
    let mut out = vec![0.0; WIDTH];
    group.throughput(Throughput::Elements(1));
    for format in formats(cpu) {
        let stack = EncoderStack::new(cpu, format, widths, vec![block; LAYERS]);
        let leading = Tokens { queries: 1, ..Tokens::all(TOKENS) };
        group.bench_function(format.name(), |bench| {
            bench.iter(|| stack.forward(Start::States(black_box(&x)), &[leading], &mut out));
        });
    }
}

criterion_group!(
    benches,
    products,
    product_gradients,
    attention,
    attention_gradients,
    norms,
    exponentials,
    stack
);
criterion_main!(benches);
