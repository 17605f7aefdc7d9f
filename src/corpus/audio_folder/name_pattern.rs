//! File names that say something: `{digit}_{speaker}_{take}`.

use std::borrow::Cow;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::corpus::corpus_table::RESERVED;

/// A pattern for file names without their extension: `{word}` becomes a column, everything else must be there as written.
///
/// Each `{word}` takes at least one character and ends where the text after it first comes; the last takes the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamePattern {
    written: String,
    /// The text before the first capture.
    prefix: String,
    /// Each capture's column, and the text after it.
    captures: Vec<(String, String)>,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NamePatternError {
    /// Nothing is captured.
    #[error("the pattern `{pattern}` has no `{{column}}`")]
    NoCapture {
        /// The pattern.
        pattern: String,
    },
    /// A brace has no partner.
    #[error("the pattern `{pattern}` has a brace without its partner")]
    Brace {
        /// The pattern.
        pattern: String,
    },
    /// The text between two braces is no column's name.
    #[error("the pattern `{pattern}` has `{{{name}}}`: a column's name is letters, digits and `_`")]
    Name {
        /// The pattern.
        pattern: String,
        /// The text between the braces.
        name: String,
    },
    /// A column that the reader fills itself, or that every dataset has of its own.
    #[error("the pattern `{pattern}` has `{{{name}}}`, which is not a name's to say: take another word")]
    Taken {
        /// The pattern.
        pattern: String,
        /// The column.
        name: String,
    },
    /// A column is captured twice.
    #[error("the pattern `{pattern}` has `{{{name}}}` twice")]
    Repeated {
        /// The pattern.
        pattern: String,
        /// The column.
        name: String,
    },
    /// Nothing says where one capture ends and the next begins.
    #[error("the pattern `{pattern}` has no text between `{{{first}}}` and `{{{second}}}`")]
    Adjacent {
        /// The pattern.
        pattern: String,
        /// The first column.
        first: String,
        /// The second column.
        second: String,
    },
}

impl FromStr for NamePattern {
    type Err = NamePatternError;

    fn from_str(text: &str) -> Result<Self, NamePatternError> {
        let pattern = || text.to_owned();
        let brace = || NamePatternError::Brace { pattern: pattern() };
        let mut pieces = text.split('{');
        let prefix = pieces.next().unwrap_or_default();
        if prefix.contains('}') {
            return Err(brace());
        }
        let mut captures: Vec<(String, String)> = Vec::new();
        for piece in pieces {
            let (name, after) = piece.split_once('}').ok_or_else(brace)?;
            let name = name.to_owned();
            if after.contains('}') {
                return Err(brace());
            }
            if name.is_empty() || !name.chars().all(|letter| letter.is_alphanumeric() || letter == '_') {
                return Err(NamePatternError::Name { pattern: pattern(), name });
            }
            if name == "audio" || RESERVED.contains(&name.as_str()) {
                return Err(NamePatternError::Taken { pattern: pattern(), name });
            }
            if captures.iter().any(|(earlier, _)| *earlier == name) {
                return Err(NamePatternError::Repeated { pattern: pattern(), name });
            }
            if let Some((first, _)) = captures.last().filter(|(_, between)| between.is_empty()) {
                return Err(NamePatternError::Adjacent { pattern: pattern(), first: first.clone(), second: name });
            }
            captures.push((name, after.to_owned()));
        }
        if captures.is_empty() {
            return Err(NamePatternError::NoCapture { pattern: pattern() });
        }
        Ok(Self { written: pattern(), prefix: prefix.to_owned(), captures })
    }
}

impl NamePattern {
    /// The pattern as it stands in the pipeline file.
    #[must_use]
    pub fn as_written(&self) -> &str {
        &self.written
    }

    /// The columns that the pattern fills, in its order.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.captures.iter().map(|(column, _)| column.as_str())
    }

    /// What each column captures of `stem`, in the order of the columns; none where the pattern does not fit.
    #[must_use]
    pub fn captures<'a>(&self, stem: &'a str) -> Option<Vec<&'a str>> {
        let mut rest = stem.strip_prefix(self.prefix.as_str())?;
        let mut captured = Vec::with_capacity(self.captures.len());
        let (last, earlier) = self.captures.split_last()?;
        for (_, after) in earlier {
            let first = rest.chars().next()?.len_utf8();
            let end = first + rest.get(first..)?.find(after.as_str())?;
            captured.push(rest.get(..end)?);
            rest = rest.get(end + after.len()..)?;
        }
        captured.push(rest.strip_suffix(last.1.as_str()).filter(|capture| !capture.is_empty())?);
        Some(captured)
    }
}

impl TryFrom<String> for NamePattern {
    type Error = NamePatternError;

    fn try_from(text: String) -> Result<Self, NamePatternError> {
        text.parse()
    }
}

impl From<NamePattern> for String {
    fn from(pattern: NamePattern) -> Self {
        pattern.written
    }
}

impl JsonSchema for NamePattern {
    fn schema_name() -> Cow<'static, str> {
        "NamePattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^[^{}]*\{\w+\}([^{}]+\{\w+\})*[^{}]*$",
            "description": "a file name without its extension, with {column} for each part to keep"
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn captures<'a>(pattern: &str, stem: &'a str) -> Option<Vec<&'a str>> {
        pattern.parse::<NamePattern>().unwrap().captures(stem)
    }

    #[test]
    fn each_part_ends_where_the_next_text_first_comes_and_the_last_takes_the_rest() {
        assert_eq!(captures("{digit}_{speaker}_{take}", "7_jackson_12").unwrap(), ["7", "jackson", "12"]);
        assert_eq!(captures("{a}_{b}", "x_y_z").unwrap(), ["x", "y_z"]);
        assert_eq!(captures("rec-{a}--{b}.end", "rec-ä--ö.end.end").unwrap(), ["ä", "ö.end"]);
        assert_eq!(captures("{a}_{b}", "__x").unwrap(), ["_", "x"]);
    }

    #[test]
    fn a_name_that_lacks_a_text_or_leaves_a_part_empty_does_not_match() {
        for (pattern, stem) in
            [("{a}_{b}", "x"), ("{a}_{b}", "x_"), ("{a}_{b}", "_x"), ("r{a}", "r"), ("{a}.x", "y.z"), ("{a}", "")]
        {
            assert_eq!(captures(pattern, stem), None, "{pattern} {stem}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_said_when_it_is_read() {
        let message = |text: &str| serde_saphyr::from_str::<NamePattern>(text).unwrap_err().to_string();
        assert!(message("'{a}{b}'").contains("no text between `{a}` and `{b}`"));
        assert!(message("'{a}_{a}'").contains("`{a}` twice"));
        assert!(message("'{a}_{b c}'").contains("`{b c}`"));
        assert!(message("'{}'").contains("letters"));
        assert!(message("'{audio}'").contains("another word"));
        assert!(message("'{key}'").contains("another word"));
        assert!(message("'plain'").contains("no `{column}`"));
        for text in ["'{a'", "'a}'", "'{a}}'", "'{{a}}'", "'{a}_{b'"] {
            assert!(!message(text).is_empty());
        }
    }

    #[test]
    fn a_pattern_is_written_as_it_was_read() {
        let pattern: NamePattern = serde_json::from_str(r#""{a}_{b}""#).unwrap();
        assert_eq!(serde_json::to_string(&pattern).unwrap(), r#""{a}_{b}""#);
        assert_eq!(pattern.columns().collect::<Vec<_>>(), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn what_is_captured_put_back_into_the_pattern_is_the_stem_again(
            prefix in "[ab_é-]{0,2}",
            texts in prop::collection::vec("[ab_é-]{1,2}", 0..4),
            suffix in "[ab_é-]{0,2}",
            stem in "[ab_é-]{0,12}",
        ) {
            let mut written = prefix.clone();
            for number in 0..=texts.len() {
                written.extend([format!("{{c{number}}}").as_str(), texts.get(number).unwrap_or(&suffix)]);
            }
            let pattern: NamePattern = written.parse().unwrap();
            if let Some(captured) = pattern.captures(&stem) {
                let mut again = prefix;
                for (number, capture) in captured.iter().enumerate() {
                    prop_assert!(!capture.is_empty());
                    again.push_str(capture);
                    again.push_str(texts.get(number).unwrap_or(&suffix));
                }
                prop_assert_eq!(again, stem);
            }
        }

        #[test]
        fn a_stem_made_by_the_pattern_is_matched_by_it(parts in prop::collection::vec("[abé-]{1,4}", 1..5)) {
            let written: Vec<_> = (0..parts.len()).map(|number| format!("{{c{number}}}")).collect();
            let pattern: NamePattern = written.join("__").parse().unwrap();
            let stem = parts.join("__");
            prop_assert_eq!(pattern.captures(&stem).unwrap(), parts);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            let _ = text.parse::<NamePattern>();
        }
    }
}
