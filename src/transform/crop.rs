//! A window of the utterance: frames in a row, the rest cut away.
//!
//! Start ⌊U·(frames − window + 1)⌋, U uniform in [0, 1): each place where the window fits is as likely as another, the last one
//! too. NeMo 2.6's `CropOrPadSpectrogramAugmentation` draws the same (`torch.randint` up to length − window, and both ends); it
//! fills what is shorter up at both sides. lhotse 1.33's `CutSet.truncate(offset_type="random")` draws the start in seconds, and
//! the VoxCeleb recipe of `SpeechBrain` (`random_chunk`) in samples, before there are frames.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Column, Extract, ExtractError, SettingError, Transform};
use crate::family::Member;
use crate::seed::{Draws, Generator};

/// A window of the utterance; an utterance that is not longer stays as it is.
///
/// Shape `[≤ frames, bins]`; the unit stays. For cells of one length let `pad_frames: { to: … }` follow. Drawn once for each utterance and
/// copy, and where the loader does it anew in each epoch: the channels of a recording have the same window. The transcript of
/// the row stays whole, so this is for what needs none: speakers, languages, sounds. Like NeMo's
/// `CropOrPadSpectrogramAugmentation`, which also pads, and lhotse's `CutSet.truncate`, whose `offset_type` is `location` here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Crop {
    /// The length of the window in frames, 1 to a million. (`audio_length` in NeMo.)
    #[schemars(range(min = 1, max = 1_000_000))]
    pub frames: u32,
    /// Where the window lies: `random` (default), `start`, `middle` or `end`.
    #[serde(default)]
    pub location: CropLocation,
}

/// Where in an utterance the window lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CropLocation {
    /// Anywhere, each place equally likely.
    #[default]
    Random,
    /// At its start.
    Start,
    /// In its middle; of an odd rest, the larger part is cut from its end.
    Middle,
    /// At its end.
    End,
}

impl Member for Crop {
    const EXAMPLE: &'static str = "crop: { frames: 300 }";
}

impl Transform for Crop {
    fn column(&self, before: &Column) -> Result<Column, SettingError> {
        SettingError::unless_within("frames", f64::from(self.frames), 1.0, 1e6)?;
        Ok(before.clone())
    }

    fn num_frames(&self, frames: u64) -> u64 {
        frames.min(self.frames.into())
    }

    fn prepare(&self, before: &Column, path: &str) -> Result<Box<dyn Extract>, SettingError> {
        self.column(before)?;
        let bins = before.bins.unwrap_or(1);
        let window = (self.frames as usize).saturating_mul(bins);
        let (location, path) = (self.location, path.to_owned());
        Ok(Box::new(Cropping { bins, window, location, path, generator: None, count: 0 }))
    }
}

struct Cropping {
    bins: usize,
    /// Values in the window.
    window: usize,
    location: CropLocation,
    /// The row's place in the pipeline file.
    path: String,
    /// The utterance's, from its start to its end.
    generator: Option<Generator>,
    /// Values that were appended.
    count: usize,
}

impl Extract for Cropping {
    fn begin(&mut self, draws: Draws<'_>) {
        self.generator = (self.location == CropLocation::Random).then(|| draws.stage(&self.path));
        self.count = 0;
    }

    fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        let kept = match self.location {
            CropLocation::Start => input.len().min(self.window - self.count),
            CropLocation::Random | CropLocation::Middle | CropLocation::End => input.len(),
        };
        self.count += kept;
        out.extend_from_slice(&input[..kept]);
    }

    fn needs_all(&self) -> bool {
        self.location != CropLocation::Start
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        let Some(rest) = self.count.checked_sub(self.window).filter(|rest| *rest > 0) else { return Ok(()) };
        let places = rest / self.bins;
        let place = match (self.location, &mut self.generator) {
            (CropLocation::Random, Some(generator)) => ((generator.unit() * (places + 1) as f64) as usize).min(places),
            (CropLocation::Middle, _) => places / 2,
            (CropLocation::End, _) => places,
            (CropLocation::Random | CropLocation::Start, _) => 0,
        };
        let first = out.len().saturating_sub(self.count);
        let start = first + place * self.bins;
        out.copy_within(start..start + self.window, first);
        out.truncate(first + self.window);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::masking::drawing::{PATH, assert_as_likely, for_10_000_utterances};
    use crate::transform::testing::{transformed, transformed_for};

    const ONE: Draws<'static> = Draws { seed: 17, id: "utterance", copy: 0, channel: 0, segment: None };

    /// Frames 0, 1, 2, … of three equal numbers.
    fn frames(count: u16) -> Vec<f32> {
        (0..count).flat_map(|t| [f32::from(t); 3]).collect()
    }

    /// The numbers of the frames that are left.
    fn left(out: &[f32]) -> Vec<f32> {
        assert!(out.chunks(3).all(|frame| frame == [frame[0]; 3]), "whole frames are left");
        out.chunks(3).map(|frame| frame[0]).collect()
    }

    fn at(location: CropLocation, frames: u32) -> Crop {
        Crop { frames, location }
    }

    #[test]
    fn the_window_lies_where_it_is_said_to() {
        for (location, count, expected) in [
            (CropLocation::Start, 10, [0.0, 1.0, 2.0]),
            (CropLocation::Middle, 10, [3.0, 4.0, 5.0]),
            (CropLocation::Middle, 11, [4.0, 5.0, 6.0]),
            (CropLocation::End, 10, [7.0, 8.0, 9.0]),
            (CropLocation::End, 70, [67.0, 68.0, 69.0]),
        ] {
            let out = transformed(&at(location, 3), 3, &frames(count)).unwrap();
            assert_eq!(left(&out), expected, "{location:?} of {count}");
        }
    }

    #[test]
    fn what_is_not_longer_stays_as_it_is() {
        for location in [CropLocation::Random, CropLocation::Start, CropLocation::Middle, CropLocation::End] {
            for count in [0, 1, 5] {
                assert_eq!(transformed(&at(location, 5), 3, &frames(count)).unwrap(), frames(count));
            }
        }
    }

    #[test]
    fn a_draw_is_the_formula_and_another_copy_draws_another() {
        let mut starts = Vec::new();
        for (id, copy) in [("one", 0), ("one", 1), ("one", 2), ("two", 0), ("three", 0)] {
            let draws = Draws { id, copy, ..ONE };
            let start = (draws.stage(PATH).unit() * 56.0) as u16;
            let out = transformed_for(&at(CropLocation::Random, 5), 3, &frames(60), draws).unwrap();
            let expected: Vec<f32> = (start..start + 5).map(f32::from).collect();
            assert_eq!(left(&out), expected, "{id} {copy}");
            let of_a_channel =
                transformed_for(&at(CropLocation::Random, 5), 3, &frames(60), Draws { channel: 1, ..draws });
            assert_eq!(left(&of_a_channel.unwrap()), expected, "all channels have the same window");
            starts.push(start);
        }
        starts.sort_unstable();
        starts.dedup();
        assert!(starts.len() > 3, "{starts:?}");
    }

    #[test]
    fn each_place_is_as_likely_as_another() {
        let mut counts = vec![0; 21];
        for_10_000_utterances(&at(CropLocation::Random, 30), 3, &frames(50), |out| counts[out[0] as usize] += 1);
        assert_as_likely("start", &counts, &[1.0 / 21.0; 21]);
    }

    #[test]
    fn a_window_has_a_length() {
        let refused = |frames| at(CropLocation::Random, frames).column(&Column::of(3, "dB", None)).unwrap_err().key();
        assert_eq!([refused(0), refused(1_000_001)], ["frames"; 2]);
        assert!(serde_json::from_str::<Crop>("{}").unwrap_err().to_string().contains("`frames`"));
    }
}
