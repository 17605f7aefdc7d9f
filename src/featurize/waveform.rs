//! The sound itself, mono, for models that learn their own features (wav2vec 2.0, `HuBERT`, neural codecs).

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Extractor;
use crate::audio::Hertz;
use crate::family::Member;
use crate::manifest::Dtype;
use crate::seed::Draws;
use crate::spectrum::{Edges, Framing};
use crate::transform::{Column, Extract, ExtractError, SettingError};

/// The samples themselves.
///
/// Shape `[samples]`, full scale at ±1 (`f32`) or ±32768 (`i16`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Waveform {
    /// How a sample is stored: `f32` (default), or `i16` in half the room, rounded and clipped.
    pub dtype: SampleType,
}

/// How a sample is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SampleType {
    /// Single precision, full scale at ±1.
    #[default]
    F32,
    /// 16-bit integers, full scale at ±32768.
    I16,
}

impl Member for Waveform {
    const EXAMPLE: &'static str = "waveform: { dtype: i16 }";
}

impl Extractor for Waveform {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        let dtype = match self.dtype {
            SampleType::F32 => Dtype::F32,
            SampleType::I16 => Dtype::I16,
        };
        let (unit, frame_shift) = ("amplitude".to_owned(), self.frame_shift(rate));
        Ok(Column { bins: None, unit, dtype: Some(dtype), frame_shift })
    }

    fn framing(&self, _: Hertz) -> Result<Framing, SettingError> {
        Ok(Framing { length: NonZeroUsize::MIN, hop: NonZeroUsize::MIN, edges: Edges::Snip })
    }

    fn prepare(&self, _: Hertz, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        Ok(Box::<Samples>::default())
    }
}

/// Hands samples on and looks at each.
#[derive(Debug, Default)]
struct Samples {
    num_samples: u64,
    not_finite: Option<u64>,
}

impl Extract for Samples {
    fn begin(&mut self, _: Draws<'_>) {
        *self = Self::default();
    }

    fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        if self.not_finite.is_none() {
            let bad = samples.iter().position(|sample| !sample.is_finite());
            self.not_finite = bad.map(|bad| self.num_samples + bad as u64);
        }
        self.num_samples += samples.len() as u64;
        out.extend_from_slice(samples);
    }

    fn finish(&mut self, _: &mut Vec<f32>) -> Result<(), ExtractError> {
        match self.not_finite {
            _ if self.num_samples == 0 => Err(ExtractError::TooShort { num_samples: 0, needed: 1 }),
            Some(frame) => Err(ExtractError::NotFinite { frame }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::featurize::golden::{extract, extract_in_blocks, rate};

    #[test]
    fn samples_come_out_as_they_went_in() {
        let sound = [0.0, -1.0, 0.25, f32::MIN_POSITIVE];
        assert_eq!(extract(&Waveform::default(), &sound, rate(16_000)).unwrap(), sound);
        assert_eq!(Waveform::default().num_frames(4, rate(16_000)), 4);
        let column = Waveform { dtype: SampleType::I16 }.column(None).unwrap();
        assert_eq!((column.bins, column.dtype), (None, Some(Dtype::I16)));
    }

    #[test]
    fn no_sound_and_broken_sound_are_refused() {
        let refused = |sound: &[f32]| extract(&Waveform::default(), sound, rate(16_000)).unwrap_err();
        assert_eq!(refused(&[]), ExtractError::TooShort { num_samples: 0, needed: 1 });
        assert_eq!(refused(&[0.0, f32::NAN, f32::INFINITY]), ExtractError::NotFinite { frame: 1 });
    }

    proptest! {
        #[test]
        fn cutting_the_sound_changes_no_bit(cuts in prop::collection::vec(0_usize..500, 0..8)) {
            let sound: Vec<f32> = (0..500).map(|n| (n as f32).sin()).collect();
            let cut = extract_in_blocks(&Waveform::default(), &sound, &cuts, rate(16_000));
            prop_assert_eq!(cut.unwrap(), sound);
        }
    }
}
