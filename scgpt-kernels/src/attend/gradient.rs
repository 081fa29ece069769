//! [`attend_gradient`]: the gradient of attention, by areas of queries and keys.
//!
//! ```text
//! P = exp(s q kᵀ − log Σ)    dP = dO vᵀ    dS = P ∘ (dP − Δ)    Δ = Σ dO ∘ O over channels
//! dv = Pᵀ dO    dq = s dS k    dk = s dSᵀ q
//! ```

mod area;
mod packed;

use rayon::prelude::*;

use self::{
    area::{Area, Factors},
    packed::{Pack, Packed, Part},
};
use super::Tokens;
use crate::{
    block::{Block, Rows, SIDE},
    cpu::Cpu,
    engine::{Engine, Step, Task},
    format::Format,
    lanes::{Lanes, Sixteen},
};

/// What [`attend_recorded`](super::attend_recorded) was given, and what it gave.
#[derive(Clone, Copy, Debug)]
pub struct Attended<'a> {
    /// The packed projection, `[t, 3 d]`.
    pub qkv: &'a [f32],
    /// Of each query, `[queries, d]`.
    pub context: &'a [f32],
    /// Of each query and head, `[queries, heads]`.
    pub log_sums: &'a [f32],
    /// Which tokens attended to which.
    pub tokens: Tokens,
}

/// The gradient of a packed projection, of that of its contexts.
///
/// It has the rules of [`attend`](super::attend): what a query adds depends on nothing but the
/// tokens that it sees, and sums are in the order of tokens, whatever the number of threads.
///
/// # Shapes
/// - gradient: `[queries, d]`, of the contexts
/// - out: `[t, 3 d]`, which is written; zero at tokens that neither attend nor are seen
///
/// # Panics
/// If a slice has another length, `heads` does not divide the width, or tokens are more than there are.
///
/// ```
/// use scgpt_kernels::{Attended, Cpu, Format, Tokens, attend_gradient, attend_recorded};
///
/// // The query sees two tokens with the same score: its context is the mean of their values.
/// let (cpu, tokens) = (Cpu::best(), Tokens { queries: 1, ..Tokens::all(2) });
/// let qkv = [0.0, 1.0, 10.0, 0.0, 3.0, 20.0];
/// let (mut context, mut log_sums, mut out) = ([0.0], [0.0], [0.0; 6]);
/// attend_recorded(cpu, Format::F32, &qkv, 1, tokens, &mut context, &mut log_sums);
/// let attended = Attended { qkv: &qkv, context: &context, log_sums: &log_sums, tokens };
/// attend_gradient(cpu, Format::F32, attended, 1, &[1.0], &mut out);
/// for (out, expected) in out.into_iter().zip([5.0, 0.0, 0.5, 0.0, 0.0, 0.5]) {
///     assert!((out - expected).abs() < 1e-5);
/// }
/// ```
pub fn attend_gradient(
    cpu: Cpu,
    format: Format,
    attended: Attended,
    heads: usize,
    gradient: &[f32],
    out: &mut [f32],
) {
    let Attended { qkv, context, log_sums, tokens } = attended;
    assert_eq!(qkv.len(), out.len(), "a gradient is as large as its projection");
    if tokens.queries == 0 {
        assert!(context.is_empty() && log_sums.is_empty() && gradient.is_empty(), "no queries");
        out.fill(0.0);
        return;
    }
    let d = context.len() / tokens.queries;
    assert!(
        heads > 0 && d > 0 && context.len() == tokens.queries * d && d.is_multiple_of(heads),
        "contexts are [queries, d], d a multiple of the {heads} heads"
    );
    assert_eq!(gradient.len(), context.len(), "a gradient of contexts is [queries, d]");
    assert_eq!(log_sums.len(), tokens.queries * heads, "sums are [queries, heads]");
    let t = qkv.len() / (3 * d);
    assert_eq!(qkv.len(), t * 3 * d, "a packed projection is [t, 3 d]");
    tokens.check(t);
    let rows = tokens.known.max(tokens.queries);
    let (seen, unseen) = out.split_at_mut(rows * 3 * d);
    unseen.fill(0.0);
    // A head's part of every row: queries, keys, values.
    let mut parts: Vec<Vec<&mut [f32]>> = Vec::new();
    parts.resize_with(heads, || Vec::with_capacity(3 * rows));
    for (place, part) in seen.chunks_exact_mut(d / heads).enumerate() {
        parts[place % heads].push(part);
    }
    parts.into_par_iter().enumerate().for_each_init(Scratch::default, |scratch, (head, out)| {
        let task = OfHead { attended, gradient, d, heads, head, out, scratch };
        cpu.run(cpu.computes_in(format), task);
    });
}

/// One head on one thread.
struct OfHead<'a> {
    attended: Attended<'a>,
    /// Of the contexts.
    gradient: &'a [f32],
    d: usize,
    heads: usize,
    head: usize,
    /// Of every row queries, keys, values.
    out: Vec<&'a mut [f32]>,
    scratch: &'a mut Scratch,
}

/// Buffers of a thread.
#[derive(Debug, Default)]
struct Scratch {
    operands: Operands,
    sums: Sums,
    factors: Factors,
}

/// What one head is computed of.
#[derive(Debug, Default)]
struct Operands {
    queries: Packed,
    keys: Packed,
    values: Packed,
    gradients: Packed,
    /// Logarithms of the sums of exponentials, to the base of two, in blocks of queries.
    log_sums: Vec<[Sixteen; 2]>,
    /// The sums over channels of gradient times context.
    deltas: Vec<[Sixteen; 2]>,
}

/// Gradients of one head: 32 tokens after the other, all channels.
#[derive(Debug, Default)]
struct Sums {
    /// Channels × queries.
    queries: Vec<Block>,
    /// Keys × channels.
    keys: Vec<Block>,
    /// Keys × channels.
    values: Vec<Block>,
}

impl Task for OfHead<'_> {
    type Output = ();

    fn run<E: Engine>(self, engine: &E) {
        let Self { attended, gradient, d, heads, head, out, scratch } = self;
        let Attended { qkv, context, log_sums, tokens } = attended;
        let Scratch { operands, sums, factors } = scratch;
        let k = d / heads;
        let scale = 1.0 / (k as f32).sqrt();
        let rows = tokens.known.max(tokens.queries);
        let of_projection =
            |part: usize, rows: usize| Rows::new(&qkv[part * d + head * k..], 3 * d, [rows, k]);
        let of_queries = |x| Rows::new(x, d, [tokens.queries, k]);
        let gradient = of_queries(&gradient[head * k..]);
        let context = of_queries(&context[head * k..]);
        // Exponentials are powers of two.
        let of_query = Part::Right(scale * std::f32::consts::LOG2_E);
        for (rows, part, to) in [
            (of_projection(0, tokens.queries), of_query, &mut operands.queries),
            (of_projection(1, rows), Part::Left, &mut operands.keys),
            (of_projection(2, rows), Part::Left, &mut operands.values),
            (gradient, Part::Right(1.0), &mut operands.gradients),
        ] {
            engine.enter(Pack { rows, part, to });
        }
        let blocks = tokens.queries.div_ceil(SIDE);
        operands.log_sums.clear();
        operands.log_sums.resize(blocks, [[0.0; 16]; 2]);
        let to = operands.log_sums.as_flattened_mut().as_flattened_mut();
        for (to, of_heads) in to.iter_mut().zip(log_sums.chunks_exact(heads)) {
            *to = of_heads[head] * std::f32::consts::LOG2_E;
        }
        operands.deltas.resize(blocks, [[0.0; 16]; 2]);
        engine.enter(Deltas { gradient, context, to: &mut operands.deltas });
        let size = rows.div_ceil(SIDE) * k.div_ceil(SIDE);
        for sums in [&mut sums.queries, &mut sums.keys, &mut sums.values] {
            sums.clear();
            sums.resize(size, Block::ZERO);
        }
        for area in Area::all(tokens) {
            area.add(engine, operands, tokens, sums, factors);
        }
        engine.enter(Unpack { sums, scale, out });
    }
}

/// `Σ dO ∘ O` of every query, in blocks.
struct Deltas<'a> {
    gradient: Rows<'a>,
    context: Rows<'a>,
    to: &'a mut [[Sixteen; 2]],
}

impl Step for Deltas<'_> {
    type Output = ();

    #[inline(always)]
    fn run<E: Engine>(self, engine: &E) {
        let (lanes, Self { gradient, context, to }) = (engine.lanes(), self);
        let (mut a, mut b, mut turned) = (Block::ZERO, Block::ZERO, Block::ZERO);
        for (row, deltas) in to.iter_mut().enumerate() {
            let mut totals = [lanes.splat(0.0); 2];
            for column in 0..gradient.width.div_ceil(SIDE) {
                let at = [row * SIDE, column * SIDE];
                a.read(lanes, gradient, at, 1.0);
                b.read(lanes, context, at, 1.0);
                for (a, b) in a.0.as_flattened_mut().iter_mut().zip(b.0.as_flattened()) {
                    lanes.store(lanes.mul(lanes.load(a), lanes.load(b)), a);
                }
                a.transposed(lanes, &mut turned);
                for channel in &turned.0 {
                    for half in 0..2 {
                        totals[half] = lanes.add(totals[half], lanes.load(&channel[half]));
                    }
                }
            }
            for half in 0..2 {
                lanes.store(totals[half], &mut deltas[half]);
            }
        }
    }
}

/// Sums become rows of queries, keys and values.
struct Unpack<'a> {
    sums: &'a mut Sums,
    /// Of scores.
    scale: f32,
    out: Vec<&'a mut [f32]>,
}

impl Step for Unpack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<E: Engine>(self, engine: &E) {
        let (lanes, Self { sums, scale, mut out }) = (engine.lanes(), self);
        let steps = out[0].len().div_ceil(SIDE);
        let mut turned = Block::ZERO;
        for block in &mut sums.queries {
            block.transposed(lanes, &mut turned);
            *block = turned;
        }
        // Queries were packed with the scale, and with the base of exponentials.
        let scales = [scale, std::f32::consts::LN_2, 1.0];
        let parts = [&sums.queries, &sums.keys, &sums.values];
        for (i, out) in out.chunks_exact_mut(3).enumerate() {
            for (part, out) in out.iter_mut().enumerate() {
                let blocks = &parts[part][i / SIDE * steps..][..steps];
                for (block, out) in blocks.iter().zip(out.chunks_mut(SIDE)) {
                    for (out, x) in out.iter_mut().zip(block.0[i % SIDE].as_flattened()) {
                        *out = x * scales[part];
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
