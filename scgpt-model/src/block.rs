//! [`Block`]: one transformer layer, post-norm.

use burn::{
    nn::{Dropout, DropoutConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig},
    prelude::*,
    tensor::activation::relu,
};

use crate::{
    attention::{AttentionMask, MaskedAttention},
    config::ScgptConfig,
};

/// ```text
/// x ← LN₁(x + attention(x))
/// x ← LN₂(x + W₂ relu(W₁ x))
/// ```
///
/// # Reference
/// `model.py`, `FlashTransformerEncoderLayer` with `norm_scheme="post"`, and
/// `torch.nn.TransformerEncoderLayer`. Differs: none.
#[derive(Module, Debug)]
pub struct Block {
    /// Tokens look at each other.
    pub attention: MaskedAttention,
    /// After attention.
    pub norm1: LayerNorm,
    /// `d → f`.
    pub linear1: Linear,
    /// `f → d`.
    pub linear2: Linear,
    /// After the feed-forward layer.
    pub norm2: LayerNorm,
    /// On both branches and inside the feed-forward layer, while training.
    pub dropout: Dropout,
}

impl Block {
    /// A freshly initialised block.
    pub fn new(config: &ScgptConfig, device: &Device) -> Self {
        let (d, f) = (config.d_model, config.d_ff);
        Self {
            attention: MaskedAttention::new(d, config.n_heads, device),
            norm1: LayerNormConfig::new(d).init(device),
            linear1: LinearConfig::new(d, f).init(device),
            linear2: LinearConfig::new(f, d).init(device),
            norm2: LayerNormConfig::new(d).init(device),
            dropout: DropoutConfig::new(config.dropout).init(),
        }
    }

    /// The states of the first `n` tokens.
    ///
    /// # Shapes
    /// - x: `[b, t, d]`
    /// - output: `[b, n, d]`
    pub fn forward(&self, x: Tensor<3>, mask: &AttentionMask, n: usize) -> Tensor<3> {
        let context = self.dropout.forward(self.attention.forward(x.clone(), mask, n));
        let x = self.norm1.forward(x.narrow(1, 0, n) + context);
        let inner = self.dropout.forward(relu(self.linear1.forward(x.clone()))); // [b, n, f]
        let update = self.dropout.forward(self.linear2.forward(inner)); // [b, n, d]
        self.norm2.forward(x + update)
    }
}
