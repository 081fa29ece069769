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

/// Rows of blocks whose sums are in the cache at once.
pub(crate) const MOST_ROWS: usize = 8;

/// Tiles of a left or right operand that are multiplied before the next rows' turn: those of the
/// right stay in the first cache while they are multiplied with all rows.
const DEEP: usize = 16;

/// The product of packed rows with a packed matrix, both `steps` operands deep. A block is taken
/// while the next is computed, so that tiles and lanes are busy at the same time.
pub(crate) fn multiply<E: Engine>(
    engine: &E,
    steps: usize,
    left: &[Tile],
    right: &[Tile],
    sink: &mut impl Sink,
) {
    let panel = steps * E::TILES;
    for (i, left) in left.chunks(MOST_ROWS * panel).enumerate() {
        engine.enter(Multiply { first: i * MOST_ROWS, panel, left, right, sink });
    }
}

struct Multiply<'a, S> {
    /// The first row, in blocks.
    first: usize,
    /// Tiles of 32 rows or columns.
    panel: usize,
    left: &'a [Tile],
    right: &'a [Tile],
    sink: &'a mut S,
}

impl<S: Sink> Step for Multiply<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run<E: Engine>(self, engine: &E) {
        let Self { first, panel, left, right, sink } = self;
        let (rows, columns) = (left.len() / panel, right.len() / panel);
        let deep = DEEP.max(E::TILES) / E::TILES * E::TILES;
        // One more than rows, so that the block that is taken is not the next one.
        let mut blocks = vec![Block::ZERO; rows + 1];
        let place = |row: usize, column: usize| (column * rows + row) % (rows + 1);
        // The block that was finished last.
        let mut last: Option<[usize; 2]> = None;
        for column in 0..columns {
            for begin in (0..panel).step_by(deep) {
                let end = panel.min(begin + deep);
                let right_part = &right[column * panel + begin..column * panel + end];
                for row in 0..rows {
                    let left_part = &left[row * panel + begin..row * panel + end];
                    // A share of the part that comes next.
                    let ahead = right.get(column * panel + end + row * deep / rows);
                    let block = &mut blocks[place(row, column)];
                    if begin == 0 {
                        engine.product::<false>(left_part, right_part, block, ahead);
                    } else {
                        engine.product::<true>(left_part, right_part, block, ahead);
                    }
                    if let Some([row, column]) = last.take() {
                        let block = &mut blocks[place(row, column)];
                        sink.take(engine, [first + row, column], block);
                    }
                    last = (end == panel).then_some([row, column]);
                }
            }
        }
        if let Some([row, column]) = last {
            sink.take(engine, [first + row, column], &mut blocks[place(row, column)]);
        }
    }
}
