//! What becomes of the transcript where an augmentation changes the words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Draw;

/// What becomes of the row's `text`, where the clip no longer holds all words in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Text {
    /// It becomes null.
    #[default]
    Drop,
    /// It stays: for labels that hold whatever is cut, as of commands with a margin around them.
    Keep,
}

impl Text {
    /// Says that the clip no longer holds all words in order.
    pub(super) fn lose_words(self, draw: &mut Draw<'_>) {
        if self == Self::Drop {
            draw.lose_words();
        }
    }
}
