//! How often an augmentation is applied.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A share of all clips, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Probability(f64);

/// A number that is no probability.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error("a probability is a number from 0 to 1, not {0}")]
pub struct NoProbability(f64);

impl Probability {
    /// Every clip.
    pub const ALWAYS: Self = Self(1.0);

    /// The share as a number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Default for Probability {
    fn default() -> Self {
        Self::ALWAYS
    }
}

impl TryFrom<f64> for Probability {
    type Error = NoProbability;

    fn try_from(value: f64) -> Result<Self, NoProbability> {
        if (0.0..=1.0).contains(&value) { Ok(Self(value)) } else { Err(NoProbability(value)) }
    }
}

impl From<Probability> for f64 {
    fn from(probability: Probability) -> Self {
        probability.0
    }
}

impl JsonSchema for Probability {
    fn schema_name() -> Cow<'static, str> {
        "Probability".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0.0, "maximum": 1.0 })
    }
}
