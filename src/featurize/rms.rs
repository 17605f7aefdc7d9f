//! How loud each frame is: the root of the mean of its squared samples, as librosa 0.11.0's `feature.rms` computes it.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::frames::framing;
use super::{Extractor, PadMode};
use crate::audio::Hertz;
use crate::family::Member;
use crate::spectrum::{FrameFeatures, Framing, Rows, double_sum};
use crate::transform::{Column, Extract, SettingError};

/// The root mean square of each frame.
///
/// Shape `[frames, 1]`, unit amplitude, full scale at 1, as librosa's `feature.rms`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rms {
    /// The samples in a frame; 2048.
    #[schemars(range(max = 1_048_576))]
    pub frame_length: NonZeroU32,
    /// The samples from one frame to the next; 512.
    #[schemars(range(max = 1_048_576))]
    pub hop_length: NonZeroU32,
    /// Whether frame `t` is centred on sample t·hop, the sound padded at its ends, rather than starting there.
    pub center: bool,
    /// What `center` pads with: `constant` (silence, default), `reflect` or `replicate`.
    pub pad_mode: PadMode,
}

impl Default for Rms {
    fn default() -> Self {
        Self {
            frame_length: const { NonZeroU32::new(2_048).unwrap() },
            hop_length: const { NonZeroU32::new(512).unwrap() },
            center: true,
            pad_mode: PadMode::Constant,
        }
    }
}

impl Member for Rms {
    const EXAMPLE: &'static str = "rms: { frame_length: 400, hop_length: 160 }";
}

impl Extractor for Rms {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        Ok(Column::of(1, "amplitude", self.frame_shift(rate)))
    }

    fn framing(&self, _: Hertz) -> Result<Framing, SettingError> {
        framing(self.frame_length, self.hop_length, self.pad_mode.edges(self.center))
    }

    fn prepare(&self, rate: Hertz, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        Ok(Box::new(Rows::new(self.framing(rate)?, RootMeanSquare)))
    }
}

/// One frame's way to its level.
struct RootMeanSquare;

impl FrameFeatures for RootMeanSquare {
    fn num_bins(&self) -> usize {
        1
    }

    fn features(&mut self, samples: &[f32], row: &mut [f32]) -> bool {
        let energy = double_sum(samples, |sample| f64::from(sample) * f64::from(sample));
        row[0] = (energy / samples.len() as f64).sqrt() as f32;
        row[0].is_finite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::golden::{extract, rate, settings};
    use crate::transform::ExtractError;

    #[test]
    fn a_constant_is_its_own_level_and_silence_has_none() {
        let rms = Rms { center: false, ..Rms::default() };
        assert_eq!(extract(&rms, &[-0.25; 3_000], rate(16_000)).unwrap(), [0.25, 0.25]);
        assert_eq!(extract(&rms, &[0.0; 2_048], rate(16_000)).unwrap(), [0.0]);
        // Half of the first frame is before the sound.
        let first = extract(&Rms::default(), &[0.5; 3_000], rate(16_000)).unwrap()[0];
        assert!((first - 0.5 * 0.5_f32.sqrt()).abs() < 1e-7);
    }

    #[test]
    fn too_little_sound_and_broken_sound_are_refused() {
        let rms = Rms { center: false, ..Rms::default() };
        let refused = |sound: &[f32]| extract(&rms, sound, rate(16_000)).unwrap_err();
        assert_eq!(refused(&[0.0; 2_047]), ExtractError::TooShort { num_samples: 2_047, needed: 2_048 });
        let mut sound = [0.1; 3_072];
        sound[2_100] = f32::NAN;
        assert_eq!(refused(&sound), ExtractError::NotFinite { frame: 1 });
        let loudest = extract(&rms, &[f32::MAX; 2_048], rate(16_000)).unwrap();
        assert_eq!(loudest, [f32::MAX], "the squares are of double precision");
    }

    #[test]
    fn frames_that_would_fill_memory_are_refused() {
        let refused = |json: &str| settings::<Rms>(json).framing(rate(16_000)).unwrap_err().key();
        assert_eq!(refused(r#"{"frame_length": 1048577}"#), "frame_length");
        assert_eq!(refused(r#"{"hop_length": 1048577}"#), "hop_length");
    }
}
