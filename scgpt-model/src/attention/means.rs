//! Attention to a few means of keys and values, to which genes belong by learned weights.

use burn::{prelude::*, tensor::activation::softmax};

use super::{
    AttentionMask,
    composed::{heads, mixed, scaled},
};

/// In which shares each mean is made of the known tokens, `[b, r, t]`; others have none.
///
/// # Shapes
/// - weights: `[b, t, r]`, of the genes of the tokens
pub(crate) fn shares(weights: &Tensor<3>, mask: &AttentionMask) -> Tensor<3> {
    let is_hidden = mask.is_hidden(&weights.device()).unsqueeze_dim::<3>(2);
    let weights = weights.clone().mask_fill(is_hidden.expand(weights.dims()), f32::NEG_INFINITY);
    softmax(weights, 1).swap_dims(1, 2)
}

/// See [`super::attend`].
pub(super) fn attend(
    qkv: Tensor<3>,
    n_heads: usize,
    mask: &AttentionMask,
    n: usize,
    shares: Tensor<3>,
) -> Tensor<3> {
    let ([b, _, d3], r) = (qkv.dims(), shares.dims()[1]);
    let (d, k) = (d3 / 3, d3 / 3 / n_heads);
    let means = shares.matmul(qkv.clone().narrow(2, d, 2 * d)); // [b, r, 2 d]
    let means = means.reshape([b, r, 2, n_heads, k]).permute([2, 0, 3, 1, 4]);
    let [keys, values] = [0, 1].map(|index| means.clone().narrow(0, index, 1).squeeze_dim::<4>(0)); // [b, h, r, k]
    let [queries, own_keys, own_values] = heads(qkv, n_heads, n);
    let queries = scaled(queries);
    let scores = queries.clone().matmul(keys.transpose());
    mixed(queries, scores, values, [own_keys, own_values], mask)
}
