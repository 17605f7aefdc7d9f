//! Soft distortion by a hyperbolic tangent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::{power_of, scale};
use super::percentile::Percentiles;
use super::tanh::tanh_in_place;
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// Rounded peaks and added odd harmonics, by a hyperbolic tangent.
///
/// `y = c · tanh(g · x)`, where `g = 0.5 / (P + 1e-6)`, `P` is the percentile `100 - 99 · distortion` of the magnitudes
/// of all samples of all channels, and `c` gives the clip the RMS that it had (1 where that is 1e-9 or less). Drawn:
/// `distortion`.
///
/// Source: audiomentations 0.43.1 `TanhDistortion`, which has the place of the percentile in single precision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TanhDistortion {
    /// How much is distorted, 0 to 1; [0.01, 0.7].
    pub distortion: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for TanhDistortion {
    fn default() -> Self {
        Self { distortion: Range::Uniform([0.01, 0.7]), probability: Probability::ALWAYS }
    }
}

impl Member for TanhDistortion {
    const EXAMPLE: &'static str = "tanh_distortion: { distortion: [0.01, 0.7], probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["audiomentations.TanhDistortion"];
}

impl Augment for TanhDistortion {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("distortion", &self.distortion, 0.0, 1.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(TanhAtWork { settings: self.clone(), percentiles: Percentiles::default() })
    }
}

struct TanhAtWork {
    settings: TanhDistortion,
    percentiles: Percentiles,
}

impl Apply for TanhAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let distortion = draw.number("distortion", &self.settings.distortion);
        self.percentiles.of(sound.channels.iter().flatten().map(|sample| sample.abs()));
        let gain = 0.5 / (self.percentiles.at(100.0 - 99.0 * distortion) + 1e-6);
        let before = power_of(sound).sqrt();
        for channel in &mut sound.channels {
            tanh_in_place(channel, gain as f32);
        }
        if before > 1e-9 {
            scale(sound, before / power_of(sound).sqrt());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::golden::golden;
    use crate::augment::testing::{mono, sine, varied};

    fn distorted(distortion: f64, sound: &Waveform) -> Waveform {
        varied(TanhDistortion { distortion: Range::fixed(distortion), ..TanhDistortion::default() }, sound)
    }

    #[test]
    fn samples_are_those_of_audiomentations() {
        let (_, samples) = golden("signal-voiced-8000");
        let (shape, expected) = golden("augment/tanh_distortion-voiced-8000-audiomentations-0.43.1");
        assert_eq!(shape, [3, samples.len()]);
        for (distortion, expected) in [0.01, 0.3, 0.7].into_iter().zip(expected.chunks(samples.len())) {
            let found = distorted(distortion, &mono(8_000, samples.clone()));
            let worst = found.channels[0].iter().zip(expected).map(|(y, x)| (y - x).abs()).fold(0.0, f32::max);
            assert!(worst < 5e-7, "{distortion}: {worst}");
        }
    }

    #[test]
    fn the_power_stays_and_odd_harmonics_come() {
        let sound = sine(500.0, 0.3, 16_000);
        let found = distorted(0.7, &sound);
        assert!((power_of(&found) / power_of(&sound) - 1.0).abs() < 1e-6);
        let at = |hertz: f64| {
            let wave = sine(hertz, 1.0, 16_000);
            let dot = wave.channels[0].iter().zip(&found.channels[0]).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            dot.abs() / 8_000.0
        };
        assert!(at(1_500.0) > 0.02 && at(1_000.0) < 1e-5, "{} {}", at(1_500.0), at(1_000.0));
    }

    #[test]
    fn silence_stays_silence() {
        for len in [1, 100] {
            let silence = mono(8_000, vec![0.0; len]);
            assert_eq!(distorted(0.5, &silence), silence);
        }
        let one = distorted(0.5, &mono(8_000, vec![-0.25]));
        assert!((one.channels[0][0] + 0.25).abs() < 1e-7);
    }
}
