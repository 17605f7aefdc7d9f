//! Cepstra of any logarithmic spectrum: the orthonormal DCT-II of each frame, and a lifter.
//!
//! c\[k] = s\[k]·√(2/N)·Σₙ x\[n]·cos(πk(n + ½)/N), c\[0] over √2, as in torchaudio 2.11, librosa 0.11 (`norm="ortho"`) and Kaldi.
//! The lifter L has s\[k] = 1 + L/2·sin(πk/L), where Kaldi counts k from 0 and librosa from 1; s\[k] = 1 without one.

use std::f64::consts::PI;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Column, EachFrame, Extract, FrameToRow, SettingError, Transform};
use crate::family::Member;
use crate::spectrum;

/// Cepstra: the discrete cosine transform of each frame of a logarithmic spectrum.
///
/// Shape `[frames, num_ceps]`, cepstrum. After a log mel spectrogram it gives MFCC: `{ num_ceps: 13, lifter: 22 }` as Kaldi's and
/// `torchaudio.compliance.kaldi.mfcc`, `{ num_ceps: 20, lifter_convention: librosa }` as `librosa.feature.mfcc`. The `mfcc`
/// extractors do it all at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dct {
    /// The number of coefficients, from the zeroth on, no more than a frame has numbers; 13.
    #[schemars(range(max = 4096))]
    pub num_ceps: NonZeroU32,
    /// The lifter L, which raises the higher coefficients; 0 (default) is none. (`cepstral_lifter` in Kaldi.)
    #[schemars(range(min = 0.0, max = 10_000.0))]
    pub lifter: f64,
    /// From where the lifter counts the coefficients: `kaldi` (default) or `librosa`.
    pub lifter_convention: LifterConvention,
}

/// From where a lifter counts the coefficients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LifterConvention {
    /// From 0: the zeroth coefficient stays as it is.
    #[default]
    Kaldi,
    /// From 1: the zeroth coefficient is lifted as Kaldi's first is.
    Librosa,
}

impl Default for Dct {
    fn default() -> Self {
        Self {
            num_ceps: const { NonZeroU32::new(13).unwrap() },
            lifter: 0.0,
            lifter_convention: LifterConvention::Kaldi,
        }
    }
}

impl Member for Dct {
    const EXAMPLE: &'static str = "dct: { num_ceps: 13, lifter: 22 }";
}

/// Weights that the transform may have: 64 MiB of them.
const MOST_WEIGHTS: usize = 1 << 24;

impl Transform for Dct {
    fn column(&self, before: &Column) -> Result<Column, SettingError> {
        let num_ceps = SettingError::unless_within("num_ceps", f64::from(self.num_ceps.get()), 1.0, 4_096.0)? as usize;
        SettingError::unless_within("lifter", self.lifter, 0.0, 10_000.0)?;
        let bins = before.bins.unwrap_or(1);
        let reason = if num_ceps > bins {
            "there are no more coefficients than numbers in a frame"
        } else if num_ceps * bins > MOST_WEIGHTS {
            "the frames are too wide for so many coefficients"
        } else {
            return Ok(Column { bins: Some(num_ceps), unit: "cepstrum".to_owned(), dtype: None, ..before.clone() });
        };
        Err(SettingError::DoesNotFit { key: "num_ceps", reason })
    }

    fn prepare(&self, before: &Column, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        self.column(before)?;
        let num_ceps = self.num_ceps.get() as usize;
        let first = match self.lifter_convention {
            LifterConvention::Kaldi => 0,
            LifterConvention::Librosa => 1,
        };
        let lifter = self.lifter;
        let scale = |k: usize| {
            let raised = || 1.0 + lifter / 2.0 * (PI * (k + first) as f64 / lifter).sin();
            if lifter > 0.0 { raised() } else { 1.0 }
        };
        let dct = spectrum::Dct::scaled(before.bins.unwrap_or(1), num_ceps, scale);
        Ok(Box::new(EachFrame(Cepstra(dct))))
    }
}

struct Cepstra(spectrum::Dct);

impl FrameToRow for Cepstra {
    fn bins_in(&self) -> usize {
        self.0.num_in()
    }

    fn bins_out(&self) -> usize {
        self.0.num_out()
    }

    fn row(&mut self, frame: &[f32], row: &mut [f32]) {
        self.0.apply(frame, row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::ExtractError;
    use crate::transform::testing::transformed;

    fn dct(num_ceps: u32) -> Dct {
        Dct { num_ceps: NonZeroU32::new(num_ceps).unwrap(), ..Dct::default() }
    }

    #[test]
    fn a_flat_frame_has_its_mean_in_the_zeroth_coefficient() {
        let cepstra = transformed(&dct(3), 16, &[2.0; 32]).unwrap();
        for frame in cepstra.chunks(3) {
            assert!((frame[0] - 2.0 * 4.0).abs() < 1e-5 && frame[1].abs() < 1e-5 && frame[2].abs() < 1e-5);
        }
    }

    #[test]
    fn lifters_count_from_zero_or_one() {
        let frame: Vec<f32> = (0..20).map(|n| ((n * 7) % 11) as f32).collect();
        let plain = transformed(&dct(12), 20, &frame).unwrap();
        let lifted =
            |lifter_convention| transformed(&Dct { lifter: 22.0, lifter_convention, ..dct(12) }, 20, &frame).unwrap();
        let factor = |k: f64| (1.0 + 11.0 * (PI * k / 22.0).sin()) as f32;
        let (kaldi, librosa) = (lifted(LifterConvention::Kaldi), lifted(LifterConvention::Librosa));
        for k in 0..12 {
            assert!((kaldi[k] - plain[k] * factor(k as f64)).abs() < 1e-4, "{k}");
            assert!((librosa[k] - plain[k] * factor(k as f64 + 1.0)).abs() < 1e-4, "{k}");
        }
    }

    #[test]
    fn more_coefficients_than_numbers_are_refused_and_so_is_what_overflows() {
        let refused = |dct: Dct, bins| dct.column(&Column::of(bins, "dB", None)).unwrap_err().key();
        assert_eq!(refused(dct(24), 23), "num_ceps");
        assert_eq!(refused(dct(4_097), 8_000), "num_ceps");
        assert_eq!(refused(dct(4_096), 65_536), "num_ceps");
        assert_eq!(refused(Dct { lifter: -1.0, ..Dct::default() }, 23), "lifter");
        let overflow = transformed(&dct(1), 4, &[0.0, 0.0, 0.0, 0.0, 3e38, 3e38, 3e38, 3e38]);
        assert_eq!(overflow, Err(ExtractError::NotFinite { frame: 1 }));
    }
}
