//! The definition with every mask entry spelled out, in f64 on the host.

use super::AttentionMask;

/// Row-major `[rows, columns]`.
pub(super) type Values = Vec<f64>;

/// The context of the first `n` tokens, `[b, n, d]`, and the gradient of the packed projection,
/// `[b, t, 3 d]`, given that of the context.
pub(super) fn attend(
    qkv: &[f32],
    gradient: &[f32],
    [t, d, heads, n]: [usize; 4],
    mask: &AttentionMask,
) -> (Values, Values) {
    let (b, k) = (mask.known().len(), d / heads);
    let scale = 1.0 / (k as f64).sqrt();
    let at = |cell: usize, token: usize, part: usize, column: usize| {
        (cell * t + token) * 3 * d + part * d + column
    };
    let packed = |cell, token, part, column: usize| f64::from(qkv[at(cell, token, part, column)]);
    let (mut context, mut packed_gradient) = (vec![0.0; b * n * d], vec![0.0; b * t * 3 * d]);
    for cell in 0..b {
        let queries = if mask.padding_attends() { n } else { mask.used()[cell].min(n) };
        for query in 0..queries {
            for head in 0..heads {
                let columns = head * k..(head + 1) * k;
                let row = (cell * n + query) * d;
                let dot = |key: usize| -> f64 {
                    let product = |c| packed(cell, query, 0, c) * packed(cell, key, 1, c);
                    columns.clone().map(product).sum()
                };
                let sees = |key: usize| {
                    key < mask.known()[cell] || (key == query && key < mask.used()[cell])
                };
                let scores: Values = (0..t)
                    .map(|key| if sees(key) { dot(key) * scale } else { f64::NEG_INFINITY })
                    .collect();
                let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Values = scores.iter().map(|s| (s - largest).exp()).collect();
                let total: f64 = weights.iter().sum();
                let weights: Values = weights.iter().map(|weight| weight / total).collect();

                let mut delta = 0.0;
                for column in columns.clone() {
                    let sum: f64 =
                        (0..t).map(|key| weights[key] * packed(cell, key, 2, column)).sum();
                    context[row + column] = sum;
                    delta += sum * f64::from(gradient[row + column]);
                }
                for key in 0..t {
                    let by_weight: f64 = columns
                        .clone()
                        .map(|c| f64::from(gradient[row + c]) * packed(cell, key, 2, c))
                        .sum();
                    let by_score = weights[key] * (by_weight - delta) * scale;
                    for c in columns.clone() {
                        packed_gradient[at(cell, query, 0, c)] +=
                            by_score * packed(cell, key, 1, c);
                        packed_gradient[at(cell, key, 1, c)] +=
                            by_score * packed(cell, query, 0, c);
                        packed_gradient[at(cell, key, 2, c)] +=
                            weights[key] * f64::from(gradient[row + c]);
                    }
                }
            }
        }
    }
    (context, packed_gradient)
}
