//! Each frame between its neighbours, as Kaldi's `splice-feats`: before the first frame stands the first again, behind the last
//! the last.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::widen::widened;
use super::{Column, Extract, Neighbours, NeighboursToRow, SettingError, Transform};
use crate::family::Member;

/// Each frame side by side with those around it.
///
/// Shape `[frames, (left_context + 1 + right_context) · bins]`, the earliest first; the unit stays. Names and defaults are those
/// of Kaldi's `splice-feats`; `SpeechBrain`'s `ContextWindow` is the same but for silence beyond the ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Splice {
    /// Frames before it, up to 1000; 4.
    #[schemars(range(max = 1000))]
    pub left_context: u32,
    /// Frames behind it, up to 1000; 4.
    #[schemars(range(max = 1000))]
    pub right_context: u32,
}

impl Default for Splice {
    fn default() -> Self {
        Self { left_context: 4, right_context: 4 }
    }
}

impl Member for Splice {
    const EXAMPLE: &'static str = "splice: { left_context: 4, right_context: 4 }";
}

impl Transform for Splice {
    fn column(&self, before: &Column) -> Result<Column, SettingError> {
        let left = SettingError::unless_within("left_context", f64::from(self.left_context), 0.0, 1_000.0)? as usize;
        let right = SettingError::unless_within("right_context", f64::from(self.right_context), 0.0, 1_000.0)? as usize;
        widened(before, left + 1 + right, if left > right { "left_context" } else { "right_context" })
    }

    fn prepare(&self, before: &Column, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        let width = self.column(before)?.bins.unwrap_or(1);
        let (left, right) = (self.left_context as usize, self.right_context as usize);
        Ok(Box::new(Neighbours::new(SideBySide { width }, before.bins.unwrap_or(1), left, right)))
    }
}

/// The frames as they stand.
struct SideBySide {
    width: usize,
}

impl NeighboursToRow for SideBySide {
    fn bins_out(&self) -> usize {
        self.width
    }

    fn row(&mut self, frames: &[f32], row: &mut [f32]) {
        row.copy_from_slice(frames);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::transformed;

    #[test]
    fn a_frame_stands_between_its_neighbours_and_the_ends_are_repeated() {
        let splice = Splice { left_context: 2, right_context: 1 };
        let spliced = transformed(&splice, 2, &[1.0, 10.0, 2.0, 20.0, 3.0, 30.0]).unwrap();
        assert_eq!(spliced[..8], [1.0, 10.0, 1.0, 10.0, 1.0, 10.0, 2.0, 20.0]);
        assert_eq!(spliced[8..16], [1.0, 10.0, 1.0, 10.0, 2.0, 20.0, 3.0, 30.0]);
        assert_eq!(spliced[16..], [1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 3.0, 30.0]);
        assert_eq!(transformed(&splice, 2, &[]).unwrap(), [0.0; 0]);
    }

    #[test]
    fn a_column_of_one_number_becomes_wide_and_no_column_too_wide() {
        let before = Column { bins: None, ..Column::of(1, "Hz", None) };
        let after = Splice::default().column(&before).unwrap();
        assert_eq!((after.bins, after.unit.as_str()), (Some(9), "Hz"));
        let refused = |left_context, bins| {
            let splice = Splice { left_context, right_context: 0 };
            splice.column(&Column::of(bins, "", None)).unwrap_err().key()
        };
        assert_eq!([refused(1_001, 1), refused(999, 80)], ["left_context"; 2]);
    }
}
