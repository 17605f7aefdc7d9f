//! `plan.parquet`: shard, position, utterance id and copy of every entry; the pipeline and the hashes in its metadata.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, UInt32Type, UInt64Type};
use indexmap::IndexMap;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::Plan;
use crate::durable::DurableFile;
use crate::manifest::ColumnSchema;

/// The key of the file's metadata under which the head stands.
const HEAD_KEY: &str = "wavemill:plan";

/// Entries written or read at a time.
const BATCH: usize = 65_536;

/// What a plan's file says of the plan beside its entries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanHead {
    /// The version of wavemill that planned.
    pub wavemill_version: String,
    /// The libraries and the kind of processor that decide the bytes.
    pub engines: BTreeMap<String, String>,
    /// The pipeline with all defaults filled in.
    pub pipeline: Value,
    /// BLAKE3 of the resolved pipeline.
    pub pipeline_hash: String,
    /// BLAKE3 of everything that decides the bytes of the shards.
    pub plan_hash: String,
    /// BLAKE3 of the selected corpus table.
    pub corpus_hash: String,
    /// The condition of `keep_if`, its variables filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_if: Option<String>,
    /// By their place in the pipeline, a hash of which recordings augmentations draw from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub recordings: BTreeMap<String, String>,
    /// The columns of the rows.
    pub schema: Vec<ColumnSchema>,
    /// By column, what the loader is to do with its cells.
    #[serde(default)]
    pub at_load: IndexMap<String, Vec<Value>>,
    /// The number of shards.
    pub num_shards: usize,
}

/// A plan as its file holds it.
#[derive(Debug)]
pub struct PlanFile {
    /// The plan's head.
    pub head: PlanHead,
    batches: parquet::arrow::arrow_reader::ParquetRecordBatchReader,
}

/// One line of a plan's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRow {
    /// The shard.
    pub shard: usize,
    /// The utterance's id.
    pub id: String,
    /// The number of the copy.
    pub copy: u32,
}

impl PlannedRow {
    /// The row's key in the dataset.
    #[must_use]
    pub fn key(&self) -> Cow<'_, str> {
        row_key(&self.id, self.copy)
    }
}

/// The key of one copy of an utterance: its id for the original, `id~1` for copy 1.
#[must_use]
pub fn row_key(id: &str, copy: u32) -> Cow<'_, str> {
    if copy == 0 { Cow::Borrowed(id) } else { Cow::Owned(format!("{id}~{copy}")) }
}

/// The id of one segment of an utterance, by which it draws, and from which its key is made: `id@3`.
#[must_use]
pub fn segment_id(id: &str, segment: usize) -> String {
    format!("{id}@{segment}")
}

/// Why a plan's file cannot be read or written.
#[derive(Debug, Error)]
pub enum PlanFileError {
    /// The file failed.
    #[error("the file failed")]
    File(#[from] io::Error),
    /// It is no Parquet file, or damaged.
    #[error("the file is no whole Parquet file")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Its columns are damaged.
    #[error("the columns are damaged")]
    Arrow(#[from] arrow::error::ArrowError),
    /// It is a Parquet file of something else.
    #[error("the file is no plan of wavemill")]
    NoPlan,
    /// Its head is damaged.
    #[error("the plan's head is damaged")]
    Head(#[from] serde_json::Error),
}

impl Plan {
    /// Writes the plan to `path`, whole or not at all.
    ///
    /// # Errors
    ///
    /// The disk is full or gone.
    pub fn write(&self, path: &Path) -> Result<(), PlanFileError> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("shard", DataType::UInt32, false),
            Field::new("position", DataType::UInt64, false),
            Field::new("id", DataType::Utf8, false),
            Field::new("copy", DataType::UInt32, false),
        ]));
        let head = KeyValue::new(HEAD_KEY.to_owned(), serde_json::to_string(&self.head())?);
        let properties = WriterProperties::builder()
            .set_created_by(concat!("wavemill ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_key_value_metadata(Some(vec![head]))
            .build();
        let mut writer = ArrowWriter::try_new(DurableFile::create(path)?, schema.clone(), Some(properties))?;
        for (shard, entries) in self.shards.iter().enumerate() {
            for start in entries.clone().step_by(BATCH) {
                let positions = start..(start + BATCH).min(entries.end);
                let planned = || positions.clone().map(|position| self.entry(position));
                writer.write(&RecordBatch::try_new(
                    schema.clone(),
                    vec![
                        Arc::new(UInt32Array::from_iter_values(positions.clone().map(|_| shard as u32))),
                        Arc::new(UInt64Array::from_iter_values(positions.clone().map(|position| position as u64))),
                        Arc::new(StringArray::from_iter_values(planned().map(|entry| self.table.id(entry.utterance)))),
                        Arc::new(UInt32Array::from_iter_values(planned().map(|entry| entry.copy))),
                    ],
                )?)?;
            }
        }
        writer.into_inner()?.commit()?;
        Ok(())
    }
}

impl PlanFile {
    /// Opens the plan at `path`; none if there is no such file.
    ///
    /// # Errors
    ///
    /// The file is no plan, or damaged.
    pub fn open(path: &Path) -> Result<Option<Self>, PlanFileError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(BATCH);
        let metadata = builder.metadata().file_metadata().key_value_metadata();
        let head =
            metadata.into_iter().flatten().find(|entry| entry.key == HEAD_KEY).and_then(|entry| entry.value.as_ref());
        let head = serde_json::from_str(head.ok_or(PlanFileError::NoPlan)?)?;
        Ok(Some(Self { head, batches: builder.build()? }))
    }

    /// The entries, in order.
    pub fn rows(self) -> impl Iterator<Item = Result<PlannedRow, PlanFileError>> {
        self.batches.flat_map(|batch| match batch.map_err(PlanFileError::from).and_then(|batch| planned_rows(&batch)) {
            Ok(rows) => rows.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        })
    }
}

fn planned_rows(batch: &RecordBatch) -> Result<Vec<PlannedRow>, PlanFileError> {
    let column = |name: &str| batch.column_by_name(name).ok_or(PlanFileError::NoPlan);
    let shards = column("shard")?.as_primitive_opt::<UInt32Type>().ok_or(PlanFileError::NoPlan)?;
    let copies = column("copy")?.as_primitive_opt::<UInt32Type>().ok_or(PlanFileError::NoPlan)?;
    let ids = column("id")?.as_string_opt::<i32>().ok_or(PlanFileError::NoPlan)?;
    column("position")?.as_primitive_opt::<UInt64Type>().ok_or(PlanFileError::NoPlan)?;
    Ok((0..batch.num_rows())
        .map(|row| PlannedRow {
            shard: shards.value(row) as usize,
            id: ids.value(row).to_owned(),
            copy: copies.value(row),
        })
        .collect())
}
