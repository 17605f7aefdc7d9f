//! The rows of a dataset, read back.

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::manifest::{DatasetFolder, Manifest, ManifestError, ShardEntry};
use crate::nearest::nearest;
use crate::pipeline::Pipeline;
use crate::write::RowSchema;

use super::exit::Failure;

/// Reads the shards of a dataset.
pub(super) struct Reader<'a> {
    folder: &'a DatasetFolder,
    shards: &'a [ShardEntry],
    pub(super) pipeline: Pipeline,
    pub(super) schema: RowSchema,
}

pub(super) type Batch = Result<RecordBatch, Failure>;

impl<'a> Reader<'a> {
    pub(super) fn new(folder: &'a DatasetFolder, manifest: &'a Manifest) -> Result<Self, Failure> {
        let damaged = |source| ManifestError::Malformed { path: folder.manifest(), source };
        let pipeline = serde_json::from_value(manifest.pipeline.clone()).map_err(damaged)?;
        let schema = RowSchema::of(&manifest.schema)
            .ok_or_else(|| damaged(serde::de::Error::custom("the schema is none of this version")))?;
        Ok(Self { folder, shards: &manifest.shards, pipeline, schema })
    }

    fn shard(&self, entry: &ShardEntry, columns: Option<&[&str]>) -> Box<dyn Iterator<Item = Batch>> {
        let files = entry.paths(self.folder.path());
        let path = files.first().cloned().unwrap_or_default();
        match self.pipeline.write.member().read(&self.schema, &files, columns) {
            Ok(batches) => Box::new(
                batches.map(move |batch| batch.map_err(|source| Failure::Shard { path: path.clone(), source })),
            ),
            Err(source) => Box::new(std::iter::once(Err(Failure::Shard { path, source }))),
        }
    }

    pub(super) fn batches<'s>(&'s self, columns: Option<&'s [&'s str]>) -> impl Iterator<Item = Batch> + 's {
        self.shards.iter().flat_map(move |entry| self.shard(entry, columns))
    }

    /// The row `key`, alone, with all its columns.
    pub(super) fn find(&self, key: &str) -> Result<RecordBatch, Failure> {
        let mut keys = Vec::new();
        for entry in self.shards {
            let before = keys.len();
            for batch in self.shard(entry, Some(&["key"])) {
                let batch = batch?;
                keys.extend((0..batch.num_rows()).map(|row| cell_text(&batch, "key", row)));
            }
            let Some(mut row) = keys[before..].iter().position(|found| found == key) else { continue };
            for batch in self.shard(entry, None) {
                let batch = batch?;
                if row < batch.num_rows() {
                    return Ok(batch.slice(row, 1));
                }
                row -= batch.num_rows();
            }
        }
        let near = nearest(key, keys.iter().map(String::as_str)).map(str::to_owned);
        Err(Failure::NoRow { key: key.to_owned(), near })
    }
}

/// Ends an iterator of batches after some rows.
pub(super) trait TakeRows: Iterator<Item = Batch> + Sized {
    /// The batches that hold the first `rows` rows, each with the number of its rows to show.
    fn take_while_rows(self, rows: usize) -> impl Iterator<Item = Result<(RecordBatch, usize), Failure>> {
        self.scan(rows, |left, batch| {
            if *left == 0 {
                return None;
            }
            Some(batch.map(|batch| {
                let shown = batch.num_rows().min(*left);
                *left -= shown;
                (batch, shown)
            }))
        })
    }
}

impl<I: Iterator<Item = Batch>> TakeRows for I {}

/// A cell as text; nothing for null or a column that is not there.
pub(super) fn cell_text(batch: &RecordBatch, column: &str, row: usize) -> String {
    let Some(array) = batch.column_by_name(column) else { return String::new() };
    let options = FormatOptions::default();
    ArrayFormatter::try_new(array, &options).map(|cells| cells.value(row).to_string()).unwrap_or_default()
}
