//! Parquet shards, laid out for training: a feature cell is one run of bytes.
//!
//! Measured with parquet-rs and pyarrow, a `LargeBinary` cell reads about ten times faster than a list of floats, whose
//! every number carries its own levels. Dictionaries and page statistics are off for feature columns: they make the file
//! larger and serve nobody. Column types and metadata are those of the Arrow schema that the file embeds.

mod columns;
mod large_cell;
mod places;
mod properties;
mod row_groups;
mod shard;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Batches, CellChannels, FormatError, RowSchema, WriteError, WriteRows, WriteShards};
use super::{ShardFile, ShardName, ShardPlaces, arrow_schema, only, only_path};
use crate::family::Member;
use crate::manifest::Dtype;
use crate::write::open_file;

pub(super) use columns::Blobs;
pub(super) use row_groups::{Column, RowGroups};

use columns::bytes_of_lists;
use shard::Shard;

const MIB: u64 = 1 << 20;

/// Apache Parquet: opens in pyarrow, polars, DuckDB, Spark and the Hugging Face `datasets`.
///
/// A feature cell is one `LargeBinary` of row-major little-endian numbers, with `wavemill:dtype`, `wavemill:shape` and
/// `wavemill:unit` in the field's metadata and an Int32 column `<name>_frames` beside it; of integers with a scale, a Float32
/// column `<name>_scale` too. Encoded sound is a `LargeBinary` as well, with `wavemill:codec`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Parquet {
    /// Size at which a shard is full, in MiB.
    #[schemars(range(min = 1, max = 65_536))]
    pub shard_mib: u64,
    /// Size of a row group, in MiB: what a reader fetches at once, and what a writer holds in memory.
    #[schemars(range(min = 1, max = 1024))]
    pub row_group_mib: u64,
    /// How the numbers of features are stored, where the extractor leaves it open: f32, f16, bf16, i16 or i8.
    pub dtype: Dtype,
    /// How a feature cell is stored.
    pub layout: Layout,
    /// How feature columns are compressed. All other columns are compressed with LZ4 (`LZ4_RAW`).
    pub compression: Compression,
}

/// How a feature cell is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// One run of bytes: the fastest to read.
    Binary,
    /// A list of frames, each a fixed-size list of numbers: for tools that want numbers at once.
    List,
}

/// How feature columns are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all: the fastest to read; features compress by a tenth at best.
    None,
    /// zstd, level 1.
    Zstd,
}

impl Default for Parquet {
    fn default() -> Self {
        Self {
            shard_mib: 128,
            row_group_mib: 8,
            dtype: Dtype::F32,
            layout: Layout::Binary,
            compression: Compression::None,
        }
    }
}

impl Member for Parquet {
    const EXAMPLE: &'static str = "parquet: { shard_mib: 128, dtype: f16 }";
}

impl WriteShards for Parquet {
    fn files(&self, name: &ShardName<'_>, _: &RowSchema) -> Vec<String> {
        vec![name.file("parquet")]
    }

    fn shard_bytes(&self) -> u64 {
        self.shard_mib * MIB
    }

    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn accepts(&self, schema: &RowSchema) -> Result<(), FormatError> {
        schema.check_scales()?;
        if self.layout == Layout::Binary {
            return Ok(());
        }
        for column in &schema.features {
            let (name, dtype) = (column.name.clone(), column.dtype);
            if column.channels == CellChannels::All {
                return Err(FormatError::ListChannels { column: name });
            }
            if matches!(dtype, Dtype::F16 | Dtype::Bf16) {
                return Err(FormatError::ListDtype { column: name, dtype });
            }
        }
        Ok(())
    }

    fn start(&self, schema: &RowSchema, files: Vec<ShardFile>) -> Result<Box<dyn WriteRows>, WriteError> {
        Ok(Box::new(Shard::start(self, schema, only(files)?)?))
    }

    fn read(&self, schema: &RowSchema, files: &[PathBuf], columns: Option<&[&str]>) -> Result<Batches, WriteError> {
        let features = schema.features.clone();
        read(only_path(files)?, schema, columns, move |name, array| {
            let column = features.iter().find(|column| column.name == name);
            let cells = bytes_of_lists(array, column?)?;
            Some(Arc::new(cells))
        })
    }

    fn places(
        &self,
        schema: &RowSchema,
        files: &[PathBuf],
        columns: &[&str],
    ) -> Result<Option<ShardPlaces>, WriteError> {
        places::places(only_path(files)?, schema, columns)
    }
}

/// Reads a file whose columns are those of `schema`; `convert` turns those of another type into the one that is asked for.
pub(super) fn read(
    file: &Path,
    schema: &RowSchema,
    columns: Option<&[&str]>,
    convert: impl Fn(&str, &dyn Array) -> Option<ArrayRef> + Send + 'static,
) -> Result<Batches, WriteError> {
    /// A few rows at a time: a cell can be megabytes.
    const ROWS: usize = 64;
    let mut builder = ParquetRecordBatchReaderBuilder::try_new(open_file(file)?)?.with_batch_size(ROWS);
    if let Some(columns) = columns {
        let fields = builder.parquet_schema().root_schema().get_fields().iter().enumerate();
        let roots = fields.filter(|(_, field)| columns.contains(&field.name())).map(|(root, _)| root);
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots.collect::<Vec<_>>());
        builder = builder.with_projection(mask);
    }
    let batches = builder.build()?;
    let rows = arrow_schema(schema);
    Ok(Box::new(batches.map(move |batch| canonical(&batch?, &rows, &convert))))
}

/// A batch whose columns have the types of `rows`.
fn canonical(
    batch: &RecordBatch,
    rows: &SchemaRef,
    convert: impl Fn(&str, &dyn Array) -> Option<ArrayRef>,
) -> Result<RecordBatch, WriteError> {
    let damaged = |name: &str| WriteError::Damaged(format!("the column `{name}` is not as the manifest says"));
    let mut fields = Vec::new();
    let there = batch.schema();
    let columns = there.fields().iter().zip(batch.columns()).map(|(field, array)| {
        let wanted = rows.field_with_name(field.name()).map_err(|_| damaged(field.name()))?;
        fields.push(wanted.clone());
        if array.data_type() == wanted.data_type() {
            return Ok(Arc::clone(array));
        }
        let converted = convert(field.name(), array).filter(|array| array.data_type() == wanted.data_type());
        converted.ok_or_else(|| damaged(field.name()))
    });
    let columns = columns.collect::<Result<Vec<_>, WriteError>>()?;
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::testing::Rows;

    #[test]
    fn every_kind_of_row_comes_back() {
        for compression in [Compression::None, Compression::Zstd] {
            let format = Parquet { row_group_mib: 1, compression, ..Parquet::default() };
            // A cell of two MiB has a row group of its own.
            Rows::of_all_kinds(70).with_frames(40, 100_000).assert_round_trip(&format);
        }
    }

    #[test]
    fn lists_of_numbers_come_back() {
        let format = Parquet { row_group_mib: 1, layout: Layout::List, ..Parquet::default() };
        let rows = Rows::of_all_kinds(70).with_features(|column| {
            column.channels == CellChannels::One && matches!(column.dtype, Dtype::F32 | Dtype::I16 | Dtype::I8)
        });
        rows.with_frames(40, 100_000).assert_round_trip(&format);
    }

    #[test]
    fn every_cell_lies_at_its_place() {
        // Cells of 400 kB make row groups of two rows, or pages of a few; one of two MiB may have a row group of its own.
        let mut rows = Rows::of_all_kinds(90).with_frames(40, 100_000).with_frames(41, 90_000);
        for row in 50..60 {
            rows = rows.with_frames(row, 20_000);
        }
        for (row_group_mib, groups) in [(1, 8), (8, 1)] {
            let places = rows.assert_places(&Parquet { row_group_mib, ..Parquet::default() });
            assert_eq!(places.groups.len(), groups, "{:?}", places.groups);
        }
        assert!(Rows::of_all_kinds(0).assert_places(&Parquet::default()).groups.is_empty());
    }

    #[test]
    fn cells_that_are_stored_in_another_way_have_no_places() {
        let rows = Rows::of_all_kinds(9).with_features(|column| column.name == "mel");
        let folder = tempfile::tempdir().unwrap();
        let zstd = Parquet { compression: Compression::Zstd, ..Parquet::default() };
        for format in [zstd, Parquet { layout: Layout::List, ..Parquet::default() }] {
            let files = rows.write(&format, folder.path());
            assert_eq!(format.places(&rows.schema, &files, &["mel"]).unwrap(), None);
            assert!(format.places(&rows.schema, &files, &["audio"]).unwrap().is_some());
        }
    }

    #[test]
    fn a_damaged_file_gives_an_error_and_no_panic() {
        Rows::of_all_kinds(9).assert_survives_damage(&Parquet::default());
    }
}
