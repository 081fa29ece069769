//! Parity of attention itself, scores and weights, with the reference implementation.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod reference;

use reference::{host, input, model};
use scgpt_fixtures::{Case, assert_close, cases};
use scgpt_model::{AttentionMask, CellEncoder, Error, ModelInput, TokenBatchView};

/// `[rtol, atol]` of attention in the case.
const TOLERANCE: [f64; 2] = [1e-4, 1e-6];

fn attention_cases() -> Vec<Case> {
    cases(|case| case.is("attention_grn"))
}

#[test]
fn golden_attention_weights() {
    for case in attention_cases() {
        let device = reference::device();
        let (model, config) = model(&case, "params.safetensors", &device);
        let input = input(&case, &case.tensors("inputs.safetensors"), &device);
        let expected = case.tensors("expected.safetensors");

        for layer in 0..config.n_layers {
            let key = format!("attention_layer{layer}");
            // The first cells only.
            let n = expected.f64(&key).len();
            let weights = host(model.attention_weights(&input, layer).unwrap());
            assert_close(&key, &weights[..n], expected.f64(&key), TOLERANCE);
        }
        let scores = host(model.attention_scores(&input, config.n_layers - 1).unwrap());
        assert_close("scores", &scores, expected.f64("last_scores_unscaled"), [1e-4, 1e-4]);
        let error = model.attention_scores(&input, config.n_layers).unwrap_err();
        let of = |n_layers: usize| n_layers == config.n_layers;
        assert!(matches!(error, Error::Layer { n_layers, .. } if of(n_layers)), "{error}");
    }
}

/// Of padded cells, the rows of queries that are no padding.
#[test]
fn golden_attention_of_padded_cells() {
    for case in attention_cases() {
        let device = reference::device();
        let (model, config) = model(&case, "params.safetensors", &device);
        let expected = case.tensors("expected.safetensors");
        let genes = expected.i64("padded.gene_ids");
        let [b, t]: [usize; 2] = expected.shape("padded.gene_ids").try_into().unwrap();
        let pad = case.json["vocab"]["<pad>"].as_i64().unwrap();
        let lengths: Vec<usize> =
            genes.chunks(t).map(|row| row.iter().filter(|&&gene| gene != pad).count()).collect();
        assert!(lengths.iter().any(|&length| length < t));
        let input = ModelInput::new(
            reference::ints(&expected, "padded.gene_ids", &device),
            reference::floats(&expected, "padded.values", &device),
            AttentionMask::padding(lengths.clone(), t),
        );
        let used = |weights: &[f64]| -> Vec<f64> {
            let rows = weights.chunks(t).enumerate();
            let rows = rows.filter(|(row, _)| row % t < lengths[row / (t * config.n_heads)]);
            rows.flat_map(|(_, row)| row.to_vec()).collect()
        };
        for layer in 0..config.n_layers {
            let key = format!("padded.attention_layer{layer}");
            let weights = host(model.attention_weights(&input, layer).unwrap());
            let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
            #[allow(clippy::cast_possible_truncation, reason = "they were f32")]
            let found: Vec<f32> = used(&weights).into_iter().map(|x| x as f32).collect();
            assert_close(&key, &found, &used(expected.f64(&key)), TOLERANCE);
        }
        assert_eq!(lengths.len(), b);
    }
}

/// The prepared network gives what the network gives.
#[test]
fn prepared_networks_have_the_same_scores() {
    for case in attention_cases() {
        let device = reference::device();
        let (model, config) = model(&case, "params.safetensors", &device);
        let inputs = case.tensors("inputs.safetensors");
        let [b, t]: [usize; 2] = inputs.shape("gene_ids").try_into().unwrap();
        let input = input(&case, &inputs, &device);
        let expected: Vec<f64> =
            host(model.attention_scores(&input, 1).unwrap()).into_iter().map(f64::from).collect();
        let genes: Vec<i32> =
            inputs.i64("gene_ids").iter().map(|&gene| gene.try_into().unwrap()).collect();
        let values = inputs.f32("values");
        let rows = TokenBatchView {
            n_tokens: t,
            genes: &genes,
            values: &values,
            lengths: &vec![t; b],
            domain: 0,
        };
        let encoder = CellEncoder::new(model, &config);
        let scores = encoder.attention_scores(rows, 1).unwrap();
        assert_close("prepared", &scores, &expected, [1e-5, 1e-5]);
    }
}
