//! Frames of a fixed value behind the utterance, up to a length or to a multiple of one, as models of a fixed input want them.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Column, Extract, ExtractError, SettingError, Transform};
use crate::family::Member;
use crate::seed::Draws;

/// Frames of a fixed value behind the utterance, so that it is long enough.
///
/// Shape `[≥ to, bins]`, or a multiple of `multiple_of` frames; the unit stays. `{ to: 3000, trim: true }` gives each utterance
/// exactly 3000 frames; `{ multiple_of: 16 }` is NeMo's `pad_to`. 0 is no silence in a column of logarithms: choose `value`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PadFrames {
    /// The least number of frames, up to a million; null (default) where `multiple_of` is given.
    #[schemars(range(max = 1_000_000))]
    pub to: Option<NonZeroU32>,
    /// What the number of frames is made a multiple of, up to a million; null (default) where `to` is given.
    #[schemars(range(max = 1_000_000))]
    pub multiple_of: Option<NonZeroU32>,
    /// What stands in the frames that are added; 0.
    #[schemars(range(min = -1e30, max = 1e30))]
    pub value: f64,
    /// Whether what is longer than `to` is cut off; false.
    pub trim: bool,
}

impl Member for PadFrames {
    const EXAMPLE: &'static str = "pad_frames: { to: 3000, trim: true }";
}

/// What the number of frames becomes.
#[derive(Debug, Clone, Copy)]
enum Length {
    AtLeast(u64),
    Exactly(u64),
    MultipleOf(u64),
}

impl Length {
    fn of(self, frames: u64) -> u64 {
        match self {
            Self::AtLeast(length) => frames.max(length),
            Self::Exactly(length) => length,
            Self::MultipleOf(length) => frames.div_ceil(length).saturating_mul(length),
        }
    }
}

/// Values that may be added: 256 MiB of them.
const MOST_ADDED: u64 = 1 << 26;

impl PadFrames {
    fn length(&self) -> Result<(&'static str, Length), SettingError> {
        let wrong = |key, reason| Err(SettingError::DoesNotFit { key, reason });
        match (self.to, self.multiple_of) {
            (Some(to), None) if self.trim => Ok(("to", Length::Exactly(to.get().into()))),
            (Some(to), None) => Ok(("to", Length::AtLeast(to.get().into()))),
            (None, Some(_)) if self.trim => wrong("trim", "only a length given by `to` can be trimmed to"),
            (None, Some(multiple)) => Ok(("multiple_of", Length::MultipleOf(multiple.get().into()))),
            (Some(_), Some(_)) => wrong("multiple_of", "either `to` or `multiple_of` is given, not both"),
            (None, None) => wrong("to", "either `to` or `multiple_of` must be given"),
        }
    }
}

impl Transform for PadFrames {
    fn column(&self, before: &Column) -> Result<Column, SettingError> {
        let (key, length) = self.length()?;
        let longest = length.of(1);
        SettingError::unless_within(key, longest as f64, 1.0, 1e6)?;
        SettingError::unless_within("value", self.value, -1e30, 1e30)?;
        if longest.saturating_mul(before.bins.unwrap_or(1) as u64) > MOST_ADDED {
            return Err(SettingError::DoesNotFit {
                key,
                reason: "so many frames of this column take more than 256 MiB",
            });
        }
        Ok(before.clone())
    }

    fn num_frames(&self, frames: u64) -> u64 {
        self.length().map_or(frames, |(_, length)| length.of(frames))
    }

    fn prepare(&self, before: &Column, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        self.column(before)?;
        let (_, length) = self.length()?;
        Ok(Box::new(Padding { bins: before.bins.unwrap_or(1), length, value: self.value as f32, count: 0 }))
    }
}

struct Padding {
    bins: usize,
    length: Length,
    value: f32,
    /// Values that were appended.
    count: usize,
}

impl Extract for Padding {
    fn begin(&mut self, _: Draws<'_>) {
        self.count = 0;
    }

    fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        let kept = match self.length {
            Length::Exactly(length) => input.len().min(length as usize * self.bins - self.count),
            Length::AtLeast(_) | Length::MultipleOf(_) => input.len(),
        };
        self.count += kept;
        out.extend_from_slice(&input[..kept]);
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        if self.count == 0 {
            return Err(ExtractError::TooFewFrames { frames: 0, needed: 1 });
        }
        let frames = self.length.of((self.count / self.bins) as u64) as usize;
        let added = (frames * self.bins).saturating_sub(self.count);
        out.resize(out.len() + added, self.value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::transformed;

    fn settings(json: &str) -> PadFrames {
        serde_json::from_str(json).unwrap()
    }

    fn padded(json: &str, num_frames: u16) -> Vec<f32> {
        let frames: Vec<f32> = (1..=num_frames).flat_map(|t| [f32::from(t); 2]).collect();
        transformed(&settings(json), 2, &frames).unwrap().chunks(2).map(|frame| frame[1]).collect()
    }

    #[test]
    fn what_is_too_short_is_filled_and_what_is_too_long_is_cut_if_asked_for() {
        let least = r#"{"to": 4, "value": -7.5}"#;
        assert_eq!(padded(least, 2), [1.0, 2.0, -7.5, -7.5]);
        assert_eq!(padded(least, 5), [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(padded(least, 0), [0.0; 0], "an utterance without frames stays so, and is refused");
        let exactly = r#"{"to": 4, "trim": true}"#;
        assert_eq!(padded(exactly, 3), [1.0, 2.0, 3.0, 0.0]);
        assert_eq!(padded(exactly, 70), [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn a_multiple_is_reached_by_adding() {
        assert_eq!(padded(r#"{"multiple_of": 3}"#, 4), [1.0, 2.0, 3.0, 4.0, 0.0, 0.0]);
        assert_eq!(padded(r#"{"multiple_of": 3}"#, 3), [1.0, 2.0, 3.0]);
        assert_eq!(padded(r#"{"multiple_of": 3}"#, 0), [0.0; 0]);
    }

    #[test]
    fn one_length_is_given_and_no_more_than_memory_holds() {
        let refused = |json: &str, bins| settings(json).column(&Column::of(bins, "dB", None)).unwrap_err().key();
        assert_eq!(refused("{}", 1), "to");
        assert_eq!(refused(r#"{"to": 3, "multiple_of": 3}"#, 1), "multiple_of");
        assert_eq!(refused(r#"{"multiple_of": 3, "trim": true}"#, 1), "trim");
        assert_eq!(refused(r#"{"to": 1000001}"#, 1), "to");
        assert_eq!(refused(r#"{"multiple_of": 1000000}"#, 80), "multiple_of");
        assert_eq!(refused(r#"{"to": 3, "value": 1e31}"#, 80), "value");
    }
}
