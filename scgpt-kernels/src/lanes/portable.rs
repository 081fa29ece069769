//! Lanes and halves without instructions of their own.

use super::{Halves, Lanes, Run, Sixteen};

/// Arrays, which compilers vectorise as the target allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

#[inline(always)]
fn zip(a: Sixteen, b: Sixteen, f: impl Fn(f32, f32) -> f32) -> Sixteen {
    let mut out = [0.0; 16];
    for i in 0..16 {
        out[i] = f(a[i], b[i]);
    }
    out
}

impl Lanes for Portable {
    type F = Sixteen;

    #[inline(never)]
    fn enter<R: Run>(self, run: R) -> R::Output {
        run.run()
    }
    #[inline(always)]
    fn splat(self, x: f32) -> Sixteen {
        [x; 16]
    }
    #[inline(always)]
    fn load(self, from: &Sixteen) -> Sixteen {
        *from
    }
    #[inline(always)]
    fn store(self, x: Sixteen, to: &mut Sixteen) {
        *to = x;
    }
    #[inline(always)]
    fn add(self, a: Sixteen, b: Sixteen) -> Sixteen {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Sixteen, b: Sixteen) -> Sixteen {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Sixteen, b: Sixteen) -> Sixteen {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn mul_add(self, a: Sixteen, b: Sixteen, c: Sixteen) -> Sixteen {
        let mut out = c;
        for i in 0..16 {
            out[i] = a[i].mul_add(b[i], out[i]);
        }
        out
    }
    #[inline(always)]
    fn max(self, a: Sixteen, b: Sixteen) -> Sixteen {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn if_greater(self, [a, b]: [Sixteen; 2], yes: Sixteen, no: Sixteen) -> Sixteen {
        let mut out = no;
        for i in 0..16 {
            if a[i] > b[i] {
                out[i] = yes[i];
            }
        }
        out
    }
    #[inline(always)]
    fn any_greater(self, a: Sixteen, b: Sixteen) -> bool {
        a.iter().zip(&b).any(|(a, b)| a > b)
    }
    #[inline(always)]
    fn fraction(self, x: Sixteen) -> Sixteen {
        // As the instruction: rounded down, and nothing is left of an infinity.
        zip(x, x, |x, _| {
            let (floor, f) = (x.floor(), x - x.floor());
            match () {
                () if x.is_infinite() => 0.0,
                () if f + floor > x => f.next_down(),
                () => f,
            }
        })
    }
    #[inline(always)]
    fn scale(self, x: Sixteen, n: Sixteen) -> Sixteen {
        zip(x, n, |x, n| {
            if n.is_nan() {
                return n;
            }
            #[allow(clippy::cast_possible_truncation, reason = "a small whole number")]
            let n = n.floor().clamp(-252.0, 254.0) as i32;
            // In two steps, of which the first leaves nothing denormal: rounded once.
            let power = |n: i32| f32::from_bits((n + 127).cast_unsigned() << 23);
            x * power(n / 2) * power(n - n / 2)
        })
    }
}

/// The nearest bf16, ties to even; below the smallest normal number zero; not-a-number stays one.
#[inline(always)]
fn bf16(x: f32) -> u32 {
    let bits = x.to_bits();
    if x.is_nan() {
        return bits >> 16 | 0x40;
    }
    if x.abs() < f32::MIN_POSITIVE {
        return bits >> 16 & 0x8000;
    }
    (bits + 0x7fff + (bits >> 16 & 1)) >> 16
}

impl Halves<Self> for Portable {
    fn enter<R: Run>(self, lanes: Self, run: R) -> R::Output {
        Lanes::enter(lanes, run)
    }
    #[inline(always)]
    fn round(self, _: Self, low: Sixteen, high: Sixteen) -> Sixteen {
        let mut out = [0.0; 16];
        for i in 0..8 {
            out[i] = f32::from_bits(bf16(low[2 * i]) | bf16(low[2 * i + 1]) << 16);
            out[i + 8] = f32::from_bits(bf16(high[2 * i]) | bf16(high[2 * i + 1]) << 16);
        }
        out
    }
    #[inline(always)]
    fn widen(self, _: Self, x: Sixteen) -> [Sixteen; 2] {
        let mut out = [[0.0; 16]; 2];
        for i in 0..16 {
            let bits = x[i].to_bits();
            out[i / 8][i % 8 * 2] = f32::from_bits(bits << 16);
            out[i / 8][i % 8 * 2 + 1] = f32::from_bits(bits & 0xffff_0000);
        }
        out
    }
    #[inline(always)]
    fn interleave(self, lanes: Self, x: Sixteen) -> Sixteen {
        let [low, high] = self.widen(lanes, x);
        zip(low, high, |low, high| f32::from_bits(low.to_bits() >> 16 | high.to_bits()))
    }
}
