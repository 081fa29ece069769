//! Lanes of AVX2 with FMA: two registers of eight.
#![allow(clippy::wildcard_imports, reason = "names that begin with what they are of")]
#![allow(unsafe_code, reason = "instructions of a set are unsafe where it may be absent")]

use std::arch::x86_64::*;

use super::{Lanes, Run, Sixteen};

/// Exists only where AVX2 and FMA do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

macro_rules! found {
    ($call:expr) => {
        // SAFETY: the token exists only where detection found AVX2 and FMA; loads and stores are of
        // references to what they read and write.
        unsafe { $call }
    };
}

impl Lanes for Avx2 {
    type F = [__m256; 2];

    fn enter<R: Run>(self, run: R) -> R::Output {
        #[inline(never)]
        #[target_feature(enable = "avx2,fma")]
        fn inside<R: Run>(run: R) -> R::Output {
            run.run()
        }
        found!(inside(run))
    }
    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        found!([_mm256_set1_ps(x); 2])
    }
    #[inline(always)]
    fn load(self, from: &Sixteen) -> Self::F {
        found!([_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from.as_ptr().add(8))])
    }
    #[inline(always)]
    fn store(self, x: Self::F, to: &mut Sixteen) {
        found!({
            _mm256_storeu_ps(to.as_mut_ptr(), x[0]);
            _mm256_storeu_ps(to.as_mut_ptr().add(8), x[1]);
        });
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        found!([_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])])
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        found!([_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])])
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        found!([_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])])
    }
    #[inline(always)]
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        found!([_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])])
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        found!([_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])])
    }
    #[inline(always)]
    fn if_greater(self, [a, b]: [Self::F; 2], yes: Self::F, no: Self::F) -> Self::F {
        found!([
            _mm256_blendv_ps(no[0], yes[0], _mm256_cmp_ps::<_CMP_GT_OQ>(a[0], b[0])),
            _mm256_blendv_ps(no[1], yes[1], _mm256_cmp_ps::<_CMP_GT_OQ>(a[1], b[1])),
        ])
    }
    #[inline(always)]
    fn any_greater(self, a: Self::F, b: Self::F) -> bool {
        found!({
            let low = _mm256_cmp_ps::<_CMP_GT_OQ>(a[0], b[0]);
            let high = _mm256_cmp_ps::<_CMP_GT_OQ>(a[1], b[1]);
            _mm256_movemask_ps(_mm256_or_ps(low, high)) != 0
        })
    }
    #[inline(always)]
    fn fraction(self, x: Self::F) -> Self::F {
        found!([fraction(x[0]), fraction(x[1])])
    }
    #[inline(always)]
    fn scale(self, x: Self::F, n: Self::F) -> Self::F {
        found!([scale(x[0], n[0]), scale(x[1], n[1])])
    }
}

/// As the instruction of AVX-512: rounded down, and nothing is left of an infinity.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn fraction(x: __m256) -> __m256 {
    let floor = _mm256_floor_ps(x);
    let f = _mm256_sub_ps(x, floor);
    // −1, as a whole number, where it was rounded up.
    let up = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_GT_OQ>(_mm256_add_ps(f, floor), x));
    let f = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(f), up));
    let size = _mm256_andnot_ps(_mm256_set1_ps(-0.0), x);
    let infinite = _mm256_cmp_ps::<_CMP_EQ_OQ>(size, _mm256_set1_ps(f32::INFINITY));
    _mm256_andnot_ps(infinite, f)
}

/// In two steps, of which the first leaves nothing denormal: rounded once.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn scale(x: __m256, n: __m256) -> __m256 {
    let whole = _mm256_floor_ps(n);
    // The smaller is a number even if the other is none.
    let whole = _mm256_max_ps(whole, _mm256_set1_ps(-252.0));
    let whole = _mm256_cvtps_epi32(_mm256_min_ps(whole, _mm256_set1_ps(254.0)));
    let bias = _mm256_set1_epi32(127);
    let first = _mm256_srai_epi32::<1>(_mm256_add_epi32(whole, _mm256_srli_epi32::<31>(whole)));
    let power = |n| _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(n, bias)));
    let y = _mm256_mul_ps(x, power(first));
    let y = _mm256_mul_ps(y, power(_mm256_sub_epi32(whole, first)));
    let none = _mm256_cmp_ps::<_CMP_UNORD_Q>(n, n);
    _mm256_blendv_ps(y, n, none)
}
