//! The hyperbolic tangent of many `f32`s at once.

use std::f64::consts::LN_2;
use std::f64::consts::LOG2_E;

use multiversion::multiversion;

/// The hyperbolic tangent, within 1 ulp of the true value; plain arithmetic that becomes vectors, with the same bits
/// everywhere.
///
/// tanh(|x|) = (e - 1) / (e + 1) with e = exp(2|x|), in double precision: e = 2^k · exp(r) with |r| <= ln(2) / 2,
/// exp(r) by its Taylor series, whose next term is below 1e-12.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    /// 1.5 · 2^52: a number that is added to it is rounded to a whole one, which stands in the lowest bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    /// 1/9!, 1/8!, … 1/1!, 1.
    const TAYLOR: [f64; 10] = [
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ];
    // From 9.1 on the result is 1 in single precision.
    let double = (2.0 * f64::from(x.abs())).min(20.0);
    let rounded = double * LOG2_E + ROUND;
    let rest = double - (rounded - ROUND) * LN_2;
    let mut power = TAYLOR[0];
    for coefficient in &TAYLOR[1..] {
        power = power * rest + coefficient;
    }
    power *= f64::from_bits((rounded.to_bits() << 52).wrapping_add(1.0_f64.to_bits()));
    // Below, e - 1 has too few digits, and x is the nearest number.
    let y = if double < 2e-5 { 0.5 * double } else { (power - 1.0) / (power + 1.0) };
    (y as f32).copysign(x)
}

/// Replaces each number `x` by `tanh(gain · x)`.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn tanh_in_place(numbers: &mut [f32], gain: f32) {
    for number in numbers {
        *number = tanh(gain * *number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_within_an_ulp_of_the_true_value() {
        let mut x = 1e-30_f32;
        let mut worst = 0.0_f64;
        while x < 1e30 {
            for x in [x, -x] {
                let mut found = [x];
                tanh_in_place(&mut found, 1.0);
                let truth = f64::from(x).tanh();
                let ulp = f64::from(f32::EPSILON) * 2_f64.powi(truth.abs().log2().floor() as i32);
                worst = worst.max((f64::from(found[0]) - truth).abs() / ulp);
            }
            x *= 1.000_3;
        }
        assert!(worst < 0.51, "{worst}");
        let mut zero = [0.0, -0.0];
        tanh_in_place(&mut zero, 3.0);
        assert_eq!(zero.map(f32::to_bits), [0.0, -0.0_f32].map(f32::to_bits));
    }
}
