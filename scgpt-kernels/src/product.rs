//! Products of packed rows with a packed matrix, block by block.

use crate::{
    block::{Block, Rows, SIDE, Tile, depth},
    engine::{Engine, Step},
};

/// Takes blocks of a product while they are in the first cache.
pub(crate) trait Sink {
    /// The block at rows `32 row…` and columns `32 column…`; beyond the ends it is zero.
    fn take<E: Engine>(&mut self, engine: &E, at: [usize; 2], block: &mut Block);
}

/// Packs rows as a left matrix: 32 rows after the other, each 32 columns after the other.
pub(crate) fn pack_rows<E: Engine>(engine: &E, rows: Rows, to: &mut Vec<Tile>) {
    let (steps, panels) = (depth(rows.width), rows.height.div_ceil(SIDE));
    to.resize(panels * steps * E::TILES, Tile::ZERO);
    engine.enter(PackRows { rows, steps, to });
}

struct PackRows<'a> {
    rows: Rows<'a>,
    steps: usize,
    to: &'a mut [Tile],
}

impl Step for PackRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<E: Engine>(self, engine: &E) {
        let Self { rows, steps, to } = self;
        let mut block = Block::ZERO;
        for (i, operand) in to.chunks_exact_mut(E::TILES).enumerate() {
            block.read(engine.lanes(), rows, [i / steps * SIDE, i % steps * SIDE], 1.0);
            engine.left(&block, operand);
        }
    }
}

/// The product of packed rows with a packed matrix, both `steps` operands deep. A block is taken
/// while the next is computed, so that tiles and lanes are busy at the same time.
pub(crate) fn multiply<E: Engine>(
    engine: &E,
    steps: usize,
    left: &[Tile],
    right: &[Tile],
    sink: &mut impl Sink,
) {
    engine.enter(Multiply { steps, left, right, sink });
}

struct Multiply<'a, S> {
    steps: usize,
    left: &'a [Tile],
    right: &'a [Tile],
    sink: &'a mut S,
}

impl<S: Sink> Step for Multiply<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run<E: Engine>(self, engine: &E) {
        let Self { steps, left, right, sink } = self;
        let panel = steps * E::TILES;
        let (mut current, mut previous) = (&mut Block::ZERO.clone(), &mut Block::ZERO.clone());
        let mut last = None;
        let (rows, columns) = (left.len() / panel, right.len() / panel);
        for i in 0..=rows * columns {
            let (row, column) = (i % rows.max(1), i / rows.max(1));
            let at = (column < columns).then_some([row, column]);
            if at.is_some() {
                let left = &left[row * panel..(row + 1) * panel];
                let right_panel = &right[column * panel..(column + 1) * panel];
                // A share of the panel that comes next.
                let ahead = right.get((column + 1) * panel + row * panel / rows);
                engine.product::<false>(left, right_panel, current, ahead);
            }
            if let Some(at) = last {
                sink.take(engine, at, previous);
            }
            last = at;
            std::mem::swap(&mut current, &mut previous);
        }
    }
}
