//! The operator against the dense −∞ mask.

use burn::{prelude::*, tensor::Distribution};

use super::{AttentionMask, attend, composed};

/// The definition, with every mask entry spelled out, in f64 on the host.
fn dense(qkv: &[f32], [b, t, d]: [usize; 3], heads: usize, mask: &AttentionMask) -> Vec<f32> {
    let k = d / heads;
    let at = |cell: usize, token: usize, part: usize, column: usize| {
        f64::from(qkv[(cell * t + token) * 3 * d + part * d + column])
    };
    let mut out = vec![0.0; b * t * d];
    for cell in 0..b {
        for query in 0..mask.used()[cell] {
            for head in 0..heads {
                let sees = |key: usize| key < mask.known()[cell] || key == query;
                let score = |key: usize| {
                    let dot: f64 = (head * k..(head + 1) * k)
                        .map(|column| at(cell, query, 0, column) * at(cell, key, 1, column))
                        .sum();
                    if sees(key) { dot / (k as f64).sqrt() } else { f64::NEG_INFINITY }
                };
                let scores: Vec<f64> = (0..t).map(score).collect();
                let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> =
                    scores.iter().map(|score| (score - largest).exp()).collect();
                let total: f64 = weights.iter().sum();
                for column in head * k..(head + 1) * k {
                    let sum: f64 = (0..t).map(|key| weights[key] * at(cell, key, 2, column)).sum();
                    #[allow(clippy::cast_possible_truncation, reason = "compared in f32")]
                    let value = (sum / total) as f32;
                    out[(cell * t + query) * d + column] = value;
                }
            }
        }
    }
    out
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The worst difference at the first tokens of every cell.
fn worst_of(actual: Tensor<3>, expected: &[f32], shape: [usize; 3]) -> f32 {
    let n = actual.dims()[1];
    let expected =
        Tensor::<1>::from_floats(expected, &actual.device()).reshape(shape).narrow(1, 0, n);
    (actual - expected).abs().max().into_scalar()
}

#[test]
fn operator_equals_the_dense_mask() {
    let device = Device::flex();
    let heads = 4;
    for (t, d, known, used) in [
        (7, 8, vec![7, 7], vec![7, 7]),
        (37, 16, vec![37, 5, 1], vec![37, 30, 1]),
        (230, 64, vec![100, 230, 1], vec![230, 230, 117]),
        (300, 32, vec![299, 97, 96], vec![300, 200, 96]),
    ] {
        let b = known.len();
        let mask = AttentionMask::generative(known, used, t);
        let qkv = Tensor::<3>::random([b, t, 3 * d], Distribution::Normal(0.0, 1.5), &device);
        let host: Vec<f32> = qkv.to_data().try_into_vec().unwrap();
        let expected = dense(&host, [b, t, d], heads, &mask);
        let composed: Vec<f32> =
            composed::attend(qkv.clone(), heads, &mask, t).into_data().try_into_vec().unwrap();
        let operator: Vec<f32> =
            attend(qkv.clone(), heads, &mask, t).into_data().try_into_vec().unwrap();
        assert!(worst(&composed, &expected) < 1e-5, "composed, t = {t}");
        assert!(worst(&operator, &expected) < 1e-5, "operator, t = {t}");
        let leading =
            |attended: Tensor<3>| worst_of(attended.narrow(1, 0, 6), &expected, [b, t, d]);
        assert!(
            leading(composed::attend(qkv.clone(), heads, &mask, 6)) < 1e-5,
            "composed, t = {t}"
        );
        assert!(leading(attend(qkv, heads, &mask, 6)) < 1e-5, "operator, t = {t}");
    }
}

#[test]
fn a_cell_does_not_depend_on_its_batch() {
    let device = Device::flex();
    let (t, d) = (120, 32);
    let qkv = Tensor::<3>::random([3, t, 3 * d], Distribution::Default, &device);
    let together = attend(qkv.clone(), 4, &AttentionMask::padding(vec![120, 90, 100], t), t);
    let alone =
        attend(qkv.narrow(0, 1, 1).narrow(1, 0, 90), 4, &AttentionMask::padding(vec![90], 90), 90);
    let together = together.narrow(0, 1, 1).narrow(1, 0, 90);
    assert_eq!(together.into_data(), alone.into_data());
}

#[test]
#[should_panic(expected = "another [b, t]")]
fn a_foreign_mask_is_refused() {
    let qkv = Tensor::<3>::zeros([1, 4, 24], &Device::flex());
    let _ = attend(qkv, 2, &AttentionMask::padding(vec![3], 3), 4);
}
