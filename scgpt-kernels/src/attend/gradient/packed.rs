//! [`Packed`]: one of queries, keys, values and gradients, in both ways that products read it.

use crate::{
    block::{Block, Rows, SIDE, Tile},
    engine::{Engine, Step},
    lanes::Lanes,
};

/// On which side of products something stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    /// Keys and values, tokens of which are rows of scores.
    Left,
    /// Queries and gradients, tokens of which are columns; in sums over channels times a factor.
    Right(f32),
}

/// Tokens by channels of one head.
#[derive(Clone, Debug)]
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
}

impl Step for Pack<'_> {
    type Output = Packed;

    #[inline(always)]
    fn run<E: Engine>(self, engine: &E) -> Packed {
        let (lanes, Self { rows, part }) = (engine.lanes(), self);
        let (blocks, steps) = (rows.height.div_ceil(SIDE), rows.width.div_ceil(SIDE));
        let tiles = vec![Tile::ZERO; blocks * steps * E::TILES];
        let mut packed = Packed {
            over_channels: tiles.clone(),
            over_tokens: tiles,
            blocks,
            steps,
            tiles: E::TILES,
        };
        let mut block = Block::ZERO;
        let at = |place: usize| place * E::TILES..(place + 1) * E::TILES;
        for row in 0..blocks {
            for column in 0..steps {
                block.read(lanes, rows, [row * SIDE, column * SIDE], 1.0);
                let over_channels = &mut packed.over_channels[at(row * steps + column)];
                let over_tokens = &mut packed.over_tokens[at(column * blocks + row)];
                match part {
                    Part::Left => {
                        engine.left(&block, over_channels);
                        engine.left_of_columns(&block, over_tokens);
                    }
                    Part::Right(scale) => {
                        for x in block.0.as_flattened_mut() {
                            lanes.store(lanes.mul(lanes.load(x), lanes.splat(scale)), x);
                        }
                        engine.right_of_columns(&block, over_channels);
                        engine.right(&block, over_tokens);
                    }
                }
            }
        }
        packed
    }
}
