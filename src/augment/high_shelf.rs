//! All high frequencies louder or softer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::filter::cookbook::Equalizer;
use super::filter::{Filter, Shape};
use super::{Apply, Augment, Probability, Setup};
use crate::audio::{Hertz, Range};
use crate::family::Member;
use crate::transform::SettingError;

/// All high frequencies louder or softer.
///
/// The high shelf of the Audio EQ Cookbook, with `A = 10^(gain_db / 40)` and `α = sin(2π centre_hz / rate) / 2q`. The
/// frequency is uniform in mels, `2595 · log10(1 + f / 700)`, gain and q are uniform. Computed in double precision,
/// from the state that the first sample for ever would have left.
///
/// Source: audiomentations 0.43 `HighShelfFilter`. torchaudio's `treble_biquad` is the same section, but starts from
/// silence and clips at ±1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HighShelf {
    /// Where half of the decibels are reached, in hertz, 1 to 384000; [300, 7500]. At most 0.9999 of the clip's Nyquist
    /// frequency is used.
    pub centre_hz: Range,
    /// How much, in dB, -96 to 96; [-18, 18].
    pub gain_db: Range,
    /// The quality factor, 0.01 to 100; [0.1, 0.999]. The higher, the steeper; above 0.707 the shelf overshoots.
    pub q: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for HighShelf {
    fn default() -> Self {
        Self {
            centre_hz: Range::Uniform([300.0, 7_500.0]),
            gain_db: Range::Uniform([-18.0, 18.0]),
            q: Range::Uniform([0.1, 0.999]),
            probability: Probability::ALWAYS,
        }
    }
}

impl Member for HighShelf {
    const EXAMPLE: &'static str =
        "high_shelf: { centre_hz: [300, 7500], gain_db: [-18, 18], q: [0.1, 0.999], probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["audiomentations.HighShelfFilter", "torchaudio.treble_biquad"];
}

impl Augment for HighShelf {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        Equalizer::check(&self.centre_hz, &self.gain_db, &self.q)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(Equalizer {
            shape: Shape::HighShelf,
            centre_hz: self.centre_hz.clone(),
            gain_db: self.gain_db.clone(),
            q: self.q.clone(),
            filter: Filter::default(),
        })
    }
}
