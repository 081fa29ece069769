//! The backward kernel: recomputes tiles of weights from the saved sums of exponentials.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    AttentionPlan,
    exp::exp,
    product::{add_product, product},
};
use crate::{recorded::sums::dot, stop::each, tokens::Tokens};

/// The most queries, and the most keys, of a tile. Two tiles of weights of this size must stay in
/// the cache.
const QUERIES: usize = 256;
const KEYS: usize = 256;

/// What the forward kept, and the gradient of its result.
#[derive(Clone, Copy, Debug)]
pub struct AttentionGradient<'a> {
    /// `[b, t, 3 d]`.
    pub qkv: &'a [f32],
    /// `[b, n, d]`.
    pub context: &'a [f32],
    /// `[b, n, h]`.
    pub log_sums: &'a [f32],
    /// `[b, n, d]`, of the context.
    pub gradient: &'a [f32],
}

impl AttentionGradient<'_> {
    /// The gradient of the packed projection, `[b, t, 3 d]`; zero at padding.
    ///
    /// A task is one head of one cell and sums over its tiles in order, so a cell's result depends
    /// neither on the batch nor on the number of threads.
    ///
    /// # Panics
    /// If a slice has another length.
    pub fn compute(&self, [b, t, d]: [usize; 3], plan: &AttentionPlan) -> Vec<f32> {
        let (n, n_heads) = (plan.n, plan.n_heads);
        let k = d / n_heads;
        assert_eq!(self.qkv.len(), b * t * 3 * d, "qkv is [b, t, 3 d]");
        assert_eq!(self.gradient.len(), b * n * d, "the gradient is [b, n, d]");
        let mut out = vec![0.0; b * t * 3 * d];
        each(out.par_chunks_mut(t * 3 * d).enumerate(), |(cell, out)| {
            let Tokens { known, used, queries } = plan.cells[cell];
            let cell = Cell {
                qkv: &self.qkv[cell * t * 3 * d..(cell + 1) * t * 3 * d],
                context: &self.context[cell * n * d..(cell + 1) * n * d],
                log_sums: &self.log_sums[cell * n * n_heads..(cell + 1) * n * n_heads],
                gradient: &self.gradient[cell * n * d..(cell + 1) * n * d],
                d,
                n_heads,
                known,
                used,
                queries,
            };
            let heads: Vec<HeadGradient> = (0..n_heads)
                .into_par_iter()
                .map_init(Scratch::default, |scratch, head| cell.head(head, scratch))
                .collect();
            out.par_chunks_mut(3 * d).take(cell.tokens()).enumerate().for_each(|(token, out)| {
                for (head, gradient) in heads.iter().enumerate() {
                    let parts = [&gradient.queries, &gradient.keys, &gradient.values];
                    for (part, from) in parts.into_iter().enumerate() {
                        let at = part * d + head * k;
                        out[at..at + k].copy_from_slice(&from[token * k..(token + 1) * k]);
                    }
                }
            });
        });
        out
    }
}

/// The gradient of one head's queries, keys and values, `[tokens, k]` each.
struct HeadGradient {
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// One thread's tiles, `[queries, keys]` each.
#[derive(Default)]
struct Scratch {
    /// Scores, then weights.
    weights: Vec<f32>,
    /// The gradient of the weights, then that of the scores.
    gradients: Vec<f32>,
}

/// One cell's part of [`AttentionGradient`].
struct Cell<'a> {
    qkv: &'a [f32],
    context: &'a [f32],
    log_sums: &'a [f32],
    gradient: &'a [f32],
    d: usize,
    n_heads: usize,
    known: usize,
    used: usize,
    queries: usize,
}

impl Cell<'_> {
    /// The number of leading tokens that have a gradient.
    fn tokens(&self) -> usize {
        self.known.max(self.queries)
    }

    /// ```text
    /// P = exp(s q kᵀ − log Σ)    dP = dO vᵀ    dS = P ∘ (dP − Δ)    Δ = Σ dO ∘ O over the row
    /// dv = Pᵀ dO    dq = s dS k    dk = s dSᵀ q
    /// ```
    fn head(&self, head: usize, scratch: &mut Scratch) -> HeadGradient {
        let Self { qkv, gradient, d, n_heads, known, queries, .. } = *self;
        let (k, row) = (d / n_heads, 3 * d);
        let scale = 1.0 / (k as f32).sqrt();
        let (query_at, key_at, value_at) = (head * k, d + head * k, 2 * d + head * k);
        let size = self.tokens() * k;
        let mut out = HeadGradient {
            queries: vec![0.0; size],
            keys: vec![0.0; size],
            values: vec![0.0; size],
        };
        let deltas = self.deltas(head);
        let (query_tile, key_tile) = (even(queries, QUERIES), even(known, KEYS));
        let arch = Arch::new();
        for first_key in (0..known).step_by(key_tile) {
            let keys = key_tile.min(known - first_key);
            let (key, value) =
                (&qkv[first_key * row + key_at..], &qkv[first_key * row + value_at..]);
            for first in (0..queries).step_by(query_tile) {
                let n = query_tile.min(queries - first);
                let query = &qkv[first * row + query_at..];
                let gradient = &gradient[first * d + head * k..];
                let Scratch { weights, gradients } = scratch;
                weights.resize(n * keys, 0.0);
                gradients.resize(n * keys, 0.0);
                product([n, keys, k], (weights, keys), scale, (query, 1, row), (key, row, 1));
                product([n, keys, k], (gradients, keys), 1.0, (gradient, 1, d), (value, row, 1));
                arch.dispatch(Recompute {
                    weights,
                    gradients,
                    keys,
                    log_sums: &self.log_sums[first * n_heads + head..],
                    stride: n_heads,
                    deltas: &deltas[first..],
                });
                add_product(
                    [keys, k, n],
                    (&mut out.values[first_key * k..], k),
                    1.0,
                    (weights, keys, 1),
                    (gradient, 1, d),
                );
                add_product(
                    [n, k, keys],
                    (&mut out.queries[first * k..], k),
                    scale,
                    (gradients, 1, keys),
                    (key, 1, row),
                );
                add_product(
                    [keys, k, n],
                    (&mut out.keys[first_key * k..], k),
                    scale,
                    (gradients, keys, 1),
                    (query, 1, row),
                );
            }
        }
        self.add_own(head, &deltas, &mut out);
        out
    }

    /// `Σ dO ∘ O` of every query.
    fn deltas(&self, head: usize) -> Vec<f32> {
        let (d, k) = (self.d, self.d / self.n_heads);
        (0..self.queries)
            .map(|query| {
                let at = query * d + head * k;
                dot(&self.gradient[at..at + k], &self.context[at..at + k])
            })
            .collect()
    }

    /// What unknown queries see of themselves.
    fn add_own(&self, head: usize, deltas: &[f32], out: &mut HeadGradient) {
        let (d, k) = (self.d, self.d / self.n_heads);
        let scale = 1.0 / (k as f32).sqrt();
        for (token, &delta) in deltas.iter().enumerate().take(self.used).skip(self.known) {
            let at = token * 3 * d + head * k;
            let [query, key, value] = [at, at + d, at + 2 * d].map(|at| &self.qkv[at..at + k]);
            let gradient = &self.gradient[token * d + head * k..token * d + (head + 1) * k];
            let log_sum = self.log_sums[token * self.n_heads + head];
            let weight = exp(dot(query, key) * scale - log_sum);
            let score = weight * (dot(gradient, value) - delta) * scale;
            let rows = token * k..(token + 1) * k;
            add_scaled(&mut out.values[rows.clone()], weight, gradient);
            add_scaled(&mut out.queries[rows.clone()], score, key);
            add_scaled(&mut out.keys[rows], score, query);
        }
    }
}

/// The size of equal tiles of at most `most` that cover `count`.
fn even(count: usize, most: usize) -> usize {
    count.div_ceil(count.div_ceil(most).max(1)).max(1)
}

fn add_scaled(out: &mut [f32], scale: f32, from: &[f32]) {
    for (out, from) in out.iter_mut().zip(from) {
        *out += scale * from;
    }
}

/// One tile's weights and the gradients of its scores, compiled per instruction set.
struct Recompute<'a> {
    /// Scores become weights.
    weights: &'a mut [f32],
    /// Gradients of weights become gradients of scores.
    gradients: &'a mut [f32],
    keys: usize,
    /// Of the tile's queries, `stride` apart.
    log_sums: &'a [f32],
    stride: usize,
    deltas: &'a [f32],
}

impl WithSimd for Recompute<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { weights, gradients, keys, log_sums, stride, deltas } = self;
        let rows = weights.chunks_exact_mut(keys).zip(gradients.chunks_exact_mut(keys));
        let sums = log_sums.iter().step_by(stride).zip(deltas);
        for ((weights, gradients), (&log_sum, &delta)) in rows.zip(sums) {
            for (weight, gradient) in weights.iter_mut().zip(gradients) {
                *weight = exp(*weight - log_sum);
                *gradient = *weight * (*gradient - delta);
            }
        }
    }
}
