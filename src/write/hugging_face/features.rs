//! The columns as `datasets` knows them: the types in the file, and the JSON that names them.
//!
//! Found with `datasets` 5.2: an `Array2D` is one only if the field has the two extension keys and every list in it may hold nulls;
//! an `Audio` only if the column and its parts may be null, and its bytes are `binary`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde_json::{Map, Value as Json, json};

use crate::manifest::Dtype;
use crate::write::contract::{FeatureColumn, RowSchema};
use crate::write::schema::arrow_schema_with;

/// The key of the schema's metadata that `datasets` looks for.
const KEY: &str = "huggingface";

/// The type of a feature's numbers.
pub(super) fn number_type(dtype: Dtype) -> DataType {
    match dtype {
        Dtype::I8 => DataType::Int8,
        Dtype::I16 => DataType::Int16,
        Dtype::F16 => DataType::Float16,
        // Those of bfloat16 are refused.
        Dtype::F32 | Dtype::Bf16 => DataType::Float32,
    }
}

/// What `datasets` calls it.
fn number_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::I8 => "int8",
        Dtype::I16 => "int16",
        Dtype::F16 => "float16",
        Dtype::F32 | Dtype::Bf16 => "float32",
    }
}

/// The field of what a list holds.
pub(super) fn list_field(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new_list_field(data_type, true))
}

/// The type of a frame: a number, or a list of them.
fn frame_type(column: &FeatureColumn) -> DataType {
    let number = number_type(column.dtype);
    if column.bins.is_some() { DataType::List(list_field(number)) } else { number }
}

/// The parts of encoded sound.
pub(super) fn audio_fields() -> Fields {
    [Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)].into_iter().collect()
}

/// The schema of the file.
pub(super) fn file_schema(schema: &RowSchema) -> SchemaRef {
    let rows = arrow_schema_with(schema, |column| DataType::List(list_field(frame_type(column))));
    let fields = rows.fields().iter().map(|field| {
        let field = field.as_ref().clone();
        if schema.audio.iter().any(|column| column.name == *field.name()) {
            return field.with_data_type(DataType::Struct(audio_fields())).with_nullable(true);
        }
        match schema.features.iter().find(|column| column.name == *field.name()) {
            Some(FeatureColumn { bins: Some(bins), dtype, .. }) => {
                let mut metadata = field.metadata().clone();
                let class = "datasets.features.features.Array2DExtensionType";
                metadata.insert("ARROW:extension:name".to_owned(), class.to_owned());
                let shape = json!([[null, bins], number_name(*dtype)]).to_string();
                metadata.insert("ARROW:extension:metadata".to_owned(), shape);
                field.with_metadata(metadata)
            }
            _ => field,
        }
    });
    let fields: Vec<Field> = fields.collect();
    let metadata = HashMap::from([(KEY.to_owned(), features(schema, &fields).to_string())]);
    Arc::new(Schema::new(fields).with_metadata(metadata))
}

/// What `datasets` makes of the columns.
fn features(schema: &RowSchema, fields: &[Field]) -> Json {
    let value = |dtype: &str| json!({"dtype": dtype, "_type": "Value"});
    let features: Map<String, Json> = fields
        .iter()
        .map(|field| {
            let name = field.name();
            let feature = schema.features.iter().find(|column| column.name == *name);
            let json = match (feature, field.data_type()) {
                (Some(FeatureColumn { bins: Some(bins), dtype, .. }), _) => {
                    json!({"shape": [null, bins], "dtype": number_name(*dtype), "_type": "Array2D"})
                }
                (Some(column), _) => json!({"feature": value(number_name(column.dtype)), "_type": "List"}),
                // Without a rate, the sound has its own.
                (None, DataType::Struct(_)) => json!({"_type": "Audio"}),
                (None, DataType::Int32) => value("int32"),
                (None, DataType::Int64) => value("int64"),
                (None, DataType::Float32) => value("float32"),
                (None, DataType::Float64) => value("float64"),
                (None, DataType::Boolean) => value("bool"),
                (None, _) => value("string"),
            };
            (name.clone(), json)
        })
        .collect();
    json!({"info": {"features": features}})
}

/// How each column is stored: sound and floats as they are, all else compressed.
pub(super) fn properties(schema: &RowSchema, file: &Schema) -> WriterProperties {
    let level_one = Compression::ZSTD(ZstdLevel::default());
    let declared = file.metadata().get(KEY).map(|json| vec![KeyValue::new(KEY.to_owned(), json.clone())]);
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("wavemill ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(declared)
        .set_compression(level_one)
        // Row groups end when they are full of bytes, never at a count of rows.
        .set_max_row_group_row_count(None);
    let audio =
        schema.audio.iter().map(|column| (vec![column.name.clone(), "bytes".to_owned()], Compression::UNCOMPRESSED));
    let features = schema.features.iter().map(|column| {
        let lists = if column.bins.is_some() { 2 } else { 1 };
        let leaf = std::iter::repeat_n(["list", "item"], lists).flatten().map(str::to_owned);
        let path = std::iter::once(column.name.clone()).chain(leaf).collect();
        // Parquet has no integers of less than 32 bits: half of each number or more is zeros.
        let integers = matches!(column.dtype, Dtype::I16 | Dtype::I8);
        (path, if integers { level_one } else { Compression::UNCOMPRESSED })
    });
    for (path, compression) in audio.chain(features) {
        let path = ColumnPath::new(path);
        properties = properties
            .set_column_compression(path.clone(), compression)
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    properties.build()
}
