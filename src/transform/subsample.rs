//! Every so many frames one, as Kaldi's `subsample-feats`.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Column, Extract, ExtractError, SettingError, Transform};
use crate::audio::Seconds;
use crate::family::Member;
use crate::seed::Draws;

/// Every n-th frame; those between are left out.
///
/// Shape `[⌈(frames − offset) / n⌉, bins]`; the unit stays. Names are those of Kaldi's `subsample-feats`. Nothing is averaged:
/// `stack_frames` keeps what lies between.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Subsample {
    /// Frames from one that is kept to the next, up to a million; 3.
    #[schemars(range(max = 1_000_000))]
    pub n: NonZeroU32,
    /// The first frame that is kept, counted from 0; 0.
    #[schemars(range(max = 1_000_000))]
    pub offset: u32,
}

impl Default for Subsample {
    fn default() -> Self {
        Self { n: const { NonZeroU32::new(3).unwrap() }, offset: 0 }
    }
}

impl Member for Subsample {
    const EXAMPLE: &'static str = "subsample: { n: 3 }";
}

impl Transform for Subsample {
    fn column(&self, before: &Column) -> Result<Column, SettingError> {
        let n = SettingError::unless_within("n", f64::from(self.n.get()), 1.0, 1e6)?;
        SettingError::unless_within("offset", f64::from(self.offset), 0.0, 1e6)?;
        let frame_shift = before.frame_shift.and_then(|shift| Seconds::new(shift.get() * n));
        Ok(Column { frame_shift, ..before.clone() })
    }

    fn num_frames(&self, frames: u64) -> u64 {
        frames.saturating_sub(u64::from(self.offset)).div_ceil(u64::from(self.n.get()))
    }

    fn prepare(&self, before: &Column, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        self.column(before)?;
        let (n, offset) = (self.n.get() as usize, self.offset as usize);
        Ok(Box::new(Subsampling { bins: before.bins.unwrap_or(1), n, offset, skip: offset }))
    }
}

struct Subsampling {
    bins: usize,
    n: usize,
    offset: usize,
    /// Frames before the next that is kept.
    skip: usize,
}

impl Extract for Subsampling {
    fn begin(&mut self, _: Draws<'_>) {
        self.skip = self.offset;
    }

    fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        let mut rest = input;
        while let Some(frame) = rest.get(self.skip * self.bins..).and_then(|rest| rest.get(..self.bins)) {
            out.extend_from_slice(frame);
            rest = &rest[(self.skip + 1) * self.bins..];
            self.skip = self.n - 1;
        }
        self.skip -= rest.len() / self.bins;
    }

    fn finish(&mut self, _: &mut Vec<f32>) -> Result<(), ExtractError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::transformed;

    fn subsampled(n: u32, offset: u32, num_frames: u16) -> Vec<f32> {
        let frames: Vec<f32> = (0..num_frames).flat_map(|t| [f32::from(t), 0.5]).collect();
        let settings = Subsample { n: NonZeroU32::new(n).unwrap(), offset };
        let made = transformed(&settings, 2, &frames).unwrap();
        made.chunks(2).map(|frame| frame[0]).collect()
    }

    #[test]
    fn every_n_th_frame_from_the_offset_on_is_kept() {
        assert_eq!(subsampled(3, 0, 8), [0.0, 3.0, 6.0]);
        assert_eq!(subsampled(3, 2, 8), [2.0, 5.0]);
        assert_eq!(subsampled(2, 5, 8), [5.0, 7.0]);
        assert_eq!(subsampled(1, 0, 3), [0.0, 1.0, 2.0]);
        assert_eq!(subsampled(4, 8, 8), [0.0; 0]);
        assert_eq!(subsampled(4, 0, 0), [0.0; 0]);
    }

    #[test]
    fn the_frames_that_are_left_lie_further_apart() {
        let before = Column { bins: None, ..Column::of(1, "Hz", Seconds::new(0.01)) };
        let after = Subsample { n: NonZeroU32::new(4).unwrap(), offset: 1 }.column(&before).unwrap();
        assert_eq!((after.bins, after.frame_shift), (None, Seconds::new(0.04)));
        let refused = Subsample { offset: 1_000_001, ..Subsample::default() }.column(&before).unwrap_err();
        assert_eq!(refused.key(), "offset");
    }
}
