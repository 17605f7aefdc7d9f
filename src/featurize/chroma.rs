//! Chroma features, with the parameters and defaults of librosa's `chroma_stft`.
//!
//! Each frame: window, FFT, |X|², one weighted sum a pitch class, divided by the frame's largest. librosa 0.11 is matched to
//! 1e-5 under `tuning=0`.

mod filters;

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::filters::{Filters, dot};
use super::Extractor;
use super::stft::{SpectrumToRow, Stft, stft_row};
use crate::audio::Hertz;
use crate::family::Member;
use crate::spectrum::{Framing, PowerSpectrum};
use crate::transform::{Column, Extract, SettingError};

stft_row! {
    /// Chroma features as in librosa: how strong each pitch class is, whatever its octave.
    ///
    /// Shape `[frames, n_chroma]`, relative to the frame's strongest, C first. Parameters, names and defaults are those of
    /// `librosa.feature.chroma_stft`, but for `tuning`: librosa estimates it from the sound where it is not given, here it is
    /// a setting. A silent frame is 0 throughout.
    pub struct Chroma: Stft::LIBROSA {
        /// The number of pitch classes, 1 to 96.
        #[schemars(range(max = 96))]
        pub n_chroma: NonZeroU32 = const { NonZeroU32::new(12).unwrap() },
        /// How far the instruments are tuned from A = 440 Hz, in pitch classes, -1 to 1; it is not estimated.
        #[schemars(range(min = -1.0, max = 1.0))]
        pub tuning: f64 = 0.0,
        /// The octave that counts most, in octaves above 27.5 Hz, -20 to 20.
        #[schemars(range(min = -20.0, max = 20.0))]
        pub ctroct: f64 = 5.0,
        /// How many octaves around `ctroct` count, the standard deviation of a bell, 0.01 to 100; null counts all alike.
        #[schemars(range(min = 0.01, max = 100.0))]
        pub octwidth: Option<f64> = Some(2.0),
        /// What a frame is divided by: `inf` (its largest number), `l1` (their sum), `l2` (their norm) or `none`.
        pub norm: ChromaNorm = ChromaNorm::Inf,
        /// Whether C is the first pitch class rather than A.
        pub base_c: bool = true,
    }
}

/// What a frame of pitch classes is divided by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChromaNorm {
    /// Its largest number.
    #[default]
    Inf,
    /// Their sum.
    L1,
    /// The root of the sum of their squares.
    L2,
    /// Nothing: the numbers are energies.
    None,
}

impl ChromaNorm {
    /// What `row`, in which nothing is negative, is divided by.
    fn of(self, row: &[f32]) -> f32 {
        match self {
            Self::Inf => row.iter().copied().fold(0.0, f32::max),
            Self::L1 => row.iter().sum(),
            // Squares of energies leave the range of single precision.
            Self::L2 => row.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt() as f32,
            Self::None => 1.0,
        }
    }
}

impl Member for Chroma {
    const EXAMPLE: &'static str = "chroma: { n_fft: 2048, hop_length: 512 }";
}

impl Extractor for Chroma {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        let unit = if self.norm == ChromaNorm::None { "energy" } else { "relative energy" };
        Ok(Column::of(self.n_chroma.get() as usize, unit, self.frame_shift(rate)))
    }

    fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
        self.stft().framing(rate)
    }

    fn num_frames(&self, num_samples: u64, rate: Hertz) -> u64 {
        self.stft().num_frames(num_samples, rate)
    }

    fn prepare(&self, rate: Hertz, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        let stft = self.stft();
        let n_fft = stft.framing(rate)?.length.get();
        SettingError::unless_within("n_chroma", f64::from(self.n_chroma.get()), 1.0, 96.0)?;
        if let Some(octaves) = self.octwidth {
            SettingError::unless_within("octwidth", octaves, 0.01, 100.0)?;
        }
        let filters = Filters {
            n_chroma: self.n_chroma.get() as usize,
            tuning: SettingError::unless_within("tuning", self.tuning, -1.0, 1.0)?,
            centre: SettingError::unless_within("ctroct", self.ctroct, -20.0, 20.0)?,
            width: self.octwidth,
            base_c: self.base_c,
        };
        let row = PitchClasses { weights: filters.weights(n_fft, rate), num_bins: stft.num_bins(), norm: self.norm };
        Ok(Box::new(stft.prepare(rate, row)?))
    }
}

struct PitchClasses {
    /// `[n_chroma, num_bins]`.
    weights: Vec<f32>,
    num_bins: usize,
    norm: ChromaNorm,
}

impl SpectrumToRow for PitchClasses {
    fn num_bins(&self) -> usize {
        self.weights.len() / self.num_bins
    }

    fn row(&mut self, _: &[f32], spectrum: &mut PowerSpectrum, row: &mut [f32]) -> bool {
        let power = &spectrum.power()[..self.num_bins];
        for (energy, weights) in row.iter_mut().zip(self.weights.chunks_exact(self.num_bins)) {
            *energy = dot(weights, power);
        }
        let length = self.norm.of(row);
        // As in librosa, what is too small to divide by stays as it is.
        if length >= f32::MIN_POSITIVE {
            for energy in &mut *row {
                *energy /= length;
            }
        }
        length.is_finite() && row.iter().all(|energy| energy.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::golden::{extract, golden, rate, settings};
    use crate::transform::ExtractError;

    fn tone(hertz: f64) -> Vec<f32> {
        (0..8_000).map(|n| (std::f64::consts::TAU * hertz * f64::from(n) / 16_000.0).sin() as f32).collect()
    }

    fn strongest(json: &str, sound: &[f32]) -> usize {
        let recipe = settings::<Chroma>(json);
        let bins = recipe.n_chroma.get() as usize;
        let chroma = extract(&recipe, sound, rate(16_000)).unwrap();
        let middle = &chroma.chunks(bins).nth(8).unwrap();
        assert!(middle.iter().all(|energy| (0.0..=1.0).contains(energy)));
        middle.iter().position(|&energy| energy == 1.0).unwrap()
    }

    #[test]
    fn a_note_is_its_class_in_every_octave() {
        for hertz in [220.0, 440.0, 880.0, 1_760.0] {
            assert_eq!(strongest("{}", &tone(hertz)), 9, "A at {hertz} Hz");
            assert_eq!(strongest(r#"{"base_c": false}"#, &tone(hertz)), 0);
            assert_eq!(strongest(r#"{"n_chroma": 24}"#, &tone(hertz)), 18);
        }
        assert_eq!(strongest("{}", &tone(523.25)), 0, "C");
        assert_eq!(strongest(r#"{"tuning": 1}"#, &tone(440.0)), 8, "an A where the A is an A sharp");
    }

    #[test]
    fn each_norm_is_one() {
        let (_, sound) = golden("signal-voiced-16000");
        let chroma = |norm| extract(&Chroma { norm, ..Chroma::default() }, &sound, rate(16_000)).unwrap();
        for norm in [ChromaNorm::Inf, ChromaNorm::L1, ChromaNorm::L2] {
            assert!(chroma(norm).chunks(12).all(|frame| (norm.of(frame) - 1.0).abs() < 1e-5), "{norm:?}");
        }
    }

    #[test]
    fn silence_is_zero_and_broken_sound_and_settings_are_refused() {
        let silence = extract(&Chroma::default(), &[0.0; 600], rate(16_000)).unwrap();
        assert_eq!(silence, [0.0; 24]);
        let mut sound = vec![0.1; 8_192];
        sound[4_096] = f32::NAN;
        let norms = [ChromaNorm::Inf, ChromaNorm::L1, ChromaNorm::L2, ChromaNorm::None];
        for norm in norms {
            let broken = extract(&Chroma { norm, ..Chroma::default() }, &sound, rate(16_000));
            assert_eq!(broken, Err(ExtractError::NotFinite { frame: 7 }), "{norm:?}");
        }
        let refused =
            |json: &str| settings::<Chroma>(json).prepare(rate(16_000), "").map_or_else(|error| error.key(), |_| "");
        assert_eq!(refused(r#"{"n_chroma": 97}"#), "n_chroma");
        assert_eq!(refused(r#"{"tuning": 2}"#), "tuning");
        assert_eq!(refused(r#"{"ctroct": 21}"#), "ctroct");
        assert_eq!(refused(r#"{"octwidth": 0}"#), "octwidth");
        assert_eq!(refused(r#"{"n_fft": 2}"#), "");
    }
}
