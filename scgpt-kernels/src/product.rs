//! Products of packed rows with a packed matrix, block by block.

use crate::{
    block::{Block, Rows, SIDE, Tile},
    engine::Engine,
};

/// Takes blocks of a product while they are in the first cache.
pub(crate) trait Sink<E: Engine> {
    /// The block at rows `32 row…` and columns `32 column…`; beyond the ends it is zero.
    fn take(&mut self, engine: &E, at: [usize; 2], block: &mut Block);
}

/// Packs rows as a left matrix: 32 rows after the other, each 32 columns after the other.
#[inline(always)]
pub(crate) fn pack_rows<E: Engine>(engine: &E, rows: Rows, to: &mut Vec<Tile>) {
    let (steps, panels) = (rows.width.div_ceil(SIDE), rows.height.div_ceil(SIDE));
    to.resize(panels * steps * E::TILES, Tile::ZERO);
    let mut block = Block::ZERO;
    for (i, operand) in to.chunks_exact_mut(E::TILES).enumerate() {
        block.read(engine.lanes(), rows, [i / steps * SIDE, i % steps * SIDE], 1.0);
        engine.left(&block, operand);
    }
}

/// The product of packed rows with a packed matrix, both `steps` operands deep. A block is taken
/// while the next is computed, so that tiles and lanes are busy at the same time.
#[inline(always)]
pub(crate) fn multiply<E: Engine>(
    engine: &E,
    steps: usize,
    left: &[Tile],
    right: &[Tile],
    sink: &mut impl Sink<E>,
) {
    let panel = steps * E::TILES;
    if panel == 0 {
        return;
    }
    let (mut current, mut previous) = (&mut Block::ZERO.clone(), &mut Block::ZERO.clone());
    let mut last = None;
    let (rows, columns) = (left.len() / panel, right.len() / panel);
    for column in 0..columns {
        let right_panel = &right[column * panel..(column + 1) * panel];
        for row in 0..rows {
            let left_panel = &left[row * panel..(row + 1) * panel];
            // A share of the panel that comes next.
            let ahead = right.get((column + 1) * panel + row * panel / rows);
            engine.product::<false>(left_panel, right_panel, current, ahead);
            if let Some(at) = last {
                sink.take(engine, at, previous);
            }
            last = Some([row, column]);
            std::mem::swap(&mut current, &mut previous);
        }
    }
    if let Some(at) = last {
        sink.take(engine, at, previous);
    }
}
