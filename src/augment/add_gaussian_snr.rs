//! White noise at a signal-to-noise ratio.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::{amplitude, power_of};
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// White Gaussian noise at a signal-to-noise ratio.
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
        Box::new(self.clone())
    }
}

impl Apply for AddGaussianSnr {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let sigma = power_of(sound).sqrt() / amplitude(draw.number("snr_db", &self.snr_db));
        for (number, channel) in sound.channels.iter_mut().enumerate() {
            let mut generator = draw.of_channel(number);
            for pair in channel.chunks_mut(2) {
                let (one, other) = generator.normal_pair();
                for (sample, noise) in pair.iter_mut().zip([one, other]) {
                    *sample += (sigma * noise) as f32;
                }
            }
        }
        Ok(())
    }
}
