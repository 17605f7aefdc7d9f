//! How steep a filter is, and what it does to phases.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audio::Range;
use crate::transform::SettingError;

/// What a filter does to phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Each frequency is delayed by as little as a filter of this response must: what circuits do. -3 dB at the edges.
    #[default]
    Minimum,
    /// No frequency is delayed: half of the roll-off forwards and half backwards. -6 dB at the edges, and onsets ring
    /// before they begin.
    Zero,
}

impl Phase {
    /// The decibels an octave of one order.
    pub(super) const fn step(self) -> f64 {
        match self {
            Self::Minimum => 6.0,
            Self::Zero => 12.0,
        }
    }

    /// The order of the filter, of each way, for a roll-off that [`check_rolloff`] allows.
    pub(super) fn order(self, rolloff: f64) -> usize {
        (rolloff / self.step()).round() as usize
    }
}

/// The steepest roll-off: beyond it the response is a wall that rings.
const STEEPEST: f64 = 96.0;

/// Checks that roll-offs are what a filter of this phase can have.
pub(in crate::augment) fn check_rolloff(range: &Range, phase: Phase) -> Result<(), SettingError> {
    const KEY: &str = "rolloff_db_per_octave";
    SettingError::unless_all_within(KEY, range, phase.step(), STEEPEST)?;
    if range.values().iter().all(|value| value % phase.step() == 0.0) {
        return Ok(());
    }
    Err(SettingError::DoesNotFit {
        key: KEY,
        reason: match phase {
            Phase::Minimum => "roll-offs are multiples of 6 dB an octave",
            Phase::Zero => "roll-offs of `phase: zero` are multiples of 12 dB an octave",
        },
    })
}
