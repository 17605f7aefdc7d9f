//! Parquet shards, laid out for training: a feature cell is one run of bytes.
//!
//! Measured with parquet-rs and pyarrow, a `LargeBinary` cell reads about ten times faster than a list of floats, whose
//! every number carries its own levels. Dictionaries and page statistics are off for feature columns: they make the file
//! larger and serve nobody. Column types and metadata are those of the Arrow schema that the file embeds.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, FixedSizeListArray, Float32Array, Float64Builder, Int16Array, Int32Builder,
    Int64Builder, LargeBinaryBuilder, LargeListArray, RecordBatch, StringBuilder,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression as Codec, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ShardFile;
use super::contract::{
    Batches, FeatureColumn, FormatError, ROW_COLUMNS, Row, RowSchema, WriteError, WriteRows, WriteShards,
};
use super::numbers::decode;
use crate::corpus::{Kind, Value};
use crate::family::Member;
use crate::manifest::Dtype;

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
        let listed = |column: &&FeatureColumn| matches!(column.dtype, Dtype::F32 | Dtype::I16);
        match features.iter().find(|column| self.layout == Layout::List && !listed(column)) {
            Some(column) => Err(FormatError::ListDtype { column: column.name.clone(), dtype: column.dtype }),
            None => Ok(()),
        }
    }

    fn start(&self, schema: &RowSchema, file: ShardFile) -> Result<Box<dyn WriteRows>, WriteError> {
        let arrow = arrow_schema(schema, self.layout);
        let writer = ArrowWriter::try_new(file, arrow.clone(), Some(self.properties(schema)))?;
        let extras = schema.extras.iter().map(|(_, kind)| Extra::new(*kind)).collect();
        let features = schema.features.iter().map(|column| Cells::new(column.clone(), self.layout)).collect();
        let group_bytes = (self.row_group_mib * MIB) as usize;
        Ok(Box::new(Shard { arrow, writer, fixed: Fixed::default(), extras, features, group_bytes, held_bytes: 0 }))
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

impl Parquet {
    fn properties(&self, schema: &RowSchema) -> WriterProperties {
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

/// The Arrow schema of a shard.
fn arrow_schema(schema: &RowSchema, layout: Layout) -> SchemaRef {
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
    Arc::new(Schema::new(fixed.chain(extras).chain(features).collect::<Vec<_>>()))
}

fn cell_type(column: &FeatureColumn, layout: Layout) -> DataType {
    match layout {
        Layout::Binary => DataType::LargeBinary,
        Layout::List => DataType::LargeList(Arc::new(Field::new_list_field(frame_type(column), false))),
    }
}

/// The type of one frame in a list: a number, or a fixed-size list of them.
fn frame_type(column: &FeatureColumn) -> DataType {
    let number = match column.dtype {
        Dtype::I16 => DataType::Int16,
        Dtype::F32 | Dtype::F16 | Dtype::Bf16 => DataType::Float32,
    };
    match column.bins {
        None => number,
        Some(bins) => DataType::FixedSizeList(Arc::new(Field::new_list_field(number, false)), bins as i32),
    }
}

/// A shard being written, its current row group in memory.
struct Shard {
    arrow: SchemaRef,
    writer: ArrowWriter<ShardFile>,
    fixed: Fixed,
    extras: Vec<Extra>,
    features: Vec<Cells>,
    group_bytes: usize,
    held_bytes: usize,
}

/// The columns of [`ROW_COLUMNS`].
#[derive(Default)]
struct Fixed {
    key: StringBuilder,
    id: StringBuilder,
    copy: Int32Builder,
    text: StringBuilder,
    speaker: StringBuilder,
    language: StringBuilder,
    num_samples: Int64Builder,
    sample_rate: Int32Builder,
    duration_s: Float64Builder,
    augmentation: StringBuilder,
}

impl Fixed {
    fn push(&mut self, row: &Row<'_>) {
        let Row { table, utterance, .. } = *row;
        self.key.append_value(row.key);
        self.id.append_value(table.id(utterance));
        self.copy.append_value(row.copy as i32);
        self.text.append_option(table.text(utterance));
        self.speaker.append_option(table.speaker(utterance));
        self.language.append_option(table.language(utterance));
        self.num_samples.append_value(row.num_samples as i64);
        self.sample_rate.append_value(row.sample_rate.get() as i32);
        self.duration_s.append_value(row.num_samples as f64 / f64::from(row.sample_rate.get()));
        self.augmentation.append_option(row.augmentation);
    }

    /// The columns, in the order of [`ROW_COLUMNS`].
    fn finish(&mut self) -> [ArrayRef; ROW_COLUMNS.len()] {
        let builders: [&mut dyn ArrayBuilder; ROW_COLUMNS.len()] = [
            &mut self.key,
            &mut self.id,
            &mut self.copy,
            &mut self.text,
            &mut self.speaker,
            &mut self.language,
            &mut self.num_samples,
            &mut self.sample_rate,
            &mut self.duration_s,
            &mut self.augmentation,
        ];
        builders.map(|builder| builder.finish())
    }
}

/// One of the corpus's further columns.
enum Extra {
    Text(StringBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
}

impl Extra {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::String => Self::Text(StringBuilder::new()),
            Kind::Int64 => Self::Int(Int64Builder::new()),
            Kind::Float64 => Self::Float(Float64Builder::new()),
            Kind::Boolean => Self::Bool(BooleanBuilder::new()),
        }
    }

    fn push(&mut self, value: Value<'_>) {
        match (self, value) {
            (Self::Text(column), Value::String(value)) => column.append_value(value),
            (Self::Int(column), Value::Int64(value)) => column.append_value(value),
            (Self::Float(column), Value::Float64(value)) => column.append_value(value),
            (Self::Bool(column), Value::Boolean(value)) => column.append_value(value),
            (Self::Text(column), _) => column.append_null(),
            (Self::Int(column), _) => column.append_null(),
            (Self::Float(column), _) => column.append_null(),
            (Self::Bool(column), _) => column.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(column) => Arc::new(column.finish()),
            Self::Int(column) => Arc::new(column.finish()),
            Self::Float(column) => Arc::new(column.finish()),
            Self::Bool(column) => Arc::new(column.finish()),
        }
    }
}

/// One feature column, and the column of its frame counts.
struct Cells {
    column: FeatureColumn,
    layout: Layout,
    bytes: LargeBinaryBuilder,
    frames: Int32Builder,
}

impl Cells {
    fn new(column: FeatureColumn, layout: Layout) -> Self {
        Self { column, layout, bytes: LargeBinaryBuilder::new(), frames: Int32Builder::new() }
    }

    fn finish(&mut self) -> Result<[ArrayRef; 2], WriteError> {
        let cells = self.bytes.finish();
        let frames = self.frames.finish();
        let cells: ArrayRef = match self.layout {
            Layout::Binary => Arc::new(cells),
            Layout::List => {
                let offsets: Vec<i64> = std::iter::once(0)
                    .chain(frames.values().iter().scan(0, |end, frames| {
                        *end += i64::from(*frames);
                        Some(*end)
                    }))
                    .collect();
                let numbers: ArrayRef = match self.column.dtype {
                    Dtype::I16 => Arc::new(Int16Array::from_iter_values(
                        cells.value_data().chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])),
                    )),
                    dtype => Arc::new(Float32Array::from(decode(cells.value_data(), dtype))),
                };
                let rows: ArrayRef = match frame_type(&self.column) {
                    DataType::FixedSizeList(field, bins) => {
                        Arc::new(FixedSizeListArray::try_new(field, bins, numbers, None)?)
                    }
                    _ => numbers,
                };
                let field = Arc::new(Field::new_list_field(frame_type(&self.column), false));
                Arc::new(LargeListArray::try_new(field, OffsetBuffer::new(ScalarBuffer::from(offsets)), rows, None)?)
            }
        };
        Ok([cells, Arc::new(frames)])
    }
}

impl Shard {
    /// Writes the rows in memory as one row group.
    fn write_group(&mut self) -> Result<(), WriteError> {
        if self.held_bytes == 0 {
            return Ok(());
        }
        let mut columns: Vec<ArrayRef> = self.fixed.finish().into();
        columns.extend(self.extras.iter_mut().map(Extra::finish));
        for cells in &mut self.features {
            columns.extend(cells.finish()?);
        }
        self.writer.write(&RecordBatch::try_new(self.arrow.clone(), columns)?)?;
        self.writer.flush()?;
        self.held_bytes = 0;
        Ok(())
    }
}

impl WriteRows for Shard {
    fn push(&mut self, row: &Row<'_>) -> Result<(), WriteError> {
        /// What the columns beside the features take, roughly: it only decides where row groups end.
        const ROW_BYTES: usize = 200;
        let cell_bytes: usize = row.cells.iter().map(|cell| cell.bytes.len()).sum();
        if self.held_bytes > 0 && self.held_bytes + cell_bytes + ROW_BYTES > self.group_bytes {
            self.write_group()?;
        }
        self.fixed.push(row);
        for (index, extra) in self.extras.iter_mut().enumerate() {
            extra.push(row.table.extra(index, row.utterance));
        }
        for (cells, cell) in self.features.iter_mut().zip(row.cells) {
            cells.bytes.append_value(&cell.bytes);
            cells.frames.append_value(cell.frames as i32);
        }
        self.held_bytes += cell_bytes + ROW_BYTES;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<ShardFile, WriteError> {
        self.write_group()?;
        Ok(self.writer.into_inner()?)
    }
}
