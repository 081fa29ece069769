//! Fast numbers are near those of the network, and tell the same of cells.
#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking, and compares bits"
)]

mod reference;

use burn::prelude::*;
use scgpt_fixtures::cases;
use scgpt_kernels::{Cpu, InstructionSet};
use scgpt_model::{CellEncoder, InferencePrecision, ScgptConfig, TokenBatchView};

/// Tiles of the processor, or with the same bits in portable code.
fn tiles() -> Cpu {
    let processor = Cpu::with(InstructionSet::Amx);
    processor.unwrap_or_else(|_| Cpu::with(InstructionSet::Software).unwrap())
}

/// Cells of one batch: genes and bins, `<cls>` first.
struct Cells {
    n_tokens: usize,
    genes: Vec<i32>,
    values: Vec<f32>,
    lengths: Vec<usize>,
}

impl Cells {
    /// Cells of four types, each of which expresses every fourth gene more.
    fn new(n: usize, vocab_size: usize, n_tokens: usize) -> Self {
        let mut state = 7_u32;
        let mut draw = |below: usize| {
            state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            (state >> 8) as usize % below
        };
        let (mut genes, mut values) = (Vec::new(), Vec::new());
        let lengths: Vec<usize> = (0..n).map(|_| n_tokens - draw(n_tokens / 3)).collect();
        for (cell, &length) in lengths.iter().enumerate() {
            for token in 0..n_tokens {
                let gene = draw(vocab_size - 3);
                let is_of_type = gene % 4 == cell % 4;
                genes.push(i32::try_from(gene).unwrap());
                let bin = if is_of_type { 26 + draw(25) } else { 1 + draw(20) };
                values.push(if token == 0 || token >= length { 0.0 } else { bin as f32 });
            }
        }
        Self { n_tokens, genes, values, lengths }
    }

    fn view(&self) -> TokenBatchView<'_> {
        let Self { n_tokens, genes, values, lengths } = self;
        TokenBatchView { n_tokens: *n_tokens, genes, values, lengths, domain: 0 }
    }
}

/// Rows of unit length.
fn unit(rows: &[f32], d: usize) -> Vec<f32> {
    let scaled = |row: &[f32]| {
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter().map(|x| x / length).collect::<Vec<_>>()
    };
    rows.chunks_exact(d).flat_map(scaled).collect()
}

/// For each row, the ten that are nearest to it.
fn nearest(rows: &[f32], d: usize) -> Vec<Vec<usize>> {
    let rows: Vec<&[f32]> = rows.chunks_exact(d).collect();
    let cosine = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(x, y)| x * y).sum() };
    let of_row = |row: usize| {
        let mut others: Vec<usize> = (0..rows.len()).filter(|&other| other != row).collect();
        others.sort_by(|&a, &b| cosine(rows[row], rows[b]).total_cmp(&cosine(rows[row], rows[a])));
        others.truncate(10);
        others
    };
    (0..rows.len()).map(of_row).collect()
}

/// The class of each cell with the largest logit.
fn classes(encoder: &CellEncoder, cells: &[f32]) -> Vec<usize> {
    let n = cells.len() / encoder.d_model();
    let logits = encoder.classify(cells).unwrap();
    let largest = |logits: &[f32]| {
        (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap()
    };
    logits.chunks_exact(logits.len() / n).map(largest).collect()
}

fn share(of: impl Iterator<Item = bool>) -> f64 {
    let all: Vec<bool> = of.collect();
    all.iter().filter(|is_true| **is_true).count() as f64 / all.len() as f64
}

#[test]
fn golden_decisions_agree_in_less_precision() {
    // Exact ones are those of the other golden tests.
    for case in cases(|case| case.name == "forward_medium") {
        let (model, config) = reference::model(&case, "params.safetensors", &Device::flex());
        let encoder = || CellEncoder::new(model.clone(), &config);
        // So many that one other label in two hundred can be told from more.
        let cells = Cells::new(240, config.vocab_size, 28);
        let d = config.d_model;
        let exact = encoder().with_cpu(Cpu::with(InstructionSet::Portable).unwrap());
        let expected = exact.embed(cells.view());
        let rows = unit(&expected, d);
        for (precision, most, recall) in
            [(InferencePrecision::Bf16x3, 1e-4, 0.995), (InferencePrecision::Bf16, 2e-2, 0.98)]
        {
            let encoder = encoder().with_precision(precision).with_cpu(tiles());
            assert_eq!(encoder.precision(), precision);
            let embedded = encoder.embed(cells.view());
            let unit = unit(&embedded, d);
            let worst = unit.iter().zip(&rows).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let cosines = unit.chunks_exact(d).zip(rows.chunks_exact(d));
            let cosine =
                |(a, b): (&[f32], &[f32])| -> f32 { a.iter().zip(b).map(|(x, y)| x * y).sum() };
            let least = cosines.map(cosine).fold(1.0, f32::min);
            let labels = classes(&exact, &expected).into_iter().zip(classes(&encoder, &embedded));
            let labels = share(labels.map(|(a, b)| a == b));
            let found = nearest(&rows, d).into_iter().zip(nearest(&unit, d));
            let found =
                share(found.flat_map(|(a, b)| a.into_iter().map(move |cell| b.contains(&cell))));
            assert!(worst <= most && least >= 0.999, "{precision}: {worst}, cosine {least}");
            assert!(labels >= 0.995 && found >= recall, "{precision}: {labels}, recall {found}");
        }
    }
}

#[test]
fn a_cell_depends_on_neither_batch_nor_threads_in_any_precision() {
    let config =
        ScgptConfig { d_model: 32, n_heads: 1, d_ff: 40, n_layers: 2, ..ScgptConfig::new(90) };
    let cells = Cells::new(3, 90, 70);
    let model = config.init(&Device::flex()).unwrap();
    let [one, three] =
        [1, 3].map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
    for cpu in Cpu::all() {
        for precision in
            [InferencePrecision::Exact, InferencePrecision::Bf16x3, InferencePrecision::Bf16]
        {
            let encoder = CellEncoder::new(model.clone(), &config);
            let encoder = encoder.with_precision(precision).with_cpu(cpu);
            let together = one.install(|| encoder.embed(cells.view()));
            for cell in 0..cells.lengths.len() {
                // Without its padding.
                let used = cell * 70..cell * 70 + cells.lengths[cell];
                let alone = TokenBatchView {
                    n_tokens: used.len(),
                    genes: &cells.genes[used.clone()],
                    values: &cells.values[used.clone()],
                    lengths: &cells.lengths[cell..=cell],
                    domain: 0,
                };
                let row = three.install(|| encoder.embed(alone));
                assert_eq!(row, together[cell * 32..(cell + 1) * 32], "{cpu:?} {precision}");
            }
        }
    }
}

#[test]
fn what_cannot_be_faster_is_exact() {
    use scgpt_model::NormScheme;
    let config =
        ScgptConfig { d_model: 16, n_heads: 2, d_ff: 16, n_layers: 1, ..ScgptConfig::new(20) };
    let normed = ScgptConfig { norm_scheme: NormScheme::Normed, ..config.clone() };
    let precision = |config: &ScgptConfig, cpu| {
        let encoder = CellEncoder::new(config.init(&Device::flex()).unwrap(), config);
        encoder.with_precision(InferencePrecision::Bf16).with_cpu(cpu).precision()
    };
    assert_eq!(precision(&config, tiles()), InferencePrecision::Bf16);
    for cpu in [InstructionSet::Avx512, InstructionSet::Avx2].map(Cpu::with).into_iter().flatten() {
        assert_eq!(precision(&config, cpu), InferencePrecision::Exact);
    }
    // Which is no stack of packed weights, and asks the best instructions.
    let of_device = InferencePrecision::Bf16.on(&Device::flex());
    assert_eq!(precision(&normed, tiles()), of_device);
}
