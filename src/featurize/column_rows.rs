//! What a column is made of: features, or the sound itself.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::{Extractors, Recipe};
use crate::encode::Encode;
use crate::transform::Transforms;

/// The rows under a column's name.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "a pipeline has a few columns, most of them features")]
pub enum ColumnRows {
    /// An extractor and transforms.
    Features(Recipe),
    /// The sound, encoded.
    Audio(Encode),
}

/// The row of encoded sound.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
struct AudioRow<E> {
    encode: E,
}

/// The first row of a column.
#[derive(Deserialize)]
#[serde(untagged)]
enum First {
    Audio(AudioRow<Encode>),
    Features(Box<Extractors>),
}

impl fmt::Display for ColumnRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Features(recipe) => recipe.fmt(f),
            Self::Audio(encode) => write!(f, "encode {}", encode.codec.name()),
        }
    }
}

impl Serialize for ColumnRows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Features(recipe) => recipe.serialize(serializer),
            Self::Audio(encode) => {
                let mut rows = serializer.serialize_seq(Some(1))?;
                rows.serialize_element(&AudioRow { encode })?;
                rows.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for ColumnRows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Rows)
    }
}

struct Rows;

impl<'de> Visitor<'de> for Rows {
    type Value = ColumnRows;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of an extractor and transforms, or of `encode`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<ColumnRows, A::Error> {
        let Some(first) = rows.next_element()? else { return Err(A::Error::custom("a column needs an extractor")) };
        let mut transforms: Vec<Transforms> = Vec::new();
        while let Some(transform) = rows.next_element()? {
            transforms.push(transform);
        }
        match first {
            First::Features(extractor) => Ok(ColumnRows::Features(Recipe { extractor: *extractor, transforms })),
            First::Audio(AudioRow { encode }) if transforms.is_empty() => Ok(ColumnRows::Audio(encode)),
            First::Audio(_) => Err(A::Error::custom("nothing follows `encode`: transforms are for frames")),
        }
    }
}

impl JsonSchema for ColumnRows {
    fn schema_name() -> Cow<'static, str> {
        "ColumnRows".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (encode, further) = (generator.subschema_for::<Encode>(), generator.subschema_for::<Transforms>());
        let mut first = Extractors::json_schema(generator);
        if let Some(rows) = first.get_mut("oneOf").and_then(Value::as_array_mut) {
            rows.push(json!({
                "type": "object", "properties": { "encode": encode }, "required": ["encode"], "additionalProperties": false
            }));
        }
        json_schema!({ "type": "array", "prefixItems": [first], "items": further, "minItems": 1 })
    }
}
