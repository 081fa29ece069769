//! [`linear`]: products with weights, and what follows them while results are in the cache.

mod gradient;

use rayon::prelude::*;

pub use self::gradient::linear_gradient;
use crate::{
    block::{Block, Rows, SIDE, depth},
    cpu::Cpu,
    engine::{Engine, Task},
    lanes::Lanes,
    matrix::PackedMatrix,
    norm::{Norm, norm_rows},
    product::{Sink, multiply, pack_rows},
    stop::each,
};

/// Rows of a task: as packed operands they fit into the second cache.
const ROWS: usize = 256;

/// What follows a product, in this order: `norm(relu(x W + bias) + residual)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// Added to every row, `[n]`.
    pub bias: Option<&'a [f32]>,
    /// Whether what is negative becomes zero.
    pub relu: bool,
    /// Added after that, `[m, n]`.
    pub residual: Option<&'a [f32]>,
    /// Normalises every row.
    pub norm: Option<Norm<'a>>,
}

/// `out = x W`, and what follows; in the format that `weight` is packed for.
///
/// A row of the result depends on nothing but its own row of `x`: neither on the other rows nor on
/// the number of threads.
///
/// # Shapes
/// - x: `[m, k]`
/// - weight: `[k, n]`
/// - out: `[m, n]`
///
/// # Panics
/// If a slice has another length, or the weight was packed for instructions that `cpu` lacks.
///
/// ```
/// use scgpt_kernels::{Cpu, Epilogue, Format, PackedMatrix, linear};
///
/// let cpu = Cpu::best();
/// let weight = PackedMatrix::new(cpu, Format::F32, &[1.0, 2.0, 3.0, 4.0], [2, 2]);
/// let mut out = [0.0; 2];
/// let epilogue = Epilogue { bias: Some(&[0.5, -20.0]), relu: true, ..Epilogue::default() };
/// linear(cpu, &[10.0, 1.0], &weight, epilogue, &mut out);
/// assert_eq!(out, [13.5, 4.0]);
/// ```
pub fn linear(cpu: Cpu, x: &[f32], weight: &PackedMatrix, epilogue: Epilogue, out: &mut [f32]) {
    let [k, n] = weight.shape();
    assert_eq!(cpu.computes_in(weight.format()), weight.format(), "packed for another processor");
    if n == 0 {
        assert!(out.is_empty(), "an output is [m, n]");
        return;
    }
    let m = out.len() / n;
    assert!(out.len() == m * n && x.len() == m * k, "an input is [m, k], an output [m, n]");
    epilogue.check(m, n);
    each(out.par_chunks_mut(ROWS * n).enumerate(), |(index, out)| {
        let (first, rows) = (index * ROWS, out.len() / n);
        let task = Linear {
            x: Rows::new(&x[first * k..(first + rows) * k], k, [rows, k]),
            weight,
            epilogue: epilogue.at(first * n..(first + rows) * n),
            out,
        };
        cpu.run(weight.format(), task);
    });
}

impl Epilogue<'_> {
    fn check(&self, m: usize, n: usize) {
        assert!(self.bias.is_none_or(|bias| bias.len() == n), "a bias is [n]");
        assert!(self.residual.is_none_or(|it| it.len() == m * n), "a residual is [m, n]");
        if let Some(norm) = self.norm {
            norm.check(n);
        }
    }

    /// For some rows alone.
    fn at(self, range: std::ops::Range<usize>) -> Self {
        Self { residual: self.residual.map(|it| &it[range]), ..self }
    }
}

/// Some rows on one thread.
struct Linear<'a> {
    x: Rows<'a>,
    weight: &'a PackedMatrix,
    epilogue: Epilogue<'a>,
    out: &'a mut [f32],
}

impl Task for Linear<'_> {
    type Output = ();

    fn run<E: Engine>(self, engine: &E) {
        let Self { x, weight, epilogue, out } = self;
        let n = weight.shape()[1];
        let mut packed = Vec::new();
        pack_rows(engine, x, &mut packed);
        let mut sink = IntoRows {
            bias: epilogue.bias,
            relu: epilogue.relu,
            residual: epilogue.residual.map_or(Residual::None, Residual::Of),
            rows: x.height,
            columns: n,
            out,
        };
        let steps = depth(x.width);
        multiply(engine, steps, &packed, weight.tiles(), &mut sink);
        if let Some(norm) = epilogue.norm {
            norm_rows(engine, out, norm);
        }
    }
}

/// What is added to a product, after all else.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Residual<'a> {
    None,
    Of(&'a [f32]),
    /// What was in the place of the result before.
    Before,
}

/// Blocks become rows of numbers.
pub(crate) struct IntoRows<'a> {
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) relu: bool,
    pub(crate) residual: Residual<'a>,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) out: &'a mut [f32],
}

impl Sink for IntoRows<'_> {
    #[inline(always)]
    fn take<E: Engine>(&mut self, engine: &E, [row, column]: [usize; 2], block: &mut Block) {
        let lanes = engine.lanes();
        let rows = SIDE.min(self.rows - row * SIDE);
        for half in 0..2 {
            let first = column * SIDE + half * 16;
            let columns = self.columns.saturating_sub(first).min(16);
            if columns == 0 {
                continue;
            }
            let bias = self.bias.map_or_else(|| lanes.splat(0.0), |b| part(lanes, &b[first..]));
            // Whatever is smaller than this becomes it: nothing, or what is negative.
            let least = lanes.splat(if self.relu { 0.0 } else { f32::NEG_INFINITY });
            let at = row * SIDE * self.columns + first;
            let from = block.0[..rows].iter();
            let out = self.out[at..].chunks_mut(self.columns);
            match self.residual {
                Residual::None => {
                    for (from, out) in from.zip(out) {
                        let x = lanes.add(lanes.load(&from[half]), bias);
                        put(lanes, lanes.max(least, x), &mut out[..columns]);
                    }
                }
                Residual::Of(residual) => {
                    let residual = residual[at..].chunks(self.columns);
                    for ((from, out), residual) in from.zip(out).zip(residual) {
                        let x = lanes.add(lanes.load(&from[half]), bias);
                        let x = lanes.add(lanes.max(least, x), part(lanes, &residual[..columns]));
                        put(lanes, x, &mut out[..columns]);
                    }
                }
                Residual::Before => {
                    for (from, out) in from.zip(out) {
                        let x = lanes.add(lanes.load(&from[half]), bias);
                        let out = &mut out[..columns];
                        put(lanes, lanes.add(lanes.max(least, x), part(lanes, out)), out);
                    }
                }
            }
        }
    }
}

/// Writes as many numbers as there is room for, at most sixteen.
#[inline(always)]
pub(crate) fn put<L: Lanes>(lanes: L, x: L::F, out: &mut [f32]) {
    if let Some(whole) = out.first_chunk_mut() {
        lanes.store(x, whole);
    } else {
        let mut sixteen = [0.0; 16];
        lanes.store(x, &mut sixteen);
        let n = out.len();
        out.copy_from_slice(&sixteen[..n]);
    }
}

/// The first sixteen numbers, or as many as there are and zeros.
#[inline(always)]
pub(crate) fn part<L: Lanes>(lanes: L, from: &[f32]) -> L::F {
    if let Some(whole) = from.first_chunk() {
        return lanes.load(whole);
    }
    let mut sixteen = [0.0; 16];
    sixteen[..from.len()].copy_from_slice(from);
    lanes.load(&sixteen)
}

#[cfg(test)]
mod tests;
