//! Fewer bits a sample.

use multiversion::multiversion;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// Samples rounded to fewer bits, without dither.
///
/// `y = round(x · q) / q` with `q = 2^bit_depth / 2 + 1`; halves round to the even number. Nothing is clipped. Drawn:
/// `bit_depth`, a whole number between the bounds, both included, each equally likely.
///
/// Source: audiomentations 0.43.1 `BitCrush`, to the bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BitCrush {
    /// The bits of a sample, whole numbers of 1 to 32; [5, 10].
    pub bit_depth: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for BitCrush {
    fn default() -> Self {
        Self { bit_depth: Range::Uniform([5.0, 10.0]), probability: Probability::ALWAYS }
    }
}

impl Member for BitCrush {
    const EXAMPLE: &'static str = "bit_crush: { bit_depth: [5, 10], probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["audiomentations.BitCrush"];
}

impl Augment for BitCrush {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("bit_depth", &self.bit_depth, 1.0, 32.0)?;
        if self.bit_depth.values().iter().any(|bits| bits.fract() != 0.0) {
            return Err(SettingError::DoesNotFit { key: "bit_depth", reason: "bits are whole numbers" });
        }
        Ok(())
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(self.clone())
    }
}

impl Apply for BitCrush {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let bits = match &self.bit_depth {
            Range::Uniform([low, high]) => low + draw.index((high - low) as usize + 1) as f64,
            range => range.at(draw.unit()),
        };
        draw.note("bit_depth", bits as u32);
        let q = (bits.exp2() / 2.0 + 1.0) as f32;
        crush(sound, q);
        Ok(())
    }
}

fn crush(sound: &mut Waveform, q: f32) {
    for channel in &mut sound.channels {
        round(channel, q);
    }
}

/// Rounds to the nearest `1/q`.
#[multiversion(targets("x86_64+avx2"))]
fn round(samples: &mut [f32], q: f32) {
    /// 2^23: a number below it that is added to it is rounded to a whole one, halves to the even one; from it on all
    /// are whole.
    const WHOLE: f32 = 8_388_608.0;
    for sample in samples {
        let scaled = *sample * q;
        let magnitude = scaled.abs();
        let rounded = if magnitude < WHOLE { (magnitude + WHOLE) - WHOLE } else { magnitude };
        *sample = rounded.copysign(scaled) / q;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::golden::golden;
    use crate::augment::testing::{drawn, mono, varied};

    fn crushed(bits: f64, samples: &[f32]) -> Vec<f32> {
        let row = BitCrush { bit_depth: Range::fixed(bits), ..BitCrush::default() };
        varied(row, &mono(8_000, samples.to_vec())).channels.remove(0)
    }

    #[test]
    fn every_sample_is_that_of_audiomentations() {
        let (_, samples) = golden("signal-voiced-8000");
        let (shape, expected) = golden("augment/bit_crush-voiced-8000-audiomentations-0.43.1");
        assert_eq!(shape, [4, samples.len()]);
        for (bits, expected) in [1.0, 5.0, 10.0, 24.0].into_iter().zip(expected.chunks(samples.len())) {
            assert!(crushed(bits, &samples) == expected, "{bits}");
        }
    }

    #[test]
    fn halves_round_to_the_even_step_and_great_numbers_stay() {
        // q = 3 for 2 bits.
        assert_eq!(crushed(2.0, &[0.5, -0.5, 0.17, 100.0]), [2.0 / 3.0, -2.0 / 3.0, 1.0 / 3.0, 100.0]);
        assert_eq!(crushed(32.0, &[0.123_456_7, -0.9]), [0.123_456_7, -0.9]);
    }

    #[test]
    fn whole_numbers_of_bits_are_equally_likely() {
        let draws = drawn(BitCrush::default(), "bit_depth", 12_000);
        for bits in 5..=10 {
            let count = draws.iter().filter(|draw| **draw == f64::from(bits)).count();
            // 2000 expected; four standard deviations are 163.
            assert!((1_837..=2_163).contains(&count), "{bits}: {count}");
        }
    }

    #[test]
    fn parts_of_bits_are_refused() {
        let row = BitCrush { bit_depth: Range::Uniform([5.0, 10.5]), ..BitCrush::default() };
        assert_eq!(row.check(None).map_err(|error| error.key()), Err("bit_depth"));
    }
}
