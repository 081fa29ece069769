//! Networks with adapters in their blocks, which learn instead of the weights.

use crate::{
    linear::{Linear, Lora},
    scgpt::Scgpt,
};

impl Scgpt {
    /// The same network with an adapter of zeros beside every matrix of its blocks.
    #[must_use]
    pub fn with_adapters(mut self, lora: Lora) -> Self {
        self.adapted().for_each(|layer| layer.adapt(lora));
        self
    }

    /// The same network with its adapters in its weights, `W + s A B`, each sum rounded once.
    #[must_use]
    pub fn merged(mut self) -> Self {
        self.adapted().for_each(Linear::merge);
        self
    }

    /// The layers that have adapters if any has.
    fn adapted(&mut self) -> impl Iterator<Item = &mut Linear> {
        self.encoder.blocks.iter_mut().flat_map(|block| {
            let attention = &mut block.attention;
            [&mut attention.qkv, &mut attention.out, &mut block.linear1, &mut block.linear2]
        })
    }
}
