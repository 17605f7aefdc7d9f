//! The input of `OpenAI`'s Whisper: log mel spectrograms, scaled by the loudest of the utterance.
//!
//! Each frame: 400 samples under a periodic Hann window, centred on every 160th sample of the sound mirrored at its ends,
//! |X|², Slaney's mel filters, log₁₀ of at least 1e-10. The last frame is dropped. Then max(x, m − 8) and (x + 4) / 4, where m
//! is the utterance's highest value. Source: `whisper/audio.py` at c0d2f62, matched to within 1e-4.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Extractor;
use super::mel::{Log, LogSettings, Mel, MelRow};
use super::stft::{Spectra, Stft};
use crate::audio::Hertz;
use crate::family::Member;
use crate::seed::Draws;
use crate::spectrum::{self, Framing, MelNorm, MelScale};
use crate::transform::{Column, Extract, ExtractError, SettingError};

/// The input of Whisper: `OpenAI`'s `log_mel_spectrogram`.
///
/// Shape `[frames, n_mels]`, (log10(energy) + 4) / 4, one frame for each whole 10 ms of sound at 16 kHz, from the
/// utterance's highest value down to 2 below it. With `pad_or_trim_s: 30` the 3000 frames that Whisper is trained on. As the
/// highest value is the utterance's, an utterance cut in two gives other numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Whisper {
    /// The number of mel filters: 80, or 128 for `large-v3` and `turbo`.
    #[schemars(range(min = 80, max = 128))]
    pub n_mels: NonZeroU32,
    /// The length in seconds, 0.02 to 3600, to which the sound is cut, or padded with silence, first; null takes the
    /// utterance as it is. `OpenAI`'s `pad_or_trim` is 30.
    #[schemars(range(min = 0.02, max = 3600.0))]
    pub pad_or_trim_s: Option<f64>,
}

impl Default for Whisper {
    fn default() -> Self {
        Self { n_mels: const { NonZeroU32::new(80).unwrap() }, pad_or_trim_s: None }
    }
}

impl Member for Whisper {
    const EXAMPLE: &'static str = "whisper: { n_mels: 80, pad_or_trim_s: 30 }";
}

/// Samples from one frame to the next.
const HOP: u64 = 160;

/// The rate that all of it is defined for.
const RATE: Hertz = Hertz::new(16_000).unwrap();

/// Silence that is made features of before the rest is known: a frame's length and two hops, so that the last two frames
/// lie in it, however the sound ends.
const SILENCE: [f32; 720] = [0.0; 720];

impl Whisper {
    const fn mel(&self) -> Mel {
        let stft = Stft { hop_length: NonZeroU32::new(HOP as u32), ..Stft::TORCHAUDIO };
        Mel {
            stft,
            power: 2.0,
            f_min_hz: 0.0,
            f_max_hz: None,
            n_mels: self.n_mels,
            norm: MelNorm::Slaney,
            mel_scale: MelScale::Slaney,
        }
    }

    /// The samples to which the sound is cut or padded.
    fn length(&self) -> Result<Option<u64>, SettingError> {
        let Some(seconds) = self.pad_or_trim_s else { return Ok(None) };
        let seconds = SettingError::unless_within("pad_or_trim_s", seconds, 0.02, 3_600.0)?;
        Ok(Some((seconds * f64::from(RATE.get())).round() as u64))
    }
}

impl Extractor for Whisper {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        if ![80, 128].contains(&self.n_mels.get()) {
            return Err(SettingError::DoesNotFit { key: "n_mels", reason: "Whisper has 80 or 128 mel filters" });
        }
        self.length()?;
        if let Some(rate) = rate {
            self.framing(rate)?;
        }
        Ok(Column::of(self.n_mels.get() as usize, "(log10(energy) + 4) / 4", self.frame_shift(rate)))
    }

    fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
        if rate != RATE {
            return Err(SettingError::WrongRate { key: "", needed: RATE, rate });
        }
        self.mel().stft.framing(rate)
    }

    fn num_frames(&self, num_samples: u64, rate: Hertz) -> u64 {
        match (self.framing(rate), self.length()) {
            (Ok(_), Ok(Some(length))) if num_samples > 0 => length / HOP,
            (Ok(framing), Ok(None)) if framing.num_frames(num_samples) > 0 => num_samples / HOP,
            _ => 0,
        }
    }

    fn prepare(&self, rate: Hertz, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        self.column(Some(rate))?;
        let log = LogSettings { log: Log::Log10, ..LogSettings::NONE };
        Ok(Box::new(AtWork {
            mel: self.mel().prepare(rate, &log)?,
            bins: self.n_mels.get() as usize,
            length: self.length()?,
            num_samples: 0,
        }))
    }
}

/// The extractor at work.
struct AtWork {
    mel: Spectra<MelRow>,
    bins: usize,
    /// The samples to which the sound is cut or padded.
    length: Option<u64>,
    /// The samples taken in, without those cut off.
    num_samples: u64,
}

impl Extract for AtWork {
    fn begin(&mut self, draws: Draws<'_>) {
        self.mel.begin(draws);
        self.num_samples = 0;
    }

    fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        let room = self.length.map_or(u64::MAX, |length| length - self.num_samples);
        let samples = &samples[..samples.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        self.num_samples += samples.len() as u64;
        self.mel.push(samples, out);
    }

    fn needs_all(&self) -> bool {
        true
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        let length = self.length.unwrap_or(self.num_samples);
        let padding = (length - self.num_samples).min(SILENCE.len() as u64);
        if self.num_samples > 0 {
            self.mel.push(&SILENCE[..padding as usize], out);
        }
        self.mel.finish(out)?;

        // One frame more than there are hops, the last, which nobody wants. Behind padding it is silence, as are all frames
        // whose padding was not made.
        let made = (self.num_samples + padding) / HOP;
        let silence = out.last().copied().unwrap_or_default();
        out.truncate(out.len() - self.bins);
        let start = out.len() - made as usize * self.bins;
        out.resize(start + (length / HOP) as usize * self.bins, silence);
        scale(&mut out[start..]);
        Ok(())
    }
}

/// Raises what is more than 8 below the highest, and brings the rest near 0.
fn scale(values: &mut [f32]) {
    let highest = spectrum::highest(values);
    for value in values {
        *value = (value.max(highest - 8.0) + 4.0) / 4.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::golden::{extract, golden, rate, settings};

    #[test]
    fn silence_is_as_low_as_can_be_and_nothing_is_two_below_the_highest() {
        let silence = extract(&Whisper::default(), &[0.0; 1_600], rate(16_000)).unwrap();
        // (log10(1e-10) + 4) / 4
        assert!(silence.len() == 10 * 80 && silence.iter().all(|value| (value + 1.5).abs() < 1e-6));
        let mut click = [0.0; 3_200];
        click[1_600] = 1.0;
        let click = extract(&Whisper::default(), &click, rate(16_000)).unwrap();
        let highest = click.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let lowest = click.iter().copied().fold(f32::INFINITY, f32::min);
        assert!((highest - lowest - 2.0).abs() < 1e-6, "{highest} {lowest}");
    }

    #[test]
    fn padding_not_computed_is_what_computing_it_gives() {
        let (_, sound) = golden("signal-voiced-16000");
        for num_samples in [1, 159, 160, 161, 200, 399, 4_000, 4_079, 4_081, 7_600, 7_900, 8_000, 8_001, 12_800] {
            let mut padded = sound[..num_samples].to_vec();
            padded.resize(8_000, 0.0);
            let half = settings::<Whisper>(r#"{"pad_or_trim_s": 0.5}"#);
            let made = extract(&half, &sound[..num_samples], rate(16_000)).unwrap();
            assert_eq!(made.len(), 50 * 80);
            assert!(made == extract(&Whisper::default(), &padded, rate(16_000)).unwrap(), "{num_samples}");
        }
    }

    #[test]
    fn sound_too_short_or_broken_is_refused() {
        let short = extract(&Whisper::default(), &[0.1; 200], rate(16_000));
        assert_eq!(short, Err(ExtractError::TooShort { num_samples: 200, needed: 201 }));
        let padded = settings::<Whisper>(r#"{"pad_or_trim_s": 30, "n_mels": 128}"#);
        assert_eq!(extract(&padded, &[0.1], rate(16_000)).unwrap().len(), 3_000 * 128);
        assert!(matches!(extract(&padded, &[], rate(16_000)), Err(ExtractError::TooShort { num_samples: 0, .. })));
        let mut sound = [0.1; 1_000];
        sound[500] = f32::NAN;
        assert_eq!(extract(&padded, &sound, rate(16_000)), Err(ExtractError::NotFinite { frame: 2 }));
    }

    #[test]
    fn settings_that_do_not_fit_are_named() {
        let refused = |json: &str| settings::<Whisper>(json).column(Some(rate(16_000))).unwrap_err().key();
        assert_eq!(refused(r#"{"n_mels": 64}"#), "n_mels");
        assert_eq!(refused(r#"{"pad_or_trim_s": 0}"#), "pad_or_trim_s");
        assert_eq!(refused(r#"{"pad_or_trim_s": 1e9}"#), "pad_or_trim_s");
        let wrong = Whisper::default().column(Some(rate(8_000))).unwrap_err();
        assert_eq!(wrong, SettingError::WrongRate { key: "", needed: rate(16_000), rate: rate(8_000) });
        assert!(Whisper::default().column(None).is_ok());
    }
}
