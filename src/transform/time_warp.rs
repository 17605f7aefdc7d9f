//! Time warped at random: the middle of SpecAugment (Park et al., 2019) as lhotse 1.33's `time_warp` does it.
//!
//! A frame at least `factor` + 1 frames from both ends is drawn and moved by up to `factor` frames; the frames before it and
//! those from it on are interpolated to fill the new room, bicubic along time. Drawn once for each utterance and copy, the
//! same for all channels of a recording.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::masking::{Augment, Fill, Masks};
use super::warping::Warp;
use super::{Column, Extract, SettingError, Transform};
use crate::family::Member;

/// Time stretched on one side of a random frame and squeezed on the other.
///
/// Shape and unit stay, the number of frames too. As lhotse's `SpecAugment` and, before it, Espresso; the paper bends time
/// about the drawn frame in a curve. Utterances of up to 2 · `factor` + 1 frames stay as they are. Drawn once for each
/// utterance and copy: the channels of a recording are warped alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeWarp {
    /// How far the drawn frame is moved at most, in frames, from 1; 80. (`time_warp_factor` in lhotse.)
    #[schemars(range(min = 1, max = 1_000_000))]
    pub factor: u32,
    /// The share of the utterances that are warped, 0 to 1 (default).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability: f64,
}

impl Default for TimeWarp {
    fn default() -> Self {
        Self { factor: 80, probability: 1.0 }
    }
}

impl Member for TimeWarp {
    const EXAMPLE: &'static str = "time_warp: { factor: 40, probability: 0.5 }";
}

impl Transform for TimeWarp {
    fn column(&self, before: &Column) -> Result<Column, SettingError> {
        Warp::new("factor", self.factor)?;
        SettingError::unless_within("probability", self.probability, 0.0, 1.0)?;
        Ok(Column { dtype: None, ..before.clone() })
    }

    fn prepare(&self, before: &Column, path: &str) -> Result<Box<dyn Extract>, SettingError> {
        self.column(before)?;
        let augment = Augment {
            path: path.to_owned(),
            bins: before.bins.unwrap_or(1),
            probability: self.probability,
            warp: Some(Warp::new("factor", self.factor)?),
            time: Masks::NONE,
            freq: Masks::NONE,
            fill: Fill::Mean,
        };
        Ok(augment.at_work())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Draws;
    use crate::transform::ExtractError;
    use crate::transform::masking::drawing::for_10_000_utterances;
    use crate::transform::testing::{transformed, transformed_for};

    const ONE: Draws<'static> = Draws { seed: 17, id: "utterance", copy: 0, channel: 0, segment: None };

    fn warp(factor: u32) -> TimeWarp {
        TimeWarp { factor, ..TimeWarp::default() }
    }

    #[test]
    fn a_ramp_still_climbs_and_a_constant_stays_to_the_last_bit() {
        let ramp: Vec<f32> = (0..100).flat_map(|t| [t as f32, 0.1]).collect();
        let mut moved = 0;
        for_10_000_utterances(&warp(30), 2, &ramp, |out| {
            assert_eq!(out.len(), ramp.len());
            assert!(out.chunks(2).all(|frame| frame[1] == 0.1));
            assert!(out.windows(3).step_by(2).all(|pair| pair[0] < pair[2]), "{out:?}");
            moved += usize::from(out != ramp);
        });
        // One move in 61 is none; 3.9 standard deviations are exceeded once in 10,000 times.
        assert!((moved as f64 - 10_000.0 * 60.0 / 61.0).abs() < 3.9 * 12.7, "{moved}");
    }

    #[test]
    fn an_utterance_has_its_warp_and_a_short_one_has_none() {
        let frames: Vec<f32> = (0..400).map(|number| (number as f32).sin()).collect();
        let of = |draws| transformed_for(&warp(20), 2, &frames, draws).unwrap();
        assert_eq!(of(ONE), of(ONE));
        assert_eq!(of(ONE), of(Draws { channel: 1, ..ONE }), "channels are warped alike");
        assert_ne!(of(ONE), of(Draws { id: "utterance-2", ..ONE }));
        assert_ne!(of(ONE), of(Draws { copy: 1, ..ONE }));
        for_10_000_utterances(&warp(10), 2, &frames[..42], |out| assert_eq!(out, &frames[..42]));
        assert!(transformed(&warp(10), 2, &[]).unwrap().is_empty());
        let never = TimeWarp { probability: 0.0, ..warp(20) };
        assert_eq!(transformed(&never, 2, &frames).unwrap(), frames);
    }

    #[test]
    fn numbers_that_a_warp_cannot_hold_are_the_utterances_fault() {
        let frames: Vec<f32> = (0..100).map(|t| if t % 2 == 0 { f32::MAX } else { f32::MIN }).collect();
        let error = transformed(&warp(20), 1, &frames).unwrap_err();
        assert!(matches!(error, ExtractError::NotFinite { .. }), "{error}");
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let refused = |warp: TimeWarp| warp.column(&Column::of(3, "", None)).unwrap_err().key();
        assert_eq!(refused(warp(0)), "factor");
        assert_eq!(refused(TimeWarp { probability: -1.0, ..TimeWarp::default() }), "probability");
    }
}
