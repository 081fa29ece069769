//! [`Block`] and [`Tile`]: what kernels work on.

use crate::lanes::{Lanes, Sixteen};

/// Rows and columns of a block.
pub(crate) const SIDE: usize = 32;

/// Operands that a product over `k` is deep: one of zeros if it is over nothing.
pub(crate) fn depth(k: usize) -> usize {
    k.div_ceil(SIDE).max(1)
}

/// 32 × 32 numbers, row by row, each row two times sixteen.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Block(pub(crate) [[Sixteen; 2]; SIDE]);

/// 16 rows of 64 bytes: bf16 numbers two a lane, or f32 numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Tile(pub(crate) [Sixteen; 16]);

impl Tile {
    pub(crate) const ZERO: Self = Self([[0.0; 16]; 16]);
}

/// Rows of numbers in memory of which blocks are parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    pub(crate) numbers: &'a [f32],
    /// From one row to the next.
    pub(crate) stride: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl<'a> Rows<'a> {
    /// # Panics
    /// If the numbers end before the last row.
    pub(crate) fn new(numbers: &'a [f32], stride: usize, [height, width]: [usize; 2]) -> Self {
        let least = if height * width == 0 { 0 } else { (height - 1) * stride + width };
        assert!(width <= stride.max(1) && numbers.len() >= least, "rows are too short");
        Self { numbers, stride, height, width }
    }
}

impl Block {
    pub(crate) const ZERO: Self = Self([[[0.0; 16]; 2]; SIDE]);

    /// The block of `from` that begins at `[row, column]`, times `scale`; zero beyond the ends.
    #[inline(always)]
    pub(crate) fn read<L: Lanes>(
        &mut self,
        lanes: L,
        from: Rows,
        [row, column]: [usize; 2],
        scale: f32,
    ) {
        let (rows, columns) = (from.height.saturating_sub(row), from.width.saturating_sub(column));
        let scale = lanes.splat(scale);
        for (i, out) in self.0.iter_mut().enumerate() {
            if i >= rows {
                *out = [[0.0; 16]; 2];
                continue;
            }
            let at = (row + i) * from.stride + column;
            for (half, out) in out.iter_mut().enumerate() {
                let valid = columns.saturating_sub(16 * half).min(16);
                let from = &from.numbers[at + (16 * half).min(columns)..];
                if let (16, Some(whole)) = (valid, from.first_chunk()) {
                    lanes.store(lanes.mul(lanes.load(whole), scale), out);
                } else {
                    let mut part = [0.0; 16];
                    part[..valid].copy_from_slice(&from[..valid]);
                    lanes.store(lanes.mul(lanes.load(&part), scale), out);
                }
            }
        }
    }

    /// Rows become columns.
    #[inline(always)]
    pub(crate) fn transposed<L: Lanes>(&self, lanes: L, to: &mut Self) {
        for i in 0..2 {
            for j in 0..2 {
                let mut rows = [lanes.splat(0.0); 16];
                for r in 0..16 {
                    rows[r] = lanes.load(&self.0[16 * i + r][j]);
                }
                lanes.transpose(&mut rows);
                for r in 0..16 {
                    lanes.store(rows[r], &mut to.0[16 * j + r][i]);
                }
            }
        }
    }
}
