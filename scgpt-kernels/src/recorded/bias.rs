//! A bias added to rows.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::stop::each;

/// Rows of a task.
const ROWS: usize = 64;

/// Adds `bias` to every row of `x`.
pub fn add_bias(x: &mut [f32], bias: &[f32]) {
    each(x.par_chunks_mut(ROWS * bias.len().max(1)), |x| Arch::new().dispatch(Add { x, bias }));
}

struct Add<'a> {
    x: &'a mut [f32],
    bias: &'a [f32],
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { x, bias } = self;
        for row in x.chunks_exact_mut(bias.len()) {
            for (x, bias) in row.iter_mut().zip(bias) {
                *x += *bias;
            }
        }
    }
}
