//! [`MaskedAttention`]: multi-head attention in which no query sees an unknown gene but itself.

mod composed;
#[cfg(feature = "flex")]
mod flex;
mod mask;

use burn::{
    nn::{Linear, LinearConfig},
    prelude::*,
    tensor::activation::softmax,
};

pub use self::mask::AttentionMask;

/// Self-attention over one packed projection of queries, keys and values.
///
/// ```text
/// y = softmax(q kᵀ / √k) v · W_out        per head, keys limited by the mask
/// ```
///
/// One packed matrix, so that a reference checkpoint loads by renaming alone.
///
/// # Reference
/// Methods, "masked attention"; `model.py`, `FlashTransformerEncoderLayer.self_attn` (`Wqkv`) and
/// `torch.nn.MultiheadAttention` (`in_proj`). Differs: the mask is never a matrix, see
/// [`AttentionMask`].
#[derive(Module, Debug)]
pub struct MaskedAttention {
    /// `d → 3 d`: queries, then keys, then values, each split into heads.
    pub qkv: Linear,
    /// `d → d`.
    pub out: Linear,
    n_heads: usize,
}

impl MaskedAttention {
    /// A freshly initialised layer.
    pub fn new(d_model: usize, n_heads: usize, device: &Device) -> Self {
        Self {
            qkv: LinearConfig::new(d_model, 3 * d_model).init(device),
            out: LinearConfig::new(d_model, d_model).init(device),
            n_heads,
        }
    }

    /// # Shapes
    /// - x, output: `[b, t, d]`
    ///
    /// # Panics
    /// If the mask was made for another `[b, t]`.
    pub fn forward(&self, x: Tensor<3>, mask: &AttentionMask) -> Tensor<3> {
        self.out.forward(attend(self.qkv.forward(x), self.n_heads, mask))
    }

    /// The output at the first token alone, which must be known: what `<cls>` pooling needs of
    /// the last layer, at a third of the projections and none of the T × T products.
    ///
    /// # Shapes
    /// - x: `[b, t, d]`
    /// - output: `[b, 1, d]`
    ///
    /// # Panics
    /// If the mask was made for another `[b, t]`.
    pub fn forward_first(&self, x: Tensor<3>, mask: &AttentionMask) -> Tensor<3> {
        let [b, t, d] = x.dims();
        mask.assert_shape(b, t);
        let (h, k) = (self.n_heads, d / self.n_heads);
        let (weight, bias) =
            (self.qkv.weight.val(), self.qkv.bias.as_ref().map(burn::module::Param::val));
        let part = |x: Tensor<3>, begin: usize, width: usize| {
            let bias = bias.clone().map(|bias| bias.narrow(0, begin, width));
            burn::tensor::module::linear(x, weight.clone().narrow(1, begin, width), bias)
        };
        let query = part(x.clone().narrow(1, 0, 1), 0, d).reshape([b, 1, h, k]).swap_dims(1, 2); // [b, h, 1, k]
        let keys_values = part(x, d, 2 * d).reshape([b, t, 2, h, k]).permute([2, 0, 3, 1, 4]);
        let [keys, values] =
            [0, 1].map(|index| keys_values.clone().narrow(0, index, 1).squeeze_dim::<4>(0)); // [b, h, t, k]
        let scores = query.matmul(keys.transpose()) / (k as f64).sqrt(); // [b, h, 1, t]
        let scores = match mask.unknown_keys(&scores.device()) {
            Some(is_blocked) => scores.mask_fill(is_blocked, f32::NEG_INFINITY),
            None => scores,
        };
        let context = softmax(scores, 3).matmul(values); // [b, h, 1, k]
        self.out.forward(context.swap_dims(1, 2).reshape([b, 1, d]))
    }
}

/// The attention operator: the only place where kernels differ per backend.
///
/// On the CPU, outside of autodiff and in f32, a hand-written kernel reads the packed projection
/// in place; everywhere else the same function is composed of tensor operations.
///
/// # Shapes
/// - qkv: `[b, t, 3 d]`
/// - output: `[b, t, d]`; rows of padded queries are zero
///
/// # Panics
/// If the mask was made for another `[b, t]`.
pub fn attend(qkv: Tensor<3>, n_heads: usize, mask: &AttentionMask) -> Tensor<3> {
    let [b, t, _] = qkv.dims();
    mask.assert_shape(b, t);
    #[cfg(feature = "flex")]
    if flex::serves(&qkv) {
        return flex::attend(qkv, n_heads, mask);
    }
    composed::attend(qkv, n_heads, mask)
}

#[cfg(test)]
mod tests;
