//! Products of bf16 pairs, 16 at a time (`vdpbf16ps`), for processors without tiles.
#![allow(clippy::wildcard_imports, reason = "names that begin with what they are of")]
#![allow(unsafe_code, reason = "instructions of a set are unsafe where it may be absent")]

use std::arch::x86_64::*;

use super::{
    Engine, Made, On, Step,
    halves::{self, pack_parts},
};
use crate::{
    block::{Block, SIDE, Tile},
    lanes::{Avx512, Avx512Halves, Halves, Sixteen},
};

/// Rows that are summed up in registers at once.
const ROWS: usize = 8;

/// Tiles of one part, multiplied pair by pair. More parts would take longer than f32.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pairs {
    pub(crate) lanes: Avx512,
    pub(crate) halves: Avx512Halves,
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")]
fn rows<const ADD: bool>(
    left: &[[Tile; 2]],
    right: &[[Tile; 2]],
    c: &mut [[Sixteen; 2]],
    first: usize,
) {
    let load = |from: &Sixteen| {
        // SAFETY: sixteen numbers are what is read.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    };
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    if ADD {
        for r in 0..ROWS {
            for h in 0..2 {
                sums[r][h] = load(&c[r][h]);
            }
        }
    }
    for (left, right) in left.iter().zip(right) {
        let left = &left[first / 16].0;
        for k in 0..16 {
            // SAFETY: both are 512 bits of whatever meaning.
            let y0 = unsafe { std::mem::transmute::<__m512, __m512bh>(load(&right[0].0[k])) };
            // SAFETY: as above.
            let y1 = unsafe { std::mem::transmute::<__m512, __m512bh>(load(&right[1].0[k])) };
            for r in 0..ROWS {
                let pair = _mm512_set1_ps(left[first % 16 + r][k]);
                // SAFETY: as above.
                let x = unsafe { std::mem::transmute::<__m512, __m512bh>(pair) };
                sums[r][0] = _mm512_dpbf16_ps(sums[r][0], x, y0);
                sums[r][1] = _mm512_dpbf16_ps(sums[r][1], x, y1);
            }
        }
    }
    for r in 0..ROWS {
        for h in 0..2 {
            // SAFETY: sixteen numbers are what is written.
            unsafe { _mm512_storeu_ps(c[r][h].as_mut_ptr(), sums[r][h]) };
        }
    }
}

impl Engine for Pairs {
    type Lanes = Avx512;
    type Attention = Self;

    const TILES: usize = 2;
    const EXACT: bool = false;

    pack_parts!(1);

    fn attention(&self) -> Self {
        *self
    }

    #[inline(always)]
    fn product<const ADD: bool>(
        &self,
        left: &[Tile],
        right: &[Tile],
        c: &mut Block,
        _ahead: Option<&Tile>,
    ) {
        let (left, left_rest) = left.as_chunks::<2>();
        let (right, right_rest) = right.as_chunks::<2>();
        assert!(left.len() == right.len(), "as many operands");
        assert!(left_rest.is_empty() && right_rest.is_empty(), "whole operands");
        for first in (0..SIDE).step_by(ROWS) {
            // SAFETY: the tokens exist only where detection found the features.
            unsafe { rows::<ADD>(left, right, &mut c.0[first..first + ROWS], first) };
        }
    }
}
