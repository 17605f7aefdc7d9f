//! White noise of a level.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mix::add_scaled;
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// White Gaussian noise of a level, whatever the level of the clip.
///
/// `y = x + amplitude * n`, where n is standard normal and each channel has its own. The amplitude is the standard deviation
/// of the noise at full scale 1, not a ratio to the clip: 0.001 is -60 dB, 0.015 is -36.5 dB. It is drawn once for
/// all channels. Nothing is clipped. For noise relative to the clip take `add_gaussian_snr`.
///
/// Source: audiomentations 0.43 `AddGaussianNoise`. (NeMo's `white_noise` has `10^(level / 20)` for an amplitude, -90 to -46 dB by
/// default: 3.2e-5 to 0.005.)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AddGaussianNoise {
    /// The standard deviation of the noise, full scale at 1, 0 to 1000; [0.001, 0.015].
    pub amplitude: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for AddGaussianNoise {
    fn default() -> Self {
        Self { amplitude: Range::Uniform([0.001, 0.015]), probability: Probability::ALWAYS }
    }
}

impl Member for AddGaussianNoise {
    const EXAMPLE: &'static str = "add_gaussian_noise: { amplitude: [0.001, 0.015], probability: 0.5 }";
    const PEERS: &'static [&'static str] =
        &["audiomentations.AddGaussianNoise", "lhotse.RandomizedSmoothing", "nemo.white_noise"];
}

impl Augment for AddGaussianNoise {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("amplitude", &self.amplitude, 0.0, 1000.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(self.clone())
    }
}

/// Samples of noise that are made at once: a multiple of what the generator makes at once, and well within the first cache.
const PART: usize = 2048;

impl Apply for AddGaussianNoise {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let amplitude = draw.number("amplitude", &self.amplitude);
        let mut noise = [0.0; PART];
        for (number, channel) in sound.channels.iter_mut().enumerate() {
            let mut generator = draw.of_channel(number);
            for part in channel.chunks_mut(PART) {
                let noise = &mut noise[..part.len()];
                generator.fill_normal(noise);
                add_scaled(part, noise, amplitude);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::rms;
    use crate::augment::testing::{drawn, is_uniform, mono, told, varied};

    fn fixed(amplitude: f64) -> AddGaussianNoise {
        AddGaussianNoise { amplitude: Range::fixed(amplitude), ..AddGaussianNoise::default() }
    }

    #[test]
    fn the_noise_has_the_standard_deviation_asked_for_whatever_the_clip() {
        for level in [0.0, 0.5] {
            let sound = mono(16_000, vec![level; 400_000]);
            let noise: Vec<f32> = varied(fixed(0.01), &sound).channels[0].iter().map(|sample| sample - level).collect();
            // Four standard errors of a standard deviation of 400,000 draws.
            assert!((rms(&noise) / 0.01 - 1.0).abs() < 0.0045, "{}", rms(&noise));
        }
    }

    #[test]
    fn each_channel_has_its_own_noise_of_one_amplitude() {
        let mut sound = mono(16_000, vec![0.0; 100_000]);
        sound.channels.push(sound.channels[0].clone());
        let (noisy, told) = told(AddGaussianNoise::default(), &sound);
        let [one, other] = noisy.channels.as_slice() else { panic!("two channels") };
        let amplitude = told.applied[0]["add_gaussian_noise"]["amplitude"].as_f64().unwrap();
        let product = one.iter().zip(other).map(|(x, y)| f64::from(x * y)).sum::<f64>() / 1e5;
        assert!((product / amplitude.powi(2)).abs() < 0.013, "correlated");
        assert!([one, other].iter().all(|noise| (rms(noise) / amplitude - 1.0).abs() < 0.01));
    }

    #[test]
    fn a_longer_clip_begins_with_the_noise_of_a_shorter_one() {
        let long = varied(fixed(0.1), &mono(8_000, vec![0.0; 9_999]));
        for length in [1, 2_047, 2_048, 2_049, 5_000] {
            assert_eq!(varied(fixed(0.1), &mono(8_000, vec![0.0; length])).channels[0], long.channels[0][..length]);
        }
    }

    #[test]
    fn amplitudes_are_drawn_evenly() {
        assert!(is_uniform(&drawn(AddGaussianNoise::default(), "amplitude", 10_000), 0.001, 0.015));
    }
}
