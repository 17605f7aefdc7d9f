//! The Arrow schema of a shard, and how Parquet stores each column.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::basic::{Compression as Codec, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::{Compression, Layout, Parquet};
use crate::corpus::Kind;
use crate::manifest::Dtype;
use crate::write::contract::{FeatureColumn, Number, ROW_COLUMNS, RowSchema};

/// The Arrow schema of a shard.
pub(super) fn arrow_schema(schema: &RowSchema, layout: Layout) -> SchemaRef {
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
        Field::new(column.name, data_type, false)
    });
    let features = schema.features.iter().flat_map(|column| {
        let shape = format!("{:?}", column.shape());
        let metadata = HashMap::from([
            ("wavemill:dtype".to_owned(), column.dtype.name().to_owned()),
            ("wavemill:shape".to_owned(), shape),
            ("wavemill:unit".to_owned(), column.unit.clone()),
        ]);
        let cells = Field::new(&column.name, cell_type(column, layout), false).with_metadata(metadata);
        [cells, Field::new(column.frames_name(), DataType::Int32, false)]
    });
    Arc::new(Schema::new(fixed.chain(extras).chain(sound).chain(features).collect::<Vec<_>>()))
}

fn cell_type(column: &FeatureColumn, layout: Layout) -> DataType {
    match layout {
        Layout::Binary => DataType::LargeBinary,
        Layout::List => DataType::LargeList(Arc::new(Field::new_list_field(frame_type(column), false))),
    }
}

/// The type of one frame in a list: a number, or a fixed-size list of them.
pub(super) fn frame_type(column: &FeatureColumn) -> DataType {
    let number = match column.dtype {
        Dtype::I16 => DataType::Int16,
        Dtype::F32 | Dtype::F16 | Dtype::Bf16 => DataType::Float32,
    };
    match column.bins {
        None => number,
        Some(bins) => DataType::FixedSizeList(Arc::new(Field::new_list_field(number, false)), bins as i32),
    }
}

impl Parquet {
    /// How each column is stored.
    pub(super) fn properties(&self, schema: &RowSchema) -> WriterProperties {
        let level_one = Codec::ZSTD(ZstdLevel::default());
        let mut properties = WriterProperties::builder()
            .set_created_by(concat!("wavemill ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(level_one)
            // Row groups end when they are full of bytes, never at a count of rows.
            .set_max_row_group_row_count(None);
        for column in &schema.features {
            let leaf = match (self.layout, column.bins) {
                (Layout::Binary, _) => vec![column.name.clone()],
                (Layout::List, None) => [&column.name, "list", "item"].map(ToOwned::to_owned).to_vec(),
                (Layout::List, Some(_)) => {
                    [&column.name, "list", "item", "list", "item"].map(ToOwned::to_owned).to_vec()
                }
            };
            let path = ColumnPath::new(leaf);
            let codec = match self.compression {
                Compression::None => Codec::UNCOMPRESSED,
                Compression::Zstd => level_one,
            };
            properties = properties
                .set_column_compression(path.clone(), codec)
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_statistics_enabled(path, EnabledStatistics::None);
        }
        properties.build()
    }
}
