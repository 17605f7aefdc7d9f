//! `${NAME}` and `${NAME:-default}` in the strings of a pipeline file.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The values that a run has for variables: `--var NAME=VALUE` first, then the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    given: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
}

impl Variables {
    /// The variables given on the command line over those of this process's environment.
    #[must_use]
    pub fn with_environment(given: impl IntoIterator<Item = (String, String)>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { environment, ..given.into_iter().collect() }
    }

    /// The value of `name`, if it has one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.given.get(name).or_else(|| self.environment.get(name)).map(String::as_str)
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(given: I) -> Self {
        Self { given: given.into_iter().collect(), environment: BTreeMap::new() }
    }
}

/// A string of the pipeline file, kept as written: a manifest holds `${CORPUS}`, never the path of one machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Template(String);

impl Template {
    /// The string as it stands in the pipeline file.
    #[must_use]
    pub fn as_written(&self) -> &str {
        &self.0
    }

    /// The string with every variable filled in.
    ///
    /// # Errors
    ///
    /// A variable without a value or a default, or a `${` that is never closed.
    pub fn fill<'a>(&'a self, variables: &'a Variables) -> Result<Cow<'a, str>, VariableError> {
        fill(&self.0, variables)
    }
}

impl From<&str> for Template {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Fills the variables of one string.
pub(crate) fn fill<'a>(text: &'a str, variables: &'a Variables) -> Result<Cow<'a, str>, VariableError> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once("${") {
        let (inside, after) = from.split_once('}').ok_or_else(|| VariableError::Unclosed { text: text.to_owned() })?;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let value = variables
            .get(name)
            .filter(|value| default.is_none() || !value.is_empty())
            .or(default)
            .ok_or_else(|| VariableError::Undefined { name: name.to_owned() })?;
        filled.push_str(before);
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(Cow::Owned(filled))
}

/// Why a string could not be filled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VariableError {
    /// No value was given for the variable, and it has no default.
    #[error(
        "the variable `{name}` has no value: give `--var {name}=…`, set it in the environment, or write `${{{name}:-default}}`"
    )]
    Undefined {
        /// The variable.
        name: String,
    },
    /// A `${` without its `}`.
    #[error("`${{` without a closing `}}` in `{text}`")]
    Unclosed {
        /// The whole string.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, VariableError> {
        let variables = [("CORPUS", "/data"), ("EMPTY", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        fill(text, &variables.into_iter().collect()).map(Cow::into_owned)
    }

    #[test]
    fn variables_and_defaults_are_filled_as_a_shell_would() {
        assert_eq!(filled("${CORPUS}/a/${SPLIT:-train}").unwrap(), "/data/a/train");
        assert_eq!(filled("${EMPTY:-x}${EMPTY}|$HOME").unwrap(), "x|$HOME");
    }

    #[test]
    fn a_variable_without_value_says_how_to_give_one() {
        let message = filled("${NOISE}").unwrap_err().to_string();
        assert!(message.contains("--var NOISE=") && message.contains("${NOISE:-default}"), "{message}");
        assert!(matches!(filled("${CORPUS"), Err(VariableError::Unclosed { .. })));
    }
}
