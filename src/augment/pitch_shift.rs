//! Higher or lower at the same tempo.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chain::unless_too_long;
use super::stretch::Stretcher;
use super::stretch::varispeed::Varispeed;
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// Higher or lower at the same tempo and length.
///
/// 100 Hz becomes `100 * 2^(semitones / 12)` Hz, exactly; formants move along. The clip is made faster and higher by that ratio
/// (a windowed sinc), then slower again at its new pitch, as `time_stretch` does it. [What it does to tones
/// and speech, beside the peers](stretch.md).
///
/// Upwards, what would pass the Nyquist frequency is filtered out; downwards, nothing is left above the Nyquist frequency times the ratio.
/// The filter is flat to about 0.82 of that bound (0.75 in the worst case, 22 semitones upwards).
///
/// Source: audiomentations 0.43 `PitchShift` for what is drawn. Its Signalsmith Stretch moves peaks of the
/// spectrum instead (4 cents off at 440 Hz); torchaudio's and librosa's are phase vocoders without agreement in frequency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PitchShift {
    /// Semitones upwards, -24 to 24; [-4, 4].
    pub semitones: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for PitchShift {
    fn default() -> Self {
        Self { semitones: Range::Uniform([-4.0, 4.0]), probability: Probability::ALWAYS }
    }
}

impl Member for PitchShift {
    const EXAMPLE: &'static str = "pitch_shift: { semitones: [-4, 4], probability: 0.5 }";
    const PEERS: &'static [&'static str] =
        &["audiomentations.PitchShift", "torch_audiomentations.PitchShift", "torchaudio.PitchShift"];
}

impl Augment for PitchShift {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("semitones", &self.semitones, -24.0, 24.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(PitchShiftAtWork {
            semitones: self.semitones.clone(),
            varispeed: Varispeed::default(),
            stretcher: None,
        })
    }
}

struct PitchShiftAtWork {
    semitones: Range,
    varispeed: Varispeed,
    stretcher: Option<Stretcher>,
}

impl Apply for PitchShiftAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let ratio = (draw.number("semitones", &self.semitones) / 12.0).exp2();
        if ratio == 1.0 {
            return Ok(());
        }
        let len = sound.num_samples();
        unless_too_long(sound, (len as f64 / ratio).ceil() as usize)?;
        for channel in &mut sound.channels {
            self.varispeed.change(channel, ratio);
        }
        Stretcher::of(&mut self.stretcher, sound.sample_rate).stretch(&mut sound.channels, 1.0 / ratio, len);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::stretch::measure::{assert_tone, harmonics_snr_db, highest_at, tone};
    use crate::augment::testing::{drawn, is_uniform, mono, sine, varied};

    fn fixed(semitones: f64) -> PitchShift {
        PitchShift { semitones: Range::fixed(semitones), ..PitchShift::default() }
    }

    #[test]
    fn tones_become_tones_of_the_new_pitch() {
        for semitones in [-4.0, 4.0, 0.37] {
            let ratio = (semitones / 12.0_f64).exp2();
            for hertz in [440.0, 1_000.0, 3_000.0] {
                let shifted = varied(fixed(semitones), &mono(16_000, tone(&[hertz], 3.0)));
                assert_eq!(shifted.num_samples(), 48_000);
                assert_tone(&shifted.channels[0], hertz * ratio);
            }
        }
    }

    #[test]
    fn harmonics_stay_in_their_ratios() {
        let fundamentals: Vec<f64> = (1..=10).map(|number| 200.0 * f64::from(number)).collect();
        for semitones in [-4.0, 4.0] {
            let ratio = (semitones / 12.0_f64).exp2();
            let shifted = varied(fixed(semitones), &mono(16_000, tone(&fundamentals, 3.0)));
            let expected: Vec<f64> = fundamentals.iter().map(|hertz| hertz * ratio).collect();
            let snr_db = harmonics_snr_db(&shifted.channels[0], &expected);
            assert!(snr_db >= 50.0, "{semitones}: {snr_db}");
        }
    }

    #[test]
    fn a_click_stays_where_it_was() {
        for semitones in [-4.0, 4.0, 12.0] {
            let mut clip = mono(16_000, vec![0.0; 16_000]);
            clip.channels[0][8_000] = 1.0;
            let shifted = varied(fixed(semitones), &clip);
            let highest = highest_at(&shifted.channels[0]);
            assert!(highest.abs_diff(8_000) <= 16, "{semitones}: {highest}");
        }
    }

    #[test]
    fn lengths_stay_at_every_rate_down_to_one_sample() {
        for sample_rate in [1_000, 8_000, 44_100, 48_000] {
            for len in [1, 2, 3, 100, 4_001] {
                for semitones in [-24.0, -0.1, 3.3, 24.0] {
                    let shifted = varied(fixed(semitones), &mono(sample_rate, vec![0.1; len]));
                    assert_eq!(shifted.num_samples(), len);
                }
            }
        }
    }

    #[test]
    fn semitones_are_drawn_evenly_and_none_change_nothing() {
        assert!(is_uniform(&drawn(PitchShift::default(), "semitones", 10_000), -4.0, 4.0));
        let clip = sine(440.0, 0.5, 16_000);
        assert_eq!(varied(fixed(0.0), &clip), clip);
    }
}
