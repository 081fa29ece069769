//! Sum, dropout and layer norm in one pass.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    Drop,
    sums::{dot, sum},
};
use crate::stop::each;

/// Added to a variance: what burn's `LayerNorm` has unless told otherwise, and PyTorch's.
const EPSILON: f32 = 1e-5;

/// What a forward leaves for its backward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing that is as large as the result.
    Nothing,
    /// The normalised sum.
    Normed,
}

/// Rows of a task; fixed, so that sums over rows do not depend on the number of threads.
const ROWS: usize = 64;

/// `norm(x + dropout(update))`: arguments of the forward; `x` and `update` are rows of the parameters' width.
#[derive(Clone, Copy, Debug)]
pub struct AddNorm<'a> {
    /// Rows.
    pub x: &'a [f32],
    /// Rows that are added.
    pub update: &'a [f32],
    /// Gamma and beta.
    pub parameters: [&'a [f32]; 2],
    /// Dropout of the update.
    pub drop: Option<Drop>,
}

/// Results of the forward.
#[derive(Clone, Debug)]
pub struct Added {
    /// The result, rows as of x.
    pub out: Vec<f32>,
    /// The normalised sum before gamma and beta; empty unless asked for.
    pub normed: Vec<f32>,
    /// One over the deviation of each row.
    pub inverse: Vec<f32>,
}

impl AddNorm<'_> {
    /// The sum, normalised; `keep` says what of it a backward needs.
    pub fn forward(&self, keep: Keep) -> Added {
        let (d, size) = (self.parameters[0].len(), self.x.len());
        let mut out = vec![0.0; size];
        let mut normed = vec![0.0; if keep == Keep::Normed { size } else { 0 }];
        let mut inverse = vec![0.0; size / d];
        let kept = (keep == Keep::Normed).then_some(&mut normed);
        let kept = chunks(kept, ROWS * d, inverse.len().div_ceil(ROWS));
        let tasks = out.par_chunks_mut(ROWS * d).zip(inverse.par_chunks_mut(ROWS)).zip(kept);
        each(tasks.enumerate(), |(task, ((out, inverse), normed))| {
            let first = task * ROWS;
            Arch::new().dispatch(Forward { arguments: self, first, out, normed, inverse });
        });
        Added { out, normed, inverse }
    }
}

/// The part of `values` that each of `n` tasks writes, at most `size` numbers; nothing if there are
/// no values.
fn chunks(values: Option<&mut Vec<f32>>, size: usize, n: usize) -> Vec<Option<&mut [f32]>> {
    let mut chunks = values.map(|values| values.chunks_mut(size));
    (0..n).map(|_| chunks.as_mut()?.next()).collect()
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
#[derive(Clone, Copy, Debug)]
pub struct NormGradient<'a> {
    /// The normalised sum.
    pub normed: &'a [f32],
    /// One over the deviation of each row.
    pub inverse: &'a [f32],
    /// Gamma.
    pub gamma: &'a [f32],
    /// Of the result.
    pub gradient: &'a [f32],
    /// Dropout of the update.
    pub drop: Option<Drop>,
}

/// Results of the backward.
#[derive(Clone, Debug)]
pub struct NormGradients {
    /// Gradient of x.
    pub sum: Vec<f32>,
    /// Gradient of the update; `None` if it is that of x.
    pub update: Option<Vec<f32>>,
    /// Gradient of gamma.
    pub gamma: Vec<f32>,
    /// Gradient of beta.
    pub beta: Vec<f32>,
}

impl NormGradient<'_> {
    /// The gradients of what was added up, and of the parameters.
    ///
    /// ```text
    /// g = γ ∘ dy    dx = (g − mean(g) − x̂ mean(g ∘ x̂)) / σ    du = dropout(dx)
    /// dγ = Σ dy ∘ x̂    dβ = Σ dy    over rows
    /// ```
    pub fn compute(&self) -> NormGradients {
        let (d, size) = (self.gamma.len(), self.normed.len());
        let mut sum = vec![0.0; size];
        let mut update = self.drop.map(|_| vec![0.0; size]);
        let n_tasks = self.inverse.len().div_ceil(ROWS);
        // Each task's part of the sums over rows, added in order below.
        let mut parts = vec![0.0; n_tasks * 2 * d];
        let updates = chunks(update.as_mut(), ROWS * d, n_tasks);
        let tasks = sum.par_chunks_mut(ROWS * d).zip(parts.par_chunks_mut(2 * d)).zip(updates);
        each(tasks.enumerate(), |(task, ((sum, part), update))| {
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
        NormGradients { sum, update, gamma: totals, beta }
    }
}

/// The backward of some rows.
struct Backward<'a> {
    saved: &'a NormGradient<'a>,
    first: usize,
    sum: &'a mut [f32],
    update: Option<&'a mut [f32]>,
    gamma: &'a mut [f32],
    beta: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
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
            let slope = dot(out, normed) / d as f32;
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
