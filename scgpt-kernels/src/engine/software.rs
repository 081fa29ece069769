//! Tiles in portable code, with the bits of the processor's.

use super::{
    Engine, Made, On, Step,
    halves::{self, pack_parts},
};
use crate::{
    block::{Block, Tile},
    lanes::{Halves, Portable},
};

/// Which parts are multiplied with which, left first, the smallest products first.
pub(super) const fn pairs<const P: usize>() -> &'static [[usize; 2]] {
    match P {
        1 => &[[0, 0]],
        2 => &[[1, 0], [0, 0], [0, 1]],
        3 => &[[2, 0], [0, 2], [0, 0], [1, 0], [1, 1], [0, 1]],
        _ => panic!("one to three parts"),
    }
}

/// Tiles of `P` parts without instructions; of `A` parts in the attention of a stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Software<const P: usize, const A: usize> {
    lanes: Portable,
    halves: Portable,
}

impl<const P: usize, const A: usize> Software<P, A> {
    pub(crate) const fn new() -> Self {
        Self { lanes: Portable, halves: Portable }
    }
}

/// The two bf16 numbers of a lane.
fn numbers(lane: f32) -> [f32; 2] {
    let bits = lane.to_bits();
    [f32::from_bits(bits << 16), f32::from_bits(bits & 0xffff_0000)].map(normal)
}

/// Numbers below the smallest normal one are zero.
fn normal(x: f32) -> f32 {
    if x.abs() < f32::MIN_POSITIVE { 0.0_f32.copysign(x) } else { x }
}

/// `c += a · b` as `tdpbf16ps` has it: sums of even and of odd products apart, each step rounded
/// once, then their sum.
fn tdpbf16ps(c: &mut Block, [row, half]: [usize; 2], a: &Tile, b: &Tile) {
    for m in 0..16 {
        for n in 0..16 {
            let mut sums = [0.0_f32; 2];
            for k in 0..16 {
                let (x, y) = (numbers(a.0[m][k]), numbers(b.0[k][n]));
                for i in 0..2 {
                    sums[i] = normal(x[i].mul_add(y[i], sums[i]));
                }
            }
            let out = &mut c.0[16 * row + m][half][n];
            *out = normal(normal(*out) + normal(sums[0] + sums[1]));
        }
    }
}

impl<const P: usize, const A: usize> Engine for Software<P, A> {
    type Lanes = Portable;
    type Attention = Software<A, A>;

    const TILES: usize = 2 * P;
    const EXACT: bool = P > 1;

    pack_parts!(P);

    fn attention(&self) -> Software<A, A> {
        Software::new()
    }

    fn product<const ADD: bool>(
        &self,
        left: &[Tile],
        right: &[Tile],
        c: &mut Block,
        _ahead: Option<&Tile>,
    ) {
        assert!(left.len() == right.len() && left.len().is_multiple_of(2 * P), "whole operands");
        if !ADD {
            *c = Block::ZERO;
        }
        for (left, right) in left.chunks_exact(2 * P).zip(right.chunks_exact(2 * P)) {
            for &[i, j] in pairs::<P>() {
                for row in 0..2 {
                    for half in 0..2 {
                        tdpbf16ps(c, [row, half], &left[2 * i + row], &right[2 * j + half]);
                    }
                }
            }
        }
    }
}
