//! [`norm`]: layer norm of rows.

use rayon::prelude::*;

use crate::{
    cpu::Cpu,
    engine::{Engine, Step, Task},
    format::Format,
    lanes::Lanes,
    stop::each,
};

/// Rows of a task.
const ROWS: usize = 64;

/// Parameters of a layer norm, `γ (x − mean) / √(variance + ε) + β`.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// γ, `[n]`.
    pub gamma: &'a [f32],
    /// β, `[n]`.
    pub beta: &'a [f32],
    /// ε, in units of a variance.
    pub epsilon: f32,
}

impl Norm<'_> {
    pub(crate) fn check(&self, n: usize) {
        assert_eq!([self.gamma.len(), self.beta.len()], [n; 2], "γ and β are [n]");
    }
}

/// Normalises every row of `x`, in place; in f32, with the same bits in every instruction set.
///
/// # Shapes
/// - x: `[m, n]`
///
/// # Panics
/// If γ and β have another width than the rows.
///
/// ```
/// use scgpt_kernels::{Cpu, Norm, norm};
///
/// let mut x = [1.0, 3.0];
/// norm(Cpu::best(), &mut x, Norm { gamma: &[1.0; 2], beta: &[0.0; 2], epsilon: 0.0 });
/// assert_eq!(x, [-1.0, 1.0]);
/// ```
pub fn norm(cpu: Cpu, x: &mut [f32], norm: Norm) {
    let n = norm.gamma.len();
    norm.check(n);
    assert!(x.len().checked_rem(n).unwrap_or(x.len()) == 0, "rows are [m, n]");
    if n > 0 {
        each(x.par_chunks_mut(ROWS * n), |x| cpu.run(Format::F32, Normalise { x, norm }));
    }
}

struct Normalise<'a> {
    x: &'a mut [f32],
    norm: Norm<'a>,
}

impl Task for Normalise<'_> {
    type Output = ();

    fn run<E: Engine>(self, engine: &E) {
        engine.enter(self);
    }
}

impl Step for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn run<E: Engine>(self, engine: &E) {
        let Self { x, norm } = self;
        for row in x.chunks_exact_mut(norm.gamma.len()) {
            norm_row(engine.lanes(), row, norm);
        }
    }
}

/// Normalises rows on the engine of a task.
pub(crate) fn norm_rows<E: Engine>(engine: &E, x: &mut [f32], norm: Norm) {
    engine.enter(Normalise { x, norm });
}

/// Mean, then variance about it, then the result: the row stays in the first cache.
#[inline(always)]
pub(crate) fn norm_row<L: Lanes>(lanes: L, row: &mut [f32], norm: Norm) {
    let n = row.len() as f32;
    let (whole, rest) = row.as_chunks_mut::<16>();
    let mut sums = [lanes.splat(0.0); 4];
    for (i, x) in whole.iter().enumerate() {
        sums[i % 4] = lanes.add(sums[i % 4], lanes.load(x));
    }
    let mean = (total(lanes, sums) + rest.iter().sum::<f32>()) / n;
    let mean16 = lanes.splat(mean);
    let mut sums = [lanes.splat(0.0); 4];
    for (i, x) in whole.iter().enumerate() {
        let x = lanes.sub(lanes.load(x), mean16);
        sums[i % 4] = lanes.mul_add(x, x, sums[i % 4]);
    }
    let squares: f32 = rest.iter().map(|x| (x - mean) * (x - mean)).sum();
    let inverse = 1.0 / ((total(lanes, sums) + squares) / n + norm.epsilon).sqrt();
    let inverse16 = lanes.splat(inverse);
    let (gamma, gamma_rest) = norm.gamma.as_chunks::<16>();
    let (beta, beta_rest) = norm.beta.as_chunks::<16>();
    for ((x, gamma), beta) in whole.iter_mut().zip(gamma).zip(beta) {
        let normed = lanes.mul(lanes.sub(lanes.load(x), mean16), inverse16);
        lanes.store(lanes.mul_add(normed, lanes.load(gamma), lanes.load(beta)), x);
    }
    for ((x, gamma), beta) in rest.iter_mut().zip(gamma_rest).zip(beta_rest) {
        *x = (*x - mean) * inverse * gamma + beta;
    }
}

#[inline(always)]
fn total<L: Lanes>(lanes: L, [a, b, c, d]: [L::F; 4]) -> f32 {
    lanes.sum(lanes.add(lanes.add(a, b), lanes.add(c, d)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::Numbers;

    #[test]
    fn rows_are_normalised_alike_in_every_set() {
        for n in [1, 2, 15, 16, 17, 64, 130, 512] {
            let mut numbers = Numbers::new(n as u64);
            let [gamma, beta] = [numbers.normals(n), numbers.normals(n)];
            let norm_of = Norm { gamma: &gamma, beta: &beta, epsilon: 1e-5 };
            let x = numbers.normals(5 * n);
            let mut bits: Option<Vec<f32>> = None;
            for cpu in Cpu::all() {
                let mut out = x.clone();
                norm(cpu, &mut out, norm_of);
                for (row, out) in x.chunks(n).zip(out.chunks(n)) {
                    let row: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
                    let mean = row.iter().sum::<f64>() / n as f64;
                    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
                    for (i, &out) in out.iter().enumerate() {
                        let expected = (row[i] - mean) / (variance + 1e-5).sqrt()
                            * f64::from(gamma[i])
                            + f64::from(beta[i]);
                        assert!((f64::from(out) - expected).abs() < 2e-5, "{out} {expected}");
                    }
                }
                assert_eq!(bits.get_or_insert_with(|| out.clone()), &out, "{cpu:?}");
            }
        }
    }

    #[test]
    fn what_is_not_a_number_stays_in_its_row() {
        for cpu in Cpu::all() {
            let mut x = vec![1.0; 60];
            x[25] = f32::NAN;
            norm(cpu, &mut x, Norm { gamma: &[1.0; 20], beta: &[0.5; 20], epsilon: 1e-5 });
            assert!(x[20..40].iter().all(|x| x.is_nan()));
            assert!(x[..20].iter().chain(&x[40..]).all(|&x| x == 0.5));
        }
    }
}
