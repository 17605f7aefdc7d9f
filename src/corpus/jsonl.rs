//! NeMo manifests: a JSON object a line, an utterance an object.
//!
//! The format is that of NVIDIA NeMo's speech collections (`audio_filepath`, `duration`, `text`, `offset`), which other
//! tools write as well.

pub(super) mod fields;
pub(super) mod json_lines;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::fields::{column_of, put_fields};
use self::json_lines::JsonLines;
use super::corpus_table::{ColumnKey, CorpusTable, Rows};
use super::{CorpusError, Position, ReadCorpus};
use crate::family::Member;
use crate::variables::{Template, Variables};

/// A NeMo manifest: a JSON object a line, with `audio_filepath`, `duration`, `text` and whatever else is known.
///
/// Fields become columns: `audio_filepath` or `audio`, `offset` or `start_s`, `duration` or `duration_s` (all in
/// seconds), `channel`, `text`, `speaker`, `lang` or `language`, and `id`. Every further field is carried along; objects
/// and lists in it are kept as JSON text. Left out are `sample_rate` and `num_samples`: every row has columns of these
/// names, of what was decoded. `key`, `copy` and `augmentation`, which every dataset has too, become `source_key` and so on.
/// Relative paths are relative to the manifest's folder.
///
/// A line without an id gets one of itself alone, so that ids stay when other lines come and go: the audio path without
/// extension; with an `offset`, then `-` and the offset and `-` and the duration, both in milliseconds; with a
/// `channel`, `-c` and the channel. So `{"audio_filepath": "a/b.wav", "offset": 1.5, "duration": 2}` is `a/b-1500-2000`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jsonl {
    /// The manifest.
    pub path: Template,
    /// The field that holds the id; every line must have it. Default: `id` on the lines that have one.
    #[serde(default)]
    pub id: Option<String>,
}

impl Member for Jsonl {
    const EXAMPLE: &'static str = r#"jsonl: { path: "${CORPUS}/train_manifest.json" }"#;
}

impl ReadCorpus for Jsonl {
    fn read(&self, variables: &Variables) -> Result<CorpusTable, CorpusError> {
        let path = self.path.fill(variables)?;
        let path = Path::new(path.as_ref());
        let mut rows = Rows::new(path, path.parent().unwrap_or(Path::new("")));
        for line in JsonLines::open(path)? {
            let (number, fields) = line?;
            rows.begin(Position::Line(number));
            put_fields(&mut rows, &fields, |field| column_of(field, self.id.as_deref()).into())?;
            if self.id.is_some() && !rows.has(ColumnKey::ID) {
                return Err(CorpusError::NoId { place: rows.place(), field: self.id.clone() });
            }
            rows.end()?;
        }
        rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Value};
    use super::*;

    fn read_with(id: Option<&str>, manifest: &[u8]) -> Result<CorpusTable, CorpusError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.json");
        std::fs::write(&path, manifest).unwrap();
        let reader = Jsonl { path: path.to_str().unwrap().into(), id: id.map(str::to_owned) };
        reader.read(&Variables::default())
    }

    fn read(manifest: &str) -> Result<CorpusTable, CorpusError> {
        read_with(None, manifest.as_bytes())
    }

    fn message(manifest: &str) -> String {
        read(manifest).unwrap_err().to_string()
    }

    #[test]
    fn a_nemo_manifest_fills_the_standard_columns() {
        let table = read(
            r#"{"audio_filepath": "wavs/a.wav", "duration": 3.45, "text": "hello", "offset": 1.5, "lang": "en"}
               {"audio_filepath": "wavs/b.wav", "duration": 2, "text": "", "speaker": 14, "channel": 1}"#,
        )
        .unwrap();
        assert_eq!((table.id(0), table.id(1)), ("wavs/a-1500-3450", "wavs/b-c1"));
        assert_eq!((table.start_s(0), table.duration_s(0), table.duration_s(1)), (Some(1.5), Some(3.45), Some(2.0)));
        assert_eq!((table.text(0), table.text(1)), (Some("hello"), Some("")));
        assert_eq!((table.language(0), table.speaker(1), table.channel(1)), (Some("en"), Some("14"), Some(1)));
        assert!(table.location(0).file().is_some_and(|file| file.ends_with("wavs/a.wav") && file.is_absolute()));
    }

    #[test]
    fn further_fields_are_carried_with_their_json_types() {
        let table = read(
            r#"{"audio": "a", "n": 3, "x": 1, "ok": true, "tags": ["b", {"c": 1}], "mix": 1, "big": 18446744073709551615}
               {"audio": "b", "n": 4, "x": 0.5, "ok": null, "tags": [], "mix": "two"}"#,
        )
        .unwrap();
        let (int, float, truth, text) = (Kind::Int64, Kind::Float64, Kind::Boolean, Kind::String);
        let kinds = [("n", int), ("x", float), ("ok", truth), ("tags", text), ("mix", text), ("big", text)];
        assert_eq!(table.extras().collect::<Vec<_>>(), kinds);
        assert_eq!(table.extra(3, 0), Value::String(r#"["b",{"c":1}]"#));
        assert_eq!((table.extra(4, 0), table.extra(5, 0)), (Value::String("1"), Value::String("18446744073709551615")));
        assert_eq!((table.extra(2, 1), table.extra(5, 1)), (Value::Null, Value::Null));
    }

    #[test]
    fn what_a_manifest_says_of_rate_and_length_gives_way_to_what_is_decoded() {
        let table = read(r#"{"audio": "a", "sample_rate": 16000, "num_samples": 5, "snr": 1.5}"#).unwrap();
        assert_eq!(table.extras().collect::<Vec<_>>(), [("snr", Kind::Float64)]);
        let table = read(r#"{"audio": "a", "key": "k"}"#).unwrap();
        assert_eq!(table.extras().collect::<Vec<_>>(), [("source_key", Kind::String)]);
    }

    #[test]
    fn an_id_does_not_depend_on_other_lines() {
        let line = r#"{"audio_filepath": "a.wav", "offset": 0, "duration": 0.5}"#;
        let other = r#"{"audio_filepath": "a.wav", "offset": 0.5, "duration": 0.5}"#;
        assert_eq!(read(line).unwrap().id(0), read(&format!("{other}\n{line}")).unwrap().id(1));
    }

    #[test]
    fn blank_lines_marks_and_carriage_returns_do_no_harm() {
        let table = read_with(None, b"\xef\xbb\xbf{\"audio\": \"a\"}\r\n\n  \r\n{\"audio\": \"b\"}").unwrap();
        assert_eq!((table.len(), table.id(1)), (2, "b"));
        assert_eq!(table.extras().count(), 0);
    }

    #[test]
    fn a_broken_line_is_named_with_its_number_and_column() {
        let broken = message("{\"audio\": \"a\"}\n\n{\"audio\": \"b\", oops}\n");
        assert!(broken.contains("train.json`, line 3, column 16: key must be a string"), "{broken}");
        assert!(message("{\"audio\": \"a\"} {}").contains("line 1, column 16: trailing characters"));
        assert!(message("[1]").contains("expected a JSON object"));
        assert!(message("{\"audio\": \"a").contains("EOF while parsing"));
        assert!(read_with(None, b"{\"audio\": \"\xff\"}").unwrap_err().to_string().contains("line 1"));
        assert!(message("\n").contains("no rows"));
    }

    #[test]
    fn a_line_longer_than_any_is_named() {
        let long = message(&format!("{{\"audio\": \"a\"}}\n{}", "x".repeat(5 << 20)));
        assert!(long.contains("line 2: the line has more than 4 MiB"), "{long}");
    }

    #[test]
    fn two_fields_for_one_column_are_an_error() {
        let both = message(r#"{"audio": "a", "language": "en", "lang": "de"}"#);
        assert!(both.contains("line 1: `language` is given twice, the second time by `lang`"), "{both}");
        assert!(message(r#"{"audio": "a", "text": "x", "text": "y"}"#).contains("`text` is given twice"));
    }

    #[test]
    fn a_field_named_as_the_id_must_be_on_every_line() {
        let named = |manifest: &str| read_with(Some("utt"), manifest.as_bytes());
        assert_eq!(named(r#"{"audio": "a", "utt": 7}"#).unwrap().id(0), "7");
        let missing = named(r#"{"audio": "a"}"#).unwrap_err().to_string();
        assert!(missing.contains("line 1: the id, the field `utt`, is empty or missing"), "{missing}");
    }

    #[test]
    fn two_lines_of_one_id_are_both_named() {
        let twice = message("{\"audio\": \"a.wav\"}\n{\"audio\": \"a.flac\"}");
        assert!(
            twice.contains("line 1 and by") && twice.ends_with("line 2: give the rows ids of their own"),
            "{twice}"
        );
    }
}
