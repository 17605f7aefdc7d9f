//! Values of the columns beside the sound: texts, numbers and truth values.

use std::fmt;

/// The type of a further column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    String,
    /// Whole numbers of 64 bits.
    Int64,
    /// Numbers in double precision.
    Float64,
    /// True or false.
    Boolean,
}

impl Kind {
    /// The name in a manifest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int64 => "int64",
            Self::Float64 => "float64",
            Self::Boolean => "bool",
        }
    }
}

/// A cell of a table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// Text.
    String(&'a str),
    /// A whole number.
    Int64(i64),
    /// A number.
    Float64(f64),
    /// A truth value.
    Boolean(bool),
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::String(text) => f.write_str(text),
            Self::Int64(number) => write!(f, "{number}"),
            // With a point or an exponent, as JSON writes it: 3.0 is not the text "3".
            Self::Float64(number) => write!(f, "{number:?}"),
            Self::Boolean(truth) => write!(f, "{truth}"),
        }
    }
}
