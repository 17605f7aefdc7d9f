//! Linear-frequency cepstral coefficients, with the parameters and defaults of torchaudio's `LFCC`.
//!
//! Each frame: window, FFT, |X|ᵖ, triangles of equal width, decibels not more than `top_db` below the utterance's highest,
//! DCT-II. torchaudio 2.11 is matched to 3e-3.

use std::num::NonZeroU32;

use super::Extractor;
use super::cepstra::Cepstra;
use super::mel::{self, MelRow};
use super::stft::{Stft, stft_row};
use crate::audio::Hertz;
use crate::family::Member;
use crate::spectrum::{Framing, LinearTriangles};
use crate::transform::{Column, Extract, SettingError};

stft_row! {
    /// Linear-frequency cepstral coefficients as in torchaudio.
    ///
    /// Shape `[frames, n_lfcc]`, the orthonormal DCT-II of decibels, or of ln(energy) with `log_lf`. They resolve high
    /// frequencies as finely as low ones, where speech made by machines often gives itself away. Parameters, names and
    /// defaults are those of `torchaudio.transforms.LFCC` and of its `speckwargs`.
    pub struct Lfcc: Stft::TORCHAUDIO {
        /// The exponent of the magnitude: 2 for power, 1 for magnitude, 0.1 to 10.
        #[schemars(range(min = 0.1, max = 10.0))]
        pub power: f64 = 2.0,
        /// The number of filters.
        #[schemars(range(max = 4096))]
        pub n_filter: NonZeroU32 = const { NonZeroU32::new(128).unwrap() },
        /// The lower end of the filters in hertz.
        #[schemars(range(min = 0.0))]
        pub f_min_hz: f64 = 0.0,
        /// The upper end of the filters in hertz; null is the Nyquist frequency.
        #[schemars(range(min = 0.0))]
        pub f_max_hz: Option<f64> = None,
        /// The number of coefficients, not more than `n_filter`.
        #[schemars(range(max = 4096))]
        pub n_lfcc: NonZeroU32 = const { NonZeroU32::new(40).unwrap() },
        /// Whether the logarithm is ln(energy + 1e-6) rather than 10·log₁₀.
        pub log_lf: bool = false,
        /// The least energy whose logarithm is taken, above 1.2e-38.
        #[schemars(range(min = 1.2e-38))]
        pub floor: f64 = 1e-10,
        /// How far below the utterance's highest value the lowest may lie, in dB, of no effect with `log_lf`. With null, no
        /// limit, the coefficients of a frame depend on that frame alone.
        #[schemars(range(min = 0.0))]
        pub top_db: Option<f64> = Some(80.0),
    }
}

impl Member for Lfcc {
    const EXAMPLE: &'static str = "lfcc: { n_fft: 512, win_length: 400, hop_length: 160, n_filter: 70, n_lfcc: 20 }";
}

impl Extractor for Lfcc {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        self.cepstra().column(self.frame_shift(rate))
    }

    fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
        self.stft().framing(rate)
    }

    fn num_frames(&self, num_samples: u64, rate: Hertz) -> u64 {
        self.stft().num_frames(num_samples, rate)
    }

    fn prepare(&self, rate: Hertz, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        let (stft, cepstra) = (self.stft(), self.cepstra());
        let length = stft.framing(rate)?.length.get();
        let bands = SettingError::unless_within("n_filter", f64::from(self.n_filter.get()), 1.0, 4_096.0)? as usize;
        let [low, high] = mel::band(self.f_min_hz, self.f_max_hz, rate)?;
        let bank = LinearTriangles { bands, low, high }.bank(length, rate);
        cepstra.after(stft.prepare(rate, MelRow::new(mel::exponent(self.power)?, bank, cepstra.logarithm()?))?)
    }
}

impl Lfcc {
    fn cepstra(&self) -> Cepstra {
        Cepstra {
            key: "n_lfcc",
            count: self.n_lfcc,
            bands: self.n_filter,
            natural: self.log_lf,
            floor: self.floor,
            top_db: self.top_db,
            lifter: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::golden::{extract, rate, settings};
    use crate::transform::ExtractError;

    #[test]
    fn an_impulse_is_flat_over_filters_of_equal_width() {
        // One sample in the middle of a frame: |X|² = 1 in every bin, and each filter is 16 bins wide with the area 8.
        let mut sound = [0.0; 512];
        sound[256] = 1.0;
        let lfcc = settings::<Lfcc>(r#"{"n_fft": 512, "center": false, "n_filter": 31, "n_lfcc": 31}"#);
        let frame = extract(&lfcc, &sound, rate(16_000)).unwrap();
        assert!((frame[0] - 31_f32.sqrt() * 10.0 * 8_f32.log10()).abs() < 1e-3, "{}", frame[0]);
        assert!(frame[1..].iter().all(|coefficient| coefficient.abs() < 1e-3), "{frame:?}");
    }

    #[test]
    fn what_does_not_fit_is_named_and_broken_sound_too() {
        let refused = |json: &str| {
            let lfcc = settings::<Lfcc>(json);
            lfcc.prepare(rate(16_000), "").map_or_else(|error| error.key(), |_| "")
        };
        assert_eq!(refused(r#"{"n_lfcc": 129}"#), "n_lfcc");
        assert_eq!(refused(r#"{"n_filter": 5000}"#), "n_filter");
        assert_eq!(refused(r#"{"f_max_hz": 8001}"#), "f_max_hz");
        assert_eq!(refused(r#"{"f_min_hz": 8000}"#), "f_min_hz");
        assert_eq!(refused(r#"{"power": 0}"#), "power");
        let sound = [f32::NAN; 1_000];
        assert_eq!(extract(&Lfcc::default(), &sound, rate(16_000)), Err(ExtractError::NotFinite { frame: 0 }));
    }
}
