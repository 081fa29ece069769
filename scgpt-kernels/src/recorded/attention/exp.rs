//! The exponential that vectorises.

/// `eˣ` for `x <= 1`, relative error below 2e-7; 0 below the smallest normal result.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`, a polynomial for `eʳ`, and `2ⁿ` by the exponent bits.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Adding and subtracting this rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = if x > -87.0 { x } else { -87.0 };
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    let mut p = 1.987_569_1e-4_f32;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.0e-1] {
        p = p.mul_add(r, coefficient);
    }
    let p = (p * r).mul_add(r, r) + 1.0;
    let exponent = shifted.to_bits().wrapping_add(127) << 23;
    p * f32::from_bits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_accurate() {
        let mut x = -86.0_f32;
        while x <= 1.0 {
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(error < 2e-7, "exp({x}): relative error {error}");
            x += 0.000_7;
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }
}
