//! The columns of a file with rows: which is the sound, and what becomes of the others.

use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, LargeListArray, StructArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use serde_json::{Map, Value as Json};

use super::{HuggingFace, Ids};
use crate::corpus::corpus_table::{Cell, ColumnKey, Rows, Value};
use crate::corpus::table::Table;
use crate::corpus::table::arrow_cells::{ArrowCells, target_type};
use crate::corpus::table::parquet_file::type_name;
use crate::corpus::{CorpusError, Place};
use crate::nearest::nearest;

/// What the columns of a file are for.
pub(super) struct Columns {
    /// The number of the audio column.
    pub(super) audio: usize,
    pub(super) form: Form,
    /// The others that are read, in their order.
    pub(super) others: Vec<Other>,
    /// Whether one of them is the id.
    pub(super) has_id: bool,
    /// Whether one of them is called as the column is that would keep the paths of sounds.
    pub(super) has_audio_path: bool,
}

/// How the audio column holds sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A struct, with these of its two fields.
    Struct { bytes: bool, path: bool },
    /// Bytes alone.
    Binary,
    /// Paths alone.
    Text,
}

impl Form {
    fn of(kind: &DataType) -> Option<Self> {
        match kind {
            DataType::Struct(fields) => {
                // A column of nulls alone may have lost its type.
                let has = |name, fits: fn(&DataType) -> bool| match fields.find(name) {
                    Some((_, field)) if fits(field.data_type()) => Some(true),
                    Some((_, field)) if *field.data_type() != DataType::Null => None,
                    _ => Some(false),
                };
                let (bytes, path) = (has("bytes", is_binary)?, has("path", is_text)?);
                (bytes || path).then_some(Self::Struct { bytes, path })
            }
            kind if is_binary(kind) => Some(Self::Binary),
            kind if is_text(kind) => Some(Self::Text),
            _ => None,
        }
    }

    /// Whether the column holds bytes.
    pub(super) const fn has_bytes(self) -> bool {
        matches!(self, Self::Struct { bytes: true, .. } | Self::Binary)
    }
}

fn is_binary(kind: &DataType) -> bool {
    matches!(kind, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// A column that is carried into the corpus table.
pub(super) struct Other {
    /// Its number among the file's columns.
    pub(super) number: usize,
    pub(super) name: String,
    keys: Vec<ColumnKey>,
    /// The names of its classes.
    classes: Option<Vec<String>>,
}

impl Columns {
    pub(super) fn of(
        settings: &HuggingFace,
        path: &Path,
        schema: &Schema,
        rows: &mut Rows,
    ) -> Result<Self, CorpusError> {
        let features = features(path, schema)?;
        let audio = find_audio(settings, path, schema, &features)?;
        let field = schema.field(audio);
        let form = Form::of(field.data_type()).ok_or_else(|| {
            let reason = format!(
                "the audio column `{}` is of type {}, and must be a struct of `bytes` (binary) and `path` (text), binary or \
                 text: cast it to `Audio()`",
                field.name(),
                type_name(field.data_type())
            );
            CorpusError::malformed(Place::whole(path), reason)
        })?;
        let sources: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let resolved = mapping(settings, &sources, field.name()).resolve(path, &sources, rows)?;
        let mut columns = Self { audio, form, others: Vec::new(), has_id: false, has_audio_path: false };
        columns.has_id = resolved.iter().flatten().any(|key| *key == ColumnKey::ID);
        let carried = sources.iter().any(|source| source == AUDIO_PATH && !settings.drop.contains(source));
        columns.has_audio_path = carried || settings.columns.contains_key(AUDIO_PATH);
        for (number, keys) in resolved.into_iter().enumerate() {
            if number == audio || keys.is_empty() {
                continue;
            }
            let field = schema.field(number);
            if !is_carried(field.data_type()) {
                return Err(CorpusError::ColumnType {
                    path: path.to_owned(),
                    column: field.name().clone(),
                    kind: type_name(field.data_type()),
                });
            }
            let classes = field.data_type().is_integer().then(|| classes(&features, field)).flatten();
            columns.others.push(Other { number, name: field.name().clone(), keys, classes });
        }
        Ok(columns)
    }

    /// What the ids of the rows are made of: a column of ids tells them apart as rows do.
    pub(super) const fn ids(&self, chosen: Ids) -> Ids {
        if self.has_id { Ids::Row } else { chosen }
    }
}

/// The column that keeps the paths of sounds that do not give the ids.
pub(super) const AUDIO_PATH: &str = "audio_path";

/// The mapping of the `table` reader that the settings come to.
fn mapping(settings: &HuggingFace, sources: &[String], audio: &str) -> Table {
    let mut columns = settings.columns.clone();
    columns.insert("audio".to_owned(), audio.to_owned());
    let there = |name: &str| sources.iter().any(|source| source == name);
    let free =
        |name: &str| !columns.values().any(|source| source == name) && !settings.drop.iter().any(|drop| drop == name);
    if there("speaker_id") && free("speaker_id") && !there("speaker") && !columns.contains_key("speaker") {
        columns.insert("speaker".to_owned(), "speaker_id".to_owned());
    }
    settings.table(columns)
}

/// What the key `huggingface` of the schema says of each column.
fn features(path: &Path, schema: &Schema) -> Result<Map<String, Json>, CorpusError> {
    let Some(text) = schema.metadata().get("huggingface") else { return Ok(Map::new()) };
    let mut json: Json = serde_json::from_str(text).map_err(|error| {
        let reason = format!("the schema's metadata `huggingface` is not JSON: {error}");
        CorpusError::malformed(Place::whole(path), reason)
    })?;
    match json.pointer_mut("/info/features").map(Json::take) {
        Some(Json::Object(features)) => Ok(features),
        _ => Ok(Map::new()),
    }
}

fn feature_type<'a>(features: &'a Map<String, Json>, column: &str) -> Option<&'a str> {
    features.get(column)?.get("_type")?.as_str()
}

fn find_audio(
    settings: &HuggingFace,
    path: &Path,
    schema: &Schema,
    features: &Map<String, Json>,
) -> Result<usize, CorpusError> {
    let names = || schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    if let Some(named) = &settings.audio {
        return schema.index_of(named).map_err(|_| CorpusError::NoColumn {
            path: path.to_owned(),
            column: named.clone(),
            nearest: nearest(named, names().iter().map(String::as_str)).map(str::to_owned),
            there: names(),
        });
    }
    let fields = || schema.fields().iter().enumerate().filter(|(_, field)| !settings.drop.contains(field.name()));
    let mut found: Vec<usize> =
        fields().filter(|(_, field)| feature_type(features, field.name()) == Some("Audio")).map(|(n, _)| n).collect();
    if found.is_empty() {
        let whole = Form::Struct { bytes: true, path: true };
        let likely = |field: &Field| {
            feature_type(features, field.name()).is_none() && Form::of(field.data_type()) == Some(whole)
        };
        found = fields().filter(|(_, field)| likely(field)).map(|(number, _)| number).collect();
    }
    let listed = |names: Vec<String>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let reason = match found.as_slice() {
        [one] => return Ok(*one),
        [] => {
            let there = listed(names());
            format!(
                "no column holds sound: none is an `Audio` feature or a struct of `bytes` and `path`; it has {there}"
            )
        }
        several => {
            let several = several.iter().map(|number| schema.field(*number).name().clone()).collect();
            format!(
                "several columns hold sound: name one as `audio` and the others under `drop`; there are {}",
                listed(several)
            )
        }
    };
    Err(CorpusError::malformed(Place::whole(path), reason))
}

/// The names of a column's classes.
fn classes(features: &Map<String, Json>, field: &Field) -> Option<Vec<String>> {
    let feature = features.get(field.name()).filter(|_| feature_type(features, field.name()) == Some("ClassLabel"))?;
    feature.get("names")?.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

/// Whether the cells of a type can be kept: as they are, or as JSON.
fn is_carried(kind: &DataType) -> bool {
    match kind {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            is_carried(item.data_type())
        }
        DataType::Struct(fields) => fields.iter().all(|field| is_carried(field.data_type())),
        kind => target_type(kind).is_some(),
    }
}

/// A batch of one column.
pub(super) struct OtherCells<'a> {
    column: &'a Other,
    cells: JsonCells,
}

impl<'a> OtherCells<'a> {
    pub(super) fn of(column: &'a Other, array: &ArrayRef, path: &Path) -> Result<Self, CorpusError> {
        Ok(Self { column, cells: JsonCells::of(array, path, &column.name)? })
    }

    /// Fills the cells of a row.
    pub(super) fn put(&self, row: usize, rows: &mut Rows) -> Result<(), CorpusError> {
        let text;
        let value = match (&self.cells, &self.column.classes) {
            (JsonCells::Flat(cells), None) => cells.value(row),
            (JsonCells::Flat(cells), Some(classes)) => match cells.value(row) {
                // -1 is `datasets`' word for no label.
                Value::Null | Value::Int64(-1) => Value::Null,
                Value::Int64(class) => {
                    let name = usize::try_from(class).ok().and_then(|class| classes.get(class));
                    let Some(name) = name else {
                        let column = self.column.name.clone();
                        let (value, wanted) = (format!("`{class}`"), "the number of one of its classes, or -1");
                        return Err(CorpusError::BadValue { place: rows.place(), column, value, wanted });
                    };
                    Value::String(name)
                }
                other => other,
            },
            (cells, _) => match cells.json(row) {
                Json::Null => Value::Null,
                json => {
                    text = json.to_string();
                    Value::String(&text)
                }
            },
        };
        self.column.keys.iter().try_for_each(|key| rows.put(*key, Cell::Typed(value)))
    }
}

/// Cells that may be lists and structs of cells.
enum JsonCells {
    Flat(ArrowCells),
    Lists(LargeListArray, Box<Self>),
    Structs(StructArray, Vec<Self>),
}

impl JsonCells {
    fn of(array: &ArrayRef, path: &Path, column: &str) -> Result<Self, CorpusError> {
        match array.data_type() {
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                let strict = CastOptions { safe: false, ..CastOptions::default() };
                let lists = cast_with_options(array, &DataType::LargeList(item.clone()), &strict);
                let lists = lists.map_err(|source| CorpusError::ColumnValue {
                    path: path.to_owned(),
                    column: column.to_owned(),
                    source,
                })?;
                let lists = lists.as_list::<i64>().clone();
                let items = Self::of(lists.values(), path, column)?;
                Ok(Self::Lists(lists, Box::new(items)))
            }
            DataType::Struct(_) => {
                let structs = array.as_struct().clone();
                let fields = structs.columns().iter().map(|field| Self::of(field, path, column));
                let fields = fields.collect::<Result<_, _>>()?;
                Ok(Self::Structs(structs, fields))
            }
            _ => ArrowCells::of(array, path, column).map(Self::Flat),
        }
    }

    fn json(&self, row: usize) -> Json {
        match self {
            Self::Flat(cells) => match cells.value(row) {
                Value::Null => Json::Null,
                Value::String(text) => Json::from(text),
                Value::Int64(number) => Json::from(number),
                Value::Float64(number) => Json::from(number),
                Value::Boolean(truth) => Json::from(truth),
            },
            Self::Lists(lists, _) if lists.is_null(row) => Json::Null,
            Self::Lists(lists, items) => {
                let ends = lists.value_offsets();
                (ends[row]..ends[row + 1]).map(|item| items.json(item as usize)).collect()
            }
            Self::Structs(structs, _) if structs.is_null(row) => Json::Null,
            Self::Structs(structs, fields) => {
                let names: &Fields = structs.fields();
                let fields = names.iter().zip(fields).map(|(name, cells)| (name.name().clone(), cells.json(row)));
                Json::Object(fields.collect())
            }
        }
    }
}
