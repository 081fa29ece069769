//! Products in f32 by fused multiply-adds: the same bits in every set.

use super::{Engine, Made, On, Step};
use crate::{
    block::{Block, SIDE, Tile},
    lanes::{Lanes, Run},
};

/// f32 operands: four tiles, quarter by quarter. `ROWS` rows of `HALVES` times 16 columns are summed
/// up in registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Single<L, const ROWS: usize, const HALVES: usize> {
    pub(crate) lanes: L,
}

impl<L: Lanes, const ROWS: usize, const HALVES: usize> Single<L, ROWS, HALVES> {
    #[inline(always)]
    fn pack_columns(self, block: &Block, to: &mut [Tile]) {
        let mut turned = Block::ZERO;
        block.transposed(self.lanes, &mut turned);
        self.right(&turned, to);
    }

    /// `ROWS` rows from `first` on.
    #[inline(always)]
    fn rows<const ADD: bool>(
        self,
        left: &[Tile],
        right: &[Tile],
        c: &mut Block,
        [first, half]: [usize; 2],
    ) {
        let lanes = self.lanes;
        let mut sums = [[lanes.splat(0.0); HALVES]; ROWS];
        if ADD {
            for r in 0..ROWS {
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
                    for r in 0..ROWS {
                        let row = first + r;
                        let x = lanes.splat(left[row / 16 * 2 + deep].0[row % 16][k]);
                        for h in 0..HALVES {
                            sums[r][h] = lanes.mul_add(x, y[h], sums[r][h]);
                        }
                    }
                }
            }
        }
        for r in 0..ROWS {
            for h in 0..HALVES {
                lanes.store(sums[r][h], &mut c.0[first + r][half + h]);
            }
        }
    }
}

impl<L: Lanes, const ROWS: usize, const HALVES: usize> Engine for Single<L, ROWS, HALVES> {
    type Lanes = L;
    type Attention = Self;

    const TILES: usize = 4;
    const EXACT: bool = true;

    #[inline(always)]
    fn lanes(&self) -> L {
        self.lanes
    }

    fn attention(&self) -> Self {
        *self
    }
    fn enter<S: Step>(&self, step: S) -> S::Output {
        self.lanes.enter(On(self, step))
    }
    #[inline(always)]
    fn left(&self, block: &Block, to: &mut [Tile]) {
        self.right(block, to);
    }
    #[inline(always)]
    fn left_of_columns(&self, block: &Block, to: &mut [Tile]) {
        self.pack_columns(block, to);
    }
    #[inline(always)]
    fn right_of(&self, rows: &mut impl Made<L>, to: &mut [Tile]) {
        assert!(to.len() == 4, "an operand");
        for r in 0..SIDE {
            for half in 0..2 {
                self.lanes.store(rows.make(r, half), &mut to[r / 16 * 2 + half].0[r % 16]);
            }
        }
    }
    #[inline(always)]
    fn right_of_columns(&self, block: &Block, to: &mut [Tile]) {
        self.pack_columns(block, to);
    }
    fn product<const ADD: bool>(
        &self,
        left: &[Tile],
        right: &[Tile],
        c: &mut Block,
        _ahead: Option<&Tile>,
    ) {
        assert!(left.len() == right.len() && left.len().is_multiple_of(4), "whole operands");
        self.lanes.enter(Product::<_, ROWS, HALVES, ADD> { engine: *self, left, right, c });
    }
}

/// A product as a function of its own: it is long, and called from many places.
struct Product<'a, L, const ROWS: usize, const HALVES: usize, const ADD: bool> {
    engine: Single<L, ROWS, HALVES>,
    left: &'a [Tile],
    right: &'a [Tile],
    c: &'a mut Block,
}

impl<L: Lanes, const ROWS: usize, const HALVES: usize, const ADD: bool> Run
    for Product<'_, L, ROWS, HALVES, ADD>
{
    type Output = ();

    #[inline(always)]
    fn run(self) {
        const { assert!(SIDE.is_multiple_of(ROWS) && (HALVES == 1 || HALVES == 2)) }
        let Self { engine, left, right, c } = self;
        for half in (0..2).step_by(HALVES) {
            for first in (0..SIDE).step_by(ROWS) {
                engine.rows::<ADD>(left, right, c, [first, half]);
            }
        }
    }
}
