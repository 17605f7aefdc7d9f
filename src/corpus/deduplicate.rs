//! What makes an utterance a duplicate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What makes an utterance a duplicate of one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Deduplicate {
    /// Nothing.
    #[default]
    None,
    /// The bytes of its recording, whatever its name, and the same cut and channel of it. Only recordings of one length
    /// are read for it (of datasets and compressed Parquet files all are); what commands write is never compared.
    Audio,
}
