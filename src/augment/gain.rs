//! Louder or softer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::{amplitude, scale};
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// Louder or softer by a number of decibels, the same for all channels.
///
/// `y = x · 10^(gain_db / 20)`; nothing is clipped (torchaudio's `Vol` clips at ±1). Drawn: `gain_db`. Source:
/// audiomentations 0.43.1 `Gain`. lhotse's `Volume` draws a linear factor: 0.125 to 2 is -18 to 6 dB. NeMo's `gain`
/// draws -10 to 10 dB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gain {
    /// The gain in dB, -200 to 200; [-12, 12].
    pub gain_db: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for Gain {
    fn default() -> Self {
        Self { gain_db: Range::Uniform([-12.0, 12.0]), probability: Probability::ALWAYS }
    }
}

impl Member for Gain {
    const EXAMPLE: &'static str = "gain: { gain_db: [-12, 12], probability: 0.5 }";
    const PEERS: &'static [&'static str] = &[
        "audiomentations.Gain",
        "torch_audiomentations.Gain",
        "torchaudio.Vol",
        "lhotse.Volume",
        "lhotse.PerturbVolume",
        "nemo.gain",
    ];
}

impl Augment for Gain {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("gain_db", &self.gain_db, -200.0, 200.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(self.clone())
    }
}

impl Apply for Gain {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let gain_db = draw.number("gain_db", &self.gain_db);
        scale(sound, amplitude(gain_db));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::{sine, varied};

    #[test]
    fn a_fixed_gain_scales_exactly() {
        let gain = Gain { gain_db: Range::fixed(20.0), ..Gain::default() };
        let sound = sine(440.0, 0.01, 16_000);
        let louder = varied(gain, &sound);
        assert!(louder.channels[0].iter().zip(&sound.channels[0]).all(|(y, x)| (y - 10.0 * x).abs() <= 1e-6));
    }
}
