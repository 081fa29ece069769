//! The CPU kernel: tiles of queries, strided products, vectorised softmax.

use gemm::Parallelism;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// The most queries a task handles at once. More would push their scores out of the cache, fewer
/// would repack keys and values too often: of 96, 160, 256 and 400, this is the fastest.
const TILE: usize = 256;

/// Attention of the first `n` tokens of every cell, of which `queries[cell]` are not padding; `qkv`
/// is `[b, t, 3 d]` row-major, the result `[b, n, d]`.
///
/// A task is a tile of queries of one cell with all its heads, so a cell's result depends neither
/// on the batch nor on the number of threads.
pub(super) fn attend(
    qkv: &[f32],
    [b, t, d]: [usize; 3],
    n_heads: usize,
    known: &[usize],
    queries: &[usize],
    n: usize,
) -> Vec<f32> {
    assert_eq!(qkv.len(), b * t * 3 * d, "qkv is [b, t, 3 d]");
    let mut context = vec![0.0; b * n * d];
    context
        .par_chunks_mut(n * d)
        .enumerate()
        .flat_map(|(cell, rows)| {
            let tile = queries[cell].div_ceil(queries[cell].div_ceil(TILE)); // tiles of equal size
            let rows = &mut rows[..queries[cell] * d];
            rows.par_chunks_mut(tile * d)
                .enumerate()
                .map(move |(index, rows)| (cell, index * tile, rows))
        })
        .for_each_init(Vec::new, |scores, (cell, first, rows)| {
            let qkv = &qkv[cell * t * 3 * d..(cell + 1) * t * 3 * d];
            Tile { qkv, d, n_heads, known: known[cell], first }.attend(rows, scores);
        });
    context
}

/// Some consecutive queries of one cell.
struct Tile<'a> {
    /// The cell's packed projection, `[t, 3 d]`.
    qkv: &'a [f32],
    d: usize,
    n_heads: usize,
    known: usize,
    /// Position of the first query.
    first: usize,
}

impl Tile<'_> {
    /// Writes the context of the tile's queries to `out`, `[n, d]`.
    fn attend(&self, out: &mut [f32], scores: &mut Vec<f32>) {
        let Self { qkv, d, n_heads, known, first } = *self;
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
            let mut sums = [(0.0, 0.0); TILE];
            arch.dispatch(Softmax { tile: self, head, scores, sums: &mut sums[..n] });
            product(
                [n, k, known],
                (&mut out[head * k..], d),
                1.0,
                (scores, 1, known),
                (&qkv[value..], 1, row),
            );
            for (query, &(sum, own)) in sums[..n].iter().enumerate() {
                let out = &mut out[query * d + head * k..query * d + (head + 1) * k];
                if own > 0.0 {
                    let own_value = &qkv[(first + query) * row + value..];
                    for (out, v) in out.iter_mut().zip(own_value) {
                        *out += own * v;
                    }
                }
                let scale = 1.0 / sum;
                for out in out {
                    *out *= scale;
                }
            }
        }
    }
}

/// The exponentials of one head's scores, as an operation that is compiled per instruction set.
struct Softmax<'a> {
    tile: &'a Tile<'a>,
    head: usize,
    scores: &'a mut [f32],
    /// Per query: the sum of exponentials, and the exponential of the own score.
    sums: &'a mut [(f32, f32)],
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled anew for each instruction set")]
    fn with_simd<S: Simd>(self, _: S) {
        let Tile { qkv, d, n_heads, known, first } = *self.tile;
        let (k, row) = (d / n_heads, 3 * d);
        let scale = 1.0 / (k as f32).sqrt();
        let rows = self.scores.chunks_exact_mut(known).zip(self.sums).enumerate();
        for (query, (scores, sum)) in rows {
            let at = (first + query) * row + self.head * k;
            let own = if first + query < known {
                f32::NEG_INFINITY
            } else {
                let (q, key) = (&qkv[at..at + k], &qkv[at + d..at + d + k]);
                q.iter().zip(key).map(|(a, b)| a * b).sum::<f32>() * scale
            };
            *sum = exponentials(scores, own);
        }
    }
}

/// A strided matrix: its elements, column stride, row stride.
type Strided<'a> = (&'a [f32], usize, usize);

/// `out = scale · left · right`, `[m, n] = [m, k] · [k, n]`; `out` has unit columns.
#[allow(
    unsafe_code,
    clippy::cast_possible_wrap,
    reason = "the product is a call by pointer; bounds are asserted first"
)]
fn product(
    [m, n, k]: [usize; 3],
    (out, out_row): (&mut [f32], usize),
    scale: f32,
    (left, left_column, left_row): Strided,
    (right, right_column, right_row): Strided,
) {
    let span = |rows: usize, row: usize, columns: usize, column: usize| {
        (rows - 1) * row + (columns - 1) * column
    };
    assert!(m > 0 && n > 0 && k > 0, "empty product");
    assert!(span(m, out_row, n, 1) < out.len(), "out is too short");
    assert!(span(m, left_row, k, left_column) < left.len(), "left is too short");
    assert!(span(k, right_row, n, right_column) < right.len(), "right is too short");
    // SAFETY: the assertions above keep every access of the product inside its slice, and `out` is
    // borrowed mutably, so it overlaps neither input.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_row as isize,
            false,
            left.as_ptr(),
            left_column as isize,
            left_row as isize,
            right.as_ptr(),
            right_column as isize,
            right_row as isize,
            0.0,
            scale,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Replaces scores by `exp(score − largest)`; returns their sum with the own score, and the own
/// score's exponential.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "must be compiled inside the dispatch to use its vector width"
)]
fn exponentials(scores: &mut [f32], own: f32) -> (f32, f32) {
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
    (sum + own, own)
}

/// `eˣ` for `x <= 0`, relative error below 2e-7; 0 below the smallest normal result.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`, a polynomial for `eʳ`, and `2ⁿ` by the exponent bits.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "must be compiled inside the dispatch to use its vector width"
)]
fn exp(x: f32) -> f32 {
    // Adding and subtracting this rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = if x > -87.0 { x } else { -87.0 };
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    let mut p = 1.987_569_1e-4_f32;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.0e-1] {
        p = p.mul_add(r, coefficient);
    }
    let p = (p * r).mul_add(r, r) + 1.0;
    let exponent = shifted.to_bits().wrapping_add(127) << 23;
    p * f32::from_bits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_accurate() {
        let mut x = -86.0_f32;
        while x <= 0.0 {
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(error < 2e-7, "exp({x}): relative error {error}");
            x += 0.000_7;
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }
}
