//! The loudest share of the samples clipped.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::clip;
use super::percentile::Percentiles;
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// A share of the samples clipped, as of a microphone or an amplifier that is overdriven.
///
/// Samples below the percentile `p / 2` of all samples of all channels become that percentile, those above the
/// percentile `100 - p / 2` that one; `p` is `percentile_threshold`, and percentiles are interpolated between the two
/// nearest samples. The peak falls: there is no gain after it. Drawn: `percentile_threshold`.
///
/// Source: audiomentations 0.43.1 `ClippingDistortion`, to the bit where `p` is an even number; it draws whole numbers
/// and rounds `p / 2` down to one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClippingDistortion {
    /// The share of samples that are clipped, half of them at each side, in percent, 0 to 100; [0, 40].
    pub percentile_threshold: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for ClippingDistortion {
    fn default() -> Self {
        Self { percentile_threshold: Range::Uniform([0.0, 40.0]), probability: Probability::ALWAYS }
    }
}

impl Member for ClippingDistortion {
    const EXAMPLE: &'static str = "clipping_distortion: { percentile_threshold: [0, 40], probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["audiomentations.ClippingDistortion"];
}

impl Augment for ClippingDistortion {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("percentile_threshold", &self.percentile_threshold, 0.0, 100.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(ClippingAtWork { settings: self.clone(), percentiles: Percentiles::default() })
    }
}

struct ClippingAtWork {
    settings: ClippingDistortion,
    percentiles: Percentiles,
}

impl Apply for ClippingAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let half = draw.number("percentile_threshold", &self.settings.percentile_threshold) / 2.0;
        self.percentiles.of(sound.channels.iter().flatten().copied());
        let low = self.percentiles.at(half) as f32;
        let high = self.percentiles.at(100.0 - half) as f32;
        clip(sound, low, high);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::golden::golden;
    use crate::augment::testing::{mono, varied};

    fn clipped(percentile_threshold: f64, sound: &Waveform) -> Vec<f32> {
        let row = ClippingDistortion {
            percentile_threshold: Range::fixed(percentile_threshold),
            ..ClippingDistortion::default()
        };
        varied(row, sound).channels.concat()
    }

    #[test]
    fn every_sample_is_that_of_audiomentations() {
        // The least and the greatest sample left, by signal: at 2, 10, 24 and 40 % in one channel, then in two.
        let (_, bounds) = golden("augment/clipping_distortion-audiomentations-0.43.1");
        let mut bounds = bounds.chunks(2);
        for (name, rate) in [("voiced", 8_000), ("chirp", 8_000), ("chirp", 44_100)] {
            let (_, samples) = golden(&format!("signal-{name}-{rate}"));
            let one = mono(rate, samples.clone());
            let mut two = one.clone();
            two.channels.push(samples.iter().rev().map(|sample| 0.25 * sample).collect());
            for sound in [one, two] {
                for percentile in [2.0, 10.0, 24.0, 40.0] {
                    let bounds = bounds.next().expect("bounds");
                    let all = sound.channels.concat();
                    let expected: Vec<f32> = all.iter().map(|x| x.clamp(bounds[0], bounds[1])).collect();
                    assert!(clipped(percentile, &sound) == expected, "{name} {rate} {percentile}");
                }
            }
        }
        assert!(bounds.next().is_none());
    }

    #[test]
    fn the_share_that_is_clipped_is_the_one_asked_for() {
        let ramp: Vec<f32> = (0..=1_000).map(|i| i as f32 / 1_000.0).collect();
        let found = clipped(30.0, &mono(8_000, ramp));
        assert_eq!((found[0], found[1_000]), (0.15, 0.85));
        assert_eq!(found.iter().filter(|y| **y > 0.15 && **y < 0.85).count(), 699);
    }

    #[test]
    fn nothing_and_everything_can_be_clipped() {
        let sound = mono(8_000, vec![0.3, -0.7, 0.1, 0.9]);
        assert_eq!(clipped(0.0, &sound), sound.channels[0]);
        assert!(clipped(100.0, &sound).iter().all(|y| *y == 0.2));
        assert_eq!(clipped(40.0, &mono(8_000, vec![0.5])), [0.5]);
    }
}
