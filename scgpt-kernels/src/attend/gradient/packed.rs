//! [`Packed`]: one of queries, keys, values and gradients, in both ways that products read it.

use crate::{
    block::{Block, Rows, SIDE, Tile},
    engine::{Engine, Step},
};

/// On which side of products something stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    /// Keys and values, tokens of which are rows of scores.
    Left,
    /// Queries and gradients, tokens of which are columns; they are multiplied by a factor.
    Right(f32),
}

/// Tokens by channels of one head.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    /// Of 32 tokens after the other, all channels.
    over_channels: Vec<Tile>,
    /// Of 32 channels after the other, all tokens.
    over_tokens: Vec<Tile>,
    /// Operands of the tokens.
    blocks: usize,
    /// Operands of the channels.
    steps: usize,
    /// Tiles of an operand.
    tiles: usize,
}

impl Packed {
    /// Operands of the channels.
    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    /// Of 32 tokens, for sums over all channels.
    #[inline(always)]
    pub(super) fn over_channels(&self, block: usize) -> &[Tile] {
        let size = self.steps * self.tiles;
        &self.over_channels[block * size..(block + 1) * size]
    }

    /// Of 32 channels, for sums over some blocks of tokens.
    #[inline(always)]
    pub(super) fn over_tokens(&self, column: usize, [first, n]: [usize; 2]) -> &[Tile] {
        let at = (column * self.blocks + first) * self.tiles;
        &self.over_tokens[at..at + n * self.tiles]
    }
}

/// Packs rows.
pub(super) struct Pack<'a> {
    pub(super) rows: Rows<'a>,
    pub(super) part: Part,
    pub(super) to: &'a mut Packed,
}

impl Step for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<E: Engine>(self, engine: &E) {
        let Self { rows, part, to } = self;
        let (blocks, steps) = (rows.height.div_ceil(SIDE), rows.width.div_ceil(SIDE));
        for tiles in [&mut to.over_channels, &mut to.over_tokens] {
            tiles.resize(blocks * steps * E::TILES, Tile::ZERO);
        }
        (to.blocks, to.steps, to.tiles) = (blocks, steps, E::TILES);
        let mut block = Block::ZERO;
        let at = |place: usize| place * E::TILES..(place + 1) * E::TILES;
        for row in 0..blocks {
            for column in 0..steps {
                let scale = if let Part::Right(scale) = part { scale } else { 1.0 };
                block.read(engine.lanes(), rows, [row * SIDE, column * SIDE], scale);
                let over_channels = &mut to.over_channels[at(row * steps + column)];
                let over_tokens = &mut to.over_tokens[at(column * blocks + row)];
                match part {
                    Part::Left => {
                        engine.left(&block, over_channels);
                        engine.left_of_columns(&block, over_tokens);
                    }
                    Part::Right(_) => {
                        engine.right_of_columns(&block, over_channels);
                        engine.right(&block, over_tokens);
                    }
                }
            }
        }
    }
}
