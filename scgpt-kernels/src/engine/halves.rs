//! Packing of bf16 parts, which all engines of tiles share.
//!
//! An operand of `P` parts is `2 P` tiles, the largest part first. Of a left one the first tile has
//! rows 0 to 15, each 32 bf16 numbers deep; the second rows 16 to 31. Of a right one a tile has 16
//! columns, and its rows are pairs of consecutive depth.

use super::Made;
use crate::{
    block::{Block, Tile},
    lanes::{Halves, Lanes},
};

/// The parts of 32 numbers: `x = p₀ + p₁ + …`, each the nearest to what is left.
#[inline(always)]
fn split<L: Lanes, H: Halves<L>, const P: usize>(
    lanes: L,
    halves: H,
    [mut low, mut high]: [L::F; 2],
) -> [L::F; P] {
    let mut parts = [low; P];
    for i in 0..P {
        let part = halves.round(lanes, low, high);
        parts[i] = part;
        if i + 1 < P {
            let [of_low, of_high] = halves.widen(lanes, part);
            low = lanes.sub(low, of_low);
            high = lanes.sub(high, of_high);
        }
    }
    parts
}

#[inline(always)]
pub(super) fn left<L: Lanes, H: Halves<L>, const P: usize>(
    lanes: L,
    halves: H,
    block: &Block,
    to: &mut [Tile],
) {
    assert!(to.len() == 2 * P, "an operand");
    for (r, [low, high]) in block.0.iter().enumerate() {
        let parts = split::<L, H, P>(lanes, halves, [lanes.load(low), lanes.load(high)]);
        for p in 0..P {
            lanes.store(parts[p], &mut to[2 * p + r / 16].0[r % 16]);
        }
    }
}

#[inline(always)]
pub(super) fn right<L: Lanes, H: Halves<L>, const P: usize>(
    lanes: L,
    halves: H,
    rows: &mut impl Made<L>,
    to: &mut [Tile],
) {
    assert!(to.len() == 2 * P, "an operand");
    for r in 0..16 {
        for half in 0..2 {
            let pair = [rows.make(2 * r, half), rows.make(2 * r + 1, half)];
            let parts = split::<L, H, P>(lanes, halves, pair);
            for p in 0..P {
                let part = halves.interleave(lanes, parts[p]);
                lanes.store(part, &mut to[2 * p + half].0[r]);
            }
        }
    }
}

/// Makes a left operand of a right one of the transposed matrix, and the other way round: pairs
/// change places as a whole.
#[inline(always)]
pub(super) fn turn<L: Lanes>(lanes: L, tiles: &mut [Tile]) {
    for tile in tiles {
        let mut rows = [lanes.splat(0.0); 16];
        for r in 0..16 {
            rows[r] = lanes.load(&tile.0[r]);
        }
        lanes.transpose(&mut rows);
        for r in 0..16 {
            lanes.store(rows[r], &mut tile.0[r]);
        }
    }
}

/// The packing methods of an engine with fields `lanes` and `halves`.
macro_rules! pack_parts {
    ($parts:expr) => {
        #[inline(always)]
        fn lanes(&self) -> Self::Lanes {
            self.lanes
        }
        fn enter<S: Step>(&self, step: S) -> S::Output {
            self.halves.enter(self.lanes, On(self, step))
        }
        #[inline(always)]
        fn left(&self, block: &Block, to: &mut [Tile]) {
            halves::left::<_, _, $parts>(self.lanes, self.halves, block, to);
        }
        #[inline(always)]
        fn left_of_columns(&self, block: &Block, to: &mut [Tile]) {
            self.right(block, to);
            halves::turn(self.lanes, to);
        }
        #[inline(always)]
        fn right_of(&self, rows: &mut impl Made<Self::Lanes>, to: &mut [Tile]) {
            halves::right::<_, _, $parts>(self.lanes, self.halves, rows, to);
        }
        #[inline(always)]
        fn right_of_columns(&self, block: &Block, to: &mut [Tile]) {
            halves::left::<_, _, $parts>(self.lanes, self.halves, block, to);
            halves::turn(self.lanes, to);
        }
    };
}
pub(super) use pack_parts;
