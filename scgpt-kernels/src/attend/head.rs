//! [`Head`]: queries, keys and values of one head, packed.

use crate::{
    block::{Block, SIDE, Tile},
    engine::Engine,
    lanes::Lanes,
};

/// The three parts of a packed projection, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Projected {
    Queries = 0,
    Keys = 1,
    Values = 2,
}

impl Projected {
    pub(crate) const ALL: [Self; 3] = [Self::Queries, Self::Keys, Self::Values];
}

/// One head of one cell. Scores are computed as keys × queries and contexts as channels × queries,
/// so that a query is a lane: its largest score, sum and scale need no sums across lanes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    /// Right operands: of 32 queries after the other, all channels.
    queries: Vec<Tile>,
    /// Left operands: of 32 keys after the other, all channels.
    keys: Vec<Tile>,
    /// Left operands: of 32 channels after the other, all keys.
    values: Vec<Tile>,
    /// Operands of the width.
    steps: usize,
    /// Operands of the tokens.
    blocks: usize,
}

impl Head {
    /// Makes room for so many tokens and channels.
    pub(crate) fn reserve<E: Engine>(&mut self, tokens: usize, width: usize) {
        (self.steps, self.blocks) = (width.div_ceil(SIDE), tokens.div_ceil(SIDE));
        let size = self.steps * self.blocks * E::TILES;
        for tiles in [&mut self.queries, &mut self.keys, &mut self.values] {
            tiles.resize(size, Tile::ZERO);
        }
    }

    /// Packs 32 tokens by 32 channels, of heads that are `width` wide.
    #[inline(always)]
    pub(crate) fn write<E: Engine>(
        &mut self,
        engine: &E,
        part: Projected,
        [row, column]: [usize; 2],
        block: &mut Block,
        width: usize,
    ) {
        let at = |i: usize| i * E::TILES..(i + 1) * E::TILES;
        let place = row * self.steps + column;
        match part {
            Projected::Queries => {
                // Exponentials are powers of two.
                let scale = std::f32::consts::LOG2_E / (width as f32).sqrt();
                let lanes = engine.lanes();
                for x in block.0.as_flattened_mut() {
                    lanes.store(lanes.mul(lanes.load(x), lanes.splat(scale)), x);
                }
                engine.right_of_columns(block, &mut self.queries[at(place)]);
            }
            Projected::Keys => engine.left(block, &mut self.keys[at(place)]),
            Projected::Values => {
                let place = column * self.blocks + row;
                engine.left_of_columns(block, &mut self.values[at(place)]);
            }
        }
    }

    /// Operands of the width.
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    pub(super) fn queries<E: Engine>(&self, block: usize) -> &[Tile] {
        let size = self.steps * E::TILES;
        &self.queries[block * size..(block + 1) * size]
    }

    pub(super) fn keys<E: Engine>(&self, block: usize) -> &[Tile] {
        let size = self.steps * E::TILES;
        &self.keys[block * size..(block + 1) * size]
    }

    /// Of 32 channels, some blocks of keys.
    pub(super) fn values<E: Engine>(&self, column: usize, [first, n]: [usize; 2]) -> &[Tile] {
        let at = (column * self.blocks + first) * E::TILES;
        &self.values[at..at + n * E::TILES]
    }
}
