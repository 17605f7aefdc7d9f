//! Spectral contrast, with the parameters and defaults of librosa's `spectral_contrast`.
//!
//! Each frame: window, FFT, |X|; in each band of an octave the mean of the strongest few bins over that of the weakest few
//! (Jiang et al., "Music type classification by spectral contrast feature", ICME 2002). librosa 0.11 is matched to 5e-3 dB.

mod bands;

use std::num::NonZeroU32;

use self::bands::{Band, bands};
use super::Extractor;
use super::mel::{Limit, Log, LogSettings};
use super::stft::{SpectrumToRow, Stft, stft_row};
use crate::audio::Hertz;
use crate::family::Member;
use crate::spectrum::{self, DoubleSpectrum, Framing, Logarithm, PowerSpectrum};
use crate::transform::{Column, EachFrame, Extract, FrameToRow, Link, SettingError, chain};

stft_row! {
    /// Spectral contrast as in librosa: how far peaks stand out from valleys, octave by octave.
    ///
    /// Shape `[frames, n_bands + 1]`, in dB, or magnitudes with `linear`: the band below `fmin_hz`, then `n_bands` octaves from
    /// there. High for a clear voice, low for noise. Parameters, names and defaults are those of
    /// `librosa.feature.spectral_contrast`; its decibels are 10·log₁₀ of magnitudes of at least 1e-10.
    pub struct SpectralContrast: Stft::LIBROSA {
        /// The upper end of the first band in hertz, 1 or more.
        #[schemars(range(min = 1.0))]
        pub fmin_hz: f64 = 200.0,
        /// The number of octaves above, up to 20; the last begins below the Nyquist frequency. At 8 kHz there are 5.
        #[schemars(range(max = 20))]
        pub n_bands: NonZeroU32 = const { NonZeroU32::new(6).unwrap() },
        /// The part of a band's bins that makes its peak, and its valley, 0 to 1; at least one bin does.
        #[schemars(range(min = 0.0, max = 1.0))]
        pub quantile: f64 = 0.02,
        /// Whether the contrast is the difference of the magnitudes rather than that of their decibels.
        pub linear: bool = false,
        /// How far below the utterance's highest peak the lowest may lie, in dB, and so for the valleys; null sets no limit. Of
        /// no effect with `linear`.
        #[schemars(range(min = 0.0))]
        pub top_db: Option<f64> = Some(80.0),
    }
}

impl Member for SpectralContrast {
    const EXAMPLE: &'static str = "spectral_contrast: { n_bands: 6, quantile: 0.02 }";
}

impl Extractor for SpectralContrast {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        let log = if self.linear { Log::None } else { Log::Db };
        Ok(Column::of(self.num_bands() + 1, log.unit(1.0), self.frame_shift(rate)))
    }

    fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
        self.stft().framing(rate)
    }

    fn num_frames(&self, num_samples: u64, rate: Hertz) -> u64 {
        self.stft().num_frames(num_samples, rate)
    }

    fn prepare(&self, rate: Hertz, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        let n_fft = self.stft().framing(rate)?.length.get();
        SettingError::unless_within("fmin_hz", self.fmin_hz, 1.0, f64::MAX)?;
        SettingError::unless_within("n_bands", f64::from(self.n_bands.get()), 1.0, 20.0)?;
        SettingError::unless_within("quantile", self.quantile, 0.0, 1.0)?;
        let bands = bands(self.fmin_hz, self.num_bands(), self.quantile, n_fft, rate)?;
        let log = if self.linear {
            LogSettings::NONE
        } else {
            LogSettings { log: Log::Db, top_db: self.top_db, ..LogSettings::NONE }
        };
        // librosa's `power_to_db` takes magnitudes for powers.
        let (log, limit) = log.prepare(2.0)?;
        let width = bands.len();
        let extremes = PeaksAndValleys {
            spectrum: DoubleSpectrum::new(&self.stft().window_in_frame()),
            bands,
            ranked: Vec::new(),
            log,
            limit,
        };
        let extremes = Link::new(self.stft().prepare(rate, extremes)?, 2 * width);
        Ok(chain(extremes, vec![Link::new(EachFrame(Contrast { width }), width)]))
    }
}

impl SpectralContrast {
    const fn num_bands(&self) -> usize {
        self.n_bands.get() as usize
    }
}

/// The peaks of all bands, then the valleys.
struct PeaksAndValleys {
    /// A valley is a bin or two that may lie 100 dB below the frame's loudest, and librosa's FFT is of double precision.
    spectrum: DoubleSpectrum,
    bands: Vec<Band>,
    /// Room for the powers of one band: as bits, which are in the order of the powers, since none is negative.
    ranked: Vec<u32>,
    log: Option<Logarithm>,
    limit: Option<Limit>,
}

/// The mean magnitude of bins of these powers; their order changes no bit.
fn mean_magnitude(powers: &mut [u32]) -> f32 {
    powers.sort_unstable();
    let sum: f64 = powers.iter().map(|&power| f64::from(f32::from_bits(power).sqrt())).sum();
    (sum / powers.len() as f64) as f32
}

impl SpectrumToRow for PeaksAndValleys {
    fn num_bins(&self) -> usize {
        2 * self.bands.len()
    }

    fn row(&mut self, samples: &[f32], _: &mut PowerSpectrum, row: &mut [f32]) -> bool {
        let Self { spectrum, bands, ranked, log, .. } = self;
        let powers = spectrum.power(samples);
        let (peaks, valleys) = row.split_at_mut(bands.len());
        for ((band, peak), valley) in bands.iter().zip(peaks).zip(valleys) {
            ranked.clear();
            ranked.extend(powers[band.bins.clone()].iter().map(|power| power.to_bits()));
            let (count, rest) = (band.count, ranked.len() - band.count);
            ranked.select_nth_unstable(count - 1);
            *valley = mean_magnitude(&mut ranked[..count]);
            ranked.select_nth_unstable(rest);
            *peak = mean_magnitude(&mut ranked[rest..]);
        }
        if let Some(log) = log {
            log.take(row);
        }
        powers.iter().fold(true, |finite, power| finite & power.is_finite())
    }

    fn needs_all(&self) -> bool {
        self.limit.is_some()
    }

    fn finish(&mut self, rows: &mut [f32]) {
        let Some(limit) = self.limit else { return };
        let width = self.bands.len();
        let highest = |part: &[f32], so_far: f32| so_far.max(spectrum::highest(part));
        let (mut peak, mut valley) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
        for row in rows.chunks_exact(2 * width) {
            (peak, valley) = (highest(&row[..width], peak), highest(&row[width..], valley));
        }
        for row in rows.chunks_exact_mut(2 * width) {
            let (peaks, valleys) = row.split_at_mut(width);
            for (part, highest) in [(peaks, peak), (valleys, valley)] {
                let lowest = limit.lowest(highest);
                for value in part {
                    *value = value.max(lowest);
                }
            }
        }
    }
}

/// Peaks less valleys.
struct Contrast {
    width: usize,
}

impl FrameToRow for Contrast {
    fn bins_in(&self) -> usize {
        2 * self.width
    }

    fn bins_out(&self) -> usize {
        self.width
    }

    fn row(&mut self, frame: &[f32], row: &mut [f32]) {
        let (peaks, valleys) = frame.split_at(self.width);
        for ((contrast, peak), valley) in row.iter_mut().zip(peaks).zip(valleys) {
            *contrast = peak - valley;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::golden::{extract, golden, rate, settings};
    use crate::transform::ExtractError;

    #[test]
    fn the_band_with_a_tone_has_the_most_contrast() {
        let (_, noise) = golden("signal-quiet-16000");
        let tone = |n: usize| 0.1 * (std::f32::consts::TAU * (n % 8) as f32 / 8.0).sin();
        let sound: Vec<f32> = noise.iter().enumerate().map(|(n, noise)| noise + tone(n)).collect();
        let contrast = extract(&SpectralContrast::default(), &sound, rate(16_000)).unwrap();
        for frame in contrast.chunks(7).skip(2).take(20) {
            // 2 kHz lies between 1600 and 3200 Hz, the fifth band.
            assert!(frame[4] > 30.0, "{frame:?}");
            assert!(frame[..4].iter().chain(&frame[5..]).all(|&contrast| (0.0..30.0).contains(&contrast)), "{frame:?}");
        }
    }

    #[test]
    fn an_impulse_and_silence_have_no_contrast() {
        let mut sound = vec![0.0; 4_096];
        for linear in [false, true] {
            let contrast = SpectralContrast { linear, ..SpectralContrast::default() };
            for sample in [0.0, 1.0] {
                sound[1_024] = sample;
                let frames = extract(&contrast, &sound, rate(16_000)).unwrap();
                assert!(frames.iter().all(|contrast| contrast.abs() < 1e-4), "{frames:?}");
            }
        }
    }

    #[test]
    fn settings_that_do_not_fit_are_named_and_broken_sound_too() {
        let refused = |json: &str, hertz| {
            let contrast = settings::<SpectralContrast>(json);
            contrast.prepare(rate(hertz), "").map_or_else(|error| error.key(), |_| "")
        };
        assert_eq!(refused("{}", 8_000), "n_bands");
        assert_eq!(refused(r#"{"n_bands": 5}"#, 8_000), "");
        assert_eq!(refused(r#"{"n_bands": 21}"#, 16_000), "n_bands");
        assert_eq!(refused(r#"{"fmin_hz": 0}"#, 16_000), "fmin_hz");
        assert_eq!(refused(r#"{"quantile": 1.1}"#, 16_000), "quantile");
        assert_eq!(refused(r#"{"top_db": -1}"#, 16_000), "top_db");
        assert_eq!(refused(r#"{"n_fft": 128}"#, 16_000), "", "bins 125 Hz apart: two of them below 200 Hz");
        assert_eq!(refused(r#"{"n_fft": 64}"#, 16_000), "n_fft");
        let mut sound = vec![0.1; 8_192];
        sound[4_096] = f32::NAN;
        let broken = extract(&SpectralContrast::default(), &sound, rate(16_000));
        assert_eq!(broken, Err(ExtractError::NotFinite { frame: 7 }));
    }
}
