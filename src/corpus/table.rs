//! Tables that others made: CSV, TSV, Parquet and JSON lines, with a mapping from their columns to ours.

pub(super) mod arrow_cells;
pub(super) mod delimited;
pub(super) mod parquet_file;
mod parquet_schema;
mod records_ahead;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::corpus_table::{ColumnKey, CorpusTable, Rows, carried_name};
use super::jsonl::json_lines::{JsonLines, put_json};
use super::{CorpusError, Place, Position, ReadCorpus};
use crate::family::Member;
use crate::nearest::nearest;
use crate::variables::{Template, Variables};

/// A table in CSV, TSV, Parquet or JSON lines, with a mapping from its columns to the standard ones.
///
/// Columns that the mapping does not name are carried under their own names; `num_samples` and `sample_rate`, which decoding
/// tells, are left out, and `key`, `copy` and `augmentation`, which every dataset has, become `source_key` and so on.
/// Common Voice needs no more than a mapping:
///
/// ```yaml
/// table:
///   path: "${CORPUS}/validated.tsv"
///   audio_root: "${CORPUS}/clips"
///   columns: { audio: path, text: sentence, speaker: client_id, language: locale }
/// ```
///
/// CSV is quoted as RFC 4180 says; in TSV a quote is a letter like any other, as Common Voice writes it. An empty cell
/// of both is null. Their further columns are whole numbers, numbers or `true`/`false` where every cell is one, and text
/// otherwise: `007` is text. Parquet columns of dates, times and decimals become text.
///
/// Without an `id` column, a row's id is its audio path without the extension, with the start and duration in
/// milliseconds where it has a start (`a/b-1500-2000`), and with the channel where it has one (`a/b-c1`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The file.
    pub path: Template,
    /// What the file is: `csv`, `tsv`, `parquet` or `ndjson` (an object a line). Default: what its ending says
    /// (`.csv`, `.tsv`, `.parquet`, `.ndjson`, `.jsonl`).
    #[serde(default)]
    pub format: Option<Format>,
    /// Which column of the file fills which column of the corpus: `{audio: path, text: sentence}`. On the left stand the
    /// standard columns (`id`, `audio`, `start_s`, `duration_s`, `channel`, `text`, `speaker`, `language`) or new names.
    /// Default: every column under its own name.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// Columns of the file to leave out. Default: none.
    #[serde(default)]
    pub drop: Vec<String>,
    /// The folder that relative audio paths are relative to. Default: the folder of the file.
    #[serde(default)]
    pub audio_root: Option<Template>,
    /// The character between cells of a csv or tsv file. Default: a comma for csv, a tab for tsv.
    #[serde(default)]
    pub delimiter: Option<Delimiter>,
}

/// What a table is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Cells with commas between them, quoted as RFC 4180 says.
    Csv,
    /// Cells with tabs between them, without quotes.
    Tsv,
    /// Apache Parquet.
    Parquet,
    /// A JSON object a line.
    Ndjson,
}

impl Format {
    /// The word in the pipeline file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Parquet => "parquet",
            Self::Ndjson => "ndjson",
        }
    }

    pub(super) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            "parquet" => Some(Self::Parquet),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            _ => None,
        }
    }
}

/// The character between two cells: one of ASCII, and neither a quote nor the end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Delimiter(char);

impl<'de> Deserialize<'de> for Delimiter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let mut letters = text.chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) if letter.is_ascii() && !matches!(letter, '"' | '\n' | '\r') => Ok(Self(letter)),
            _ => Err(D::Error::custom(format!("the delimiter {text:?} is not one ASCII character, as \";\" is"))),
        }
    }
}

impl JsonSchema for Delimiter {
    fn schema_name() -> Cow<'static, str> {
        "Delimiter".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": 1, "description": "one ASCII character" })
    }
}

impl Member for Table {
    const EXAMPLE: &'static str = concat!(
        r#"table: { path: "${CORPUS}/validated.tsv", audio_root: "${CORPUS}/clips", "#,
        r"columns: { audio: path, text: sentence, speaker: client_id, language: locale } }"
    );
}

impl ReadCorpus for Table {
    fn read(&self, variables: &Variables) -> Result<CorpusTable, CorpusError> {
        let path = self.path.fill(variables)?;
        let path = Path::new(path.as_ref());
        let format = self.format.or_else(|| Format::of(path));
        let format = format.ok_or_else(|| CorpusError::NoFormat { path: path.to_owned() })?;
        let audio_root = self.audio_root.as_ref().map(|root| root.fill(variables)).transpose()?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut rows = Rows::new(path, audio_root.as_deref().map_or(folder, Path::new));
        self.read_file(path, format, &mut rows, AudioPaths::Any)?;
        rows.finish()
    }
}

/// Which paths of recordings a table may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AudioPaths {
    Any,
    /// Those that lead out of no folder by `..`.
    Below,
}

impl AudioPaths {
    /// Ends the row at hand, if its path is one of these.
    fn end(self, rows: &mut Rows) -> Result<(), CorpusError> {
        let audio = rows.audio();
        if self == Self::Below && Path::new(audio).components().any(|part| part == Component::ParentDir) {
            let reason = format!("the sound's path `{audio}` leads out of the dataset's folder");
            return Err(CorpusError::malformed(rows.place(), reason));
        }
        rows.end()
    }
}

impl Table {
    /// Reads the rows of one file.
    pub(super) fn read_file(
        &self,
        path: &Path,
        format: Format,
        rows: &mut Rows,
        paths: AudioPaths,
    ) -> Result<(), CorpusError> {
        match (format, self.delimiter) {
            (Format::Parquet | Format::Ndjson, Some(_)) => {
                Err(CorpusError::DelimiterUnused { path: path.to_owned(), format: format.name() })
            }
            (Format::Csv, delimiter) => {
                let delimiter = delimiter.map_or(',', |delimiter| delimiter.0);
                self.read_delimited(path, delimited::Quoting::Rfc4180, delimiter, rows, paths)
            }
            (Format::Tsv, delimiter) => {
                let delimiter = delimiter.map_or('\t', |delimiter| delimiter.0);
                self.read_delimited(path, delimited::Quoting::None, delimiter, rows, paths)
            }
            (Format::Parquet, None) => self.read_parquet(path, rows, paths),
            (Format::Ndjson, None) => self.read_json_lines(path, rows, paths),
        }
    }

    /// The columns of the corpus that a column of the file fills.
    fn targets<'a>(&'a self, source: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
        let mapped = self.columns.iter().filter(move |(_, from)| *from == source);
        let mapped = mapped.map(|(target, _)| Cow::Borrowed(target.as_str()));
        let carried = !self.columns.values().any(|from| from == source) && !self.drop.iter().any(|drop| drop == source);
        mapped.chain(carried.then(|| carried_name(source)).flatten())
    }

    /// The columns of the corpus that each of the file's columns fills.
    pub(super) fn resolve(
        &self,
        path: &Path,
        sources: &[String],
        rows: &mut Rows,
    ) -> Result<Vec<Vec<ColumnKey>>, CorpusError> {
        self.check_sources(path, sources)?;
        let mut filled: Vec<ColumnKey> = Vec::new();
        let mut resolved = Vec::with_capacity(sources.len());
        for source in sources {
            let mut keys = Vec::new();
            for target in self.targets(source) {
                let key = rows.column(&target)?;
                if filled.contains(&key) {
                    let error =
                        CorpusError::GivenTwice { place: Place::whole(path), column: target.into_owned(), also: None };
                    return Err(error.given_by(source));
                }
                filled.push(key);
                keys.push(key);
            }
            resolved.push(keys);
        }
        if !filled.contains(&ColumnKey::AUDIO) {
            return Err(CorpusError::NoAudioColumn { path: path.to_owned(), there: sources.to_vec() });
        }
        Ok(resolved)
    }

    /// Checks that the file has the columns that the pipeline file names.
    fn check_sources(&self, path: &Path, sources: &[String]) -> Result<(), CorpusError> {
        match self.columns.values().chain(&self.drop).find(|named| !sources.contains(named)) {
            None => Ok(()),
            Some(column) => Err(CorpusError::NoColumn {
                path: path.to_owned(),
                column: column.clone(),
                nearest: nearest(column, sources.iter().map(String::as_str)).map(str::to_owned),
                there: sources.to_vec(),
            }),
        }
    }

    fn read_json_lines(&self, path: &Path, rows: &mut Rows, paths: AudioPaths) -> Result<(), CorpusError> {
        let mut resolved: HashMap<String, Vec<ColumnKey>> = HashMap::new();
        let mut sources = Vec::new();
        for line in JsonLines::open(path)? {
            let (number, fields) = line?;
            rows.begin(Position::Line(number));
            for (field, json) in &fields {
                if !resolved.contains_key(field) {
                    let keys = self.targets(field).map(|target| rows.column(&target)).collect::<Result<_, _>>()?;
                    resolved.insert(field.clone(), keys);
                    sources.push(field.clone());
                }
                for key in resolved.get(field).into_iter().flatten() {
                    put_json(rows, *key, json).map_err(|error| error.given_by(field))?;
                }
            }
            let id = self.columns.get("id");
            if id.is_some() && !rows.has(ColumnKey::ID) {
                return Err(CorpusError::NoId { place: rows.place(), field: id.cloned() });
            }
            paths.end(rows)?;
        }
        self.check_sources(path, &sources)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_file_makes_a_reader_panic(
            text in r#"(audio|text|id|start_s|[",;{}:\[\]\\]|[0-9é.-]|\PC|\t|\n){0,60}"#,
            tail in prop::collection::vec(any::<u8>(), 0..4),
        ) {
            let file = tempfile::NamedTempFile::new().unwrap();
            for head in ["", "audio,text\n", "audio\ttext\n", "{\"audio\": \"a\", "] {
                std::fs::write(file.path(), [head.as_bytes(), text.as_bytes(), &tail].concat()).unwrap();
                for format in [Format::Csv, Format::Tsv, Format::Ndjson, Format::Parquet] {
                    let settings = format!("{{ path: '{}', format: {} }}", file.path().display(), format.name());
                    let reader: Table = serde_saphyr::from_str(&settings).unwrap();
                    let _ = reader.read(&Variables::default());
                }
            }
        }
    }
}
