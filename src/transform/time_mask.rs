//! Frames in a row hidden, at random places: torchaudio 2.11's `TimeMasking`.
//!
//! Width ⌊U·`max_width_frames`⌋, the bound not above ⌊`max_fraction`·frames⌋; start ⌊U·(frames − width)⌋. Drawn once for each
//! utterance and copy, the same for all channels of a recording.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::masking::{Augment, Fill, Masks, Way};
use super::{Column, Extract, SettingError, Transform};
use crate::family::Member;

/// Frames in a row hidden, at random places.
///
/// Shape and unit stay. As `torchaudio.transforms.TimeMasking`, so many times; `spec_augment` also has lhotse's and NeMo's
/// ways. A mask is less wide than the least of its bounds, and often no frame wide; the last frame is never hidden. Drawn once
/// for each utterance and copy: the channels of a recording have the same masks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeMask {
    /// How many masks there are, 1 (default) to 1000. They may overlap.
    #[schemars(range(min = 1, max = 1_000))]
    pub num_masks: u32,
    /// The bound of a mask's width in frames, itself not reached; 100. Null leaves it to `max_fraction`. (`time_mask_param` in
    /// torchaudio.)
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_width_frames: Option<u32>,
    /// The share of the utterance's frames that bounds each mask's width too, 0 to 1 (default). (`p` in torchaudio; `time_width`
    /// in NeMo, where it is a float.)
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_fraction: f64,
    /// What stands in hidden frames: the utterance's `mean` (default) or `zero` (torchaudio's default).
    pub fill: Fill,
    /// The share of the utterances that have masks, 0 to 1 (default).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability: f64,
}

impl Default for TimeMask {
    fn default() -> Self {
        Self { num_masks: 1, max_width_frames: Some(100), max_fraction: 1.0, fill: Fill::Mean, probability: 1.0 }
    }
}

impl Member for TimeMask {
    const EXAMPLE: &'static str = "time_mask: { num_masks: 2, max_width_frames: 50, max_fraction: 0.1 }";
}

impl TimeMask {
    fn masks(&self) -> Result<Masks, SettingError> {
        let Self { num_masks: count, max_width_frames: max_width, max_fraction, .. } = *self;
        SettingError::unless_within("num_masks", f64::from(count), 1.0, 1_000.0)?;
        SettingError::unless_within("probability", self.probability, 0.0, 1.0)?;
        Masks { way: Way::Torchaudio, count, max_width, max_fraction }.checked([
            "num_masks",
            "max_width_frames",
            "max_fraction",
        ])
    }
}

impl Transform for TimeMask {
    fn column(&self, before: &Column) -> Result<Column, SettingError> {
        self.masks()?;
        Ok(before.clone())
    }

    fn prepare(&self, before: &Column, path: &str) -> Result<Box<dyn Extract>, SettingError> {
        let augment = Augment {
            path: path.to_owned(),
            bins: before.bins.unwrap_or(1),
            probability: self.probability,
            warp: None,
            time: self.masks()?,
            freq: Masks::NONE,
            fill: self.fill,
        };
        Ok(augment.at_work())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Draws;
    use crate::transform::masking::drawing::{PATH, assert_as_likely, for_10_000_utterances, starts, zeros};
    use crate::transform::testing::{transformed, transformed_for};

    const ONE: Draws<'static> = Draws { seed: 17, id: "utterance", copy: 0, channel: 0, segment: None };

    /// One mask of zeros.
    fn zero(max_width_frames: Option<u32>) -> TimeMask {
        TimeMask { max_width_frames, fill: Fill::Zero, ..TimeMask::default() }
    }

    /// Frames of three numbers, none of them zero, none like another.
    fn frames(length: usize) -> Vec<f32> {
        (1..=3 * length).map(|number| (number as f32).sqrt()).collect()
    }

    /// The frames that are hidden.
    fn hidden(out: &[f32]) -> Option<(usize, usize)> {
        for frame in out.chunks(3) {
            assert!(frame.iter().all(|&value| (value == 0.0) == (frame[0] == 0.0)), "whole frames are hidden");
        }
        zeros(out.chunks(3).map(|frame| frame[0]))
    }

    #[test]
    fn a_draw_is_torchaudios_formula_and_all_else_is_untouched() {
        let before = frames(60);
        let mean = (before.iter().map(|&value| f64::from(value)).sum::<f64>() / 180.0) as f32;
        let mut hidden = 0;
        for id in ["one", "two", "three", "four", "five"] {
            let mut generator = Draws { id, ..ONE }.stage(PATH);
            // The warp's three and whether there are masks at all.
            let [_, _, _, _, first, second] = std::array::from_fn(|_| generator.unit());
            let width = first * 30.0;
            let start = (second * (60.0 - width)) as usize;
            let mask = start..start + width as usize;
            hidden += mask.len();
            for (fill, value) in [(Fill::Zero, 0.0), (Fill::Mean, mean)] {
                let row = TimeMask { fill, ..zero(Some(30)) };
                let out = transformed_for(&row, 3, &before, Draws { id, ..ONE }).unwrap();
                for (number, (after, before)) in out.iter().zip(&before).enumerate() {
                    let expected = if mask.contains(&(number / 3)) { value } else { *before };
                    assert_eq!(after.to_bits(), expected.to_bits(), "{id}: {number}");
                }
            }
        }
        assert!(hidden > 20, "draws that show something: {hidden} frames");
    }

    #[test]
    fn an_utterance_has_its_masks_and_another_has_others() {
        let of = |draws| transformed_for(&zero(Some(30)), 3, &frames(60), draws).unwrap();
        assert_eq!(of(ONE), of(ONE));
        assert_eq!(of(ONE), of(Draws { channel: 1, ..ONE }), "channels share their masks");
        for other in [Draws { id: "utterance-2", ..ONE }, Draws { copy: 1, ..ONE }, Draws { seed: 18, ..ONE }] {
            assert_ne!(of(ONE), of(other));
        }
    }

    #[test]
    fn widths_and_starts_are_as_likely_as_in_torchaudio() {
        let (mut widths, mut at) = (vec![0; 20], vec![0; 40]);
        for_10_000_utterances(&zero(Some(20)), 3, &frames(40), |out| {
            let (start, width) = hidden(out).unwrap_or_default();
            widths[width] += 1;
            if width > 0 {
                at[start] += 1;
            }
        });
        assert_as_likely("widths", &widths, &[1.0; 20]);
        assert_as_likely("starts", &at, &starts(40, (2_000..40_000).map(|width| (f64::from(width) + 0.5) / 2_000.0)));
    }

    #[test]
    fn a_share_of_the_frames_bounds_each_mask() {
        for max_width_frames in [None, Some(50)] {
            let mut widths = vec![0; 5];
            let mask = TimeMask { max_fraction: 0.1, ..zero(max_width_frames) };
            for_10_000_utterances(&mask, 3, &frames(57), |out| widths[hidden(out).map_or(0, |(_, width)| width)] += 1);
            assert_as_likely("widths below 5.7 frames", &widths, &[1.0; 5]);
        }
    }

    #[test]
    fn as_many_utterances_have_masks_as_their_probability_says() {
        let mut with_masks = 0_u32;
        for_10_000_utterances(&TimeMask { probability: 0.3, ..zero(Some(20)) }, 3, &frames(40), |out| {
            with_masks += u32::from(hidden(out).is_some());
        });
        // One mask in 20 has no frames; 3.9 standard deviations are exceeded once in 10,000 times.
        let expected: f64 = 10_000.0 * 0.3 * 0.95;
        assert!((f64::from(with_masks) - expected).abs() < 3.9 * (expected * (1.0 - 0.285)).sqrt(), "{with_masks}");
        let never = TimeMask { probability: 0.0, ..zero(Some(20)) };
        for_10_000_utterances(&never, 3, &frames(4), |out| assert_eq!(out, frames(4)));
    }

    #[test]
    fn where_there_is_nothing_to_hide_nothing_is_hidden() {
        for (length, width) in [(0, Some(100)), (1, Some(100)), (1, None), (50, Some(1))] {
            assert_eq!(transformed(&zero(width), 3, &frames(length)).unwrap(), frames(length));
        }
        let short = TimeMask { max_fraction: 0.01, ..zero(Some(100)) };
        assert_eq!(transformed(&short, 3, &frames(99)).unwrap(), frames(99));
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let refused = |mask: TimeMask| mask.column(&Column::of(3, "", None)).unwrap_err().key();
        assert_eq!(refused(TimeMask { num_masks: 0, ..TimeMask::default() }), "num_masks");
        assert_eq!(refused(zero(Some(0))), "max_width_frames");
        assert_eq!(refused(TimeMask { max_fraction: 1.1, ..TimeMask::default() }), "max_fraction");
        assert_eq!(refused(TimeMask { probability: f64::NAN, ..TimeMask::default() }), "probability");
    }
}
