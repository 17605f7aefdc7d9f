//! An Arrow file being written.

use std::io::{BufWriter, IntoInnerError};
use std::sync::Arc;

use arrow::array::{ArrayRef, LargeBinaryArray, RecordBatch};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::FileWriter;

use crate::write::ShardFile;
use crate::write::columns::{Counts, RowColumns};
use crate::write::contract::{Row, RowSchema, WriteError, WriteRows};
use crate::write::schema::arrow_schema;

/// A shard being written, its current batch in memory.
pub(super) struct Shard {
    schema: SchemaRef,
    /// The columns of a batch are large, and pass the buffer by; what stands between them is small.
    writer: FileWriter<BufWriter<ShardFile>>,
    rows: RowColumns,
    features: Vec<(Blobs, Counts)>,
    audio: Vec<Blobs>,
    batch_bytes: usize,
    held_bytes: usize,
}

impl Shard {
    /// Starts the file with its schema and no row.
    pub(super) fn start(schema: &RowSchema, file: ShardFile, batch_bytes: usize) -> Result<Self, WriteError> {
        let arrow = arrow_schema(schema);
        Ok(Self {
            writer: FileWriter::try_new_buffered(file, &arrow)?,
            schema: arrow,
            rows: RowColumns::new(schema),
            features: schema.features.iter().map(|column| (Blobs::default(), Counts::new(column))).collect(),
            audio: schema.audio.iter().map(|_| Blobs::default()).collect(),
            batch_bytes,
            held_bytes: 0,
        })
    }

    /// Writes the rows in memory as one batch.
    fn write_held(&mut self) -> Result<(), WriteError> {
        if self.held_bytes == 0 {
            return Ok(());
        }
        self.held_bytes = 0;
        let mut columns: Vec<ArrayRef> = self.rows.finish().collect();
        for (cells, counts) in &mut self.features {
            columns.push(Arc::new(cells.lend()?));
            columns.extend(counts.finish());
        }
        for sound in &mut self.audio {
            columns.push(Arc::new(sound.lend()?));
        }
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        self.writer.write(&batch)?;
        drop(batch);
        for blobs in self.features.iter_mut().map(|(cells, _)| cells).chain(&mut self.audio) {
            blobs.take_back(self.batch_bytes);
        }
        Ok(())
    }
}

impl WriteRows for Shard {
    fn push(&mut self, row: &Row<'_>) -> Result<(), WriteError> {
        let bytes = row.bytes();
        if self.held_bytes + bytes > self.batch_bytes {
            self.write_held()?;
        }
        self.rows.push(row);
        for ((cells, counts), cell) in self.features.iter_mut().zip(row.cells) {
            cells.push(&cell.bytes);
            counts.push(cell);
        }
        for (column, sound) in self.audio.iter_mut().zip(row.audio) {
            column.push(sound);
        }
        self.held_bytes += bytes;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<ShardFile>, WriteError> {
        self.write_held()?;
        let file = self.writer.into_inner()?.into_inner();
        Ok(vec![file.map_err(IntoInnerError::into_error)?])
    }
}

/// Runs of bytes. Their memory serves batch after batch: fresh memory would cost more than the copy into it.
struct Blobs {
    bytes: Vec<u8>,
    offsets: Vec<i64>,
    lent: Option<Buffer>,
}

impl Default for Blobs {
    fn default() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0], lent: None }
    }
}

impl Blobs {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.offsets.push(self.bytes.len() as i64);
    }

    /// What was pushed, as a column that must be dropped before the memory is taken back.
    fn lend(&mut self) -> Result<LargeBinaryArray, WriteError> {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let bytes = Buffer::from_vec(std::mem::take(&mut self.bytes));
        self.lent = Some(bytes.clone());
        Ok(LargeBinaryArray::try_new(OffsetBuffer::new(ScalarBuffer::from(offsets)), bytes, None)?)
    }

    /// Takes the memory back, but no more of it than `most` bytes: a large cell must not be kept room for.
    fn take_back(&mut self, most: usize) {
        self.bytes = self.lent.take().and_then(|bytes| bytes.into_vec().ok()).unwrap_or_default();
        self.bytes.clear();
        self.bytes.shrink_to(most);
    }
}
