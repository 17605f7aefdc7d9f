//! The rows of a dataset, read back one by one in about their order.

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use thiserror::Error;

use crate::error::chain;
use crate::load::FetchSound;
use crate::manifest::{DatasetFolder, ShardEntry};
use crate::write::{Batches, RowSchema, ShardFile, Write, WriteError};

/// Readers that are kept open. Threads that work near each other share one: each holds a batch of rows.
const CURSORS: usize = 8;

/// Why a row of a dataset cannot be read.
#[derive(Debug, Error)]
#[error("row {row} of the shard {shard} cannot be read")]
pub struct RowError {
    /// The shard, from 0.
    shard: usize,
    /// The row in it, from 0.
    row: u64,
    /// Why.
    #[source]
    source: WriteError,
}

/// A dataset whose rows are read back.
pub struct Dataset {
    folder: DatasetFolder,
    format: Write,
    shards: Vec<ShardEntry>,
    /// The number of each shard's first row.
    starts: Vec<u64>,
    schema: RowSchema,
    /// The columns to read; all if none.
    columns: Option<Vec<String>>,
    /// Whether each shard's files were held against the manifest.
    checked: Vec<OnceLock<Result<(), String>>>,
    cursors: Mutex<Vec<Cursor>>,
}

/// A reader in the midst of a shard.
struct Cursor {
    shard: usize,
    /// The shard's row that the batch starts with.
    first: u64,
    batch: RecordBatch,
    batches: Batches,
}

impl Dataset {
    /// The rows of `shards`, of which only `columns` are read.
    pub(super) fn new(
        folder: DatasetFolder,
        format: Write,
        shards: Vec<ShardEntry>,
        schema: RowSchema,
        columns: Option<Vec<String>>,
    ) -> Self {
        let mut rows = 0_u64;
        let starts = shards.iter().map(|shard| {
            let start = rows;
            // How many there are is held against the files before any row is asked for.
            rows = rows.saturating_add(shard.rows);
            start
        });
        let starts = starts.collect();
        let checked = shards.iter().map(|_| OnceLock::new()).collect();
        Self { folder, format, shards, starts, schema, columns, checked, cursors: Mutex::default() }
    }

    /// Where it stands.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The columns of its rows.
    #[must_use]
    pub const fn schema(&self) -> &RowSchema {
        &self.schema
    }

    /// What a row takes, on average.
    #[must_use]
    pub fn bytes_per_row(&self) -> u64 {
        let rows = self.shards.iter().fold(0_u64, |sum, shard| sum.saturating_add(shard.rows));
        let bytes = self.shards.iter().fold(0_u64, |sum, shard| sum.saturating_add(shard.bytes()));
        bytes / rows.max(1)
    }

    /// The row `row`, counted through all shards, alone in a batch.
    ///
    /// # Errors
    ///
    /// Its shard is missing or damaged.
    pub fn row(&self, row: u64) -> Result<RecordBatch, RowError> {
        let shard = self.starts.partition_point(|start| *start <= row).saturating_sub(1);
        let within = row - self.starts[shard];
        let mut cursor = match self.cursor(shard, within) {
            Some(cursor) => cursor,
            None => self.open(shard).map_err(|source| RowError { shard, row: within, source })?,
        };
        cursor.advance(within).map_err(|source| RowError { shard, row: within, source })?;
        let found = cursor.batch.slice((within - cursor.first) as usize, 1);
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        if cursors.len() == CURSORS {
            // The one that was used last is last.
            cursors.remove(0);
        }
        cursors.push(cursor);
        Ok(found)
    }

    /// Takes the open reader that is nearest before a row.
    fn cursor(&self, shard: usize, row: u64) -> Option<Cursor> {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        let before = cursors.iter().enumerate().filter(|(_, cursor)| cursor.shard == shard && cursor.first <= row);
        let (nearest, _) = before.max_by_key(|(_, cursor)| cursor.first)?;
        Some(cursors.remove(nearest))
    }

    fn open(&self, shard: usize) -> Result<Cursor, WriteError> {
        self.check(shard)?;
        let files = self.shards[shard].paths(self.folder.path());
        let columns: Option<Vec<&str>> =
            self.columns.as_ref().map(|columns| columns.iter().map(String::as_str).collect());
        let mut batches = self.format.member().read(&self.schema, &files, columns.as_deref())?;
        let batch = batches.next().transpose()?.ok_or_else(|| missing(0))?;
        Ok(Cursor { shard, first: 0, batch, batches })
    }

    /// Holds a shard's files against the manifest, once: what goes on must not be what a disk made of it.
    fn check(&self, shard: usize) -> Result<(), WriteError> {
        let held = self.checked[shard].get_or_init(|| {
            for entry in &self.shards[shard].files {
                let place = self.folder.path().join(&entry.path);
                let (bytes, checksum) =
                    ShardFile::measure(&place).map_err(|error| format!("{}: {error}", place.display()))?;
                if bytes != entry.bytes || checksum != entry.checksum {
                    return Err(format!("{} is not the file that the manifest names", place.display()));
                }
            }
            Ok(())
        });
        held.clone().map_err(WriteError::Damaged)
    }

    /// How many rows each shard has, as the manifest says.
    pub(super) fn num_rows(&self) -> impl Iterator<Item = u64> {
        self.shards.iter().map(|shard| shard.rows)
    }

    /// All rows in their order, in batches, of these columns alone.
    pub(super) fn batches<'d>(
        &'d self,
        columns: &'d [&str],
    ) -> impl Iterator<Item = (usize, Result<RecordBatch, WriteError>)> + 'd {
        self.shards.iter().enumerate().flat_map(move |(number, shard)| {
            let read = self.format.member().read(&self.schema, &shard.paths(self.folder.path()), Some(columns));
            let batches: Batches = read.unwrap_or_else(|error| Box::new(std::iter::once(Err(error))));
            batches.map(move |batch| (number, batch))
        })
    }
}

impl Cursor {
    /// Reads on until the batch holds the row.
    fn advance(&mut self, row: u64) -> Result<(), WriteError> {
        while self.first + self.batch.num_rows() as u64 <= row {
            self.first += self.batch.num_rows() as u64;
            self.batch = self.batches.next().transpose()?.ok_or_else(|| missing(row))?;
        }
        Ok(())
    }
}

fn missing(row: u64) -> WriteError {
    WriteError::Damaged(format!("it ends before row {row}"))
}

impl FetchSound for Dataset {
    fn fetch(&self, row: u64) -> Result<Vec<u8>, String> {
        let batch = self.row(row).map_err(|error| chain(&error))?;
        let cells = batch.columns().last().and_then(|column| column.as_binary_opt::<i64>());
        let cell = cells.filter(|cells| cells.len() == 1).map(|cells| cells.value(0).to_vec());
        cell.ok_or_else(|| "the column of sound is not there".to_owned())
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset").field("folder", &self.folder).field("columns", &self.columns).finish_non_exhaustive()
    }
}
