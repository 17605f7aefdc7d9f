//! How often the sound of each frame changes its sign, as librosa 0.11.0's `feature.zero_crossing_rate` counts: high in
//! fricatives and noise, low in vowels.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Extractor;
use super::frames::framing;
use crate::audio::Hertz;
use crate::family::Member;
use crate::spectrum::{Edges, FrameFeatures, Framing, Rows};
use crate::transform::{Column, Extract, SettingError};

/// The share of a frame's samples whose sign is not that of the sample before.
///
/// Shape `[frames, 1]`, unit crossings a sample, from 0 to 1, as librosa's `feature.zero_crossing_rate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ZeroCrossingRate {
    /// The samples in a frame; 2048.
    #[schemars(range(max = 1_048_576))]
    pub frame_length: NonZeroU32,
    /// The samples from one frame to the next; 512.
    #[schemars(range(max = 1_048_576))]
    pub hop_length: NonZeroU32,
    /// Whether frame `t` is centred on sample t·hop, the first and last samples held beyond the ends, rather than starting
    /// there.
    pub center: bool,
    /// The amplitude up to which a sample is zero; 1e-10.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub threshold: f64,
    /// Whether zero counts as positive (default), rather than as a sign of its own.
    pub zero_pos: bool,
    /// Whether the first sample of a frame counts as a crossing; false.
    pub pad: bool,
}

impl Default for ZeroCrossingRate {
    fn default() -> Self {
        Self {
            frame_length: const { NonZeroU32::new(2_048).unwrap() },
            hop_length: const { NonZeroU32::new(512).unwrap() },
            center: true,
            threshold: 1e-10,
            zero_pos: true,
            pad: false,
        }
    }
}

impl Member for ZeroCrossingRate {
    const EXAMPLE: &'static str = "zero_crossing_rate: { frame_length: 400, hop_length: 160 }";
}

impl Extractor for ZeroCrossingRate {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        Ok(Column::of(1, "crossings/sample", self.frame_shift(rate)))
    }

    fn framing(&self, _: Hertz) -> Result<Framing, SettingError> {
        let edges = if self.center { Edges::Replicate } else { Edges::Snip };
        framing(self.frame_length, self.hop_length, edges)
    }

    fn prepare(&self, rate: Hertz, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        let framing = self.framing(rate)?;
        let threshold = SettingError::unless_within("threshold", self.threshold, 0.0, 1.0)?;
        // The largest number of single precision up to the threshold: comparing with it is comparing in double precision.
        let near = threshold as f32;
        let threshold = if f64::from(near) > threshold { near.next_down() } else { near };
        Ok(Box::new(Rows::new(framing, Crossings { threshold, zero_pos: self.zero_pos, pad: self.pad })))
    }
}

/// One frame's way to its crossings.
struct Crossings {
    threshold: f32,
    zero_pos: bool,
    pad: bool,
}

impl FrameFeatures for Crossings {
    fn num_bins(&self) -> usize {
        1
    }

    fn features(&mut self, samples: &[f32], row: &mut [f32]) -> bool {
        let threshold = self.threshold;
        let above = |sample: f32| sample > threshold;
        let below = |sample: f32| sample < -threshold;
        let pairs = samples.iter().zip(samples.get(1..).unwrap_or_default());
        let crossings: u32 = if self.zero_pos {
            pairs.map(|(&before, &after)| u32::from(below(before) != below(after))).sum()
        } else {
            let differ = |before: f32, after: f32| (below(before) != below(after)) | (above(before) != above(after));
            pairs.map(|(&before, &after)| u32::from(differ(before, after))).sum()
        };
        row[0] = (f64::from(crossings + u32::from(self.pad)) / samples.len() as f64) as f32;
        samples.iter().fold(true, |finite, sample| finite & sample.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::golden::{extract, rate, settings};
    use crate::transform::ExtractError;

    const EIGHT: &str = r#""frame_length": 8, "hop_length": 8, "center": false"#;

    fn crossings(more: &str, sound: [f32; 8]) -> f32 {
        let zcr: ZeroCrossingRate = settings(&format!("{{{EIGHT}{more}}}"));
        8.0 * extract(&zcr, &sound, rate(16_000)).unwrap()[0]
    }

    #[test]
    fn signs_that_change_are_counted_and_zeros_are_positive() {
        let wave = [1.0, -1.0, 1.0, 1.0, 0.0, -0.0, 1e-11, -1e-9];
        assert_eq!(crossings("", wave), 3.0);
        assert_eq!(crossings(r#", "zero_pos": false"#, wave), 4.0);
        assert_eq!(crossings(r#", "pad": true"#, wave), 4.0);
        assert_eq!(crossings(r#", "threshold": 1"#, wave), 0.0);
        assert_eq!(crossings("", [0.0; 8]), 0.0);
    }

    #[test]
    fn broken_sound_has_its_frame() {
        let mut sound = [0.1; 4_000];
        sound[1_800] = f32::NAN;
        let found = extract(&ZeroCrossingRate::default(), &sound, rate(16_000));
        assert_eq!(found, Err(ExtractError::NotFinite { frame: 2 }));
    }

    #[test]
    fn settings_that_do_not_fit_are_named() {
        let refused = |json: &str| match settings::<ZeroCrossingRate>(json).prepare(rate(16_000), "") {
            Ok(_) => panic!("{json} should be refused"),
            Err(error) => error.key(),
        };
        assert_eq!(refused(r#"{"threshold": 2}"#), "threshold");
        assert_eq!(refused(r#"{"hop_length": 2000000}"#), "hop_length");
    }
}
