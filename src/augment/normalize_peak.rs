//! To a peak.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::{amplitude, peak_of, scale_exactly};
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// So loud that the highest magnitude of all channels is `peak_db`.
///
/// `y = x · 10^(peak_db / 20) / max|x|`; channels keep their balance, and silence stays silence. With
/// `only_too_loud_sounds` a clip whose peak is not above `peak_db` stays as it is. Drawn: `peak_db`, and the clip's own
/// peak is recorded as `peak_before_db`, null of silence.
///
/// Source: audiomentations 0.43.1 `Normalize`, torch-audiomentations 0.12 `PeakNormalization`; both have a peak of 1 (0
/// dB). speechbrain's `RandAmp` draws a peak of 0.5 to 1.5, which is -6 to 3.5 dB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NormalizePeak {
    /// The peak in dB of full scale, -200 to 200; 0.
    pub peak_db: Range,
    /// Which clips; `all`.
    pub apply_to: ApplyTo,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

/// Which clips are brought to a peak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApplyTo {
    /// All of them.
    #[default]
    All,
    /// Those whose peak is higher.
    OnlyTooLoudSounds,
}

impl Default for NormalizePeak {
    fn default() -> Self {
        Self { peak_db: Range::fixed(0.0), apply_to: ApplyTo::All, probability: Probability::ALWAYS }
    }
}

impl Member for NormalizePeak {
    const EXAMPLE: &'static str = "normalize_peak: { peak_db: -1, apply_to: all }";
    const PEERS: &'static [&'static str] =
        &["audiomentations.Normalize", "torch_audiomentations.PeakNormalization", "speechbrain.RandAmp"];
}

impl Augment for NormalizePeak {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("peak_db", &self.peak_db, -200.0, 200.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(self.clone())
    }
}

impl Apply for NormalizePeak {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let target = amplitude(draw.number("peak_db", &self.peak_db));
        let peak = f64::from(peak_of(sound));
        draw.note("peak_before_db", (peak > 0.0).then(|| 20.0 * peak.log10()));
        if peak == 0.0 || (self.apply_to == ApplyTo::OnlyTooLoudSounds && peak <= target) {
            return Ok(());
        }
        // In double precision, so that the peak is the target and not a bit above it.
        scale_exactly(sound, target / peak);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::{mono, sine, told, varied};

    fn only_too_loud(peak_db: f64) -> NormalizePeak {
        NormalizePeak {
            peak_db: Range::fixed(peak_db),
            apply_to: ApplyTo::OnlyTooLoudSounds,
            ..NormalizePeak::default()
        }
    }

    #[test]
    fn the_peak_of_all_channels_is_the_target_and_no_sample_is_above_it() {
        let mut sound = sine(997.0, 0.123_456_7, 44_100);
        sound.channels.push(sine(440.0, 0.012_345_67, 44_100).channels.remove(0));
        let found = varied(NormalizePeak::default(), &sound);
        assert_eq!(peak_of(&found), 1.0);
        // As NumPy divides.
        let peak = peak_of(&sound);
        assert!(found.channels.iter().flatten().zip(sound.channels.iter().flatten()).all(|(y, x)| *y == x / peak));
        let row = NormalizePeak { peak_db: Range::fixed(-6.0), ..NormalizePeak::default() };
        assert_eq!(peak_of(&varied(row, &sound)), amplitude(-6.0) as f32);
    }

    #[test]
    fn sounds_that_are_not_too_loud_may_be_spared() {
        let sound = sine(440.0, 0.4, 8_000);
        assert_eq!(varied(only_too_loud(0.0), &sound), sound);
        assert!((peak_of(&varied(only_too_loud(-12.0), &sound)) - 0.251_189).abs() < 1e-6);
    }

    #[test]
    fn silence_stays_silence_and_its_peak_is_null() {
        let (found, told) = told(NormalizePeak::default(), &mono(8_000, vec![0.0]));
        assert_eq!(found.channels[0], [0.0]);
        assert!(told.applied[0]["normalize_peak"]["peak_before_db"].is_null());
    }
}
