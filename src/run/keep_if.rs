//! `keep_if`: an utterance judged by its corpus row and by what was measured of its sound, once it is loaded.
//!
//! Measured with polars 0.55: about 40 µs an utterance.

use thiserror::Error;

use crate::corpus::SelectError;
use crate::load::{Quality, QualityColumns};
use crate::plan::Plan;
use crate::rejects::rejects;

/// Whether sound is measured: for columns, or for a condition that asks.
pub(super) fn measured(plan: &Plan) -> QualityColumns {
    let read = |(name, _): &(&str, _)| {
        plan.keep_if.as_ref().is_some_and(|condition| condition.columns().iter().any(|column| column == name))
    };
    if Quality::COLUMNS.iter().any(read) { QualityColumns::Columns } else { plan.pipeline.load.quality }
}

/// Judges an utterance by `keep_if`.
pub(super) fn keep(plan: &Plan, row: usize, quality: Option<&Quality>) -> Result<(), KeepError> {
    let Some(condition) = &plan.keep_if else { return Ok(()) };
    let values = quality.map(Quality::values).unwrap_or_default();
    let measures = Quality::COLUMNS.map(|(name, _)| name).into_iter().zip(values).collect::<Vec<_>>();
    if condition.holds(&plan.table, row, &measures).map_err(|source| KeepError::Undecided { source })? {
        return Ok(());
    }
    let read = measures.iter().filter(|(name, _)| condition.columns().iter().any(|column| column == name));
    let values: Vec<String> = read.map(|(name, value)| format!("{name} is {value:.4}")).collect();
    Err(KeepError::NotKept { values: values.join(", ") })
}

rejects! {
    /// Why a sound utterance becomes no row.
    #[derive(Debug, Error)]
    pub(super) enum KeepError {
        /// `keep_if` is not true of the utterance. Such rejects are wanted: `load.max_reject_fraction` and `load.on_error` do not count them.
        #[error("the condition is not true of it{}{values}", if values.is_empty() { "" } else { ": " })]
        not_kept: NotKept {
            /// What was measured of what the condition reads.
            values: String,
        },
        /// `keep_if` cannot be evaluated for the values of this utterance.
        #[error("the condition cannot be evaluated")]
        undecided: Undecided {
            /// What polars says.
            #[source]
            source: SelectError,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Reject;

    #[test]
    fn what_is_not_kept_is_no_fault() {
        assert_eq!(KeepError::NotKept { values: String::new() }.code(), Reject::NOT_KEPT);
    }
}
