//! Sum, dropout and layer norm in one pass.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{Drop, EPSILON};

/// Rows of a task; fixed, so that sums over rows do not depend on the number of threads.
const ROWS: usize = 64;

const LANES: usize = 16;

/// Arguments of the forward; `x` and `update` are rows of the parameters' width.
pub(super) struct AddNorm<'a> {
    pub(super) x: &'a [f32],
    pub(super) update: &'a [f32],
    /// Gamma and beta.
    pub(super) parameters: [&'a [f32]; 2],
    pub(super) drop: Option<Drop>,
}

/// Results of the forward.
pub(super) struct Added {
    pub(super) out: Vec<f32>,
    /// Before gamma and beta; empty unless asked for.
    pub(super) normed: Vec<f32>,
    /// One over the deviation of each row.
    pub(super) inverse: Vec<f32>,
}

impl AddNorm<'_> {
    pub(super) fn forward(&self, keeps: bool) -> Added {
        let d = self.parameters[0].len();
        let mut out = vec![0.0; self.x.len()];
        let mut normed = vec![0.0; if keeps { self.x.len() } else { 0 }];
        let mut inverse = vec![0.0; self.x.len() / d];
        let kept: Vec<Option<&mut [f32]>> = if keeps {
            normed.chunks_mut(ROWS * d).map(Some).collect()
        } else {
            inverse.chunks(ROWS).map(|_| None).collect()
        };
        let tasks = out.par_chunks_mut(ROWS * d).zip(inverse.par_chunks_mut(ROWS)).zip(kept);
        tasks.enumerate().for_each(|(task, ((out, inverse), normed))| {
            let first = task * ROWS;
            Arch::new().dispatch(Forward { arguments: self, first, out, normed, inverse });
        });
        Added { out, normed, inverse }
    }
}

/// The forward of some rows.
struct Forward<'a> {
    arguments: &'a AddNorm<'a>,
    first: usize,
    out: &'a mut [f32],
    normed: Option<&'a mut [f32]>,
    inverse: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled anew for each instruction set")]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { arguments, first, out, mut normed, inverse } = self;
        let AddNorm { x, update, parameters: [gamma, beta], drop } = *arguments;
        let d = gamma.len();
        for (row, (out, inverse)) in out.chunks_exact_mut(d).zip(inverse).enumerate() {
            let at = (first + row) * d..(first + row + 1) * d;
            let (x, update) = (&x[at.clone()], &update[at]);
            if let Some(drop) = drop {
                let drop = drop.row(first + row);
                for (((out, x), update), column) in out.iter_mut().zip(x).zip(update).zip(0_u32..) {
                    *out = update.mul_add(drop.factor(column), *x);
                }
            } else {
                for ((out, x), update) in out.iter_mut().zip(x).zip(update) {
                    *out = x + update;
                }
            }
            let mean = sum(out, |x| x) / d as f32;
            let variance = sum(out, |x| (x - mean) * (x - mean)) / d as f32;
            *inverse = 1.0 / (variance + EPSILON).sqrt();
            for out in out.iter_mut() {
                *out = (*out - mean) * *inverse;
            }
            if let Some(normed) = &mut normed {
                normed[row * d..(row + 1) * d].copy_from_slice(out);
            }
            for ((out, gamma), beta) in out.iter_mut().zip(gamma).zip(beta) {
                *out = out.mul_add(*gamma, *beta);
            }
        }
    }
}

/// What the forward kept, and the gradient of its result.
pub(super) struct Saved<'a> {
    pub(super) normed: &'a [f32],
    pub(super) inverse: &'a [f32],
    pub(super) gamma: &'a [f32],
    pub(super) gradient: &'a [f32],
    pub(super) drop: Option<Drop>,
}

/// Results of the backward.
pub(super) struct Gradients {
    /// Of x.
    pub(super) sum: Vec<f32>,
    /// Of the update; none if it is that of x.
    pub(super) update: Option<Vec<f32>>,
    pub(super) gamma: Vec<f32>,
    pub(super) beta: Vec<f32>,
}

impl Saved<'_> {
    /// ```text
    /// g = γ ∘ dy    dx = (g − mean(g) − x̂ mean(g ∘ x̂)) / σ    du = dropout(dx)
    /// dγ = Σ dy ∘ x̂    dβ = Σ dy    over rows
    /// ```
    pub(super) fn backward(&self) -> Gradients {
        let (d, size) = (self.gamma.len(), self.normed.len());
        let mut sum = vec![0.0; size];
        let mut update = self.drop.map(|_| vec![0.0; size]);
        // Each task's part of the sums over rows, added in order below.
        let mut parts = vec![0.0; self.inverse.len().div_ceil(ROWS) * 2 * d];
        let updates: Vec<Option<&mut [f32]>> = match &mut update {
            Some(update) => update.chunks_mut(ROWS * d).map(Some).collect(),
            None => parts.chunks(2 * d).map(|_| None).collect(),
        };
        let tasks = sum.par_chunks_mut(ROWS * d).zip(parts.par_chunks_mut(2 * d)).zip(updates);
        tasks.enumerate().for_each(|(task, ((sum, part), update))| {
            let (gamma, beta) = part.split_at_mut(d);
            let first = task * ROWS;
            Arch::new().dispatch(Backward { saved: self, first, sum, update, gamma, beta });
        });
        let mut totals = vec![0.0; 2 * d];
        for part in parts.chunks_exact(2 * d) {
            for (total, part) in totals.iter_mut().zip(part) {
                *total += part;
            }
        }
        let beta = totals.split_off(d);
        Gradients { sum, update, gamma: totals, beta }
    }
}

/// The backward of some rows.
struct Backward<'a> {
    saved: &'a Saved<'a>,
    first: usize,
    sum: &'a mut [f32],
    update: Option<&'a mut [f32]>,
    gamma: &'a mut [f32],
    beta: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled anew for each instruction set")]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { saved, first, sum: out, mut update, gamma: to_gamma, beta: to_beta } = self;
        let d = saved.gamma.len();
        for (row, out) in out.chunks_exact_mut(d).enumerate() {
            let at = (first + row) * d..(first + row + 1) * d;
            let (normed, gradient) = (&saved.normed[at.clone()], &saved.gradient[at]);
            let sums = to_gamma.iter_mut().zip(to_beta.iter_mut());
            let values = normed.iter().zip(gradient).zip(saved.gamma);
            for ((((x, dy), gamma), out), (to_gamma, to_beta)) in
                values.zip(out.iter_mut()).zip(sums)
            {
                *to_gamma += dy * x;
                *to_beta += dy;
                *out = dy * gamma;
            }
            let mean = sum(out, |x| x) / d as f32;
            let slope = product_sum(out, normed) / d as f32;
            let inverse = saved.inverse[first + row];
            for (out, x) in out.iter_mut().zip(normed) {
                *out = (*out - mean - x * slope) * inverse;
            }
            if let (Some(drop), Some(update)) = (saved.drop, &mut update) {
                let (drop, update) = (drop.row(first + row), &mut update[row * d..(row + 1) * d]);
                for ((update, out), column) in update.iter_mut().zip(out).zip(0_u32..) {
                    *update = *out * drop.factor(column);
                }
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "part of loops that are compiled per instruction set")]
fn sum(x: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            sums[lane] += of(chunk[lane]);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|&x| of(x)).sum::<f32>()
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "part of loops that are compiled per instruction set")]
fn product_sum(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}
