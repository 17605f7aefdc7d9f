//! A row beside its features and its sound, as a JSON object: what formats without columns keep of it.

use serde_json::{Map, Value as Json};

use super::contract::{Cell, FeatureColumn, Row, RowSchema, WriteError};
use crate::audio::Hertz;
use crate::value::{Kind, Value};

/// A row's texts and numbers. Every column of the schema is there, null where it has no value, but for the cells themselves: of a
/// feature column its `<name>_frames`, and its `<name>_scale` where it has one.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata(pub Map<String, Json>);

impl Metadata {
    /// The metadata of `row`.
    #[must_use]
    pub fn of(row: &Row<'_>, schema: &RowSchema) -> Self {
        let text = |text: Option<&str>| text.map_or(Json::Null, Json::from);
        let mut map = Map::new();
        let mut put = |name: &str, value: Json| {
            map.insert(name.to_owned(), value);
        };
        put("key", row.key.into());
        put("id", row.id.into());
        put("copy", row.copy.into());
        put("text", text(row.text));
        put("speaker", text(row.speaker));
        put("language", text(row.language));
        put("num_samples", row.num_samples.into());
        put("sample_rate", row.sample_rate.get().into());
        put("duration_s", row.duration_s().into());
        put("augmentation", text(row.augmentation));
        for ((name, _), value) in schema.extras.iter().zip(row.extras) {
            put(
                name,
                match *value {
                    Value::Null => Json::Null,
                    Value::String(value) => value.into(),
                    Value::Int64(value) => value.into(),
                    Value::Float64(value) => float(value),
                    Value::Boolean(value) => value.into(),
                },
            );
        }
        for (column, value) in schema.sound.iter().zip(row.sound) {
            let whole = column.number == super::Number::Int32;
            put(&column.name, if whole { (*value as i64).into() } else { float(*value) });
        }
        for (column, cell) in schema.features.iter().zip(row.cells) {
            put(&column.frames_name(), cell.frames.into());
            if let Some(name) = column.scale_name() {
                put(&name, float(f64::from(cell.scale)));
            }
        }
        Self(map)
    }

    /// Reads what [`Self::of`] gave, as text.
    ///
    /// # Errors
    ///
    /// It is no JSON object.
    pub fn parse(json: &[u8]) -> Result<Self, WriteError> {
        let map = serde_json::from_slice(json);
        map.map(Self).map_err(|error| WriteError::Damaged(format!("the metadata of a row is no JSON object: {error}")))
    }

    /// The object as text.
    ///
    /// # Errors
    ///
    /// None that is known: texts and numbers make JSON.
    pub(super) fn json(&self) -> Result<Vec<u8>, WriteError> {
        Ok(serde_json::to_vec(&self.0).map_err(std::io::Error::from)?)
    }

    /// The row's key.
    pub(super) fn key(&self) -> Result<&str, WriteError> {
        self.text("key")?.ok_or_else(|| unlike("key"))
    }

    /// The frames of the row's cell of `column`.
    pub(super) fn frames(&self, column: &FeatureColumn) -> Result<u32, WriteError> {
        self.whole(&column.frames_name())
    }

    /// Gives `take` the row, with its cells and sound as the format holds them: `frames` and `scale` of the cells are filled in here.
    ///
    /// # Errors
    ///
    /// A column is missing or holds another type, or what `take` says.
    pub fn row<T>(
        &self,
        schema: &RowSchema,
        mut cells: Vec<Cell>,
        audio: &[Vec<u8>],
        take: impl FnOnce(&Row<'_>) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        let extra = |(name, kind): &(String, Kind)| {
            Ok(match (self.0.get(name), kind) {
                (None | Some(Json::Null), _) => Value::Null,
                (Some(Json::String(value)), Kind::String) => Value::String(value),
                (Some(Json::Bool(value)), Kind::Boolean) => Value::Boolean(*value),
                (Some(value), Kind::Int64) => Value::Int64(value.as_i64().ok_or_else(|| unlike(name))?),
                (Some(value), Kind::Float64) => Value::Float64(of_float(value).ok_or_else(|| unlike(name))?),
                _ => return Err(unlike(name)),
            })
        };
        let extras = schema.extras.iter().map(extra).collect::<Result<Vec<_>, WriteError>>()?;
        let sound = schema.sound.iter().map(|column| self.number(&column.name));
        let sound = sound.collect::<Result<Vec<_>, _>>()?;
        for (column, cell) in schema.features.iter().zip(&mut cells) {
            cell.frames = self.whole(&column.frames_name())?;
            if let Some(name) = column.scale_name() {
                cell.scale = self.number(&name)? as f32;
            }
        }
        take(&Row {
            key: self.key()?,
            id: self.text("id")?.ok_or_else(|| unlike("id"))?,
            copy: self.whole("copy")?,
            text: self.text("text")?,
            speaker: self.text("speaker")?,
            language: self.text("language")?,
            num_samples: self.0.get("num_samples").and_then(Json::as_u64).ok_or_else(|| unlike("num_samples"))?,
            sample_rate: Hertz::new(self.whole("sample_rate")?).ok_or_else(|| unlike("sample_rate"))?,
            augmentation: self.text("augmentation")?,
            extras: &extras,
            sound: &sound,
            cells: &cells,
            audio,
        })
    }

    fn text(&self, name: &str) -> Result<Option<&str>, WriteError> {
        match self.0.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(_) => Err(unlike(name)),
        }
    }

    fn number(&self, name: &str) -> Result<f64, WriteError> {
        self.0.get(name).and_then(of_float).ok_or_else(|| unlike(name))
    }

    fn whole(&self, name: &str) -> Result<u32, WriteError> {
        let number = self.0.get(name).and_then(Json::as_u64).and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(|| unlike(name))
    }
}

/// A number; what JSON has none for goes by its name in JavaScript.
fn float(number: f64) -> Json {
    match number {
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        number if number.is_nan() => "NaN".into(),
        number => number.into(),
    }
}

/// What [`float`] wrote.
fn of_float(json: &Json) -> Option<f64> {
    match json.as_str() {
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some("NaN") => Some(f64::NAN),
        _ => json.as_f64(),
    }
}

fn unlike(name: &str) -> WriteError {
    WriteError::Damaged(format!("`{name}` of a row is missing or of another type"))
}
