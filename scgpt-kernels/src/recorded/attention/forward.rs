//! The forward kernel: tiles of queries, strided products, vectorised softmax.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{AttentionPlan, exp::exp, product::product};
use crate::{stop::each_with, tokens::Tokens};

/// The most queries a task handles at once. More would push their scores out of the cache, fewer
/// would repack keys and values too often: of 96, 160, 256 and 400, this is the fastest.
const TILE: usize = 256;

/// The context `[b, n, d]` of `qkv`, `[b, t, 3 d]` row-major, and the logarithm of every query's
/// sum of exponentials, `[b, n, h]`.
///
/// A task is a tile of queries of one cell with all its heads, so a cell's result depends neither
/// on the batch nor on the number of threads.
///
/// # Panics
/// If `qkv` has another length.
pub fn attend(qkv: &[f32], [b, t, d]: [usize; 3], plan: &AttentionPlan) -> (Vec<f32>, Vec<f32>) {
    let (n, n_heads) = (plan.n, plan.n_heads);
    assert_eq!(qkv.len(), b * t * 3 * d, "qkv is [b, t, 3 d]");
    let (mut context, mut log_sums) = (vec![0.0; b * n * d], vec![0.0; b * n * n_heads]);
    if n == 0 {
        return (context, log_sums);
    }
    let cells = context.par_chunks_mut(n * d).zip(log_sums.par_chunks_mut(n * n_heads));
    let tiles = cells.enumerate().flat_map(|(cell, (context, log_sums))| {
        let queries = plan.cells[cell].queries;
        let tile = queries.div_ceil(queries.div_ceil(TILE)); // tiles of equal size
        let context = context[..queries * d].par_chunks_mut(tile * d);
        let log_sums = log_sums[..queries * n_heads].par_chunks_mut(tile * n_heads);
        let tiles = context.zip(log_sums).enumerate();
        tiles.map(move |(index, rows)| (cell, index * tile, rows))
    });
    each_with(tiles, Vec::new, |scores, (cell, first, (context, log_sums))| {
        let qkv = &qkv[cell * t * 3 * d..(cell + 1) * t * 3 * d];
        let Tokens { known, used, .. } = plan.cells[cell];
        Tile { qkv, d, n_heads, known, used, first }.attend(context, log_sums, scores);
    });
    (context, log_sums)
}

/// Some consecutive queries of one cell.
struct Tile<'a> {
    /// The cell's packed projection, `[t, 3 d]`.
    qkv: &'a [f32],
    d: usize,
    n_heads: usize,
    known: usize,
    used: usize,
    /// Position of the first query.
    first: usize,
}

impl Tile<'_> {
    /// Writes the context of the tile's queries, `[n, d]`, and the logarithms of their sums of
    /// exponentials, `[n, h]`.
    fn attend(&self, out: &mut [f32], log_sums: &mut [f32], scores: &mut Vec<f32>) {
        let Self { qkv, d, n_heads, known, first, .. } = *self;
        let (n, k, row) = (out.len() / d, d / n_heads, 3 * d);
        let scale = 1.0 / (k as f32).sqrt();
        scores.resize(n * known, 0.0);
        let arch = Arch::new();
        for head in 0..n_heads {
            let (query, key, value) = (head * k, d + head * k, 2 * d + head * k);
            product(
                [n, known, k],
                (scores, known),
                scale,
                (&qkv[first * row + query..], 1, row),
                (&qkv[key..], row, 1),
            );
            let mut sums = [Sum::default(); TILE];
            arch.dispatch(Softmax { tile: self, head, scores, sums: &mut sums[..n] });
            product(
                [n, k, known],
                (&mut out[head * k..], d),
                1.0,
                (scores, 1, known),
                (&qkv[value..], 1, row),
            );
            for (query, &Sum { largest, total, own }) in sums[..n].iter().enumerate() {
                let out = &mut out[query * d + head * k..query * d + (head + 1) * k];
                if own > 0.0 {
                    let own_value = &qkv[(first + query) * row + value..];
                    for (out, v) in out.iter_mut().zip(own_value) {
                        *out += own * v;
                    }
                }
                let scale = 1.0 / total;
                for out in out {
                    *out *= scale;
                }
                log_sums[query * n_heads + head] = largest + total.ln();
            }
        }
    }
}

/// A query's exponentials, all relative to the largest score.
#[derive(Clone, Copy, Default)]
struct Sum {
    largest: f32,
    total: f32,
    /// The exponential of the query's own score; zero if the query is known.
    own: f32,
}

/// The exponentials of one head's scores, as an operation that is compiled per instruction set.
struct Softmax<'a> {
    tile: &'a Tile<'a>,
    head: usize,
    scores: &'a mut [f32],
    sums: &'a mut [Sum],
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Tile { qkv, d, n_heads, known, used, first } = *self.tile;
        let (k, row) = (d / n_heads, 3 * d);
        let scale = 1.0 / (k as f32).sqrt();
        let rows = self.scores.chunks_exact_mut(known).zip(self.sums).enumerate();
        for (query, (scores, sum)) in rows {
            let at = (first + query) * row + self.head * k;
            let own = if (known..used).contains(&(first + query)) {
                let (q, key) = (&qkv[at..at + k], &qkv[at + d..at + d + k]);
                q.iter().zip(key).map(|(a, b)| a * b).sum::<f32>() * scale
            } else {
                f32::NEG_INFINITY
            };
            *sum = exponentials(scores, own);
        }
    }
}

/// Replaces scores by `exp(score − largest)`.
#[inline(always)]
fn exponentials(scores: &mut [f32], own: f32) -> Sum {
    const LANES: usize = 16;
    let mut largest = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = scores.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            largest[lane] = if chunk[lane] > largest[lane] { chunk[lane] } else { largest[lane] };
        }
    }
    let largest = largest.iter().chain(rest).fold(own, |a, &b| a.max(b));
    let mut sums = [0.0; LANES];
    let (chunks, rest) = scores.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            chunk[lane] = exp(chunk[lane] - largest);
            sums[lane] += chunk[lane];
        }
    }
    let mut sum: f32 = sums.iter().sum();
    for score in rest {
        *score = exp(*score - largest);
        sum += *score;
    }
    let own = if own == f32::NEG_INFINITY { 0.0 } else { exp(own - largest) };
    Sum { largest, total: sum + own, own }
}
