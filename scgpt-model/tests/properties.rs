//! What must hold for any input.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

use burn::prelude::*;
use scgpt_model::{
    AttentionMask, CellEncoder, CellPooling, ModelInput, ScgptConfig, Strictness, TokenBatchView,
    Weights,
};

fn config(pooling: CellPooling) -> ScgptConfig {
    ScgptConfig {
        d_model: 64,
        n_heads: 4,
        d_ff: 96,
        n_layers: 3,
        cell_pooling: pooling,
        ..ScgptConfig::new(500)
    }
}

/// Cells of various lengths: genes and bins, `<cls>` first.
fn cells(lengths: &[usize]) -> Vec<(Vec<i32>, Vec<f32>)> {
    let token = |cell: usize, i: usize| i32::try_from((cell * 131 + i * 37) % 498).unwrap();
    #[allow(clippy::cast_precision_loss, reason = "bins are small")]
    let value =
        |cell: usize, i: usize| if i == 0 { -2.0 } else { ((cell * 17 + i * 7) % 50 + 1) as f32 };
    lengths
        .iter()
        .enumerate()
        .map(|(cell, &length)| (0..length).map(|i| (token(cell, i), value(cell, i))).unzip())
        .collect()
}

/// Embeds some cells as one padded batch.
fn embed(encoder: &CellEncoder, cells: &[(Vec<i32>, Vec<f32>)]) -> Vec<f32> {
    let lengths: Vec<usize> = cells.iter().map(|(genes, _)| genes.len()).collect();
    let n_tokens = lengths.iter().copied().max().unwrap();
    let (mut genes, mut values) = (Vec::new(), Vec::new());
    for (cell_genes, cell_values) in cells {
        genes.extend(cell_genes);
        values.extend(cell_values);
        genes.resize(genes.len().next_multiple_of(n_tokens), 499);
        values.resize(genes.len(), -2.0);
    }
    encoder.embed(TokenBatchView {
        n_tokens,
        genes: &genes,
        values: &values,
        lengths: &lengths,
        domain: 0,
    })
}

#[test]
fn a_cell_embedding_does_not_depend_on_its_batch() {
    use CellPooling::{Cls, Mean, ValueMean, Weighted};
    for pooling in [Cls, Mean, Weighted, ValueMean] {
        let config = config(pooling);
        let encoder = CellEncoder::new(config.init(&Device::flex()).unwrap(), &config);
        let cells = cells(&[700, 350, 640, 1, 2, 500, 333]);
        let together = embed(&encoder, &cells);
        let alone: Vec<f32> = cells.chunks(1).flat_map(|cell| embed(&encoder, cell)).collect();
        let pairs: Vec<f32> = cells.chunks(2).flat_map(|pair| embed(&encoder, pair)).collect();
        for other in [alone, pairs] {
            let worst = together.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst == 0.0, "{pooling:?}: {worst}");
        }
    }
}

#[test]
fn the_order_of_genes_does_not_matter() {
    let config = config(CellPooling::Cls);
    let encoder = CellEncoder::new(config.init(&Device::flex()).unwrap(), &config);
    let mut cells = cells(&[200]);
    let before = embed(&encoder, &cells);
    cells[0].0[1..].reverse();
    cells[0].1[1..].reverse();
    let after = embed(&encoder, &cells);
    let worst = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 2e-6, "{worst}");
}

#[test]
fn unknown_genes_are_seen_by_none_but_themselves_and_their_values_by_nobody() {
    let device = Device::flex();
    let model = config(CellPooling::Cls).init(&device).unwrap();
    let hidden = |gene: i32, value: f32| {
        let (mut genes, mut values) = ((0..40).collect::<Vec<i32>>(), vec![3.0; 40]);
        (genes[30], values[30]) = (gene, value);
        let input = ModelInput::new(
            Tensor::from_data(TensorData::new(genes, [1, 40]), &device),
            Tensor::from_data(TensorData::new(values, [1, 40]), &device),
            AttentionMask::generative(vec![25], vec![40], 40),
        );
        model.encode(&input).hidden
    };
    let [a, b] = [hidden(30, 3.0), hidden(29, 3.0)];
    let others = |x: &Tensor<3>| {
        Tensor::cat(vec![x.clone().narrow(1, 0, 30), x.clone().narrow(1, 31, 9)], 1).into_data()
    };
    assert_eq!(others(&a), others(&b));
    assert_ne!(a.clone().narrow(1, 30, 1).into_data(), b.narrow(1, 30, 1).into_data());
    assert_eq!(a.into_data(), hidden(30, 40.0).into_data());
}

#[test]
fn saving_and_loading_is_the_identity() {
    let config = config(CellPooling::Cls);
    let device = Device::flex();
    let path =
        std::env::temp_dir().join(format!("scgpt-identity-{}.safetensors", std::process::id()));
    let model = config.init(&device).unwrap();
    model.save(&path).unwrap();
    let (loaded, report) =
        Weights::open(&path).unwrap().load(&config, &device, Strictness::Strict).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(report.is_complete());
    let cells = cells(&[50, 20]);
    let embedded = |model| embed(&CellEncoder::new(model, &config), &cells);
    assert_eq!(embedded(model), embedded(loaded));
}
