//! A parameter of the pipeline file that may be drawn anew for each utterance.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

/// A number as the pipeline file writes it: `5` (fixed), `[5, 20]` (uniform) or `{one_of: [0.9, 1.0, 1.1]}` (choice).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Range {
    /// Always this value.
    Fixed(f64),
    /// Any value between the two, each equally likely; low ≤ high.
    Uniform([f64; 2]),
    /// One of these values, each equally likely; at least one.
    Choice {
        /// The values to choose from.
        one_of: Vec<f64>,
    },
}

/// Why numbers make no range.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RangeError {
    /// The bounds are the wrong way round.
    #[error("the range [{low}, {high}] runs downwards: write [{high}, {low}]")]
    Downwards {
        /// The first bound.
        low: f64,
        /// The second, smaller one.
        high: f64,
    },
    /// A bound or choice is infinite or not a number.
    #[error("{value} is not a finite number")]
    NotFinite {
        /// The value as read.
        value: f64,
    },
    /// There is nothing to choose from.
    #[error("`one_of` needs at least one value")]
    NoChoice,
}

impl Range {
    /// Always `value`.
    #[must_use]
    pub const fn fixed(value: f64) -> Self {
        Self::Fixed(value)
    }

    /// The value that a draw of `unit`, uniform in [0, 1), stands for. Pure: whoever draws keeps the generator.
    #[must_use]
    pub fn at(&self, unit: f64) -> f64 {
        match self {
            Self::Fixed(value) => *value,
            Self::Uniform([low, high]) => low + (high - low) * unit,
            Self::Choice { one_of } => one_of[((unit * one_of.len() as f64) as usize).min(one_of.len() - 1)],
        }
    }

    /// The one value, where there is nothing to draw.
    #[must_use]
    pub const fn as_fixed(&self) -> Option<f64> {
        match self {
            Self::Fixed(value) => Some(*value),
            Self::Uniform(_) | Self::Choice { .. } => None,
        }
    }

    /// Every bound or choice, for a member that limits its values.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        match self {
            Self::Fixed(value) => std::slice::from_ref(value),
            Self::Uniform(bounds) => bounds,
            Self::Choice { one_of } => one_of,
        }
    }

    /// Checks what reading a pipeline file checks, of a range that a program made.
    ///
    /// # Errors
    ///
    /// The bounds run downwards, there is no choice, or a value is not finite.
    pub fn check(&self) -> Result<(), RangeError> {
        if let Some(&value) = self.values().iter().find(|value| !value.is_finite()) {
            return Err(RangeError::NotFinite { value });
        }
        match self {
            Self::Uniform([low, high]) if low > high => Err(RangeError::Downwards { low: *low, high: *high }),
            Self::Choice { one_of } if one_of.is_empty() => Err(RangeError::NoChoice),
            _ => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let range = deserializer.deserialize_any(RangeVisitor)?;
        range.check().map_err(D::Error::custom)?;
        Ok(range)
    }
}

/// Reads the three forms by hand: serde's `untagged` would forget where in the file a mistake stands.
struct RangeVisitor;

impl<'de> Visitor<'de> for RangeVisitor {
    type Value = Range;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a range [low, high] or {one_of: [...]}")
    }

    fn visit_f64<E>(self, value: f64) -> Result<Range, E> {
        Ok(Range::Fixed(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Range, E> {
        Ok(Range::Fixed(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Range, E> {
        Ok(Range::Fixed(value as f64))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Range, A::Error> {
        let missing = || A::Error::custom("a range has two bounds: [low, high]");
        let low = seq.next_element()?.ok_or_else(missing)?;
        let high = seq.next_element()?.ok_or_else(missing)?;
        match seq.next_element::<IgnoredAny>()? {
            None => Ok(Range::Uniform([low, high])),
            Some(_) => Err(A::Error::custom("a range has two bounds: for more values write {one_of: [...]}")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Range, A::Error> {
        match map.next_key::<String>()?.as_deref() {
            Some("one_of") => Ok(Range::Choice { one_of: map.next_value()? }),
            _ => Err(A::Error::custom("a choice is written {one_of: [...]}")),
        }
    }
}

impl JsonSchema for Range {
    fn schema_name() -> Cow<'static, str> {
        "Range".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "a number, a range [low, high] or {one_of: [...]}",
            "anyOf": [
                { "type": "number" },
                { "type": "array", "items": { "type": "number" }, "minItems": 2, "maxItems": 2 },
                {
                    "type": "object",
                    "properties": { "one_of": { "type": "array", "items": { "type": "number" }, "minItems": 1 } },
                    "required": ["one_of"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Range, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn the_three_forms_are_read_and_written_back() {
        for json in ["1.5", "[5.0,20.0]", r#"{"one_of":[0.9,1.0,1.1]}"#] {
            assert_eq!(serde_json::to_string(&read(json).unwrap()).unwrap(), json);
        }
        assert_eq!(read("3").unwrap(), Range::Fixed(3.0));
    }

    #[test]
    fn a_draw_covers_its_range_and_no_more() {
        let uniform = read("[5, 20]").unwrap();
        assert_eq!((uniform.at(0.0), uniform.at(0.5)), (5.0, 12.5));
        assert!(uniform.at(1.0 - f64::EPSILON) <= 20.0);
        let choice = read(r#"{"one_of": [1, 2, 3]}"#).unwrap();
        assert_eq!([0.0, 0.34, 0.67, 1.0 - f64::EPSILON].map(|unit| choice.at(unit)), [1.0, 2.0, 3.0, 3.0]);
    }

    #[test]
    fn what_is_no_range_is_named() {
        assert!(read("[20, 5]").unwrap_err().contains("runs downwards"));
        assert!(read("[1, 2, 3]").unwrap_err().contains("one_of"));
        assert!(read("[1]").unwrap_err().contains("two bounds"));
        assert!(read(r#"{"one_of": []}"#).unwrap_err().contains("at least one"));
        assert!(read(r#"{"any_of": [1]}"#).unwrap_err().contains("one_of"));
    }
}
