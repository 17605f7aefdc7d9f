//! Rows that are read one by one, as batches: for formats that store no columns.

use std::io::{self, BufRead, Read};

use arrow::array::RecordBatch;

use super::columns::BatchBuilder;
use super::contract::{Batches, Cell, RowSchema, WriteError};
use super::metadata::Metadata;

/// A row as it was read: cells and sound that nobody asked for are empty.
pub(super) struct StoredRow {
    pub(super) metadata: Metadata,
    pub(super) cells: Vec<Vec<u8>>,
    pub(super) audio: Vec<Vec<u8>>,
}

/// Rows, front to back.
pub(super) trait StoredRows {
    /// The next row; none at the end.
    fn next_row(&mut self) -> Result<Option<StoredRow>, WriteError>;
}

/// Which cells and which sound somebody asked for.
pub(super) struct Wanted {
    pub(super) features: Vec<bool>,
    pub(super) audio: Vec<bool>,
}

impl Wanted {
    pub(super) fn new(schema: &RowSchema, columns: Option<&[&str]>) -> Self {
        let wanted = |name: &String| columns.is_none_or(|columns| columns.contains(&name.as_str()));
        Self {
            features: schema.features.iter().map(|column| wanted(&column.name)).collect(),
            audio: schema.audio.iter().map(|column| wanted(&column.name)).collect(),
        }
    }
}

/// `rows` in batches of the columns asked for.
pub(super) fn batches(schema: &RowSchema, columns: Option<&[&str]>, rows: impl StoredRows + Send + 'static) -> Batches {
    let builder = BatchBuilder::new(schema);
    let columns = columns.map(|columns| {
        let fields = builder.schema().fields().iter().enumerate();
        let asked = fields.filter(|(_, field)| columns.contains(&field.name().as_str()));
        asked.map(|(place, _)| place).collect()
    });
    Box::new(RowsBack { rows: Some(rows), schema: schema.clone(), builder, columns })
}

struct RowsBack<R> {
    /// None once they are at their end, or broken.
    rows: Option<R>,
    schema: RowSchema,
    builder: BatchBuilder,
    columns: Option<Vec<usize>>,
}

impl<R: StoredRows> RowsBack<R> {
    fn batch(&mut self) -> Result<Option<RecordBatch>, WriteError> {
        /// A batch ends with this many rows, or with this many bytes.
        const ROWS: usize = 64;
        const BYTES: usize = 8 << 20;
        let mut bytes = 0;
        while self.builder.len() < ROWS && bytes < BYTES {
            let Some(rows) = &mut self.rows else { break };
            let Some(StoredRow { metadata, cells, audio }) = rows.next_row()? else {
                self.rows = None;
                break;
            };
            let cells = cells.into_iter().map(|bytes| Cell { bytes, ..Cell::default() }).collect();
            let builder = &mut self.builder;
            metadata.row(&self.schema, cells, &audio, |row| {
                builder.push(row);
                bytes += row.bytes();
                Ok(())
            })?;
        }
        if self.builder.len() == 0 {
            return Ok(None);
        }
        let batch = self.builder.finish()?;
        Ok(Some(match &self.columns {
            Some(columns) => batch.project(columns)?,
            None => batch,
        }))
    }
}

impl<R: StoredRows> Iterator for RowsBack<R> {
    type Item = Result<RecordBatch, WriteError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.as_ref()?;
        let batch = self.batch().map_err(broken_off);
        if batch.is_err() {
            self.rows = None;
        }
        batch.transpose()
    }
}

/// A file that breaks off, or that a library cannot read, is damaged; one that the disk does not give is not.
pub(super) fn broken_off(error: WriteError) -> WriteError {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match error {
        WriteError::File(error) if matches!(error.kind(), UnexpectedEof | InvalidData | InvalidInput) => {
            WriteError::Damaged(error.to_string())
        }
        error => error,
    }
}

/// The next line, without its end; none at the end of `lines`.
pub(super) fn next_line(lines: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool, WriteError> {
    /// Far more than the metadata of a row takes.
    const LONGEST: u64 = 64 << 20;
    line.clear();
    if lines.by_ref().take(LONGEST).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    match line.pop() {
        Some(b'\n') => Ok(true),
        _ => Err(WriteError::Damaged("the metadata of a row breaks off".to_owned())),
    }
}
