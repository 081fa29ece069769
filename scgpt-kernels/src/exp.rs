//! [`exp`]: exponentials of many numbers.

use rayon::prelude::*;

use crate::{
    cpu::Cpu,
    engine::{Engine, Step, Task},
    format::Format,
    lanes::Lanes,
    stop::each,
};

/// Numbers of a task, a multiple of the lanes.
const NUMBERS: usize = 1 << 14;

/// `eˣ` of every number, in place, as attention computes it: the same bits in every instruction set.
///
/// The relative error is below `3e-7 (1 + |x|)`; in [`Format::Bf16`], where the processor has it,
/// 8e-5 more, which rounding to bf16 hides. Not-a-number stays one; what f32 cannot hold is infinite, or zero.
///
/// ```
/// use scgpt_kernels::{Cpu, Format, exp};
///
/// let mut x = [0.0, 1.0, f32::NEG_INFINITY];
/// exp(Cpu::best(), Format::F32, &mut x);
/// assert!((x[0] - 1.0).abs() < 1e-6 && (x[1] - std::f32::consts::E).abs() < 2e-6 && x[2] == 0.0);
/// ```
pub fn exp(cpu: Cpu, format: Format, x: &mut [f32]) {
    let format = cpu.computes_in(format);
    each(x.par_chunks_mut(NUMBERS), |x| cpu.run(format, Exponentials { x }));
}

struct Exponentials<'a> {
    x: &'a mut [f32],
}

impl Task for Exponentials<'_> {
    type Output = ();

    fn run<E: Engine>(self, engine: &E) {
        engine.enter(self);
    }
}

impl Step for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    fn run<E: Engine>(self, engine: &E) {
        let lanes = engine.lanes();
        let log2_e = lanes.splat(std::f32::consts::LOG2_E);
        let (whole, rest) = self.x.as_chunks_mut::<16>();
        let mut last = [0.0; 16];
        last[..rest.len()].copy_from_slice(rest);
        for x in whole.iter_mut().chain([&mut last]) {
            let power = lanes.mul(lanes.load(x), log2_e);
            let y = if E::EXACT { lanes.exp2::<true>(power) } else { lanes.exp2::<false>(power) };
            lanes.store(y, x);
        }
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_accurate_in_every_set() {
        let x: Vec<f32> = (-870..880).map(|i| i as f32 * 0.1003).collect();
        for format in Format::ALL {
            let mut bits: Option<Vec<f32>> = None;
            for cpu in Cpu::all() {
                let mut y = x.clone();
                exp(cpu, format, &mut y);
                let computed = cpu.computes_in(format);
                let rounded = if computed == Format::Bf16 { 8e-5 } else { 0.0 };
                for (&x, &y) in x.iter().zip(&y) {
                    let expected = f64::from(x).exp();
                    let error = (f64::from(y) - expected).abs() / expected;
                    let most = rounded + 3e-7 * (1.0 + f64::from(x.abs()));
                    assert!(error < most, "{cpu:?} {format}: e^{x}: {error}");
                }
                if computed == format {
                    assert_eq!(bits.get_or_insert_with(|| y.clone()), &y, "{cpu:?} {format}");
                }
            }
        }
    }

    #[test]
    fn ends_are_what_they_are_in_f32() {
        for cpu in Cpu::all() {
            for format in Format::ALL {
                let mut x = [f32::NAN, f32::INFINITY, 90.0, -120.0, f32::NEG_INFINITY];
                exp(cpu, format, &mut x);
                assert!(x[0].is_nan(), "{cpu:?} {format}");
                assert_eq!(x[1..], [f32::INFINITY, f32::INFINITY, 0.0, 0.0], "{cpu:?} {format}");
                exp(cpu, format, &mut []);
            }
        }
    }
}
