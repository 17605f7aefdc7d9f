//! Spectrograms, with the parameters and defaults of torchaudio's `Spectrogram`, and its `AmplitudeToDB` after it.
//!
//! Each frame: window, FFT, |X|ᵖ and, where asked for, a logarithm; or X itself. torchaudio 2.11 is matched to 1e-6 of the
//! spectrogram's norm and of its peak.

use super::Extractor;
use super::mel::{self, Limit, Log, LogSettings};
use super::stft::{SpectrumToRow, Stft, stft_row};
use crate::audio::Hertz;
use crate::family::Member;
use crate::spectrum::{self, Framing, Logarithm, PowerSpectrum};
use crate::transform::{Column, Extract, SettingError};

stft_row! {
    /// Spectrograms as in torchaudio and librosa: powers, magnitudes, their logarithms, or complex.
    ///
    /// Shape `[frames, n_fft / 2 + 1]`, energies, or what `power` and `log` make of them; `[frames, 2 · (n_fft / 2 + 1)]` with
    /// `power: null`, where the real parts of the frame stand before the imaginary ones. Parameters, names and defaults are
    /// those of `torchaudio.transforms.Spectrogram`, then `AmplitudeToDB`. librosa's `stft` is `{ n_fft: 2048, hop_length:
    /// 512, pad_mode: constant, power: null }`.
    pub struct Spectrogram: Stft::TORCHAUDIO {
        /// The exponent of the magnitude: 2 for power, 1 for magnitude, 0.1 to 10; null leaves the spectrum complex.
        #[schemars(range(min = 0.1, max = 10.0))]
        pub power: Option<f64> = Some(2.0),
        /// The logarithm: `db`, `ln`, `log10` or `none`.
        pub log: Log = Log::None,
        /// What is added before the logarithm.
        #[schemars(range(min = 0.0))]
        pub log_offset: f64 = 0.0,
        /// The least value whose logarithm is taken, above 1.2e-38. (`amin` in the peers.)
        #[schemars(range(min = 1.2e-38))]
        pub floor: f64 = 1e-10,
        /// How far below the utterance's highest value the lowest may lie, in dB; null sets no limit.
        #[schemars(range(min = 0.0))]
        pub top_db: Option<f64> = None,
    }
}

impl Member for Spectrogram {
    const EXAMPLE: &'static str = "spectrogram: { n_fft: 512, win_length: 400, hop_length: 160, log: db }";
}

impl Extractor for Spectrogram {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        let num_bins = self.stft().num_bins();
        let (bins, unit) = match self.power {
            Some(power) => (num_bins, self.log.unit(power)),
            None => (2 * num_bins, "amplitude"),
        };
        Ok(Column::of(bins, unit, self.frame_shift(rate)))
    }

    fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
        self.stft().framing(rate)
    }

    fn num_frames(&self, num_samples: u64, rate: Hertz) -> u64 {
        self.stft().num_frames(num_samples, rate)
    }

    fn prepare(&self, rate: Hertz, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        let (stft, num_bins) = (self.stft(), self.stft().num_bins());
        let log = LogSettings { log: self.log, offset: self.log_offset, floor: self.floor, top_db: self.top_db };
        let Some(power) = self.power else {
            let reason = "a complex spectrum has no logarithm: `power` must be a number";
            return match (self.log, self.top_db) {
                (Log::None, None) => Ok(Box::new(stft.prepare(rate, Complex { num_bins })?)),
                (Log::None, Some(_)) => Err(SettingError::DoesNotFit { key: "top_db", reason }),
                _ => Err(SettingError::DoesNotFit { key: "log", reason }),
            };
        };
        let exponent = mel::exponent(power)?;
        let (log, limit) = log.prepare(exponent)?;
        Ok(Box::new(stft.prepare(rate, Powers { num_bins, exponent: exponent as f32, log, limit })?))
    }
}

/// Real parts, then imaginary parts.
struct Complex {
    num_bins: usize,
}

impl SpectrumToRow for Complex {
    fn num_bins(&self) -> usize {
        2 * self.num_bins
    }

    fn row(&mut self, _: &[f32], spectrum: &mut PowerSpectrum, row: &mut [f32]) -> bool {
        let (real, imaginary) = row.split_at_mut(self.num_bins);
        spectrum.write_complex(real, imaginary);
        all_finite(row)
    }
}

/// Magnitudes to some power, and perhaps their logarithms.
struct Powers {
    num_bins: usize,
    exponent: f32,
    log: Option<Logarithm>,
    limit: Option<Limit>,
}

impl SpectrumToRow for Powers {
    fn num_bins(&self) -> usize {
        self.num_bins
    }

    fn row(&mut self, _: &[f32], spectrum: &mut PowerSpectrum, row: &mut [f32]) -> bool {
        spectrum.write_power(row);
        spectrum::raise(row, self.exponent);
        let finite = all_finite(row);
        if let Some(log) = self.log {
            log.take(row);
        }
        finite
    }

    fn needs_all(&self) -> bool {
        self.limit.is_some()
    }

    fn finish(&mut self, rows: &mut [f32]) {
        if let Some(limit) = self.limit {
            limit.raise(rows);
        }
    }
}

fn all_finite(row: &[f32]) -> bool {
    row.iter().fold(true, |finite, value| finite & value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::golden::{extract, golden, rate, settings};
    use crate::transform::ExtractError;

    #[test]
    fn a_sine_in_the_middle_of_a_bin_is_spread_by_the_window_alone() {
        let sound: Vec<f32> = (0..4_000).map(|n| (std::f32::consts::TAU * (n % 16) as f32 / 16.0).sin()).collect();
        let frames = extract(&settings::<Spectrogram>(r#"{"center": false}"#), &sound, rate(16_000)).unwrap();
        for frame in frames.chunks(201) {
            // 1000 Hz is bin 25 of 400; a Hann window halves the amplitude and puts half of the rest on either side.
            assert!(
                (frame[25] - 1e4).abs() < 0.1 && (frame[24] - 2.5e3).abs() < 0.1 && (frame[26] - 2.5e3).abs() < 0.1
            );
            assert!(frame[..24].iter().chain(&frame[27..]).all(|&power| power < 1e-3));
        }
    }

    #[test]
    fn powers_magnitudes_and_decibels_are_those_of_the_complex_spectrum() {
        let (_, sound) = golden("signal-voiced-16000");
        let [complex, power, magnitude, db] =
            [r#"{"power": null}"#, "{}", r#"{"power": 1}"#, r#"{"log": "db", "floor": 1e-20}"#]
                .map(|json| extract(&settings::<Spectrogram>(json), &sound, rate(16_000)).unwrap());
        for (frame, complex) in complex.chunks(402).enumerate() {
            for bin in 0..201 {
                let (re, im, at) = (complex[bin], complex[201 + bin], frame * 201 + bin);
                let expected = re * re + im * im;
                assert_eq!(power[at], expected);
                assert_eq!(magnitude[at], expected.sqrt());
                assert!((db[at] - 10.0 * expected.log10()).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn an_impulse_has_its_phase() {
        let mut sound = [0.0; 400];
        sound[1] = 1.0;
        let recipe = settings::<Spectrogram>(r#"{"power": null, "center": false, "window_fn": "rectangular"}"#);
        let frame = extract(&recipe, &sound, rate(16_000)).unwrap();
        for bin in 0..201 {
            let turn = std::f32::consts::TAU * bin as f32 / 400.0;
            assert!((frame[bin] - turn.cos()).abs() < 1e-6 && (frame[201 + bin] + turn.sin()).abs() < 1e-6);
        }
    }

    #[test]
    fn silence_gives_the_floor_and_broken_sound_its_frame() {
        let silence = |json: &str| extract(&settings::<Spectrogram>(json), &[0.0; 1_000], rate(16_000)).unwrap();
        assert!(silence("{}").iter().all(|&power| power == 0.0));
        assert!(silence(r#"{"log": "db"}"#).iter().all(|&value| (value + 100.0).abs() < 1e-4));
        let mut sound = [0.1; 1_000];
        sound[500] = f32::NAN;
        for json in [r#"{"power": null}"#, "{}", r#"{"power": 3}"#, r#"{"log": "ln", "top_db": 40}"#] {
            let broken = extract(&settings::<Spectrogram>(json), &sound, rate(16_000));
            assert_eq!(broken, Err(ExtractError::NotFinite { frame: 2 }), "{json}");
        }
    }

    #[test]
    fn settings_that_do_not_fit_are_named() {
        let refused = |json: &str| {
            let spectrogram = settings::<Spectrogram>(json);
            spectrogram.prepare(rate(16_000), "").map_or_else(|error| error.key(), |_| "")
        };
        assert_eq!(refused(r#"{"power": null, "log": "db"}"#), "log");
        assert_eq!(refused(r#"{"power": null, "top_db": 80}"#), "top_db");
        assert_eq!(refused(r#"{"power": 0}"#), "power");
        assert_eq!(refused(r#"{"log_offset": -1}"#), "log_offset");
        assert_eq!(refused(r#"{"n_fft": 4000000000}"#), "n_fft");
    }
}
