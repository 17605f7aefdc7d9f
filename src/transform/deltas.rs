//! How fast each number changes from frame to frame: the slope of a line through the frames around it.
//!
//! d\[t] = Σₙ n·(c\[t + n] − c\[t − n]) / (2·Σₙ n²), n from 1 to N, where `win_length` is 2·N + 1, as in HTK and in torchaudio
//! 2.11's `ComputeDeltas`. Before the first frame stands the first again, behind the last the last.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::widen::widened;
use super::{
    Column, EachFrame, Extract, FrameToRow, Link, Neighbours, NeighboursToRow, SettingError, Transform, chain,
};
use crate::family::Member;

/// How fast each number changes, appended to the frame or in its place.
///
/// Shape `[frames, (1 + order) · bins]`: the frame, then its slope a frame, then the slope of that, as `SpeechBrain` and
/// librosa's users stack them; `[frames, bins]` with `keep: false`, as torchaudio's `ComputeDeltas`. The unit stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Deltas {
    /// The frames that a line is laid through: 3, 5 (default) or any odd number up to 101.
    #[schemars(range(min = 3, max = 101))]
    pub win_length: u32,
    /// 1 for the slope alone, 2 (default) for its slope too, up to 4.
    #[schemars(range(min = 1, max = 4))]
    pub order: u32,
    /// Whether the frame itself and the lower orders are kept before the highest; true.
    pub keep: bool,
}

impl Default for Deltas {
    fn default() -> Self {
        Self { win_length: 5, order: 2, keep: true }
    }
}

impl Member for Deltas {
    const EXAMPLE: &'static str = "deltas: { win_length: 5, order: 2 }";
}

impl Transform for Deltas {
    fn column(&self, before: &Column) -> Result<Column, SettingError> {
        SettingError::unless_within("win_length", f64::from(self.win_length), 3.0, 101.0)?;
        let order = SettingError::unless_within("order", f64::from(self.order), 1.0, 4.0)?;
        if self.win_length.is_multiple_of(2) {
            return Err(SettingError::DoesNotFit {
                key: "win_length",
                reason: "the window must have a middle: an odd number of frames",
            });
        }
        let kept = if self.keep { 1 + order as usize } else { 1 };
        Ok(Column { dtype: None, ..widened(before, kept, "order")? })
    }

    fn prepare(&self, before: &Column, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        self.column(before)?;
        let bins = before.bins.unwrap_or(1);
        let reach = self.win_length as usize / 2;
        let slopes = |order: usize| {
            let slope = Slope { reach, width: order * bins, bins, steepness: steepness(reach) };
            Link::new(Neighbours::new(slope, order * bins, reach, reach), (1 + order) * bins)
        };
        let mut further: Vec<Link> = (2..=self.order as usize).map(slopes).collect();
        if !self.keep {
            further.push(Link::new(EachFrame(Highest { width: (1 + self.order as usize) * bins, bins }), bins));
        }
        Ok(chain(slopes(1), further))
    }
}

/// 1 / (2·Σₙ n²).
fn steepness(reach: usize) -> f32 {
    let squares: usize = (1..=reach).map(|n| n * n).sum();
    (0.5 / squares as f64) as f32
}

/// Frames of `width` numbers with the slope of the last `bins` of them appended.
struct Slope {
    reach: usize,
    width: usize,
    bins: usize,
    steepness: f32,
}

impl NeighboursToRow for Slope {
    fn bins_out(&self) -> usize {
        self.width + self.bins
    }

    fn row(&mut self, frames: &[f32], row: &mut [f32]) {
        let Self { reach, width, bins, steepness } = *self;
        let (frame, slopes) = row.split_at_mut(width);
        frame.copy_from_slice(&frames[reach * width..][..width]);
        slopes.fill(0.0);
        let of = |number: usize| &frames[(number + 1) * width - bins..][..bins];
        for n in 1..=reach {
            for ((slope, later), earlier) in slopes.iter_mut().zip(of(reach + n)).zip(of(reach - n)) {
                *slope += n as f32 * (later - earlier);
            }
        }
        for slope in slopes {
            *slope *= steepness;
        }
    }
}

/// The last `bins` numbers of each frame of `width`.
struct Highest {
    width: usize,
    bins: usize,
}

impl FrameToRow for Highest {
    fn bins_in(&self) -> usize {
        self.width
    }

    fn bins_out(&self) -> usize {
        self.bins
    }

    fn row(&mut self, frame: &[f32], row: &mut [f32]) {
        row.copy_from_slice(&frame[self.width - self.bins..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::transformed;

    #[test]
    fn a_straight_line_has_its_slope_inside_and_less_at_its_ends() {
        let line: Vec<f32> = (0..8).flat_map(|t| [3.0 * t as f32, 7.0]).collect();
        let deltas = transformed(&Deltas { order: 1, keep: false, ..Deltas::default() }, 2, &line).unwrap();
        let slopes: Vec<f32> = deltas.chunks(2).map(|frame| frame[0]).collect();
        // (1·3 + 2·6) / 10 with the first frame repeated to its left.
        assert_eq!(slopes, [1.5, 2.4, 3.0, 3.0, 3.0, 3.0, 2.4, 1.5]);
        assert!(deltas.chunks(2).all(|frame| frame[1] == 0.0));
    }

    #[test]
    fn what_is_kept_stands_before_its_slopes() {
        let parabola: Vec<f32> = (0..20).map(|t| (t * t) as f32).collect();
        let all = transformed(&Deltas::default(), 1, &parabola).unwrap();
        let column = Deltas::default().column(&Column::of(1, "dB", None)).unwrap();
        assert_eq!((column.bins, column.unit.as_str()), (Some(3), "dB"));
        for (t, frame) in all.chunks(3).enumerate().skip(4).take(12) {
            assert_eq!(frame[0], (t * t) as f32);
            assert!((frame[1] - 2.0 * t as f32).abs() < 1e-4 && (frame[2] - 2.0).abs() < 1e-4, "{t}: {frame:?}");
        }
    }

    #[test]
    fn a_window_has_a_middle() {
        let refused = |deltas: Deltas| deltas.column(&Column::of(1, "", None)).unwrap_err().key();
        assert_eq!(refused(Deltas { win_length: 4, ..Deltas::default() }), "win_length");
        assert_eq!(refused(Deltas { order: 5, ..Deltas::default() }), "order");
    }
}
