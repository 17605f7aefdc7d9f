//! Mel-frequency cepstral coefficients, with the parameters and defaults of torchaudio's `MFCC`.
//!
//! Each frame: window, FFT, |X|ᵖ, mel filters, decibels not more than `top_db` below the utterance's highest, DCT-II
//! (Davis and Mermelstein, 1980). torchaudio 2.11 is matched to 3e-3, librosa 0.11's `mfcc` to 1e-3.

use std::num::NonZeroU32;

use super::Extractor;
use super::cepstra::Cepstra;
use super::stft::{Stft, mel_row};
use crate::audio::Hertz;
use crate::family::Member;
use crate::spectrum::Framing;
use crate::transform::{Column, Extract, SettingError};

mel_row! {
    /// Mel-frequency cepstral coefficients as in torchaudio and librosa.
    ///
    /// Shape `[frames, n_mfcc]`, the orthonormal DCT-II of decibels, or of ln(energy) with `log_mels`. Parameters, names and
    /// defaults are those of `torchaudio.transforms.MFCC` and of its `melkwargs`. librosa's `mfcc` is `{ n_fft: 2048,
    /// hop_length: 512, pad_mode: constant, norm: slaney, mel_scale: slaney, n_mfcc: 20 }`; Kaldi's is an extractor of its
    /// own.
    pub struct Mfcc: Stft::TORCHAUDIO {
        /// The number of coefficients, not more than `n_mels`.
        #[schemars(range(max = 4096))]
        pub n_mfcc: NonZeroU32 = const { NonZeroU32::new(40).unwrap() },
        /// Whether the logarithm is ln(energy + 1e-6) rather than 10·log₁₀.
        pub log_mels: bool = false,
        /// The least energy whose logarithm is taken, above 1.2e-38. (`amin` in the peers.)
        #[schemars(range(min = 1.2e-38))]
        pub floor: f64 = 1e-10,
        /// How far below the utterance's highest value the lowest may lie, in dB, of no effect with `log_mels`. With null, no
        /// limit, the coefficients of a frame depend on that frame alone.
        #[schemars(range(min = 0.0))]
        pub top_db: Option<f64> = Some(80.0),
        /// The lifter's length L, as in librosa: coefficient `k` is multiplied by 1 + L/2·sin(π(k + 1)/L); 0 is none.
        #[schemars(range(max = 10_000))]
        pub lifter: u32 = 0,
    }
}

impl Member for Mfcc {
    const EXAMPLE: &'static str = "mfcc: { n_fft: 512, win_length: 400, hop_length: 160, n_mels: 80, n_mfcc: 13 }";
}

impl Extractor for Mfcc {
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
        let cepstra = self.cepstra();
        cepstra.after(self.mel().prepare_with(rate, cepstra.logarithm()?)?)
    }
}

impl Mfcc {
    fn cepstra(&self) -> Cepstra {
        Cepstra {
            key: "n_mfcc",
            count: self.n_mfcc,
            bands: self.n_mels,
            natural: self.log_mels,
            floor: self.floor,
            top_db: self.top_db,
            lifter: self.lifter,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::golden::{extract, golden, rate, settings};
    use crate::transform::ExtractError;

    #[test]
    fn silence_has_its_floor_in_the_first_coefficient_alone() {
        for (json, level) in [(r#"{"n_mels": 64}"#, -100.0), (r#"{"n_mels": 64, "log_mels": true}"#, -13.815_51)] {
            let mfcc = extract(&settings::<Mfcc>(json), &[0.0; 1_000], rate(16_000)).unwrap();
            for frame in mfcc.chunks(40) {
                assert!((frame[0] - 8.0 * level).abs() < 1e-3, "√64 times the level: {}", frame[0]);
                assert!(frame[1..].iter().all(|coefficient| coefficient.abs() < 1e-3));
            }
        }
    }

    #[test]
    fn a_louder_voice_differs_in_the_first_coefficient_alone() {
        let (_, sound) = golden("signal-voiced-16000");
        let louder: Vec<f32> = sound.iter().map(|sample| 2.0 * sample).collect();
        let recipe = settings::<Mfcc>(r#"{"n_fft": 512, "n_mels": 64}"#);
        let [quiet, loud] = [&sound, &louder].map(|sound| extract(&recipe, sound, rate(16_000)).unwrap());
        for (quiet, loud) in quiet.chunks(40).zip(loud.chunks(40)) {
            assert!((loud[0] - quiet[0] - 8.0 * 20.0 * 2_f32.log10()).abs() < 1e-3);
            assert!(quiet[1..].iter().zip(&loud[1..]).all(|(quiet, loud)| (quiet - loud).abs() < 1e-3));
        }
    }

    #[test]
    fn the_lifter_counts_from_one() {
        let (_, sound) = golden("signal-voiced-16000");
        let [plain, liftered] =
            [0, 22].map(|lifter| extract(&Mfcc { lifter, ..Mfcc::default() }, &sound, rate(16_000)).unwrap());
        for (n, (plain, liftered)) in plain.iter().zip(&liftered).enumerate() {
            let weight = 1.0 + 11.0 * (std::f32::consts::PI * (n % 40 + 1) as f32 / 22.0).sin();
            assert!((plain * weight - liftered).abs() < 2e-3, "{plain} by {weight} is not {liftered}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named_and_broken_sound_too() {
        let refused = |json: &str| {
            let mfcc = settings::<Mfcc>(json);
            mfcc.prepare(rate(16_000), "").map_or_else(|error| error.key(), |_| "")
        };
        assert_eq!(refused(r#"{"n_mels": 23}"#), "n_mfcc");
        assert_eq!(refused(r#"{"lifter": 10001}"#), "lifter");
        assert_eq!(refused(r#"{"floor": 0}"#), "floor");
        assert_eq!(refused(r#"{"top_db": -1}"#), "top_db");
        assert_eq!(refused(r#"{"power": 11}"#), "power");
        assert_eq!(settings::<Mfcc>(r#"{"n_mels": 23}"#).column(None).unwrap_err().key(), "n_mfcc");
        let broken = |top_db| {
            let mut sound = [0.1; 1_000];
            sound[500] = f32::INFINITY;
            extract(&Mfcc { top_db, ..Mfcc::default() }, &sound, rate(16_000))
        };
        assert_eq!(broken(None), Err(ExtractError::NotFinite { frame: 2 }));
        assert_eq!(broken(Some(80.0)), Err(ExtractError::NotFinite { frame: 2 }));
    }
}
