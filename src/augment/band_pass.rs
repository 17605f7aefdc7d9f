//! Only what is in a band of frequencies, as a telephone passes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::filter::band::{Band, Inside};
use super::filter::{Filter, Phase};
use super::{Apply, Augment, Probability, Setup};
use crate::audio::{Hertz, Range};
use crate::family::Member;
use crate::transform::SettingError;

/// Only what is in a band of frequencies, as a telephone passes.
///
/// A Butterworth filter with the edges `centre_hz · (1 ± bandwidth_fraction / 2)`, -3 dB there, each flank falling by
/// `rolloff_db_per_octave`. The centre is uniform in mels, `2595 · log10(1 + f / 700)`, the fraction uniform, the
/// roll-off one of the multiples of 6. With `phase: zero` a filter of half the order runs forwards and backwards
/// (multiples of 12, -6 dB at the edges). Computed in double precision, from the state that the first sample for ever
/// would have left. The upper edge is at most 0.9999 of the clip's Nyquist frequency; a clip whose rate cannot carry
/// the lower edge either stays as it is.
///
/// Source: audiomentations 0.43 `BandPassFilter`, scipy's `butter` and `sosfiltfilt`. torchaudio's `bandpass_biquad`
/// (with its default 0 dB peak) is this at 6 dB an octave, but has a centre and a `Q` for its edges, starts from
/// silence and clips at ±1. torch-audiomentations' filter is another: a difference of two windowed sincs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BandPass {
    /// The middle of the band, in hertz, 1 to 384000; [200, 4000].
    pub centre_hz: Range,
    /// The width of the band as a share of its middle, 0.001 to 1.999; [0.5, 1.99].
    pub bandwidth_fraction: Range,
    /// How steep each flank is, in dB an octave, 6 to 96; [12, 24]. A multiple of 6 (of 12 with `phase: zero`).
    pub rolloff_db_per_octave: Range,
    /// What it does to phases: `minimum` or `zero`; `minimum`.
    pub phase: Phase,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for BandPass {
    fn default() -> Self {
        Self {
            centre_hz: Range::Uniform([200.0, 4_000.0]),
            bandwidth_fraction: Range::Uniform([0.5, 1.99]),
            rolloff_db_per_octave: Range::Uniform([12.0, 24.0]),
            phase: Phase::Minimum,
            probability: Probability::ALWAYS,
        }
    }
}

impl Member for BandPass {
    const EXAMPLE: &'static str = "band_pass: { centre_hz: [200, 4000], bandwidth_fraction: [0.5, 1.99], rolloff_db_per_octave: [12, 24], probability: 0.5 }";
    const PEERS: &'static [&'static str] =
        &["audiomentations.BandPassFilter", "torch_audiomentations.BandPassFilter", "torchaudio.bandpass_biquad"];
}

impl Augment for BandPass {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        Band::check(&self.centre_hz, &self.bandwidth_fraction, &self.rolloff_db_per_octave, self.phase)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(Band {
            inside: Inside::Passes,
            centre_hz: self.centre_hz.clone(),
            bandwidth_fraction: self.bandwidth_fraction.clone(),
            rolloff_db_per_octave: self.rolloff_db_per_octave.clone(),
            phase: self.phase,
            filter: Filter::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::{sine, varied};

    #[test]
    fn a_band_that_the_rate_cannot_carry_leaves_the_clip() {
        let row =
            BandPass { centre_hz: Range::fixed(4_000.0), bandwidth_fraction: Range::fixed(0.5), ..BandPass::default() };
        let clip = sine(440.0, 0.1, 6_000);
        assert_eq!(varied(row, &clip), clip);
    }
}
