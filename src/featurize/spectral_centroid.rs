//! The centre of gravity of the spectrum, with the parameters and defaults of torchaudio's `SpectralCentroid`.
//!
//! Each frame: window, FFT, then Σ f·|X(f)| / Σ |X(f)|. torchaudio 2.11 and librosa 0.11's `spectral_centroid` are matched to
//! 0.01 Hz.

use super::Extractor;
use super::stft::{SpectrumToRow, Stft, stft_row};
use crate::audio::Hertz;
use crate::family::Member;
use crate::spectrum::{self, Framing, PowerSpectrum};
use crate::transform::{Column, Extract, SettingError};

stft_row! {
    /// The spectral centroid: the mean frequency of each frame, weighted by magnitude.
    ///
    /// Shape `[frames, 1]`, in Hz; how bright a sound is. A silent frame has the centroid 0, as in librosa, where torchaudio
    /// divides zero by zero. Parameters, names and defaults are those of `torchaudio.transforms.SpectralCentroid`; librosa's
    /// `spectral_centroid` is `{ n_fft: 2048, hop_length: 512, pad_mode: constant }`. `normalized` is of no effect.
    pub struct SpectralCentroid: Stft::TORCHAUDIO {}
}

impl Member for SpectralCentroid {
    const EXAMPLE: &'static str = "spectral_centroid: { n_fft: 512, win_length: 400, hop_length: 160 }";
}

impl Extractor for SpectralCentroid {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        Ok(Column::of(1, "Hz", self.frame_shift(rate)))
    }

    fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
        self.stft().framing(rate)
    }

    fn num_frames(&self, num_samples: u64, rate: Hertz) -> u64 {
        self.stft().num_frames(num_samples, rate)
    }

    fn prepare(&self, rate: Hertz, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        let bin_width = f64::from(rate.get()) / f64::from(self.n_fft.get());
        Ok(Box::new(self.stft().prepare(rate, Centroid { bin_width })?))
    }
}

struct Centroid {
    /// Hertz from bin to bin.
    bin_width: f64,
}

/// Sums that are made side by side, in a fixed order: two registers of SSE2.
const LANES: usize = 4;

impl SpectrumToRow for Centroid {
    fn num_bins(&self) -> usize {
        1
    }

    fn row(&mut self, _: &[f32], spectrum: &mut PowerSpectrum, row: &mut [f32]) -> bool {
        // What does not fill a group are the zeros behind the last bin.
        let magnitudes = spectrum.power();
        spectrum::raise(magnitudes, 1.0);
        let (mut totals, mut weighted) = ([0.0_f64; LANES], [0.0_f64; LANES]);
        let mut numbers: [f64; LANES] = std::array::from_fn(|lane| lane as f64);
        for group in magnitudes.chunks_exact(LANES) {
            for lane in 0..LANES {
                let magnitude = f64::from(group[lane]);
                totals[lane] += magnitude;
                weighted[lane] += numbers[lane] * magnitude;
                numbers[lane] += LANES as f64;
            }
        }
        let [total, weighted] = [totals, weighted].map(|[a, b, c, d]| (a + c) + (b + d));
        row[0] = if total > 0.0 { (weighted / total * self.bin_width) as f32 } else { 0.0 };
        total.is_finite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::golden::{extract, rate, settings};
    use crate::transform::ExtractError;

    fn tone(hertz: f64) -> impl Fn(usize) -> f32 {
        move |n| (std::f64::consts::TAU * hertz * n as f64 / 16_000.0).sin() as f32
    }

    #[test]
    fn a_tone_is_its_own_centroid_and_two_share_it() {
        let recipe = settings::<SpectralCentroid>(r#"{"center": false}"#);
        let centroid = |sample: &dyn Fn(usize) -> f32| {
            extract(&recipe, &(0..2_000).map(sample).collect::<Vec<_>>(), rate(16_000)).unwrap()
        };
        assert!(centroid(&tone(1_000.0)).iter().all(|hertz| (hertz - 1_000.0).abs() < 0.5));
        let two = centroid(&|n| 3.0 * tone(1_000.0)(n) + tone(5_000.0)(n));
        assert!(two.iter().all(|hertz| (hertz - 2_000.0).abs() < 0.5), "{two:?}");
    }

    #[test]
    fn an_impulse_has_its_centroid_in_the_middle_of_all_bins() {
        for n_fft in [399_usize, 400, 401, 402] {
            let mut sound = vec![0.0; n_fft];
            sound[n_fft / 2] = 1.0;
            let recipe = settings::<SpectralCentroid>(&format!(r#"{{"center": false, "n_fft": {n_fft}}}"#));
            let middle = (n_fft / 2) as f32 / 2.0 * 16_000.0 / n_fft as f32;
            let found = extract(&recipe, &sound, rate(16_000)).unwrap();
            assert!((found[0] - middle).abs() < 0.01, "{n_fft}: {} and not {middle}", found[0]);
        }
    }

    #[test]
    fn silence_has_none_and_broken_sound_is_refused() {
        assert_eq!(extract(&SpectralCentroid::default(), &[0.0; 400], rate(16_000)).unwrap(), [0.0; 3]);
        let mut sound = [0.1; 1_000];
        sound[500] = f32::NAN;
        let broken = extract(&SpectralCentroid::default(), &sound, rate(16_000));
        assert_eq!(broken, Err(ExtractError::NotFinite { frame: 2 }));
    }
}
