//! The attention operator composed of tensor operations: every backend, differentiable.

use burn::prelude::*;

use super::AttentionMask;

/// See [`super::attend`]. The self score of an unknown query is a column of its own beside the
/// scores of the known prefix, so nothing of size `t × t` exists when few tokens are known.
pub(super) fn attend(qkv: Tensor<3>, n_heads: usize, mask: &AttentionMask, n: usize) -> Tensor<3> {
    let device = qkv.device();
    let [b, t, d3] = qkv.dims();
    let (d, k) = (d3 / 3, d3 / 3 / n_heads);
    let qkv = qkv.reshape([b, t, 3, n_heads, k]).permute([2, 0, 3, 1, 4]);
    let [q, keys, values] =
        [0, 1, 2].map(|index| qkv.clone().narrow(0, index, 1).squeeze_dim::<4>(0)); // [b, h, t, k]
    let q = q.narrow(2, 0, n) / (k as f64).sqrt(); // [b, h, n, k]

    let most_known = mask.known().iter().copied().max().unwrap_or(t);
    let [known_keys, known_values] = [&keys, &values].map(|x| x.clone().narrow(2, 0, most_known));
    let mut scores = q.clone().matmul(known_keys.transpose()); // [b, h, n, most_known]
    if let Some(is_blocked) = mask.unknown_keys(&device) {
        scores = scores.mask_fill(is_blocked.narrow(3, 0, most_known), f32::NEG_INFINITY);
    }
    let context = if mask.is_generative() {
        let own = (q * keys.narrow(2, 0, n)).sum_dim(3); // [b, h, n, 1]
        let hides_self: Vec<bool> = (0..b)
            .flat_map(|cell| (0..n).map(move |token| (cell, token)))
            .map(|(cell, token)| token < mask.known()[cell] || token >= mask.used()[cell])
            .collect();
        let blocked = Tensor::<1, Bool>::from_data(TensorData::new(hides_self, [b * n]), &device);
        let own = own.mask_fill(blocked.reshape([b, 1, n, 1]), f32::NEG_INFINITY);
        let largest = scores.clone().max_dim(3).max_pair(own.clone()).detach();
        let (scores, own) = ((scores - largest.clone()).exp(), (own - largest).exp());
        let total = scores.clone().sum_dim(3) + own.clone();
        (scores.matmul(known_values) + values.narrow(2, 0, n) * own) / total
    } else {
        burn::tensor::activation::softmax(scores, 3).matmul(known_values)
    };
    let context = context.swap_dims(1, 2).reshape([b, n, d]);
    let is_silent = mask.has_padding() && !mask.padding_attends();
    if is_silent { context * mask.is_used(&device).narrow(1, 0, n) } else { context }
}
