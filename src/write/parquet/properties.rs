//! How Parquet stores each column.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use parquet::basic::{Compression as Codec, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::{Compression, Layout, Parquet};
use crate::manifest::Dtype;
use crate::write::contract::{FeatureColumn, RowSchema};

/// The type of a feature cell.
pub(super) fn cell_type(column: &FeatureColumn, layout: Layout) -> DataType {
    match layout {
        Layout::Binary => DataType::LargeBinary,
        Layout::List => DataType::LargeList(Arc::new(Field::new_list_field(frame_type(column), false))),
    }
}

/// The type of one frame in a list: a number, or a fixed-size list of them.
pub(super) fn frame_type(column: &FeatureColumn) -> DataType {
    let number = match column.dtype {
        Dtype::I8 => DataType::Int8,
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
            // They are small, and zstd takes 20 µs to begin with each: a loader opens thousands.
            .set_compression(Codec::LZ4_RAW)
            // Row groups end when they are full of bytes, never at a count of rows.
            .set_max_row_group_row_count(None);
        for column in &schema.audio {
            let path = ColumnPath::new(vec![column.name.clone()]);
            properties = properties
                .set_column_compression(path.clone(), Codec::UNCOMPRESSED)
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_statistics_enabled(path, EnabledStatistics::None);
        }
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
