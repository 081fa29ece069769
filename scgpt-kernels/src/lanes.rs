//! [`Lanes`]: sixteen f32 numbers at a time, in the instructions of one set.
//!
//! A value of a type that implements it exists only where the processor has those instructions, so
//! its methods are safe. Sums and products are the same in all sets, bit for bit.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

pub(crate) use self::portable::Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) use self::{
    avx2::Avx2,
    avx512::{Avx512, Avx512Halves},
};

/// What is 16 numbers wide.
pub(crate) type Sixteen = [f32; 16];

/// Coefficients of 2ˣ on `[0, 1)`, constant first; relative error 7.5e-5, which rounding to bf16 hides.
pub(crate) const CUBIC: [f32; 4] = [0.999_925_2, 0.695_833_56, 0.226_067_16, 0.078_024_52];

/// Coefficients of 2ˣ on `[0, 1)`, constant first; relative error 8e-8.
pub(crate) const QUINTIC: [f32; 6] =
    [0.999_999_94, 0.693_153_1, 0.240_153_61, 0.055_826_318, 0.008_989_341, 0.001_877_576_7];

/// What is compiled for a set as a whole: `run` and all that it calls has to be inlined.
pub(crate) trait Run {
    type Output;

    fn run(self) -> Self::Output;
}

/// Arithmetic on sixteen lanes. Methods are always inlined, so that what is composed of them is
/// compiled for the set as a whole.
pub(crate) trait Lanes: Copy + Send + Sync {
    /// Sixteen numbers, or the bits of 32 of half the width.
    type F: Copy;

    /// Runs something with the instructions of the set, as a function of its own.
    fn enter<R: Run>(self, run: R) -> R::Output;

    fn splat(self, x: f32) -> Self::F;
    fn load(self, from: &Sixteen) -> Self::F;
    fn store(self, x: Self::F, to: &mut Sixteen);
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a b + c`, rounded once.
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The larger of each lane; `b` where one of both is not a number.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// `yes` where the first is greater.
    fn if_greater(self, a_b: [Self::F; 2], yes: Self::F, no: Self::F) -> Self::F;
    fn any_greater(self, a: Self::F, b: Self::F) -> bool;
    /// x − ⌊x⌋, rounded down; zero of an infinity.
    fn fraction(self, x: Self::F) -> Self::F;
    /// x · 2^⌊n⌋.
    fn scale(self, x: Self::F, n: Self::F) -> Self::F;

    /// Exchanges lanes and rows.
    #[inline(always)]
    fn transpose(self, rows: &mut [Self::F; 16]) {
        let (mut from, mut to) = ([[0.0; 16]; 16], [[0.0; 16]; 16]);
        for i in 0..16 {
            self.store(rows[i], &mut from[i]);
        }
        for i in 0..16 {
            for j in 0..16 {
                to[i][j] = from[j][i];
            }
        }
        for i in 0..16 {
            rows[i] = self.load(&to[i]);
        }
    }

    /// The sum of all lanes, in an order of its own: halves to halves.
    #[inline(always)]
    fn sum(self, x: Self::F) -> f32 {
        let mut x16 = [0.0; 16];
        self.store(x, &mut x16);
        for width in [8, 4, 2, 1] {
            for i in 0..width {
                x16[i] += x16[i + width];
            }
        }
        x16[0]
    }

    /// 2ˣ for `x <= 126`, exact to f32, or to bf16 alone, which is faster.
    #[inline(always)]
    fn exp2<const EXACT: bool>(self, x: Self::F) -> Self::F {
        let f = self.fraction(x);
        let mut p;
        if EXACT {
            p = self.splat(QUINTIC[5]);
            p = self.mul_add(p, f, self.splat(QUINTIC[4]));
            p = self.mul_add(p, f, self.splat(QUINTIC[3]));
            p = self.mul_add(p, f, self.splat(QUINTIC[2]));
            p = self.mul_add(p, f, self.splat(QUINTIC[1]));
            p = self.mul_add(p, f, self.splat(QUINTIC[0]));
        } else {
            p = self.splat(CUBIC[3]);
            p = self.mul_add(p, f, self.splat(CUBIC[2]));
            p = self.mul_add(p, f, self.splat(CUBIC[1]));
            p = self.mul_add(p, f, self.splat(CUBIC[0]));
        }
        self.scale(p, x)
    }
}

/// bf16 numbers, two a lane.
pub(crate) trait Halves<L: Lanes>: Copy + Send + Sync {
    /// As [`Lanes::enter`], with conversions to bf16 besides.
    fn enter<R: Run>(self, lanes: L, run: R) -> R::Output;
    /// Rounds 32 numbers: those of `low` fill the first eight lanes, those of `high` the last.
    fn round(self, lanes: L, low: L::F, high: L::F) -> L::F;
    /// The 32 numbers again.
    fn widen(self, lanes: L, x: L::F) -> [L::F; 2];
    /// Of what `round` gave, lane `i` with the i-th of `low` and then the i-th of `high`.
    fn interleave(self, lanes: L, x: L::F) -> L::F;
}

#[cfg(test)]
mod tests;
