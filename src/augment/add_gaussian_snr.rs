//! White noise at a signal-to-noise ratio.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mix::add_at_snr;
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// White Gaussian noise at a signal-to-noise ratio.
///
/// `y = x + g * n`, where n is standard normal, each channel has its own, and g is such that
/// `10 * log10(mean(x^2) / mean((g * n)^2)) = snr_db`, means over all samples of all channels. The noise is scaled by its own
/// measured power, not by the power that it has on average, so that the ratio is exact for every clip, however
/// short. A silent clip (below -180 dB) gets no noise; the record says `silent`. Nothing is clipped.
///
/// Source: audiomentations 0.43 `AddGaussianSNR`, which takes the mean of the channels' RMS for the clip's and the average
/// power for the noise's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AddGaussianSnr {
    /// The ratio of the clip's power to the noise's, in dB, -100 to 200; [5, 40].
    pub snr_db: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for AddGaussianSnr {
    fn default() -> Self {
        Self { snr_db: Range::Uniform([5.0, 40.0]), probability: Probability::ALWAYS }
    }
}

impl Member for AddGaussianSnr {
    const EXAMPLE: &'static str = "add_gaussian_snr: { snr_db: [5, 40], probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["audiomentations.AddGaussianSNR"];
}

impl Augment for AddGaussianSnr {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("snr_db", &self.snr_db, -100.0, 200.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(AddGaussianSnrAtWork { snr_db: self.snr_db.clone(), noise: Vec::new() })
    }
}

struct AddGaussianSnrAtWork {
    snr_db: Range,
    /// By channel.
    noise: Vec<Vec<f32>>,
}

impl Apply for AddGaussianSnrAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let snr_db = draw.number("snr_db", &self.snr_db);
        let len = sound.num_samples();
        self.noise.resize_with(sound.channels.len(), Vec::new);
        for (number, noise) in self.noise.iter_mut().enumerate() {
            noise.resize(len, 0.0);
            draw.of_channel(number).fill_normal(noise);
        }
        add_at_snr(sound, &self.noise, snr_db, draw);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::{WHO, augmenter, drawn, is_uniform, measured_snr_db, mono, sine, told, varied};

    fn fixed(snr_db: f64) -> AddGaussianSnr {
        AddGaussianSnr { snr_db: Range::fixed(snr_db), ..AddGaussianSnr::default() }
    }

    #[test]
    fn the_ratio_is_exact_for_every_clip() {
        for rate in [8_000, 16_000, 44_100, 48_000] {
            for (snr_db, length) in [(-20.0, 1), (5.0, 2), (10.0, 333), (40.0, 8_000)] {
                let mut sound = sine(440.0, 0.3, rate);
                sound.channels[0].rotate_left(5);
                sound.channels[0].truncate(length);
                sound.channels.push(sound.channels[0].iter().map(|sample| sample * 0.1).collect());
                let noisy = varied(fixed(snr_db), &sound);
                let measured = measured_snr_db(&sound, &noisy);
                assert!((measured - snr_db).abs() < 0.01, "{measured} dB is not {snr_db} dB, {length} samples");
            }
        }
    }

    #[test]
    fn a_silent_clip_gets_no_noise() {
        let silence = mono(16_000, vec![0.0; 1_000]);
        let (same, told) = told(fixed(5.0), &silence);
        assert_eq!((same, &told.applied[0]["add_gaussian_snr"]["silent"]), (silence, &serde_json::json!(true)));
    }

    #[test]
    fn a_clip_has_the_same_noise_after_any_other() {
        let (short, long) = (mono(8_000, vec![0.1; 700]), mono(8_000, vec![0.1; 5_000]));
        let mut augmenter = augmenter(fixed(10.0));
        let [mut one, mut other] = [short.clone(), short];
        augmenter.apply(&mut one, WHO).unwrap();
        augmenter.apply(&mut long.clone(), WHO).unwrap();
        augmenter.apply(&mut other, WHO).unwrap();
        assert_eq!(one, other);
    }

    #[test]
    fn ratios_are_drawn_evenly() {
        assert!(is_uniform(&drawn(AddGaussianSnr::default(), "snr_db", 10_000), 5.0, 40.0));
    }
}
