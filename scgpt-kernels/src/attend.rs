//! [`attend`]: attention in which no query sees an unknown token but itself.

mod gradient;
mod head;
mod softmax;

use rayon::prelude::*;

pub use self::gradient::{Attended, attend_gradient};
pub(crate) use self::{
    head::{Head, Projected},
    softmax::{Scratch, attend_block},
};
use crate::{
    block::{Block, Rows, SIDE},
    cpu::Cpu,
    engine::{Engine, Step, Task},
    format::Format,
    tokens::Tokens,
};

/// The context of each query: `softmax(q kᵀ / √k) v`, per head, of what its query sees.
///
/// A row depends on nothing but the tokens that it sees, in the order of all tokens; but where a
/// value is not finite, those that do not see it may become not-a-number as well.
///
/// # Shapes
/// - qkv: `[t, 3 d]`, the packed projection of a cell: queries, keys, values, each head after head
/// - out: `[queries, d]`
///
/// # Panics
/// If a slice has another length, `heads` does not divide the width, or tokens are more than there are.
///
/// ```
/// use scgpt_kernels::{Cpu, Format, Tokens, attend};
///
/// // Two tokens of one head that is one wide; the second is unknown, so the first sees itself alone.
/// let qkv = [1.0, 1.0, 10.0, 0.0, 1.0, 20.0];
/// let mut out = [0.0; 2];
/// let tokens = Tokens { known: 1, used: 2, queries: 2 };
/// attend(Cpu::best(), Format::F32, &qkv, 1, tokens, &mut out);
/// assert!((out[0] - 10.0).abs() < 1e-4 && (out[1] - 15.0).abs() < 1e-4);
/// ```
pub fn attend(
    cpu: Cpu,
    format: Format,
    qkv: &[f32],
    heads: usize,
    tokens: Tokens,
    out: &mut [f32],
) {
    attend_heads(cpu, format, qkv, heads, tokens, out);
}

/// As [`attend`], and the logarithm of the sum of exponentials of each query and head, which
/// [`attend_gradient`] needs.
///
/// # Shapes
/// - qkv: `[t, 3 d]`
/// - out: `[queries, d]`
/// - log_sums: `[queries, heads]`, which is written, too
///
/// # Panics
/// As [`attend`].
pub fn attend_recorded(
    cpu: Cpu,
    format: Format,
    qkv: &[f32],
    heads: usize,
    tokens: Tokens,
    out: &mut [f32],
    log_sums: &mut [f32],
) {
    assert_eq!(log_sums.len(), tokens.queries * heads, "sums are [queries, heads]");
    let contexts = attend_heads(cpu, format, qkv, heads, tokens, out);
    for (head, context) in contexts.iter().enumerate() {
        for (sums, &log_sum) in log_sums.chunks_exact_mut(heads).zip(&context.log_sums) {
            sums[head] = log_sum;
        }
    }
}

/// Writes contexts, and returns what each head is.
fn attend_heads(
    cpu: Cpu,
    format: Format,
    qkv: &[f32],
    heads: usize,
    tokens: Tokens,
    out: &mut [f32],
) -> Vec<Contexts> {
    if tokens.queries == 0 {
        assert!(out.is_empty(), "an output is [queries, d]");
        return Vec::new();
    }
    let d = out.len() / tokens.queries;
    assert!(
        heads > 0 && d > 0 && out.len() == tokens.queries * d && d.is_multiple_of(heads),
        "an output is [queries, d], d a multiple of the {heads} heads"
    );
    let t = qkv.len() / (3 * d);
    assert_eq!(qkv.len(), t * 3 * d, "a packed projection is [t, 3 d]");
    tokens.check(t);
    let contexts: Vec<Contexts> = (0..heads)
        .into_par_iter()
        .map(|head| cpu.run(cpu.computes_in(format), OfHead { qkv, d, heads, head, tokens }))
        .collect();
    let width = d / heads;
    for (i, row) in out.chunks_exact_mut(d).enumerate() {
        for (head, out) in row.chunks_exact_mut(width).enumerate() {
            out.copy_from_slice(&contexts[head].rows[i * width..(i + 1) * width]);
        }
    }
    contexts
}

/// What the queries of a head have.
struct Contexts {
    /// `[queries, k]`.
    rows: Vec<f32>,
    /// Of every query.
    log_sums: Vec<f32>,
}

/// One head on one thread.
struct OfHead<'a> {
    qkv: &'a [f32],
    d: usize,
    heads: usize,
    head: usize,
    tokens: Tokens,
}

impl Task for OfHead<'_> {
    type Output = Contexts;

    fn run<E: Engine>(self, engine: &E) -> Contexts {
        let Self { qkv, d, heads, head, tokens } = self;
        let width = d / heads;
        let rows = tokens.used.max(tokens.queries);
        let mut packed = Head::default();
        packed.reserve::<E>(rows, width);
        for part in Projected::ALL {
            let first = part as usize * d + head * width;
            let rows = Rows::new(&qkv[first..], 3 * d, [rows, width]);
            engine.enter(PackHead { rows, part, to: &mut packed });
        }
        let mut rows = vec![0.0; tokens.queries * width];
        let mut log_sums = Vec::with_capacity(tokens.queries);
        let mut scratch = Scratch::default();
        for (block, out) in rows.chunks_mut(SIDE * width).enumerate() {
            let contexts = attend_block(engine, &packed, block, tokens, &mut scratch);
            for (row, out) in out.chunks_exact_mut(width).enumerate() {
                for (context, out) in contexts.iter().zip(out.chunks_mut(SIDE)) {
                    out.copy_from_slice(&context.0[row].as_flattened()[..out.len()]);
                }
            }
            log_sums.extend((0..out.len() / width).map(|query| scratch.log_sum(query)));
        }
        Contexts { rows, log_sums }
    }
}

/// Packs one part of a projection.
struct PackHead<'a> {
    rows: Rows<'a>,
    part: Projected,
    to: &'a mut Head,
}

impl Step for PackHead<'_> {
    type Output = ();

    #[inline(always)]
    fn run<E: Engine>(self, engine: &E) {
        let Self { rows, part, to } = self;
        let mut block = Block::ZERO;
        for row in 0..rows.height.div_ceil(SIDE) {
            for column in 0..rows.width.div_ceil(SIDE) {
                block.read(engine.lanes(), rows, [row * SIDE, column * SIDE], 1.0);
                to.write(engine, part, [row, column], &mut block, rows.width);
            }
        }
    }
}

#[cfg(test)]
mod tests;
