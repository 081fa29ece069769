//! Products in f32 by fused multiply-adds: the same bits in every set.

use super::{Engine, On, Step};
use crate::{
    block::{Block, SIDE, Tile},
    lanes::Lanes,
};

/// f32 operands: four tiles, quarter by quarter. `ROWS` rows of `HALVES` times 16 columns are summed
/// up in registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Single<L, const ROWS: usize, const HALVES: usize> {
    pub(crate) lanes: L,
}

impl<L: Lanes, const ROWS: usize, const HALVES: usize> Single<L, ROWS, HALVES> {
    #[inline(always)]
    fn pack(self, block: &Block, to: &mut [Tile]) {
        assert!(to.len() == 4, "an operand");
        for (r, row) in block.0.iter().enumerate() {
            for half in 0..2 {
                self.lanes.store(self.lanes.load(&row[half]), &mut to[r / 16 * 2 + half].0[r % 16]);
            }
        }
    }

    #[inline(always)]
    fn pack_columns(self, block: &Block, to: &mut [Tile]) {
        let mut turned = Block::ZERO;
        block.transposed(self.lanes, &mut turned);
        self.pack(&turned, to);
    }

    /// `N` rows from `first` on.
    #[inline(always)]
    fn rows<const N: usize, const ADD: bool>(
        self,
        left: &[Tile],
        right: &[Tile],
        c: &mut Block,
        [first, half]: [usize; 2],
    ) {
        let lanes = self.lanes;
        let mut sums = [[lanes.splat(0.0); HALVES]; N];
        if ADD {
            for r in 0..N {
                for h in 0..HALVES {
                    sums[r][h] = lanes.load(&c.0[first + r][half + h]);
                }
            }
        }
        for (left, right) in left.as_chunks::<4>().0.iter().zip(right.as_chunks::<4>().0) {
            for deep in 0..2 {
                for k in 0..16 {
                    let mut y = [lanes.splat(0.0); HALVES];
                    for h in 0..HALVES {
                        y[h] = lanes.load(&right[2 * deep + half + h].0[k]);
                    }
                    for r in 0..N {
                        let row = first + r;
                        let x = lanes.splat(left[row / 16 * 2 + deep].0[row % 16][k]);
                        for h in 0..HALVES {
                            sums[r][h] = lanes.mul_add(x, y[h], sums[r][h]);
                        }
                    }
                }
            }
        }
        for r in 0..N {
            for h in 0..HALVES {
                lanes.store(sums[r][h], &mut c.0[first + r][half + h]);
            }
        }
    }
}

impl<L: Lanes, const ROWS: usize, const HALVES: usize> Engine for Single<L, ROWS, HALVES> {
    type Lanes = L;

    const TILES: usize = 4;
    const EXACT: bool = true;

    #[inline(always)]
    fn lanes(&self) -> L {
        self.lanes
    }
    fn enter<S: Step>(&self, step: S) -> S::Output {
        self.lanes.enter(On(self, step))
    }
    #[inline(always)]
    fn left(&self, block: &Block, to: &mut [Tile]) {
        self.pack(block, to);
    }
    #[inline(always)]
    fn left_of_columns(&self, block: &Block, to: &mut [Tile]) {
        self.pack_columns(block, to);
    }
    #[inline(always)]
    fn right(&self, block: &Block, to: &mut [Tile]) {
        self.pack(block, to);
    }
    #[inline(always)]
    fn right_of_columns(&self, block: &Block, to: &mut [Tile]) {
        self.pack_columns(block, to);
    }
    #[inline(always)]
    fn product<const ADD: bool>(
        &self,
        left: &[Tile],
        right: &[Tile],
        c: &mut Block,
        _ahead: Option<&Tile>,
    ) {
        assert!(left.len() == right.len() && left.len().is_multiple_of(4), "whole operands");
        for half in (0..2).step_by(HALVES) {
            let mut first = 0;
            while first + ROWS <= SIDE {
                self.rows::<ROWS, ADD>(left, right, c, [first, half]);
                first += ROWS;
            }
            while first + 4 <= SIDE {
                self.rows::<4, ADD>(left, right, c, [first, half]);
                first += 4;
            }
        }
        const { assert!((SIDE % ROWS).is_multiple_of(4) && (HALVES == 1 || HALVES == 2)) }
    }
}
