//! One cell on its way through all blocks, on one thread.

use super::{
    Cell, EncoderStack, OwnNorm, Packed,
    sink::{Contexts, Inner, IntoHeads},
};
use crate::{
    attend::{self, Head, attend_block},
    block::{Rows, SIDE, Tile},
    engine::{Engine, Task},
    linear::{IntoRows, Residual},
    norm::norm_rows,
    product::{multiply, pack_rows},
    tokens::Tokens,
};

/// Rows that stay in the second cache between attention and the next projection, in blocks.
const ROWS: usize = 8;

/// Packed rows on their way from product to product.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Contexts, as a left matrix.
    contexts: Vec<Tile>,
    /// Some rows of states, as a left matrix.
    pub(super) rows: Vec<Tile>,
    /// The same inside the feed-forward network.
    inner: Vec<Tile>,
    attend: attend::Scratch,
}

/// What a thread writes while a cell is computed.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// `[used, d]`.
    states: Vec<f32>,
    heads: Vec<Head>,
    scratch: Scratch,
}

/// See [`EncoderStack::forward`].
pub(super) struct Through<'a> {
    pub(super) stack: &'a EncoderStack,
    pub(super) cell: Cell<'a>,
    pub(super) buffers: &'a mut Buffers,
}

impl Task for Through<'_> {
    type Output = ();

    fn run<E: Engine>(self, engine: &E) {
        let Self { stack, cell, buffers: Buffers { states, heads, scratch } } = self;
        let Cell { tokens, start, first, out } = cell;
        let (widths, d) = (stack.widths, stack.widths.model);
        states.resize(tokens.used * d, 0.0);
        heads.resize_with(widths.heads, Head::default);
        for head in heads.iter_mut() {
            head.reserve::<E::Attention>(tokens.used, widths.head());
        }
        for (i, x) in states.chunks_mut(ROWS * SIDE * d).enumerate() {
            start.write(engine, first + i * ROWS * SIDE, d, x);
            if let Some(next) = stack.blocks.first() {
                pack_rows(engine, Rows::new(x, d, [x.len() / d, d]), &mut scratch.rows);
                project(engine, stack, next, [i * ROWS, 0], &scratch.rows, heads);
            }
        }
        for (index, block) in stack.blocks.iter().enumerate() {
            let next = stack.blocks.get(index + 1);
            // The last block answers the queries alone, the one before has to project no others.
            let all = Tokens { queries: tokens.used, ..tokens };
            let here = if next.is_some() { all } else { tokens };
            attend_rows(engine, heads, here, [0, here.queries.div_ceil(SIDE)], scratch);
            let x = states[..here.queries * d].chunks_mut(ROWS * SIDE * d);
            for (i, x) in x.enumerate() {
                feed_forward(engine, stack, block, i * ROWS, x, scratch);
                if let Some(next) = next {
                    let is_last = index + 2 == stack.blocks.len();
                    let is_asked = i * ROWS * SIDE < tokens.queries;
                    let column = if is_last && !is_asked { widths.head_blocks() } else { 0 };
                    project(engine, stack, next, [i * ROWS, column], &scratch.rows, heads);
                }
            }
        }
        out.copy_from_slice(&states[..out.len()]);
    }
}

/// Contexts of some blocks of queries, from the first of which `scratch.contexts` begins.
pub(super) fn attend_rows<E: Engine>(
    engine: &E,
    heads: &[Head],
    tokens: Tokens,
    [first, end]: [usize; 2],
    scratch: &mut Scratch,
) {
    let steps = heads.first().map_or(0, Head::steps);
    let of_heads = heads.len() * steps;
    let attention = engine.attention();
    scratch.contexts.resize((end - first) * of_heads * E::TILES, Tile::ZERO);
    for (index, head) in heads.iter().enumerate() {
        for row in first..end {
            let from = attend_block(&attention, head, row, tokens, &mut scratch.attend);
            let at = ((row - first) * of_heads + index * steps) * E::TILES;
            let to = &mut scratch.contexts[at..at + steps * E::TILES];
            engine.enter(Contexts { from, to });
        }
    }
}

/// Packed rows become queries, keys and values; columns from `first` on.
fn project<E: Engine>(
    engine: &E,
    stack: &EncoderStack,
    block: &Packed,
    first: [usize; 2],
    rows: &[Tile],
    heads: &mut [Head],
) {
    let steps = stack.widths.model.div_ceil(SIDE);
    let weight = &block.qkv.weight.tiles()[first[1] * steps * E::TILES..];
    let mut sink = IntoHeads { bias: &block.qkv.bias, heads, first, width: stack.widths.head() };
    multiply(engine, steps, rows, weight, &mut sink);
}

/// What follows attention in a block, for some rows, whose contexts are the `first` and following
/// blocks: `x` becomes the block's result, which is left packed in `scratch.rows`.
pub(super) fn feed_forward<E: Engine>(
    engine: &E,
    stack: &EncoderStack,
    block: &Packed,
    first: usize,
    x: &mut [f32],
    scratch: &mut Scratch,
) {
    let widths = stack.widths;
    let (d, f) = (widths.model, widths.inner);
    let panels = (x.len() / d).div_ceil(SIDE);
    let of_heads = widths.head_blocks();
    let size = of_heads * E::TILES;
    let contexts = &scratch.contexts[first * size..(first + panels) * size];
    let mut sink = added(&block.out.bias, x);
    multiply(engine, of_heads, contexts, block.out.weight.tiles(), &mut sink);
    norm_and_pack(engine, x, &block.norm1, &mut scratch.rows);
    let inner_steps = f.div_ceil(SIDE);
    scratch.inner.resize(panels * inner_steps * E::TILES, Tile::ZERO);
    let mut sink = Inner { bias: &block.linear1.bias, to: &mut scratch.inner };
    let steps = d.div_ceil(SIDE);
    multiply(engine, steps, &scratch.rows, block.linear1.weight.tiles(), &mut sink);
    let mut sink = added(&block.linear2.bias, x);
    multiply(engine, inner_steps, &scratch.inner, block.linear2.weight.tiles(), &mut sink);
    norm_and_pack(engine, x, &block.norm2, &mut scratch.rows);
}

/// A product and its bias are added to `x`.
fn added<'a>(bias: &'a [f32], x: &'a mut [f32]) -> IntoRows<'a> {
    let (rows, columns) = (x.len() / bias.len(), bias.len());
    let residual = Residual::Before;
    IntoRows { bias: Some(bias), relu: false, residual, rows, columns, out: x }
}

fn norm_and_pack<E: Engine>(engine: &E, x: &mut [f32], norm: &OwnNorm, to: &mut Vec<Tile>) {
    let d = norm.gamma.len();
    norm_rows(engine, x, norm.get());
    pack_rows(engine, Rows::new(x, d, [x.len() / d, d]), to);
}
