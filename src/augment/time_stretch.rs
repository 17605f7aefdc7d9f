//! Faster or slower at the same pitch.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chain::unless_too_long;
use super::stretch::{FASTEST, Stretcher};
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// Faster or slower at the same pitch.
///
/// What was at `t` is at `t / rate`, and `n` samples become `round(n / rate)`. A phase vocoder whose phases agree in time and in
/// frequency: sines stay sines and clicks stay clicks, all channels move together, nothing is random; clips of any length. [What
/// it does to tones, clicks and speech, beside the peers](stretch.md).
///
/// `length: keep` cuts the clip to its former length or fills it up with silence, as audiomentations does by default. A slower
/// clip then loses its end: the variant's text becomes null. (audiomentations keeps the text.)
///
/// Source: the class of Signalsmith Stretch (Luff, 2023), which audiomentations 0.43 calls; torchaudio, librosa and NeMo have phase
/// vocoders without agreement in frequency, lhotse's `Tempo` is the overlap-add of `sox`. The samples are those of none of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeStretch {
    /// How many times as fast, 0.25 to 4; [0.8, 1.25].
    pub rate: Range,
    /// What becomes of the length: `change` (default) or `keep`.
    pub length: StretchLength,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

/// What becomes of a stretched clip's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StretchLength {
    /// It is that of the stretched sound.
    #[default]
    Change,
    /// It stays: the end is cut off, or silence follows.
    Keep,
}

impl Default for TimeStretch {
    fn default() -> Self {
        Self { rate: Range::Uniform([0.8, 1.25]), length: StretchLength::Change, probability: Probability::ALWAYS }
    }
}

impl Member for TimeStretch {
    const EXAMPLE: &'static str = "time_stretch: { rate: [0.8, 1.25], probability: 0.5 }";
    const PEERS: &'static [&'static str] = &[
        "audiomentations.TimeStretch",
        "torchaudio.TimeStretch",
        "lhotse.Tempo",
        "lhotse.PerturbTempo",
        "nemo.time_stretch",
    ];
}

impl Augment for TimeStretch {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("rate", &self.rate, 1.0 / FASTEST, FASTEST)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(TimeStretchAtWork { rate: self.rate.clone(), length: self.length, stretcher: None })
    }
}

struct TimeStretchAtWork {
    rate: Range,
    length: StretchLength,
    stretcher: Option<Stretcher>,
}

impl Apply for TimeStretchAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let rate = draw.number("rate", &self.rate);
        let before = sound.num_samples();
        let len = (before as f64 / rate).round().max(1.0) as usize;
        if rate == 1.0 {
            return Ok(());
        }
        unless_too_long(sound, len)?;
        Stretcher::of(&mut self.stretcher, sound.sample_rate).stretch(&mut sound.channels, rate, len);
        if self.length == StretchLength::Keep {
            if len > before {
                draw.lose_words();
            }
            for channel in &mut sound.channels {
                channel.resize(before, 0.0);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Words;
    use crate::augment::testing::{drawn, is_uniform, mono, sine, told, varied};

    fn fixed(rate: f64) -> TimeStretch {
        TimeStretch { rate: Range::fixed(rate), ..TimeStretch::default() }
    }

    #[test]
    fn lengths_are_those_of_the_rate_to_the_sample() {
        for (len, rate, after) in
            [(16_001, 0.8, 20_001), (16_001, 1.25, 12_801), (1, 4.0, 1), (1, 0.25, 4), (7, 1.1, 6)]
        {
            for sample_rate in [8_000, 16_000, 44_100, 48_000] {
                let slower = varied(fixed(rate), &mono(sample_rate, vec![0.1; len]));
                assert_eq!(slower.num_samples(), after, "{len} / {rate}");
            }
        }
    }

    #[test]
    fn kept_lengths_cut_words_off_or_end_in_silence() {
        let keep = |rate| TimeStretch { length: StretchLength::Keep, ..fixed(rate) };
        let clip = sine(440.0, 0.5, 16_000);
        let (slower, tale) = told(keep(0.8), &clip);
        assert_eq!((slower.num_samples(), tale.words == Words::Lost), (16_000, true));
        let (faster, tale) = told(keep(1.25), &clip);
        assert_eq!((faster.num_samples(), tale.words == Words::Lost), (16_000, false));
        assert!(faster.channels[0][12_800..].iter().all(|sample| *sample == 0.0));
        assert!(faster.channels[0][12_000..12_700].iter().any(|sample| sample.abs() > 0.4));
        let (_, tale) = told(fixed(0.8), &clip);
        assert!(tale.words != Words::Lost);
    }

    #[test]
    fn rates_are_drawn_evenly_and_a_rate_of_one_changes_nothing() {
        assert!(is_uniform(&drawn(TimeStretch::default(), "rate", 10_000), 0.8, 1.25));
        let clip = sine(440.0, 0.5, 16_000);
        assert_eq!(varied(fixed(1.0), &clip), clip);
    }
}
