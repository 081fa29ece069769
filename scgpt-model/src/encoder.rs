//! [`Encoder`]: the stack of blocks.

use burn::prelude::*;

use crate::{attention::AttentionMask, block::Block, config::ScgptConfig};

/// Blocks in order, without a final norm.
#[derive(Module, Debug)]
pub struct Encoder {
    /// First to last.
    pub blocks: Vec<Block>,
}

impl Encoder {
    /// A freshly initialised stack.
    pub fn new(config: &ScgptConfig, device: &Device) -> Self {
        Self { blocks: (0..config.n_layers).map(|_| Block::new(config, device)).collect() }
    }

    /// States of all tokens.
    ///
    /// # Shapes
    /// - x, output: `[b, t, d]`
    pub fn forward(&self, x: Tensor<3>, mask: &AttentionMask) -> Tensor<3> {
        self.blocks.iter().fold(x, |x, block| block.forward(x, mask))
    }

    /// The final state of the first token alone, equal to that of [`forward`](Self::forward).
    ///
    /// # Shapes
    /// - x: `[b, t, d]`
    /// - output: `[b, d]`
    pub fn forward_first(&self, x: Tensor<3>, mask: &AttentionMask) -> Tensor<2> {
        match self.blocks.split_last() {
            None => x.narrow(1, 0, 1),
            Some((last, before)) => {
                last.forward_first(before.iter().fold(x, |x, block| block.forward(x, mask)), mask)
            }
        }
        .squeeze_dim(1)
    }
}
