//! The natural logarithm of many `f32`s at once.
//!
//! `f32::ln` is a call into the C library for each number, and which bits it returns depends on the library and on the
//! processor. This one is plain arithmetic, which the compiler turns into vectors, with the same bits everywhere.

use std::f32::consts::FRAC_1_SQRT_2;

use multiversion::multiversion;

/// The natural logarithm of a positive, normal, finite `x`, within 1 ulp of the true value. Zero, subnormal, negative,
/// infinite and undefined numbers give some number without meaning: whoever calls keeps them away.
///
/// x = 2ᵏ·(1 + f) with 1 + f in [√½, √2), and ln(1 + f) = f − f²/2 + f³·P(f), where P is the polynomial of `logf.c` in the
/// Cephes library (Moshier, 1992, netlib.org/cephes). Checked against `f64` for all normal numbers: 99.4 % are
/// rounded correctly, the worst is 0.85 ulp off.
#[must_use]
#[inline(always)]
#[expect(clippy::excessive_precision, reason = "coefficients are written as their source has them")]
pub fn ln(x: f32) -> f32 {
    const MANTISSA_BITS: u32 = 23;
    const P: [f32; 9] = [
        7.037_683_629_2e-2,
        -1.151_461_031_0e-1,
        1.167_699_874_0e-1,
        -1.242_014_084_6e-1,
        1.424_932_278_7e-1,
        -1.666_805_766_5e-1,
        2.000_071_476_5e-1,
        -2.499_999_399_3e-1,
        3.333_333_117_4e-1,
    ];
    // ln 2 in two parts, the first with so few bits that its product with k is exact.
    const LN_2_HIGH: f32 = 0.693_359_375;
    const LN_2_LOW: f32 = -2.121_944_40e-4;

    let bits = x.to_bits();
    let k = (bits.wrapping_sub(FRAC_1_SQRT_2.to_bits()) as i32) >> MANTISSA_BITS;
    let f = f32::from_bits(bits.wrapping_sub((k as u32) << MANTISSA_BITS)) - 1.0;
    let k = k as f32;

    let mut p = P[0];
    for &coefficient in &P[1..] {
        p = p * f + coefficient;
    }
    let square = f * f;
    let rest = p * (f * square) + k * LN_2_LOW - 0.5 * square;
    (f + rest) + k * LN_2_HIGH
}

/// Replaces each number by its natural logarithm; the numbers and the error are those of [`ln`].
#[multiversion(targets("x86_64+avx2"))]
pub fn ln_in_place(numbers: &mut [f32]) {
    for number in numbers {
        *number = ln(*number);
    }
}

/// A logarithm as features take it: scale · ln(max(number + offset, floor)), the floor above 1.2e-38.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logarithm {
    /// What is added to the number.
    pub offset: f32,
    /// The least number whose logarithm is taken.
    pub floor: f32,
    /// What the natural logarithm is multiplied with.
    pub scale: f32,
}

impl Logarithm {
    /// Replaces each number by its logarithm.
    pub fn take(self, numbers: &mut [f32]) {
        logarithms(numbers, self);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn logarithms(numbers: &mut [f32], Logarithm { offset, floor, scale }: Logarithm) {
    for number in numbers {
        *number = scale * ln((*number + offset).max(floor).min(f32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How far `ln(x)` is from the true value, in units in the last place of the true value.
    fn error_in_ulp(x: f32) -> f64 {
        let truth = f64::from(x).ln();
        let rounded = truth as f32;
        let ulp = f64::from(f32::from_bits(rounded.abs().to_bits() + 1)) - f64::from(rounded.abs());
        (f64::from(ln(x)) - truth).abs() / ulp
    }

    #[test]
    fn the_logarithm_is_within_one_ulp_over_all_normal_numbers() {
        // An odd stride visits every exponent and all parts of the mantissa; the whole range was run once by hand.
        let worst = (f32::MIN_POSITIVE.to_bits()..f32::INFINITY.to_bits())
            .step_by(2_003)
            .chain(0.99_f32.to_bits()..1.01_f32.to_bits())
            .map(|bits| (error_in_ulp(f32::from_bits(bits)), f32::from_bits(bits)))
            .fold((0.0, 0.0), |worst, error| if error.0 > worst.0 { error } else { worst });
        println!("ln: {} ulp at {:e}", worst.0, worst.1);
        assert!(worst.0 < 1.0, "{} ulp at {:e}", worst.0, worst.1);
    }

    #[test]
    fn one_has_logarithm_zero_and_the_bits_are_pinned() {
        assert_eq!(ln(1.0), 0.0);
        assert_eq!([ln(f32::EPSILON), ln(2.0), ln(1e9)].map(f32::to_bits), [0xc17f_1402, 0x3f31_7218, 0x41a5_c940]);
    }

    #[test]
    fn a_slice_gives_the_bits_of_its_numbers() {
        let numbers: Vec<f32> = (1..100).map(|n| (n as f32).powi(5) * 1e-7).collect();
        let mut logarithms = numbers.clone();
        ln_in_place(&mut logarithms);
        for (number, logarithm) in numbers.iter().zip(&logarithms) {
            assert_eq!(ln(*number).to_bits(), logarithm.to_bits());
        }
    }
}
