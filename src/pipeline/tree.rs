//! The pipeline file as a tree in which every key and value knows its place.

use std::fmt;
use std::ops::Range;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use serde_saphyr::{Location, Spanned};

/// One value of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Range<usize>,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// Null, a boolean, a number or a string.
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// One key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) span: Range<usize>,
}

/// One step from a value to a value inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl Node {
    /// The tree of a YAML text.
    pub(crate) fn parse(text: &str) -> Result<Self, serde_saphyr::Error> {
        serde_saphyr::from_str(text)
    }

    /// The value that `key` holds, if this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|(name, _)| name.name == key).map(|(_, node)| node),
            Kind::Scalar(_) | Kind::List(_) => None,
        }
    }

    /// The place that `path` leads to, or that of the last value on the way that the file does hold.
    pub(crate) fn place(&self, path: &[Step]) -> Range<usize> {
        let mut node = self;
        for step in path {
            let next = match (step, &node.kind) {
                (Step::Key(key), _) => node.get(key),
                (Step::Index(index), Kind::List(items)) => items.get(*index),
                (Step::Index(_), _) => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.span.clone()
    }

    /// The value without its places.
    pub(crate) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Kind::Map(entries) => Value::Object(
                entries.iter().map(|(key, node)| (key.name.clone(), node.to_json())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// Every string in the tree.
    pub(crate) fn visit_strings<'a>(&'a self, visit: &mut impl FnMut(&'a str, &Range<usize>)) {
        match &self.kind {
            Kind::Scalar(Value::String(text)) => visit(text, &self.span),
            Kind::Scalar(_) => {}
            Kind::List(items) => items.iter().for_each(|item| item.visit_strings(visit)),
            Kind::Map(entries) => entries.iter().for_each(|(_, node)| node.visit_strings(visit)),
        }
    }
}

/// The byte range of a parser's location.
pub(crate) fn bytes(location: Location) -> Range<usize> {
    let span = location.span();
    let start = span.byte_offset().unwrap_or_default() as usize;
    start..start + span.byte_len().unwrap_or_default() as usize
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { kind: spanned.value, span: bytes(spanned.referenced) })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Kind, E> {
        match serde_json::Number::from_f64(value) {
            Some(number) => Ok(Kind::Scalar(number.into())),
            None => Err(E::custom(format_args!("{value} is not a finite number"))),
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Kind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        while let Some((key, node)) = map.next_entry::<Spanned<String>, Node>()? {
            if entries.iter().any(|(earlier, _)| earlier.name == key.value) {
                return Err(A::Error::custom(format_args!("the key `{}` stands here twice", key.value)));
            }
            entries.push((Key { name: key.value, span: bytes(key.referenced) }, node));
        }
        Ok(Kind::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "version: 1\nname: \"ö\"\nlist:\n  - a: {b: 2.5}\n  - none:\n";

    #[test]
    fn every_key_and_value_knows_its_bytes() {
        let tree = Node::parse(TEXT).unwrap();
        let inner = [Step::Key("list".into()), Step::Index(0), Step::Key("a".into()), Step::Key("b".into())];
        assert_eq!(&TEXT[tree.place(&inner)], "2.5");
        let Kind::Map(entries) = &tree.kind else { panic!("{tree:?}") };
        let keys: Vec<&str> = entries.iter().map(|(key, _)| &TEXT[key.span.clone()]).collect();
        assert_eq!(keys, ["version", "name", "list"]);
    }

    #[test]
    fn a_tree_is_the_yaml_that_it_was_read_from() {
        let json = Node::parse(TEXT).unwrap().to_json();
        assert_eq!(json.to_string(), r#"{"version":1,"name":"ö","list":[{"a":{"b":2.5}},{"none":null}]}"#);
    }
}
