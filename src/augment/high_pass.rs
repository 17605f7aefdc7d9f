//! Only what is above a frequency, as a small microphone hears.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::filter::cutoff::{OneEdge, Side, check_rolloff};
use super::filter::{Filter, Phase};
use super::{Apply, Augment, Probability, Setup};
use crate::audio::{Hertz, Range};
use crate::family::Member;
use crate::transform::SettingError;

/// Only what is above a frequency, as a small microphone hears.
///
/// A Butterworth filter of order `rolloff_db_per_octave / 6`: flat where it passes, -3 dB at the cutoff. The cutoff is
/// uniform in mels, `2595 · log10(1 + f / 700)`, the roll-off one of the multiples of 6. With `phase: zero` a filter of
/// half the order runs forwards and backwards (multiples of 12, -6 dB at the cutoff). Computed in double precision,
/// from the state that the first sample for ever would have left.
///
/// Source: audiomentations 0.43 `HighPassFilter`, scipy's `butter` and `sosfiltfilt`. torchaudio's `highpass_biquad`
/// with its default `Q` is this at 12 dB an octave, but starts from silence and clips at ±1. torch-audiomentations'
/// filter is another: a windowed sinc without delay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HighPass {
    /// Where it begins to stop, in hertz, 1 to 384000; [20, 2400]. At most 0.9999 of the clip's Nyquist frequency is
    /// used.
    pub cutoff_hz: Range,
    /// How steep it is, in dB an octave, 6 to 96; [12, 24]. A multiple of 6 (of 12 with `phase: zero`).
    pub rolloff_db_per_octave: Range,
    /// What it does to phases: `minimum` or `zero`; `minimum`.
    pub phase: Phase,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for HighPass {
    fn default() -> Self {
        Self {
            cutoff_hz: Range::Uniform([20.0, 2400.0]),
            rolloff_db_per_octave: Range::Uniform([12.0, 24.0]),
            phase: Phase::Minimum,
            probability: Probability::ALWAYS,
        }
    }
}

impl Member for HighPass {
    const EXAMPLE: &'static str =
        "high_pass: { cutoff_hz: [20, 2400], rolloff_db_per_octave: [12, 24], phase: minimum, probability: 0.5 }";
    const PEERS: &'static [&'static str] =
        &["audiomentations.HighPassFilter", "torch_audiomentations.HighPassFilter", "torchaudio.highpass_biquad"];
}

impl Augment for HighPass {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("cutoff_hz", &self.cutoff_hz, 1.0, 384_000.0)?;
        check_rolloff(&self.rolloff_db_per_octave, self.phase)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(OneEdge {
            side: Side::High,
            cutoff_hz: self.cutoff_hz.clone(),
            rolloff_db_per_octave: self.rolloff_db_per_octave.clone(),
            phase: self.phase,
            filter: Filter::default(),
        })
    }
}
