//! The logarithm of each number: ln, log₁₀ or 10·log₁₀ of max(x + offset, floor).
//!
//! What people write by hand: `torch.log(x + 1e-6)`, `np.log10(np.maximum(x, 1e-10))`, `torch.log(torch.clamp(x, min=1e-5))`.

use std::f64::consts::LOG10_E;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Column, EachFrame, Extract, FrameToRow, SettingError, Transform};
use crate::family::Member;
use crate::spectrum::Logarithm;

/// The logarithm of each number.
///
/// Shape `[frames, bins]`, ln(energy), log10(energy) or dB. `torch.log(x + 1e-6)` is `{ offset: 1.0e-6 }`, `np.log10(np.maximum(x,
/// 1e-10))` is `{ kind: log10 }`. `amplitude_to_db` knows magnitudes and the utterance's highest value; `log_mel` takes the
/// logarithm by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The logarithm: `ln` (default), `log10` or `db`.
    pub kind: LogKind,
    /// What is added to each number first; 0.
    #[schemars(range(min = 0.0, max = 1e30))]
    pub offset: f64,
    /// The least number whose logarithm is taken, above 1.2e-38; 1e-10.
    #[schemars(range(min = 1.2e-38, max = 1e30))]
    pub floor: f64,
}

/// Which logarithm is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogKind {
    /// The natural logarithm.
    #[default]
    Ln,
    /// The decimal logarithm.
    Log10,
    /// Decibels of energies: 10·log₁₀.
    Db,
}

impl Default for Log {
    fn default() -> Self {
        Self { kind: LogKind::Ln, offset: 0.0, floor: 1e-10 }
    }
}

impl Member for Log {
    const EXAMPLE: &'static str = "log: { kind: ln, offset: 1.0e-6 }";
}

impl Transform for Log {
    fn column(&self, before: &Column) -> Result<Column, SettingError> {
        SettingError::unless_within("offset", self.offset, 0.0, 1e30)?;
        SettingError::unless_within("floor", self.floor, 1.2e-38, 1e30)?;
        let unit = match self.kind {
            LogKind::Ln => format!("ln({})", before.unit),
            LogKind::Log10 => format!("log10({})", before.unit),
            LogKind::Db => "dB".to_owned(),
        };
        Ok(Column { unit, dtype: None, ..before.clone() })
    }

    fn prepare(&self, before: &Column, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        self.column(before)?;
        let scale = match self.kind {
            LogKind::Ln => 1.0,
            LogKind::Log10 => LOG10_E,
            LogKind::Db => 10.0 * LOG10_E,
        };
        Ok(Box::new(EachFrame(Logarithms {
            bins: before.bins.unwrap_or(1),
            log: Logarithm { offset: self.offset as f32, floor: self.floor as f32, scale: scale as f32 },
        })))
    }
}

/// The logarithm of each number.
struct Logarithms {
    bins: usize,
    log: Logarithm,
}

impl FrameToRow for Logarithms {
    fn bins_in(&self) -> usize {
        self.bins
    }

    fn bins_out(&self) -> usize {
        self.bins
    }

    fn row(&mut self, frame: &[f32], row: &mut [f32]) {
        row.copy_from_slice(frame);
        self.log.take(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::transformed;

    #[test]
    fn powers_have_their_exponents_and_silence_the_floor() {
        let numbers = [1.0, 100.0, 0.0, 1e-3, -4.0];
        let of = |kind| transformed(&Log { kind, ..Log::default() }, 5, &numbers).unwrap();
        for (log10, expected) in of(LogKind::Log10).iter().zip([0.0, 2.0, -10.0, -3.0, -10.0]) {
            assert!((log10 - expected).abs() < 1e-6, "{log10}");
        }
        for (db, log10) in of(LogKind::Db).iter().zip(of(LogKind::Log10)) {
            assert!((db - 10.0 * log10).abs() < 1e-5);
        }
        assert!((of(LogKind::Ln)[1] - 100_f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn the_offset_is_added_first_and_no_number_is_too_large() {
        let log = Log { kind: LogKind::Log10, offset: 99.0, floor: 1e3 };
        let made = transformed(&log, 3, &[1.0, 9_901.0, f32::MAX]).unwrap();
        assert!((made[0] - 3.0).abs() < 1e-6 && (made[1] - 4.0).abs() < 1e-6 && (made[2] - 38.53).abs() < 1e-2);
        assert!(transformed(&Log { offset: 1e30, ..log }, 1, &[f32::MAX]).unwrap()[0].is_finite());
    }

    #[test]
    fn the_unit_says_what_the_logarithm_is_of() {
        let after = |kind| Log { kind, ..Log::default() }.column(&Column::of(3, "magnitude", None)).unwrap().unit;
        assert_eq!([LogKind::Ln, LogKind::Log10, LogKind::Db].map(after), ["ln(magnitude)", "log10(magnitude)", "dB"]);
        let refused = |log: Log| log.column(&Column::of(1, "", None)).unwrap_err().key();
        assert_eq!(refused(Log { floor: 0.0, ..Log::default() }), "floor");
        assert_eq!(refused(Log { offset: f64::NAN, ..Log::default() }), "offset");
    }
}
