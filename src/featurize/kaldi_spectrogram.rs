//! Kaldi's log power spectra, with the parameters and defaults of `torchaudio.compliance.kaldi.spectrogram`.
//!
//! The frames of `kaldi_fbank`, then ln(max(|X|², 1.2e-7)) of every bin; in the place of the bin at 0 Hz stands the frame's
//! ln(energy), as in Kaldi's `feature-spectrogram.cc`. torchaudio 2.11 is matched to within 5e-3, one number in a thousand
//! above 1e-3, but for single bins some 100 dB below the loudest of their frame, up to 3e-2: there a single-precision FFT rounds,
//! torchaudio's too.

use super::Extractor;
use super::kaldi::{LN, PowerToRow, WithEnergy, kaldi_frame_row};
use crate::audio::Hertz;
use crate::family::Member;
use crate::spectrum::Framing;
use crate::transform::{Column, Extract, SettingError};

kaldi_frame_row! {
    /// Kaldi's log power spectra.
    ///
    /// Shape `[frames, n_fft / 2 + 1]`, ln(energy) of int16-scaled sound, the first number the whole frame's. `n_fft` is the
    /// next power of two from the frame's length: 257 numbers at 16 kHz. Parameters, names and defaults are those of
    /// `torchaudio.compliance.kaldi.spectrogram`.
    pub struct KaldiSpectrogram {}
}

impl Member for KaldiSpectrogram {
    const EXAMPLE: &'static str = "kaldi_spectrogram: { frame_length_ms: 25, frame_shift_ms: 10 }";
}

impl Extractor for KaldiSpectrogram {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        let some = rate.ok_or(SettingError::NeedsRate { key: "frame_length_ms" })?;
        Ok(Column::of(self.frames().n_fft(some)? / 2 + 1, "ln(energy)", self.frame_shift(rate)))
    }

    fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
        self.frames().framing(rate)
    }

    fn prepare(&self, rate: Hertz, path: &str) -> Result<Box<dyn Extract>, SettingError> {
        let frames = self.frames();
        let row = Spectrogram { num_bins: frames.n_fft(rate)? / 2 + 1 };
        frames.prepare(rate, path, WithEnergy::kaldi(true), row)
    }
}

/// The logarithm of a power spectrum.
struct Spectrogram {
    num_bins: usize,
}

impl PowerToRow for Spectrogram {
    fn num_bins(&self) -> usize {
        self.num_bins
    }

    fn row(&mut self, power: &mut [f32], energy: f32, row: &mut [f32]) -> bool {
        row.copy_from_slice(&power[..self.num_bins]);
        let finite = row.iter().fold(true, |finite, power| finite & power.is_finite());
        LN.take(row);
        row[0] = energy;
        finite
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::golden::{extract, rate, settings};
    use crate::transform::ExtractError;

    #[test]
    fn a_sine_has_its_power_in_its_bin_and_its_energy_in_front() {
        let sine: Vec<f32> =
            (0..1_000).map(|n| 0.5 * (std::f32::consts::TAU * 32.0 * n as f32 / 512.0).sin()).collect();
        let json = r#"{"window_type": "rectangular", "preemphasis_coefficient": 0, "remove_dc_offset": false,
            "frame_length_ms": 32, "sample_scale": "unit", "energy_floor": 0}"#;
        for row in extract(&settings::<KaldiSpectrogram>(json), &sine, rate(16_000)).unwrap().chunks(257) {
            // |X| = N·a/2 of a sine of amplitude a, whose energy is N·a²/2.
            assert!((row[32] - 2.0 * 128_f32.ln()).abs() < 1e-4 && (row[0] - 64_f32.ln()).abs() < 1e-4, "{row:?}");
            assert!(row[1..].iter().enumerate().all(|(bin, &value)| bin == 31 || value < -9.0));
        }
    }

    #[test]
    fn its_width_depends_on_the_rate() {
        let column = |hertz| KaldiSpectrogram::default().column(Some(rate(hertz))).unwrap().bins;
        assert_eq!([8_000, 16_000, 44_100].map(column), [Some(129), Some(257), Some(1_025)]);
        let exact = settings::<KaldiSpectrogram>(r#"{"round_to_power_of_two": false}"#);
        assert_eq!(exact.column(Some(rate(16_000))).unwrap().bins, Some(201));
        let needs = SettingError::NeedsRate { key: "frame_length_ms" };
        assert_eq!(KaldiSpectrogram::default().column(None), Err(needs));
    }

    #[test]
    fn silence_gives_the_floors_and_broken_sound_its_frame() {
        for row in extract(&KaldiSpectrogram::default(), &[0.0; 1_000], rate(16_000)).unwrap().chunks(257) {
            assert_eq!(row[0], 0.0, "the energy's floor is ln 1");
            assert!(row[1..].iter().all(|&value| value == crate::spectrum::ln(f32::EPSILON)));
        }
        let mut sound = [0.1; 1_000];
        sound[700] = f32::INFINITY;
        let broken = extract(&KaldiSpectrogram::default(), &sound, rate(16_000));
        assert_eq!(broken, Err(ExtractError::NotFinite { frame: 2 }));
    }

    #[test]
    fn dither_has_the_deviation_that_it_says_and_is_the_same_again() {
        // With a rectangular window and nothing else, the frame's energy is that of its 16-bit samples: N·σ².
        let json = |dither: f64| {
            format!(
                r#"{{"window_type": "rectangular", "preemphasis_coefficient": 0, "remove_dc_offset": false,
                "raw_energy": false, "energy_floor": 0, "dither": {dither}}}"#
            )
        };
        let energies = |dither| {
            let features =
                extract(&settings::<KaldiSpectrogram>(&json(dither)), &vec![0.0; 160_000], rate(16_000)).unwrap();
            features.chunks(257).map(|row| f64::from(row[0]).exp()).collect::<Vec<f64>>()
        };
        for deviation in [1.0, 20.0] {
            let found = energies(deviation);
            let mean = found.iter().sum::<f64>() / found.len() as f64 / 400.0;
            assert!((mean.sqrt() / deviation - 1.0).abs() < 0.01, "{deviation}: {}", mean.sqrt());
            assert_eq!(found, energies(deviation));
        }
    }
}
