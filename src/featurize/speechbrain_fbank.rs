//! `SpeechBrain`'s log mel filter banks, with the parameters and defaults of its `Fbank`.
//!
//! Each frame: a periodic Hamming window, centred in silence, |X|², triangles as wide to the right as to the left, 10·log₁₀ of
//! at least 1e-10; then nothing more than 80 dB below the utterance's highest. Source:
//! `speechbrain/processing/features.py` and `speechbrain/lobes/features.py` at 9c826ef, matched to within 3e-3 dB.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Extractor;
use super::mel::{Log, LogSettings, MelRow, band};
use super::stft::{PadMode, Stft};
use crate::audio::Hertz;
use crate::family::Member;
use crate::spectrum::{Framing, LeftMel, PowerSpectrum, Window};
use crate::transform::{Column, Extract, SettingError};

/// `SpeechBrain`'s log mel filter banks.
///
/// Shape `[frames, n_mels]`, dB. Parameters, names and defaults are those of `speechbrain.lobes.features.Fbank` and of the
/// `Filterbank` in it; for its `deltas: true` follow it by `deltas`, for `InputNormalization` by a normalising transform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpeechbrainFbank {
    /// The number of mel filters; 40.
    #[schemars(range(max = 4096))]
    pub n_mels: NonZeroU32,
    /// The lower end of the filters in hertz; 0.
    #[schemars(range(min = 0.0))]
    pub f_min_hz: f64,
    /// The upper end of the filters in hertz; null (default) is the Nyquist frequency: 8000 at 16 kHz.
    #[schemars(range(min = 0.0))]
    pub f_max_hz: Option<f64>,
    /// The length of the FFT in samples; 400.
    #[schemars(range(min = 2, max = 1_048_576))]
    pub n_fft: NonZeroU32,
    /// The length of the window in milliseconds, up to a minute; 25.
    #[schemars(range(min = 0.0, max = 60_000.0))]
    pub win_length_ms: f64,
    /// The time from one frame to the next in milliseconds, up to a minute; 10.
    #[schemars(range(min = 0.0, max = 60_000.0))]
    pub hop_length_ms: f64,
    /// The least power whose logarithm is taken, above 1.2e-38; 1e-10.
    #[schemars(range(min = 1.2e-38))]
    pub amin: f64,
    /// How far below the utterance's highest value the lowest may lie, in dB; 80. Null sets no limit.
    #[schemars(range(min = 0.0))]
    pub top_db: Option<f64>,
}

impl Default for SpeechbrainFbank {
    fn default() -> Self {
        Self {
            n_mels: const { NonZeroU32::new(40).unwrap() },
            f_min_hz: 0.0,
            f_max_hz: None,
            n_fft: const { NonZeroU32::new(400).unwrap() },
            win_length_ms: 25.0,
            hop_length_ms: 10.0,
            amin: 1e-10,
            top_db: Some(80.0),
        }
    }
}

impl Member for SpeechbrainFbank {
    const EXAMPLE: &'static str = "speechbrain_fbank: { n_mels: 80 }";
}

impl SpeechbrainFbank {
    fn stft(&self, rate: Hertz) -> Result<Stft, SettingError> {
        // Python rounds a half to the even neighbour.
        let samples = |key, ms| {
            let ms = SettingError::unless_within(key, ms, 0.0, 60_000.0)?;
            Ok((f64::from(rate.get()) / 1_000.0 * ms).round_ties_even() as u32)
        };
        let (window, longest) = (samples("win_length_ms", self.win_length_ms)?, PowerSpectrum::LONGEST as f64);
        let hop = samples("hop_length_ms", self.hop_length_ms)?;
        SettingError::unless_within("n_fft", f64::from(self.n_fft.get()), 2.0, longest)?;
        if !(2..=self.n_fft.get()).contains(&window) {
            let (window, n_fft) = (window as usize, self.n_fft.get() as usize);
            return Err(SettingError::Window { key: "win_length_ms", window, n_fft });
        }
        let hop_length = Some(NonZeroU32::new(hop).ok_or(SettingError::NoHop { key: "hop_length_ms", rate })?);
        SettingError::unless_within("hop_length_ms", f64::from(hop), 1.0, longest)?;
        Ok(Stft {
            n_fft: self.n_fft,
            win_length: NonZeroU32::new(window),
            hop_length,
            window_fn: Window::Hamming,
            pad_mode: PadMode::Constant,
            ..Stft::TORCHAUDIO
        })
    }
}

impl Extractor for SpeechbrainFbank {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        SettingError::unless_within("n_mels", f64::from(self.n_mels.get()), 1.0, 4_096.0)?;
        Ok(Column::of(self.n_mels.get() as usize, "dB", self.frame_shift(rate)))
    }

    fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
        self.stft(rate)?.framing(rate)
    }

    fn prepare(&self, rate: Hertz, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        let bands = self.column(Some(rate))?.bins.unwrap_or(1);
        let stft = self.stft(rate)?;
        let n_fft = stft.framing(rate)?.length.get();
        let [low, high] = band(self.f_min_hz, self.f_max_hz, rate)?;
        SettingError::unless_within("amin", self.amin, 1.2e-38, f64::from(f32::MAX))?;
        let log = LogSettings { log: Log::Db, floor: self.amin, top_db: self.top_db, ..LogSettings::NONE };
        let bank = LeftMel { bands, low, high }.bank(n_fft, rate);
        Ok(Box::new(stft.prepare(rate, MelRow::new(2.0, bank, log.prepare(2.0)?))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::golden::{extract, rate, settings};
    use crate::transform::ExtractError;

    #[test]
    fn silence_gives_the_floor_and_broken_sound_its_frame() {
        let silence = extract(&SpeechbrainFbank::default(), &[0.0; 1_000], rate(16_000)).unwrap();
        assert!(silence.len() == 7 * 40 && silence.iter().all(|value| (value + 100.0).abs() < 1e-4));
        let mut sound = [0.1; 1_000];
        sound[500] = f32::NAN;
        let broken = extract(&SpeechbrainFbank::default(), &sound, rate(16_000));
        assert_eq!(broken, Err(ExtractError::NotFinite { frame: 2 }));
        let none = extract(&SpeechbrainFbank::default(), &[], rate(16_000));
        assert_eq!(none, Err(ExtractError::TooShort { num_samples: 0, needed: 1 }));
    }

    #[test]
    fn a_sine_is_loudest_in_its_filter_and_the_rest_at_most_eighty_decibels_below() {
        let sine: Vec<f32> =
            (0..16_000).map(|n| (std::f32::consts::TAU * 1_000.0 * n as f32 / 16_000.0).sin()).collect();
        let rows = extract(&SpeechbrainFbank::default(), &sine, rate(16_000)).unwrap();
        let highest = rows.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert!(rows.iter().all(|&value| value >= highest - 80.0));
        // 1000 mel are 14.4 steps of 2840/41 mel: the filters count from 0.
        let row = &rows[50 * 40..51 * 40];
        let loudest = (0..40).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        assert_eq!(loudest, 13);
    }

    #[test]
    fn settings_that_do_not_fit_are_named() {
        let refused = |json: &str| match settings::<SpeechbrainFbank>(json).prepare(rate(16_000), "") {
            Ok(_) => panic!("{json} should be refused"),
            Err(error) => error.key(),
        };
        assert_eq!(refused(r#"{"win_length_ms": 26}"#), "win_length_ms");
        assert_eq!(refused(r#"{"win_length_ms": 1e9}"#), "win_length_ms");
        assert_eq!(refused(r#"{"hop_length_ms": 0}"#), "hop_length_ms");
        assert_eq!(refused(r#"{"n_fft": 4000000000}"#), "n_fft");
        assert_eq!(refused(r#"{"n_mels": 5000}"#), "n_mels");
        assert_eq!(refused(r#"{"f_max_hz": 9000}"#), "f_max_hz");
        assert_eq!(refused(r#"{"f_min_hz": 8000}"#), "f_min_hz");
        assert_eq!(refused(r#"{"amin": 0}"#), "amin");
        assert_eq!(refused(r#"{"top_db": -1}"#), "top_db");
    }
}
