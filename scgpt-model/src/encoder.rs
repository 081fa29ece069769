//! [`Encoder`]: the stack of blocks.

use burn::prelude::*;

use crate::{
    attention::{MaskedAttention, Sight},
    block::Block,
    config::ScgptConfig,
    error::{Error, Result},
};

/// Blocks in order, without a norm after the last.
#[derive(Module, Debug)]
pub struct Encoder {
    /// The blocks, first to last.
    pub blocks: Vec<Block>,
}

impl Encoder {
    /// A freshly initialised stack.
    pub fn new(config: &ScgptConfig, device: &Device) -> Self {
        Self { blocks: (0..config.n_layers).map(|_| Block::new(config, device)).collect() }
    }

    /// The states of all tokens after the last block.
    ///
    /// # Shapes
    /// - x, output: `[b, t, d]`
    ///
    /// # Panics
    /// If the mask was made for another `[b, t]`.
    pub fn forward(&self, x: Tensor<3>, sight: &Sight<'_>) -> Tensor<3> {
        let n = x.dims()[1];
        self.forward_leading(x, sight, n)
    }

    /// The states of the first `n` tokens, equal to those of [`forward`](Self::forward); the last
    /// block computes no others.
    ///
    /// # Shapes
    /// - x: `[b, t, d]`
    /// - output: `[b, n, d]`
    ///
    /// # Panics
    /// If the mask was made for another `[b, t]`, or `n` is larger than `t`.
    pub fn forward_leading(&self, x: Tensor<3>, sight: &Sight<'_>, n: usize) -> Tensor<3> {
        let Some((last, before)) = self.blocks.split_last() else {
            return x.narrow(1, 0, n);
        };
        let t = x.dims()[1];
        last.forward(before.iter().fold(x, |x, block| block.forward(x, sight, t)), sight, n)
    }

    /// The states that the attention of block `layer` reads, `[b, t, d]`, and that attention; the
    /// block itself and later ones are not computed.
    ///
    /// # Errors
    /// If there is no such block.
    pub(crate) fn before_attention(
        &self,
        x: Tensor<3>,
        sight: &Sight<'_>,
        layer: usize,
    ) -> Result<(Tensor<3>, &MaskedAttention)> {
        let n_layers = self.blocks.len();
        let block = self.blocks.get(layer).ok_or(Error::Layer { layer, n_layers })?;
        let t = x.dims()[1];
        let x = self.blocks[..layer].iter().fold(x, |x, block| block.forward(x, sight, t));
        Ok((block.attended(x), &block.attention))
    }
}
