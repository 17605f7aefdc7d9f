//! Whether a corpus may run commands.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether sound that is the output of a command may be had by running it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Commands {
    /// A command in the source is an error.
    #[default]
    Refuse,
    /// Commands are run with the rights of whoever runs wavemill: allow them only where the source is trusted.
    Allow,
}
