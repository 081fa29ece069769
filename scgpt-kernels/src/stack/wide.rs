//! One cell on all threads: rows of a block are divided among them, then heads of the next projection.
//!
//! Every number is computed as it is on one thread.

use rayon::prelude::*;

use super::{
    Cell, EncoderStack, Packed, Start,
    cell::{Scratch, attend_rows, feed_forward},
    sink::IntoHead,
};
use crate::{
    attend::{Head, Projected},
    block::{Rows, SIDE},
    engine::{Engine, Task},
    product::{multiply, pack_rows},
    stop::each,
    tokens::Tokens,
};

/// Most rows of a part, in blocks: few enough for threads to end at about the same time.
const ROWS: usize = 4;

/// Some consecutive rows, and the buffers of whoever computes them.
struct Part<'a> {
    /// The first row, in blocks.
    first: usize,
    /// `[rows, d]`.
    x: &'a mut [f32],
    scratch: Scratch,
}

impl EncoderStack {
    /// As [`forward`](Self::forward), of one cell.
    pub(super) fn forward_wide(&self, cell: Cell) {
        let (d, Cell { tokens, start, first, out }) = (self.widths.model, cell);
        let mut states = vec![0.0; tokens.used * d];
        let threads = rayon::current_num_threads();
        let rows = tokens.used.div_ceil(SIDE).div_ceil(threads).clamp(1, ROWS);
        let part = |(i, x)| Part { first: i * rows, x, scratch: Scratch::default() };
        let x = states.chunks_mut(rows * SIDE * d);
        let mut parts: Vec<Part> = x.enumerate().map(part).collect();
        let mut heads = vec![Head::default(); self.widths.heads];
        each(parts.par_iter_mut(), |part| {
            self.cpu.run(self.format, Begin { start, first, part, d });
        });
        for (index, block) in self.blocks.iter().enumerate() {
            let is_last = index + 1 == self.blocks.len();
            let queries = if is_last { tokens.queries } else { tokens.used };
            let tokens = Tokens { queries, ..tokens };
            each(heads.par_iter_mut().enumerate(), |(index, head)| {
                let task = Project { stack: self, block, parts: &parts, tokens, head, index };
                self.cpu.run(self.format, task);
            });
            let asked = queries.div_ceil(rows * SIDE).min(parts.len());
            each(parts[..asked].par_iter_mut(), |part| {
                let task = Advance { stack: self, block, heads: &heads, tokens, part };
                self.cpu.run(self.format, task);
            });
        }
        out.copy_from_slice(&states[..out.len()]);
    }
}

/// Writes and packs the rows that a part begins with.
struct Begin<'a, 'x> {
    start: Start<'a>,
    /// The first token of the cell.
    first: usize,
    part: &'a mut Part<'x>,
    d: usize,
}

impl Task for Begin<'_, '_> {
    type Output = ();

    fn run<E: Engine>(self, engine: &E) {
        let Self { start, first, part, d } = self;
        let Part { first: block, x, scratch } = part;
        start.write(engine, first + *block * SIDE, d, x);
        pack_rows(engine, Rows::new(x, d, [x.len() / d, d]), &mut scratch.rows);
    }
}

/// Queries, keys and values of one head.
struct Project<'a, 'x> {
    stack: &'a EncoderStack,
    block: &'a Packed,
    parts: &'a [Part<'x>],
    tokens: Tokens,
    head: &'a mut Head,
    index: usize,
}

impl Task for Project<'_, '_> {
    type Output = ();

    fn run<E: Engine>(self, engine: &E) {
        let Self { stack, block, parts, tokens, head, index } = self;
        let (width, of_heads) = (stack.widths.head(), stack.widths.head_blocks());
        head.reserve::<E::Attention>(tokens.used, width);
        let (of_head, steps) = (width.div_ceil(SIDE), stack.widths.model.div_ceil(SIDE));
        for part in Projected::ALL {
            let columns = part as usize * of_heads + index * of_head;
            let [weight, bias] =
                [steps * E::TILES, SIDE].map(|size| columns * size..(columns + of_head) * size);
            let weight = &block.qkv.weight.tiles()[weight];
            let bias = &block.qkv.bias[bias];
            for rows in parts {
                if part == Projected::Queries && rows.first * SIDE >= tokens.queries {
                    break;
                }
                let mut sink = IntoHead { bias, head: &mut *head, part, first: rows.first, width };
                multiply(engine, steps, &rows.scratch.rows, weight, &mut sink);
            }
        }
    }
}

/// A block, from attention on, for the rows of a part.
struct Advance<'a, 'x> {
    stack: &'a EncoderStack,
    block: &'a Packed,
    heads: &'a [Head],
    tokens: Tokens,
    part: &'a mut Part<'x>,
}

impl Task for Advance<'_, '_> {
    type Output = ();

    fn run<E: Engine>(self, engine: &E) {
        let Self { stack, block, heads, tokens, part: Part { first, x, scratch } } = self;
        let d = stack.widths.model;
        let rows = (x.len() / d).min(tokens.queries - *first * SIDE);
        attend_rows(engine, heads, tokens, [*first, *first + rows.div_ceil(SIDE)], scratch);
        feed_forward(engine, stack, block, 0, &mut x[..rows * d], scratch);
    }
}
