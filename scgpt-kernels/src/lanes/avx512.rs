//! Lanes of AVX-512: one register.
#![allow(clippy::wildcard_imports, reason = "names that begin with what they are of")]
#![allow(unsafe_code, reason = "instructions of a set are unsafe where it may be absent")]

use std::arch::x86_64::*;

use super::{Halves, Lanes, Run, Sixteen};

/// Exists only where AVX-512 does, with its instructions for words and double words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

/// Exists only where AVX-512 has conversions to bf16.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512Halves(());

/// The order in which [`Halves::interleave`] takes half lanes.
static INTERLEAVED: [u16; 32] = {
    let (mut order, mut i) = ([0; 32], 0_u8);
    while i < 16 {
        order[2 * i as usize] = i as u16;
        order[2 * i as usize + 1] = i as u16 + 16;
        i += 1;
    }
    order
};

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("fma");
        found.then_some(Self(()))
    }
}

impl Avx512Halves {
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx512bf16").then_some(Self(()))
    }
}

macro_rules! found {
    ($call:expr) => {
        // SAFETY: the token exists only where detection found AVX-512 (and its bf16 conversions);
        // loads and stores are of references to what they read and write.
        unsafe { $call }
    };
}

impl Lanes for Avx512 {
    type F = __m512;

    fn enter<R: Run>(self, run: R) -> R::Output {
        #[inline(never)]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma")]
        fn inside<R: Run>(run: R) -> R::Output {
            run.run()
        }
        found!(inside(run))
    }
    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        found!(_mm512_set1_ps(x))
    }
    #[inline(always)]
    fn load(self, from: &Sixteen) -> __m512 {
        found!(_mm512_loadu_ps(from.as_ptr()))
    }
    #[inline(always)]
    fn store(self, x: __m512, to: &mut Sixteen) {
        found!(_mm512_storeu_ps(to.as_mut_ptr(), x));
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        found!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        found!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        found!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        found!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        found!(_mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn if_greater(self, [a, b]: [__m512; 2], yes: __m512, no: __m512) -> __m512 {
        found!(_mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b), no, yes))
    }
    #[inline(always)]
    fn any_greater(self, a: __m512, b: __m512) -> bool {
        found!(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) != 0)
    }
    #[inline(always)]
    fn fraction(self, x: __m512) -> __m512 {
        found!(_mm512_reduce_ps::<0x01>(x))
    }
    #[inline(always)]
    fn scale(self, x: __m512, n: __m512) -> __m512 {
        found!(_mm512_scalef_ps(x, n))
    }

    #[inline(always)]
    fn transpose(self, rows: &mut [__m512; 16]) {
        found!(transpose(rows));
    }
}

/// Pairs, then fours, then lanes of four, then lanes of eight.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(r: &mut [__m512; 16]) {
    let mut t = *r;
    for i in 0..8 {
        t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    // u[4 i + j], quarter q: rows 4 i to 4 i + 3 of column 4 q + j.
    let mut u = *r;
    for i in 0..4 {
        let (a, b) = (_mm512_castps_pd(t[4 * i]), _mm512_castps_pd(t[4 * i + 1]));
        let (c, d) = (_mm512_castps_pd(t[4 * i + 2]), _mm512_castps_pd(t[4 * i + 3]));
        u[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
        u[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
        u[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
        u[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
    }
    for j in 0..4 {
        let even = _mm512_shuffle_f32x4::<0x88>(u[j], u[4 + j]);
        let odd = _mm512_shuffle_f32x4::<0xdd>(u[j], u[4 + j]);
        let even_below = _mm512_shuffle_f32x4::<0x88>(u[8 + j], u[12 + j]);
        let odd_below = _mm512_shuffle_f32x4::<0xdd>(u[8 + j], u[12 + j]);
        r[j] = _mm512_shuffle_f32x4::<0x88>(even, even_below);
        r[4 + j] = _mm512_shuffle_f32x4::<0x88>(odd, odd_below);
        r[8 + j] = _mm512_shuffle_f32x4::<0xdd>(even, even_below);
        r[12 + j] = _mm512_shuffle_f32x4::<0xdd>(odd, odd_below);
    }
}

/// The lower, and the upper 16 of 32 bf16 numbers as f32.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn widen(x: __m512) -> [__m512; 2] {
    let x = _mm512_castps_si512(x);
    let low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(x));
    let high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64::<1>(x));
    [
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(low)),
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(high)),
    ]
}

impl Halves<Avx512> for Avx512Halves {
    fn enter<R: Run>(self, _: Avx512, run: R) -> R::Output {
        #[inline(never)]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")]
        fn inside<R: Run>(run: R) -> R::Output {
            run.run()
        }
        found!(inside(run))
    }
    #[inline(always)]
    fn round(self, _: Avx512, low: __m512, high: __m512) -> __m512 {
        found!(std::mem::transmute::<__m512bh, __m512>(_mm512_cvtne2ps_pbh(high, low)))
    }
    #[inline(always)]
    fn widen(self, _: Avx512, x: __m512) -> [__m512; 2] {
        found!(widen(x))
    }
    #[inline(always)]
    fn interleave(self, _: Avx512, x: __m512) -> __m512 {
        found!({
            let order = _mm512_loadu_si512(INTERLEAVED.as_ptr().cast());
            _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, _mm512_castps_si512(x)))
        })
    }
}
