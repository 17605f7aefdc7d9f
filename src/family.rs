//! The family mechanism: one list a family, from which everything that names its members comes.
//!
//! A family is a key of the pipeline file (`corpus`, `featurize`, `write`) and a folder of `src/`. Its `mod.rs` holds one
//! [`family!`] list; from it come the enum that serde reads, `wavemill list`, the JSON Schema, the docs and the test that
//! parses every example. A new member is its file and two lines: the `mod` line and its row in the list.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

/// What every member of every family says of itself. Its documentation is the doc comment of the type that implements
/// this, which is also the YAML row.
pub trait Member: JsonSchema {
    /// A row as a user would write it, without the leading dash: `kaldi_fbank: { num_mel_bins: 80 }`.
    const EXAMPLE: &'static str;
    /// What peers call it: `audiomentations.Gain`. Empty where none has it.
    const PEERS: &'static [&'static str] = &[];
}

/// One row of a family's list.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The word in the pipeline file, and the name of the member's file.
    pub name: &'static str,
    /// A row that works, for `wavemill list`, the docs and a test.
    pub example: &'static str,
    /// What peers call it.
    pub peers: &'static [&'static str],
    schema: fn(&mut SchemaGenerator) -> Schema,
}

impl Entry {
    /// The entry of `M` under `name`.
    #[must_use]
    pub const fn of<M: Member>(name: &'static str) -> Self {
        Self { name, example: M::EXAMPLE, peers: M::PEERS, schema: M::json_schema }
    }

    /// The member's JSON Schema, its definitions inlined.
    #[must_use]
    pub fn schema(&self) -> Schema {
        let mut settings = schemars::generate::SchemaSettings::draft2020_12();
        settings.inline_subschemas = true;
        (self.schema)(&mut settings.into_generator())
    }

    /// The member's documentation: the doc comment of its type, in Markdown.
    #[must_use]
    pub fn documentation(&self) -> String {
        self.schema().get("description").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// The first sentence of the documentation.
    #[must_use]
    pub fn summary(&self) -> String {
        let documentation = self.documentation();
        let first = documentation.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        first.trim_end_matches('.').to_owned()
    }
}

/// A family as `wavemill list` shows it.
#[derive(Clone, Copy)]
pub struct Family {
    /// The key of the pipeline file and the folder of `src/`.
    pub name: &'static str,
    /// What its members do, in one line.
    pub summary: &'static str,
    /// Its members, in the order of the list.
    pub entries: &'static [Entry],
}

/// Makes a family's enum and its list: `family! { /// doc  pub enum Corpus: ReadCorpus = "corpus" { jsonl: Jsonl, … } }`.
///
/// Each row names the member's module, which is its word in the pipeline file, and the type in it that is its YAML row.
macro_rules! family {
    (
        $(#[doc = $doc:literal])+
        pub enum $Family:ident: $Contract:ident = $key:literal { $($module:ident: $Member:ident),+ $(,)? }
    ) => {
        $(pub use $module::$Member;)+

        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $Family {
            $(
                #[allow(missing_docs, reason = "the type that it holds is documented")]
                $Member($Member)
            ),+
        }

        $(
            impl From<$Member> for $Family {
                fn from(member: $Member) -> Self {
                    Self::$Member(member)
                }
            }
        )+

        impl $Family {
            /// The family's list.
            pub const FAMILY: $crate::family::Family = $crate::family::Family {
                name: $key,
                summary: $crate::family::first_line(concat!($($doc, "\n"),+)),
                entries: &[$($crate::family::Entry::of::<$Member>(stringify!($module))),+],
            };

            /// The member's word in the pipeline file.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$Member(_) => stringify!($module)),+ }
            }

            /// The member behind the family's contract.
            #[must_use]
            pub fn member(&self) -> &dyn $Contract {
                match self { $(Self::$Member(member) => member),+ }
            }
        }
    };
}
pub(crate) use family;

/// The first line of a doc comment, without the leading space and the full stop.
pub(crate) const fn first_line(doc: &'static str) -> &'static str {
    let bytes = doc.as_bytes();
    let mut end = 0;
    while end < bytes.len() && bytes[end] != b'\n' {
        end += 1;
    }
    if end > 0 && bytes[end - 1] == b'.' {
        end -= 1;
    }
    let start = if end > 0 && bytes[0] == b' ' { 1 } else { 0 };
    doc.split_at(end).0.split_at(start).1
}
