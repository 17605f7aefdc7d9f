//! Errors as a person reads them.

use std::error::Error;

/// An error and all its causes in one line: `the manifest cannot be read: m.jsonl line 7: expected a comma`.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // A transparent error repeats its cause's message.
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}
