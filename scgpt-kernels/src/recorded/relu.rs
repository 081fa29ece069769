//! ReLU and dropout in one pass, and leaky ReLU.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::Drop;
use crate::stop::each;

/// Rows of a task.
const ROWS: usize = 64;

/// Numbers of a task.
const NUMBERS: usize = 1 << 15;

/// `dropout(relu(x))` of rows of some width.
pub fn relu_drop(x: &[f32], width: usize, drop: Option<Drop>) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    let tasks = out.par_chunks_mut(ROWS * width).zip(x.par_chunks(ROWS * width)).enumerate();
    each(tasks, |(task, (out, x))| {
        Arch::new().dispatch(Forward { out, x, width, first: task * ROWS, drop });
    });
    out
}

/// The gradient of x given the result and its gradient.
pub fn relu_drop_gradient(result: &[f32], gradient: &[f32], drop: Option<Drop>) -> Vec<f32> {
    let scale = drop.map_or(1.0, Drop::scale);
    let mut out = vec![0.0; result.len()];
    let tasks = out.par_chunks_mut(NUMBERS).zip(result.par_chunks(NUMBERS));
    each(tasks.zip(gradient.par_chunks(NUMBERS)), |((out, result), gradient)| {
        Arch::new().dispatch(Backward { out, result, gradient, scale });
    });
    out
}

/// `x` where it is not negative, else `slope · x`, in place.
pub fn leaky_relu(x: &mut [f32], slope: f32) {
    each(x.par_chunks_mut(NUMBERS), |x| Arch::new().dispatch(Leak { x, slope }));
}

/// The gradient of x, in place of that of the result; `slope` is positive.
pub fn leaky_relu_gradient(result: &[f32], gradient: &mut [f32], slope: f32) {
    let tasks = gradient.par_chunks_mut(NUMBERS).zip(result.par_chunks(NUMBERS));
    each(tasks, |(gradient, result)| {
        Arch::new().dispatch(LeakGradient { result, gradient, slope });
    });
}

struct Forward<'a> {
    out: &'a mut [f32],
    x: &'a [f32],
    width: usize,
    first: usize,
    drop: Option<Drop>,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { out, x, width, first, drop } = self;
        let rows = out.chunks_exact_mut(width).zip(x.chunks_exact(width));
        for (row, (out, x)) in rows.enumerate() {
            if let Some(drop) = drop {
                let drop = drop.row(first + row);
                for ((out, x), column) in out.iter_mut().zip(x).zip(0_u32..) {
                    *out = if *x > 0.0 { *x * drop.factor(column) } else { 0.0 };
                }
            } else {
                for (out, x) in out.iter_mut().zip(x) {
                    *out = if *x > 0.0 { *x } else { 0.0 };
                }
            }
        }
    }
}

struct Backward<'a> {
    out: &'a mut [f32],
    result: &'a [f32],
    gradient: &'a [f32],
    scale: f32,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { out, result, gradient, scale } = self;
        for ((out, result), gradient) in out.iter_mut().zip(result).zip(gradient) {
            *out = if *result > 0.0 { *gradient * scale } else { 0.0 };
        }
    }
}

struct Leak<'a> {
    x: &'a mut [f32],
    slope: f32,
}

impl WithSimd for Leak<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for x in self.x {
            *x = if *x < 0.0 { *x * self.slope } else { *x };
        }
    }
}

struct LeakGradient<'a> {
    result: &'a [f32],
    gradient: &'a mut [f32],
    slope: f32,
}

impl WithSimd for LeakGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (gradient, result) in self.gradient.iter_mut().zip(self.result) {
            *gradient = if *result < 0.0 { *gradient * self.slope } else { *gradient };
        }
    }
}
