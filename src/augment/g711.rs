//! ITU-T G.711 (1988): samples as bytes on a logarithmic scale, as telephones carry them.

use serde::{Deserialize, Serialize};

use schemars::JsonSchema;

/// Which of the two scales of G.711.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Law {
    /// µ-law, of North America and Japan: 14 bits become 8.
    Mu,
    /// A-law, of the rest of the world: 13 bits become 8.
    A,
}

/// What µ-law adds to a magnitude, so that its segments begin at powers of two.
const MU_BIAS: u32 = 33;
/// The bits that A-law turns round in every code, so that silence is no run of zeros on the line.
const A_TOGGLE: u8 = 0x55;

impl Law {
    /// The code of a sample, full scale at ±1; louder is clipped. The nearest level in G.711's sense: a decision value
    /// belongs to the level above it, of negative samples to the level nearer to 0.
    pub(super) fn encode(self, sample: f32) -> u8 {
        match self {
            Self::Mu => {
                let (negative, magnitude) = steps(sample, 8_192.0);
                let biased = magnitude.min(8_158) + MU_BIAS;
                // The highest bit, 5 to 12, tells the segment.
                let segment = biased.ilog2() - 5;
                let code = (segment << 4 | biased >> (segment + 1) & 0x0F) as u8;
                // Codes are sent upside down, the sign bit set for positive ones.
                !(code | if negative { 0x80 } else { 0 })
            }
            Self::A => {
                // The lowest bit of 13 is below A-law's finest step.
                let (negative, magnitude) = steps(sample, 2_048.0);
                let magnitude = magnitude.min(2_047);
                let segment = magnitude.max(16).ilog2() - 4;
                let segment = if magnitude < 16 { 0 } else { segment + 1 };
                let code = (segment << 4 | magnitude >> segment.saturating_sub(1) & 0x0F) as u8;
                (code | if negative { 0 } else { 0x80 }) ^ A_TOGGLE
            }
        }
    }

    /// The sample of a code, full scale at ±1.
    pub(super) fn decode(self, code: u8) -> f32 {
        match self {
            Self::Mu => {
                let code = !code;
                let (segment, step) = (u32::from(code >> 4 & 7), u32::from(code & 0x0F));
                let magnitude = ((2 * step + MU_BIAS) << segment) - MU_BIAS;
                signed(code & 0x80 != 0, magnitude as f32 / 8_192.0)
            }
            Self::A => {
                let code = code ^ A_TOGGLE;
                let (segment, step) = (u32::from(code >> 4 & 7), u32::from(code & 0x0F));
                let magnitude = if segment == 0 { 2 * step + 1 } else { (2 * step + 33) << (segment - 1) };
                signed(code & 0x80 == 0, magnitude as f32 / 4_096.0)
            }
        }
    }
}

/// Whole steps of a magnitude below 1, and whether the sample is negative. A negative sample at a decision value counts
/// as nearer to 0, as with the complement that the reference code of ITU-T G.191 takes.
fn steps(sample: f32, per_one: f32) -> (bool, u32) {
    let scaled = sample * per_one;
    if scaled < 0.0 { (true, (-scaled).ceil() as u32 - 1) } else { (false, scaled as u32) }
}

fn signed(negative: bool, magnitude: f32) -> f32 {
    // Not -0.
    if negative { 0.0 - magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::golden::golden;

    fn codes(law: Law, linear: impl Iterator<Item = f32>) -> Vec<f32> {
        linear.map(|sample| f32::from(law.encode(sample / 32_768.0))).collect()
    }

    #[test]
    fn codes_and_levels_are_those_of_the_c_code_in_python() {
        let (_, linear) = golden("augment/filters/g711-linear");
        assert_eq!(codes(Law::Mu, linear.iter().copied()), golden("augment/filters/g711-mu-codes").1);
        let both = linear.iter().copied().chain(linear.iter().map(|sample| -sample));
        assert_eq!(codes(Law::A, both), golden("augment/filters/g711-a-codes").1);
        for (law, name) in [(Law::Mu, "mu"), (Law::A, "a")] {
            let levels: Vec<f32> = (0..=u8::MAX).map(|code| 32_768.0 * law.decode(code)).collect();
            assert_eq!(levels, golden(&format!("augment/filters/g711-{name}-levels")).1);
        }
    }

    #[test]
    fn every_level_is_its_own_code_again() {
        for law in [Law::Mu, Law::A] {
            for code in 0..=u8::MAX {
                let level = law.decode(code);
                assert_eq!(law.decode(law.encode(level)), level, "{law:?} {code:#x}");
            }
        }
    }

    #[test]
    fn a_sample_becomes_the_nearest_level_or_one_as_near() {
        for law in [Law::Mu, Law::A] {
            let levels: Vec<f64> = (0..=u8::MAX).map(|code| f64::from(law.decode(code))).collect();
            let outermost = levels.iter().fold(0.0, |most: f64, level| most.max(*level));
            for number in -4_000..=4_000 {
                let sample = f64::from(number) / 4_001.0;
                let off = (f64::from(law.decode(law.encode(sample as f32))) - sample).abs();
                let nearest = levels.iter().map(|level| (level - sample).abs()).fold(f64::MAX, f64::min);
                // Between two segments a decision value stands half a small step from one level and half a large one
                // from the other.
                assert!(off <= nearest * 2.0 + 1e-4, "{law:?} {sample}: {off} and {nearest}");
                assert!(off <= outermost / 32.0 * sample.abs() * 1.1 + 3e-4, "{law:?} {sample}: {off}");
            }
        }
    }

    #[test]
    fn what_is_too_loud_is_clipped_and_silence_is_the_smallest_level() {
        for sample in [1.0, 3.0, f32::MAX] {
            assert_eq!((Law::Mu.encode(sample), Law::Mu.encode(-sample)), (0x80, 0x00));
            assert_eq!((Law::A.encode(sample), Law::A.encode(-sample)), (0xAA, 0x2A));
        }
        assert_eq!((Law::Mu.decode(Law::Mu.encode(0.0)), Law::A.decode(Law::A.encode(0.0))), (0.0, 1.0 / 4_096.0));
        assert!(Law::Mu.decode(0x7F).is_sign_positive());
    }
}
