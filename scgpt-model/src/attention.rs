//! [`MaskedAttention`]: multi-head attention in which no query sees an unknown gene but itself.

mod composed;
mod features;
#[cfg(feature = "flex")]
mod flex;
mod mask;
mod means;

use burn::{
    nn::{Initializer, LinearConfig},
    prelude::*,
};
use scgpt_kernels::Format;

use self::features::FeatureMap;
pub use self::mask::AttentionMask;
pub(crate) use self::means::shares;
use crate::{
    config::{AttentionKind, ScgptConfig},
    linear::Linear,
};

/// Who sees whom.
#[derive(Clone, Debug)]
pub struct Sight<'a> {
    /// Which tokens are known, and which are padding.
    pub mask: &'a AttentionMask,
    /// For [`AttentionKind::Linformer`], in which shares each mean is made of the tokens, `[b, r, t]`.
    pub shares: Option<Tensor<3>>,
}

impl<'a> From<&'a AttentionMask> for Sight<'a> {
    fn from(mask: &'a AttentionMask) -> Self {
        Self { mask, shares: None }
    }
}

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
/// [`AttentionMask`]; whether unknown genes skip the output projection, as they do there, is a
/// switch of the configuration.
#[derive(Module, Debug)]
pub struct MaskedAttention {
    /// The packed projection, `d → 3 d`: queries, then keys, then values, each split into heads.
    pub qkv: Linear,
    /// The output projection, `d → d`.
    pub out: Linear,
    n_heads: usize,
    #[module(skip)]
    project_unknown: bool,
    #[module(skip)]
    format: Option<Format>,
    #[module(skip)]
    kind: Kind,
}

/// See [`AttentionKind`].
#[derive(Clone, Debug)]
enum Kind {
    Exact,
    Features(FeatureMap),
    Means,
}

impl Kind {
    fn of(config: &ScgptConfig) -> Self {
        let &ScgptConfig { attention_rank: rank, attention_seed: seed, .. } = config;
        match config.attention {
            AttentionKind::Exact => Self::Exact,
            AttentionKind::Linear => Self::Features(FeatureMap::Elu),
            AttentionKind::Favor => {
                Self::Features(FeatureMap::random(config.head_width(), rank, seed))
            }
            AttentionKind::Linformer => Self::Means,
        }
    }
}

impl MaskedAttention {
    /// A freshly initialised layer: the packed projection uniform in ±√(6 / 4d), the other one in
    /// ±√(1 / d), biases zero. With biases drawn like the weights, and a narrower packed projection,
    /// small networks learned less from the same cells.
    ///
    /// # Reference
    /// `torch.nn.MultiheadAttention`, the plain layout. Differs: none; in the packed layout the
    /// reference draws both matrices and their biases in ±√(1 / d).
    pub fn new(config: &ScgptConfig, device: &Device) -> Self {
        let d = config.d_model;
        let packed = Initializer::XavierUniform { gain: 1.0 };
        let qkv = LinearConfig::new(d, 3 * d).with_initializer(packed);
        Self {
            qkv: without_bias(Linear::drawn(&qkv, device), device),
            out: without_bias(Linear::new(d, d, device), device),
            n_heads: config.n_heads,
            project_unknown: config.project_unknown,
            format: None,
            kind: Kind::of(config),
        }
    }

    /// The output at the first `n` tokens, whose keys are all `t` tokens that the mask lets them see.
    ///
    /// # Shapes
    /// - x: `[b, t, d]`
    /// - output: `[b, n, d]`
    ///
    /// # Panics
    /// If the mask was made for another `[b, t]`, or `n` is larger than `t`, or shares are needed that are
    /// not there.
    pub fn forward(&self, x: Tensor<3>, sight: &Sight<'_>, n: usize) -> Tensor<3> {
        let mask = sight.mask;
        let context = self.attend(self.qkv.forward(x), sight, n);
        let projected = self.out.forward(context.clone());
        if self.project_unknown || !mask.is_generative() {
            return projected;
        }
        let is_unknown = mask.is_unknown(&context.device()).narrow(1, 0, n);
        projected.mask_where(is_unknown.expand(context.dims()), context)
    }

    #[expect(clippy::expect_used, reason = "documented: a caller's mistake, like a wrong shape")]
    fn attend(&self, qkv: Tensor<3>, sight: &Sight<'_>, n: usize) -> Tensor<3> {
        let (mask, [b, t, _]) = (sight.mask, qkv.dims());
        mask.assert_shape(b, t);
        match &self.kind {
            Kind::Exact => attend_in(self.format, qkv, self.n_heads, mask, n),
            Kind::Features(map) => features::attend(qkv, self.n_heads, mask, n, map),
            Kind::Means => {
                let shares = sight.shares.clone().expect("shares of genes in means");
                means::attend(qkv, self.n_heads, mask, n, shares)
            }
        }
    }

    /// See [`Scgpt::computing_in`](crate::Scgpt::computing_in).
    pub(crate) fn compute_in(&mut self, format: Option<Format>) {
        self.format = format;
        for layer in [&mut self.qkv, &mut self.out] {
            layer.compute_in(format);
        }
    }

    /// `q kᵀ` of every head, neither scaled nor masked: how much query token `i` asks for key token
    /// `j`. For looking at a network; [`forward`](Self::forward) never makes this matrix.
    ///
    /// # Shapes
    /// - x: `[b, t, d]`
    /// - output: `[b, h, t, t]`, rows are queries, columns are keys
    pub fn scores(&self, x: Tensor<3>) -> Tensor<4> {
        let [b, t, d] = x.dims();
        let (h, k) = (self.n_heads, d / self.n_heads);
        let qkv = self.qkv.forward(x);
        let heads = |index: usize| {
            qkv.clone().narrow(2, index * d, d).reshape([b, t, h, k]).swap_dims(1, 2) // [b, h, t, k]
        };
        heads(0).matmul(heads(1).transpose())
    }

    /// The shares in which values are mixed: rows of `softmax(q kᵀ / √k)` under the mask. Those of
    /// padded queries mean nothing.
    ///
    /// # Shapes
    /// - x: `[b, t, d]`
    /// - output: `[b, h, t, t]`
    ///
    /// # Panics
    /// If the mask was made for another `[b, t]`.
    pub fn weights(&self, x: Tensor<3>, mask: &AttentionMask) -> Tensor<4> {
        let ([b, t, d], device) = (x.dims(), x.device());
        mask.assert_shape(b, t);
        let mut scores = self.scores(x) / ((d / self.n_heads) as f64).sqrt();
        if let Some(is_unknown) = mask.unknown_keys(&device) {
            // An unknown gene sees itself; so does padding, whose rows are never looked at.
            let is_other = Tensor::<2, Bool>::diag_mask([t, t], 0, &device).unsqueeze::<4>();
            let shape = scores.dims();
            let is_blocked = is_unknown.expand(shape).bool_and(is_other.expand(shape));
            scores = scores.mask_fill(is_blocked, f32::NEG_INFINITY);
        }
        burn::tensor::activation::softmax(scores, 3)
    }
}

/// The layer with a bias of zero.
fn without_bias(mut layer: Linear, device: &Device) -> Linear {
    layer.bias = layer.bias.map(|bias| Initializer::Zeros.init(bias.shape(), device));
    layer
}

/// The attention operator: the only place where kernels differ per backend.
///
/// On the CPU and in f32, hand-written kernels read the packed projection in place and, for
/// training, compute its gradient without keeping scores; everywhere else the same function is
/// composed of tensor operations.
///
/// # Shapes
/// - qkv: `[b, t, 3 d]`
/// - output: `[b, n, d]`, the context of the first `n` tokens; rows of padded queries are zero
///
/// # Panics
/// If the mask was made for another `[b, t]`, or `n` is larger than `t`.
///
/// ```
/// use burn::prelude::*;
/// use scgpt_model::{AttentionMask, attend};
///
/// // Two cells of three tokens, the last of the second padding; two heads of four channels each.
/// let qkv = Tensor::<3>::ones([2, 3, 24], &Device::flex());
/// let context = attend(qkv, 2, &AttentionMask::padding(vec![3, 2], 3), 3);
/// assert_eq!(context.dims(), [2, 3, 8]);
/// ```
pub fn attend(qkv: Tensor<3>, n_heads: usize, mask: &AttentionMask, n: usize) -> Tensor<3> {
    attend_in(None, qkv, n_heads, mask, n)
}

/// As [`attend`], where the processor has the instructions in a format of bf16 numbers.
fn attend_in(
    format: Option<Format>,
    qkv: Tensor<3>,
    n_heads: usize,
    mask: &AttentionMask,
    n: usize,
) -> Tensor<3> {
    let [b, t, _] = qkv.dims();
    mask.assert_shape(b, t);
    assert!(n <= t, "{n} queries of {t} tokens");
    #[cfg(feature = "flex")]
    if crate::flex::serves(&qkv) {
        return flex::attend(format, qkv, n_heads, mask, n);
    }
    composed::attend(qkv, n_heads, mask, n)
}

#[cfg(test)]
mod tests;
