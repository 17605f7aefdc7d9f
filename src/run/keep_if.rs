//! `keep_if`: an utterance judged by its corpus row and by what was measured of its sound, once it is decoded.
//!
//! Measured with polars 0.55: about 40 µs an utterance.

use thiserror::Error;

use crate::audio::{Hertz, Seconds};
use crate::corpus::{Kind, SelectError, Value};
use crate::load::{Quality, QualityColumns};
use crate::plan::Plan;
use crate::rejects::rejects;
use crate::write::NUM_CHANNELS;

/// Whether sound is measured: for columns, or for a condition that asks.
pub(super) fn measured(plan: &Plan) -> QualityColumns {
    let read = |(name, _): &(&str, _)| {
        plan.keep_if.as_ref().is_some_and(|condition| condition.columns().iter().any(|column| column == name))
    };
    if Quality::COLUMNS.iter().any(read) { QualityColumns::Columns } else { plan.pipeline.load.quality }
}

/// What is known of the sound of an utterance, as its row would say it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    pub(super) num_samples: u64,
    pub(super) sample_rate: Hertz,
    pub(super) channels: usize,
    pub(super) quality: Option<Quality>,
}

impl Heard {
    pub(super) fn seconds(&self) -> f64 {
        Seconds::of_samples(self.num_samples, self.sample_rate).get()
    }

    /// The value of one of [`Pipeline::measures`](crate::pipeline::Pipeline::measures).
    fn value(&self, name: &str) -> Option<Value<'static>> {
        Some(match name {
            "duration_s" => Value::Float64(self.seconds()),
            "num_samples" => Value::Int64(self.num_samples as i64),
            "sample_rate" => Value::Int64(self.sample_rate.get().into()),
            NUM_CHANNELS => Value::Int64(self.channels as i64),
            name => {
                let index = Quality::COLUMNS.iter().position(|(column, _)| *column == name)?;
                Value::Float64(self.quality?.values()[index])
            }
        })
    }
}

/// Judges an utterance by `keep_if`.
pub(super) fn keep(plan: &Plan, row: usize, heard: &Heard) -> Result<(), KeepError> {
    let Some(condition) = &plan.keep_if else { return Ok(()) };
    let measures = plan.pipeline.measures();
    let cell = |column: &str| {
        // What was decoded counts, not what the corpus or a header says.
        let measure = measures.iter().find(|(name, _)| *name == column);
        let value = measure.and_then(|(name, kind)| Some((*kind, heard.value(name)?)));
        value.or_else(|| plan.table.cell(column, row))
    };
    if condition.holds(cell).map_err(|source| KeepError::Undecided { source })? {
        return Ok(());
    }
    let told = |column: &String| Some(format!("{column} is {}", told(cell(column)?)));
    let values: Vec<String> = condition.columns().iter().filter_map(told).collect();
    Err(KeepError::NotKept { values: values.join(", ") })
}

/// A cell as a message shows it: the start of a text, four places of a number.
fn told((_, value): (Kind, Value<'_>)) -> String {
    /// A transcript would fill the message.
    const LETTERS: usize = 40;
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Float64(number) => format!("{number:.4}"),
        Value::String(text) => match text.char_indices().nth(LETTERS) {
            Some((end, _)) => format!("'{}…'", &text[..end]),
            None => format!("'{text}'"),
        },
        value => value.to_string(),
    }
}

rejects! {
    /// Why a sound utterance becomes no row.
    #[derive(Debug, Error)]
    pub(super) enum KeepError {
        /// `keep_if` is not true of the utterance. Such rejects are wanted: `load.max_reject_fraction` and `load.on_error` do not count them.
        #[error("the condition is not true of it{}{values}", if values.is_empty() { "" } else { ": " })]
        not_kept: NotKept {
            /// What the columns hold that the condition reads.
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

    #[test]
    fn a_message_shows_values_in_short() {
        assert_eq!(told((Kind::Float64, Value::Float64(56.4 + 6e-15))), "56.4000");
        assert_eq!(told((Kind::String, Value::Null)), "NULL");
        assert_eq!(told((Kind::String, Value::String(&"é".repeat(41)))), format!("'{}…'", "é".repeat(40)));
        assert_eq!(told((Kind::Int64, Value::Int64(-3))), "-3");
    }
}
