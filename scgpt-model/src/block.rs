//! [`Block`]: one transformer layer, post-norm.

#[cfg(feature = "flex")]
mod recompute;

use burn::{
    nn::{Dropout, DropoutConfig, LayerNorm, LayerNormConfig},
    prelude::*,
};
use scgpt_kernels::Format;

use crate::{
    attention::{MaskedAttention, Sight},
    config::{NormScheme, ScgptConfig},
    fused::{Dropping, add_norm, relu_drop},
    linear::Linear,
    precision::has_kernels,
};

/// Whether a network that learns on that device can be [computed again](crate::Scgpt::recomputing): all that its
/// blocks drop out is drawn by the kernels of the CPU, or nothing is.
pub fn recomputes(config: &ScgptConfig, device: &Device) -> bool {
    has_kernels(device) && (config.norm_scheme == NormScheme::Post || config.dropout == 0.0)
}

/// How often a block drops states out.
const USES: usize = 3;

/// One layer of the transformer: attention, then a feed-forward network, each added to its input.
///
/// ```text
/// x ← LN₁(x + attention(x))
/// x ← LN₂(x + W₂ relu(W₁ x))
/// ```
///
/// With [`NormScheme::Normed`] the norms stand before the sums.
///
/// # Reference
/// `model.py`, `FlashTransformerEncoderLayer`, and `torch.nn.TransformerEncoderLayer`. Differs:
/// attention probabilities are not dropped out.
#[derive(Module, Debug)]
pub struct Block {
    /// The attention layer.
    pub attention: MaskedAttention,
    /// The norm of the sum after attention, or with [`NormScheme::Normed`] of the input before it.
    pub norm1: LayerNorm,
    /// The first layer of the feed-forward network, `d → f`.
    pub linear1: Linear,
    /// The second layer of the feed-forward network, `f → d`.
    pub linear2: Linear,
    /// The norm of the sum after the feed-forward network, or of the input before it.
    pub norm2: LayerNorm,
    /// Dropout on both updates and inside the feed-forward network, while training.
    pub dropout: Dropout,
    #[module(skip)]
    norm_scheme: NormScheme,
    #[module(skip)]
    recomputes: bool,
}

impl Block {
    /// A freshly initialised block.
    pub fn new(config: &ScgptConfig, device: &Device) -> Self {
        let (d, f) = (config.d_model, config.d_ff);
        Self {
            attention: MaskedAttention::new(config, device),
            norm1: LayerNormConfig::new(d).init(device),
            linear1: Linear::new(d, f, device),
            linear2: Linear::new(f, d, device),
            norm2: LayerNormConfig::new(d).init(device),
            dropout: DropoutConfig::new(config.dropout).init(),
            norm_scheme: config.norm_scheme,
            recomputes: false,
        }
    }

    /// The states of the first `n` tokens after the block.
    ///
    /// # Shapes
    /// - x: `[b, t, d]`
    /// - output: `[b, n, d]`
    ///
    /// # Panics
    /// If the mask was made for another `[b, t]`, or `n` is larger than `t`.
    pub fn forward(&self, x: Tensor<3>, sight: &Sight<'_>, n: usize) -> Tensor<3> {
        #[cfg(feature = "flex")]
        if self.recomputes && x.device().is_autodiff() {
            return recompute::forward(self, x, sight, n);
        }
        self.dropping(x, sight, n, [(&self.dropout).into(); USES])
    }

    /// As [`forward`](Self::forward), with what each use of dropout drops.
    fn dropping(
        &self,
        x: Tensor<3>,
        sight: &Sight<'_>,
        n: usize,
        [after_attention, inside, after]: [Dropping<'_>; USES],
    ) -> Tensor<3> {
        let x = self.attended(x);
        let context = self.attention.forward(x.clone(), sight, n);
        let x = if n == x.dims()[1] { x } else { x.narrow(1, 0, n) };
        let x = self.add(&self.norm1, x, context, after_attention);
        let x = self.before(&self.norm2, x);
        let inner = relu_drop(self.linear1.forward(x.clone()), inside); // [b, n, f]
        let update = self.linear2.forward(inner); // [b, n, d]
        self.add(&self.norm2, x, update, after)
    }

    /// See [`Scgpt::recomputing`](crate::Scgpt::recomputing).
    pub(crate) fn recompute(&mut self) {
        self.recomputes = true;
    }

    /// See [`Scgpt::computing_in`](crate::Scgpt::computing_in).
    pub(crate) fn compute_in(&mut self, format: Option<Format>) {
        self.attention.compute_in(format);
        for layer in [&mut self.linear1, &mut self.linear2] {
            layer.compute_in(format);
        }
    }

    /// The states that attention reads, `[b, t, d]`: those that come into the block, normalised if
    /// the norm stands there.
    pub(crate) fn attended(&self, x: Tensor<3>) -> Tensor<3> {
        self.before(&self.norm1, x)
    }

    fn before(&self, norm: &LayerNorm, x: Tensor<3>) -> Tensor<3> {
        if self.norm_scheme == NormScheme::Normed { norm.forward(x) } else { x }
    }

    /// `x + dropout(update)`, normalised if the norm stands there.
    fn add(
        &self,
        norm: &LayerNorm,
        x: Tensor<3>,
        update: Tensor<3>,
        dropping: Dropping<'_>,
    ) -> Tensor<3> {
        if self.norm_scheme == NormScheme::Post {
            add_norm(x, update, norm, dropping)
        } else {
            x + dropping.forward(update)
        }
    }
}
