//! The Arrow schema of rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use super::contract::{FeatureColumn, Number, ROW_COLUMNS, RowSchema};
use crate::corpus::Kind;

/// The Arrow schema of rows: a feature cell is one `LargeBinary`, with `wavemill:dtype`, `wavemill:shape` and `wavemill:unit` in
/// the field's metadata, and so is encoded sound, with `wavemill:codec`.
#[must_use]
pub fn arrow_schema(schema: &RowSchema) -> SchemaRef {
    arrow_schema_with(schema, |_| DataType::LargeBinary)
}

/// The Arrow schema of rows whose feature cells have a type of their own.
pub(super) fn arrow_schema_with(schema: &RowSchema, cell_type: impl Fn(&FeatureColumn) -> DataType) -> SchemaRef {
    let fixed = ROW_COLUMNS.iter().map(|name| match *name {
        "copy" | "sample_rate" => Field::new(*name, DataType::Int32, false),
        "num_samples" => Field::new(*name, DataType::Int64, false),
        "duration_s" => Field::new(*name, DataType::Float64, false),
        "key" | "id" => Field::new(*name, DataType::Utf8, false),
        _ => Field::new(*name, DataType::Utf8, true),
    });
    let extras = schema.extras.iter().map(|(name, kind)| {
        let data_type = match kind {
            Kind::String => DataType::Utf8,
            Kind::Int64 => DataType::Int64,
            Kind::Float64 => DataType::Float64,
            Kind::Boolean => DataType::Boolean,
        };
        Field::new(name, data_type, true)
    });
    let sound = schema.sound.iter().map(|column| {
        let data_type = match column.number {
            Number::Int32 => DataType::Int32,
            Number::Float64 => DataType::Float64,
        };
        Field::new(&column.name, data_type, false)
    });
    let features = schema.features.iter().flat_map(|column| {
        let shape = format!("{:?}", column.shape());
        let metadata = HashMap::from([
            ("wavemill:dtype".to_owned(), column.dtype.name().to_owned()),
            ("wavemill:shape".to_owned(), shape),
            ("wavemill:unit".to_owned(), column.unit.clone()),
        ]);
        let cells = Field::new(&column.name, cell_type(column), false).with_metadata(metadata);
        let frames = Field::new(column.frames_name(), DataType::Int32, false);
        let scale = column.scale_name().map(|name| Field::new(name, DataType::Float32, false));
        [Some(cells), Some(frames), scale].into_iter().flatten()
    });
    let audio = schema.audio.iter().map(|column| {
        let metadata = HashMap::from([("wavemill:codec".to_owned(), column.codec.clone())]);
        Field::new(&column.name, DataType::LargeBinary, false).with_metadata(metadata)
    });
    Arc::new(Schema::new(fixed.chain(extras).chain(sound).chain(features).chain(audio).collect::<Vec<_>>()))
}
