//! Low frame rate: so many frames side by side, every so many frames.
//!
//! Row t holds the frames t·stride − `left_context` and on, `stack` of them; before the first frame stands the first again.
//! With `remainder: pad` there is a row for each t·stride within the utterance, and behind the last frame stands the last: the
//! LFR of `FunASR` (`apply_lfr`), whose `lfr_m` is `stack` and whose `lfr_n` is `stride`.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::widen::widened;
use super::{Column, Extract, ExtractError, SettingError, Transform};
use crate::audio::Seconds;
use crate::family::Member;
use crate::seed::Draws;

/// Frames stacked to fewer and wider ones: low frame rate.
///
/// Shape `[⌈frames / stride⌉, stack · bins]`; the unit stays. `FunASR`'s LFR (`Paraformer`, `SenseVoice`) is `{ stack: 7, stride: 6,
/// left_context: 3 }`; without overlap, as most others stack, `{ stack: 3, stride: 3, remainder: drop }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StackFrames {
    /// Frames in a row, up to 1000; 3. (`lfr_m` in `FunASR`.)
    #[schemars(range(max = 1000))]
    pub stack: NonZeroU32,
    /// Frames from one row to the next, up to 1000; 3. (`lfr_n` in `FunASR`.)
    #[schemars(range(max = 1000))]
    pub stride: NonZeroU32,
    /// How many times the first frame is repeated before it, less than `stack`; 0. `FunASR` takes (`stack` − 1) / 2.
    #[schemars(range(max = 999))]
    pub left_context: u32,
    /// What becomes of the last rows, which are not full: `pad` (default) or `drop`.
    pub remainder: Remainder,
}

/// What becomes of a row that the utterance does not fill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Remainder {
    /// The last frame is repeated.
    #[default]
    Pad,
    /// It is left out.
    Drop,
}

impl Default for StackFrames {
    fn default() -> Self {
        const THREE: NonZeroU32 = NonZeroU32::new(3).unwrap();
        Self { stack: THREE, stride: THREE, left_context: 0, remainder: Remainder::Pad }
    }
}

impl Member for StackFrames {
    const EXAMPLE: &'static str = "stack_frames: { stack: 7, stride: 6, left_context: 3 }";
}

impl Transform for StackFrames {
    fn column(&self, before: &Column) -> Result<Column, SettingError> {
        let stack = SettingError::unless_within("stack", f64::from(self.stack.get()), 1.0, 1_000.0)?;
        let stride = SettingError::unless_within("stride", f64::from(self.stride.get()), 1.0, 1_000.0)?;
        SettingError::unless_within("left_context", f64::from(self.left_context), 0.0, stack - 1.0)?;
        let frame_shift = before.frame_shift.and_then(|shift| Seconds::new(shift.get() * stride));
        Ok(Column { frame_shift, ..widened(before, stack as usize, "stack")? })
    }

    fn num_frames(&self, frames: u64) -> u64 {
        let (stack, stride) = (u64::from(self.stack.get()), u64::from(self.stride.get()));
        match self.remainder {
            Remainder::Pad => frames.div_ceil(stride),
            Remainder::Drop if frames == 0 => 0,
            Remainder::Drop => {
                let all = frames.saturating_add(u64::from(self.left_context));
                all.checked_sub(stack).map_or(0, |more| more / stride + 1)
            }
        }
    }

    fn prepare(&self, before: &Column, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        self.column(before)?;
        let bins = before.bins.unwrap_or(1);
        Ok(Box::new(Stacking {
            bins,
            row: self.stack.get() as usize * bins,
            step: self.stride.get() as usize * bins,
            repeated: self.left_context as usize * bins,
            remainder: self.remainder,
            started: false,
            skip: 0,
            frames: Vec::new(),
        }))
    }
}

/// Values that are taken in before those that no row needs any more are dropped.
const SLACK: usize = 16_384;

/// Lengths are in values, not in frames.
struct Stacking {
    bins: usize,
    row: usize,
    step: usize,
    repeated: usize,
    remainder: Remainder,
    /// Whether there was a frame.
    started: bool,
    /// Values that stand before the next row and are in none.
    skip: usize,
    /// The latest frames, from where the next row starts.
    frames: Vec<f32>,
}

impl Stacking {
    /// Appends the rows that are full, and drops the frames that no further row needs.
    fn make_rows(&mut self, out: &mut Vec<f32>) {
        let mut start = 0;
        while let Some(row) = self.frames.get(start..start + self.row) {
            out.extend_from_slice(row);
            start += self.step;
        }
        self.skip = start.saturating_sub(self.frames.len());
        self.frames.drain(..start.min(self.frames.len()));
    }
}

impl Extract for Stacking {
    fn begin(&mut self, _: Draws<'_>) {
        self.started = false;
        self.skip = 0;
        self.frames.clear();
    }

    fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        if !self.started
            && let Some(first) = input.get(..self.bins)
        {
            self.started = true;
            for _ in 0..self.repeated / self.bins {
                self.frames.extend_from_slice(first);
            }
        }
        for part in input.chunks(SLACK.next_multiple_of(self.bins)) {
            let skip = self.skip.min(part.len());
            self.skip -= skip;
            self.frames.extend_from_slice(&part[skip..]);
            if self.skip == 0 {
                self.make_rows(out);
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        if self.remainder == Remainder::Drop {
            return Ok(());
        }
        // A row starts so many values before the frame that calls for it.
        let mut start = 0;
        while start + self.repeated < self.frames.len() {
            let there = &self.frames[start..];
            let full = out.len() + self.row;
            out.extend_from_slice(&there[..there.len().min(self.row)]);
            while out.len() < full {
                out.extend_from_slice(&there[there.len() - self.bins..]);
            }
            start += self.step;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transform::testing::transformed;

    fn settings(stack: u32, stride: u32, left_context: u32, remainder: Remainder) -> StackFrames {
        let [stack, stride] = [stack, stride].map(|count| NonZeroU32::new(count).unwrap());
        StackFrames { stack, stride, left_context, remainder }
    }

    #[test]
    fn the_last_row_is_filled_with_the_last_frame_or_dropped() {
        let frames = [1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 4.0, -4.0];
        let full = [1.0, -1.0, 2.0, -2.0, 3.0, -3.0];
        let padded = transformed(&StackFrames::default(), 2, &frames).unwrap();
        assert_eq!(padded, [&full[..], &[4.0, -4.0, 4.0, -4.0, 4.0, -4.0]].concat());
        assert_eq!(transformed(&settings(3, 3, 0, Remainder::Drop), 2, &frames).unwrap(), full);
        assert_eq!(transformed(&settings(3, 3, 0, Remainder::Drop), 2, &frames[..4]).unwrap(), [0.0; 0]);
        assert_eq!(transformed(&StackFrames::default(), 2, &[]).unwrap(), [0.0; 0]);
    }

    #[test]
    fn the_column_is_wider_and_slower() {
        let before = Column::of(80, "dB", Seconds::new(0.01));
        let after = settings(7, 6, 3, Remainder::Pad).column(&before).unwrap();
        assert_eq!((after.bins, after.frame_shift), (Some(560), Seconds::new(0.06)));
        let refused = |settings: StackFrames| settings.column(&before).unwrap_err().key();
        assert_eq!(refused(settings(3, 3, 3, Remainder::Pad)), "left_context");
        assert_eq!(refused(settings(1_001, 3, 0, Remainder::Pad)), "stack");
        assert_eq!(refused(settings(1_000, 3, 0, Remainder::Pad)), "stack");
        assert_eq!(refused(settings(3, 1_001, 0, Remainder::Pad)), "stride");
    }

    proptest! {
        #[test]
        fn every_row_holds_the_frames_from_its_start_on(
            num_frames in 0_i64..40, stack in 1_i64..8, stride in 1_i64..12, left in 0_i64..7, drop: bool,
        ) {
            let left = left.min(stack - 1);
            let remainder = if drop { Remainder::Drop } else { Remainder::Pad };
            let frames: Vec<f32> = (0..num_frames).map(|t| t as f32).collect();
            let settings = settings(stack as u32, stride as u32, left as u32, remainder);
            let made = transformed(&settings, 1, &frames).unwrap();
            let starts = (0..num_frames).step_by(stride as usize).map(|t| t - left);
            let starts = starts.filter(|start| !drop || start + stack <= num_frames);
            let expected: Vec<f32> =
                starts.flat_map(|start| (start..start + stack).map(|t| t.clamp(0, num_frames - 1) as f32)).collect();
            prop_assert_eq!(made, expected);
        }
    }
}
