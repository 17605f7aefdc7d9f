//! Parquet shards, laid out for training: a feature cell is one run of bytes.
//!
//! Measured with parquet-rs and pyarrow, a `LargeBinary` cell reads about ten times faster than a list of floats, whose
//! every number carries its own levels. Dictionaries and page statistics are off for feature columns: they make the file
//! larger and serve nobody. Column types and metadata are those of the Arrow schema that the file embeds.

mod columns;
mod large_cell;
mod schema;
mod shard;

use std::fs::File;
use std::path::Path;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ShardFile;
use super::contract::{
    Batches, CellChannels, FeatureColumn, FormatError, RowSchema, WriteError, WriteRows, WriteShards,
};
use crate::family::Member;
use crate::manifest::Dtype;

use shard::Shard;

const MIB: u64 = 1 << 20;

/// Apache Parquet: opens in pyarrow, polars, DuckDB, Spark and the Hugging Face `datasets`.
///
/// A feature cell is one `LargeBinary` of row-major little-endian numbers, with `wavemill:dtype`, `wavemill:shape` and
/// `wavemill:unit` in the field's metadata and an Int32 column `<name>_frames` beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Parquet {
    /// Size at which a shard is full, in MiB.
    #[schemars(range(min = 1, max = 65_536))]
    pub shard_mib: u64,
    /// Size of a row group, in MiB: what a reader fetches at once, and what a writer holds in memory.
    #[schemars(range(min = 1, max = 1024))]
    pub row_group_mib: u64,
    /// How the numbers of features are stored, where the extractor leaves it open: f32, f16 or bf16.
    pub dtype: Dtype,
    /// How a feature cell is stored.
    pub layout: Layout,
    /// How feature columns are compressed. All other columns are compressed with zstd.
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
    fn extension(&self) -> &'static str {
        "parquet"
    }

    fn shard_bytes(&self) -> u64 {
        self.shard_mib * MIB
    }

    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn accepts(&self, features: &[FeatureColumn]) -> Result<(), FormatError> {
        let all = |column: &&FeatureColumn| column.channels == CellChannels::All;
        if let Some(column) = features.iter().find(|column| self.layout == Layout::List && all(column)) {
            return Err(FormatError::ListChannels { column: column.name.clone() });
        }
        let clipped = |column: &&FeatureColumn| column.dtype == Dtype::I16 && column.unit != "amplitude";
        if let Some(FeatureColumn { name, unit, .. }) = features.iter().find(clipped) {
            return Err(FormatError::IntegersOf { column: name.clone(), unit: unit.clone() });
        }
        let listed = |column: &&FeatureColumn| matches!(column.dtype, Dtype::F32 | Dtype::I16);
        match features.iter().find(|column| self.layout == Layout::List && !listed(column)) {
            Some(column) => Err(FormatError::ListDtype { column: column.name.clone(), dtype: column.dtype }),
            None => Ok(()),
        }
    }

    fn start(&self, schema: &RowSchema, file: ShardFile) -> Result<Box<dyn WriteRows>, WriteError> {
        Ok(Box::new(Shard::start(self, schema, file)?))
    }

    fn read(&self, file: &Path, columns: Option<&[&str]>) -> Result<Batches, WriteError> {
        /// A few rows at a time: a cell can be megabytes.
        const ROWS: usize = 64;
        let mut builder = ParquetRecordBatchReaderBuilder::try_new(File::open(file)?)?.with_batch_size(ROWS);
        if let Some(columns) = columns {
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
            builder = builder.with_projection(mask);
        }
        Ok(Box::new(builder.build()?.map(|batch| batch.map_err(WriteError::from))))
    }
}
