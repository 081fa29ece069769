//! The attention operator composed of tensor operations: every backend, differentiable.

use burn::{prelude::*, tensor::activation::softmax};

use super::AttentionMask;

/// Queries, keys and values of every head, `[b, h, t, k]`; queries of the first `n` tokens alone.
pub(super) fn heads(qkv: Tensor<3>, n_heads: usize, n: usize) -> [Tensor<4>; 3] {
    let [b, t, d3] = qkv.dims();
    let k = d3 / 3 / n_heads;
    let qkv = qkv.reshape([b, t, 3, n_heads, k]).permute([2, 0, 3, 1, 4]);
    let [queries, keys, values] =
        [0, 1, 2].map(|index| qkv.clone().narrow(0, index, 1).squeeze_dim::<4>(0));
    [queries.narrow(2, 0, n), keys, values]
}

/// See [`super::attend`].
pub(super) fn attend(qkv: Tensor<3>, n_heads: usize, mask: &AttentionMask, n: usize) -> Tensor<3> {
    let (device, t) = (qkv.device(), qkv.dims()[1]);
    let [queries, keys, values] = heads(qkv, n_heads, n);
    let queries = scaled(queries);
    let most_known = mask.known().iter().copied().max().unwrap_or(t);
    let [known_keys, known_values] = [&keys, &values].map(|x| x.clone().narrow(2, 0, most_known));
    let mut scores = queries.clone().matmul(known_keys.transpose()); // [b, h, n, most_known]
    if let Some(is_blocked) = mask.unknown_keys(&device) {
        scores = scores.mask_fill(is_blocked.narrow(3, 0, most_known), f32::NEG_INFINITY);
    }
    mixed(queries, scores, known_values, [keys, values], mask)
}

/// `q / √k`.
pub(super) fn scaled(queries: Tensor<4>) -> Tensor<4> {
    let k = queries.dims()[3];
    queries / (k as f64).sqrt()
}

/// The context of each query, `[b, n, d]`: values in shares of its scores, and an unknown query's own
/// beside them, in a column of its own. Nothing of size `t × t` exists when few tokens are known.
///
/// # Shapes
/// - queries: `[b, h, n, k]`, scaled
/// - scores: `[b, h, n, m]`, with −∞ where a query may not look
/// - values: `[b, h, m, k]`
/// - own: keys and values of all tokens, `[b, h, t, k]`
pub(super) fn mixed(
    queries: Tensor<4>,
    scores: Tensor<4>,
    values: Tensor<4>,
    own: [Tensor<4>; 2],
    mask: &AttentionMask,
) -> Tensor<3> {
    if !mask.is_generative() {
        return joined(softmax(scores, 3).matmul(values), mask);
    }
    let (device, n) = (queries.device(), queries.dims()[2]);
    let [keys, own_values] = own.map(|x| x.narrow(2, 0, n));
    let own = (queries * keys).sum_dim(3); // [b, h, n, 1]
    let own = own.mask_fill(mask.hides_self(n, &device), f32::NEG_INFINITY);
    let largest = scores.clone().max_dim(3).max_pair(own.clone()).detach();
    let (scores, own) = ((scores - largest.clone()).exp(), (own - largest).exp());
    let total = scores.clone().sum_dim(3) + own.clone();
    joined((scores.matmul(values) + own_values * own) / total, mask)
}

/// Heads beside each other, `[b, n, d]`; rows of padding are zero.
pub(super) fn joined(context: Tensor<4>, mask: &AttentionMask) -> Tensor<3> {
    let [b, h, n, k] = context.dims();
    let context = context.swap_dims(1, 2).reshape([b, n, h * k]);
    if !mask.has_padding() || mask.padding_attends() {
        return context;
    }
    let is_used = mask.is_used(&context).narrow(1, 0, n);
    context * is_used
}
