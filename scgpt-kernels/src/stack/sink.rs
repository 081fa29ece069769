//! Where blocks of products go that are operands of the next.

use crate::{
    attend::{Head, Projected},
    block::{Block, SIDE, Tile},
    engine::{Engine, Step},
    lanes::Lanes,
    linear::part,
    product::Sink,
};

/// Adds a bias, and makes what is negative zero.
#[inline(always)]
fn finish<L: Lanes>(lanes: L, block: &mut Block, bias: &[f32], relu: bool) {
    for half in 0..2 {
        let bias = part(lanes, bias.get(16 * half..).unwrap_or_default());
        for row in &mut block.0 {
            let mut x = lanes.add(lanes.load(&row[half]), bias);
            if relu {
                x = lanes.max(lanes.splat(0.0), x); // which leaves what is not a number
            }
            lanes.store(x, &mut row[half]);
        }
    }
}

/// `relu(x W + bias)` as a left matrix.
pub(super) struct Inner<'a> {
    pub(super) bias: &'a [f32],
    pub(super) to: &'a mut [Tile],
}

impl Sink for Inner<'_> {
    #[inline(always)]
    fn take<E: Engine>(&mut self, engine: &E, [row, column]: [usize; 2], block: &mut Block) {
        finish(engine.lanes(), block, &self.bias[column * SIDE..], true);
        let at = (row * self.bias.len().div_ceil(SIDE) + column) * E::TILES;
        engine.left(block, &mut self.to[at..at + E::TILES]);
    }
}

/// The packed projection as queries, keys and values of heads.
pub(super) struct IntoHeads<'a> {
    pub(super) bias: &'a [f32],
    pub(super) heads: &'a mut [Head],
    /// Where rows and columns begin, in blocks.
    pub(super) first: [usize; 2],
    /// Of a head, as it is, and in blocks.
    pub(super) width: usize,
}

impl Sink for IntoHeads<'_> {
    #[inline(always)]
    fn take<E: Engine>(&mut self, engine: &E, [row, column]: [usize; 2], block: &mut Block) {
        let column = column + self.first[1];
        let steps = self.width.div_ceil(SIDE);
        let of_part = self.heads.len() * steps;
        let mut head = IntoHead {
            bias: &self.bias[(column - column % steps) * SIDE..],
            head: &mut self.heads[column % of_part / steps],
            part: Projected::ALL[column / of_part],
            first: self.first[0],
            width: self.width,
        };
        head.take(engine, [row, column % steps], block);
    }
}

/// One part of the projection of one head.
pub(super) struct IntoHead<'a> {
    pub(super) bias: &'a [f32],
    pub(super) head: &'a mut Head,
    pub(super) part: Projected,
    /// Where rows begin, in blocks.
    pub(super) first: usize,
    /// Of the head.
    pub(super) width: usize,
}

impl Sink for IntoHead<'_> {
    #[inline(always)]
    fn take<E: Engine>(&mut self, engine: &E, [row, column]: [usize; 2], block: &mut Block) {
        finish(engine.lanes(), block, &self.bias[column * SIDE..], false);
        self.head.write(
            &engine.attention(),
            self.part,
            [row + self.first, column],
            block,
            self.width,
        );
    }
}

/// Contexts of one head as columns of a left matrix: 32 queries, 32 channels after the other.
pub(super) struct Contexts<'a> {
    pub(super) from: &'a [Block],
    pub(super) to: &'a mut [Tile],
}

impl Step for Contexts<'_> {
    type Output = ();

    #[inline(always)]
    fn run<E: Engine>(self, engine: &E) {
        for (block, operand) in self.from.iter().zip(self.to.chunks_exact_mut(E::TILES)) {
            engine.left(block, operand);
        }
    }
}
