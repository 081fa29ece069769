//! One round of generation, and one transformer block, over the share of unknown genes.

use std::hint::black_box;

use burn::{prelude::*, tensor::Distribution};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scgpt_model::{AttentionMask, Block, Confidence, Generation, Promoted, Prompt, ScgptConfig};

const CELLS: usize = 4;
const TOKENS: usize = 600;
const GENES: usize = 5_000;
/// Percent of the tokens that are unknown.
const UNKNOWN: [usize; 3] = [25, 50, 75];

fn config() -> ScgptConfig {
    ScgptConfig { n_layers: 4, dropout: 0.0, ..ScgptConfig::new(GENES) }
}

#[allow(clippy::expect_used, reason = "a bench fails by panicking")]
fn round(c: &mut Criterion) {
    let device = scgpt_benches::device();
    let config = config();
    let model = config.init(&device).expect("a valid configuration");
    let options =
        Generation { rounds: 1, confidence: Confidence::LargestValue, promoted: Promoted::Bin };
    let mut group = c.benchmark_group("model/generation_round");
    group.sample_size(10).throughput(Throughput::Elements(CELLS as u64));
    for percent in UNKNOWN {
        let known = TOKENS - TOKENS * percent / 100;
        let (genes, values) = scgpt_benches::tokens(CELLS, TOKENS, GENES);
        let prompts: Vec<Prompt> = genes
            .chunks(TOKENS)
            .zip(values.chunks(TOKENS))
            .map(|(genes, values)| Prompt {
                genes: genes[..known].to_vec(),
                values: values[..known].to_vec(),
                unknown: genes[known..].to_vec(),
                ..Prompt::default()
            })
            .collect();
        group.bench_with_input(BenchmarkId::from_parameter(percent), &prompts, |bench, prompts| {
            bench.iter(|| {
                let watch = &mut |_: scgpt_model::Round<'_>| {};
                black_box(model.generate(prompts, &options, &config, &|_, _| 0, &device, watch))
            });
        });
    }
    group.finish();
}

fn block(c: &mut Criterion) {
    let device = scgpt_benches::device();
    let block = Block::new(&config(), &device);
    let mut group = c.benchmark_group("model/block");
    group.sample_size(10).throughput(Throughput::Elements((CELLS * TOKENS) as u64));
    for percent in [0, 50] {
        let x = Tensor::<3>::random([CELLS, TOKENS, 512], Distribution::Default, &device);
        let known = TOKENS - TOKENS * percent / 100;
        let mask = AttentionMask::generative(vec![known; CELLS], vec![TOKENS; CELLS], TOKENS);
        group.bench_function(BenchmarkId::new("forward", percent), |bench| {
            bench.iter(|| black_box(block.forward(x.clone(), &(&mask).into(), TOKENS)));
        });
        let training = block.clone().train();
        let input = Tensor::<3>::from_inner(x.clone()).require_grad();
        group.bench_function(BenchmarkId::new("forward_backward", percent), |bench| {
            bench.iter(|| {
                black_box(training.forward(input.clone(), &(&mask).into(), TOKENS).sum().backward())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, round, block);
criterion_main!(benches);
