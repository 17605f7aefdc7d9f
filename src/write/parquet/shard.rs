//! A Parquet file being written.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;

use super::columns::{Cells, Extra, Fixed, Sound};
use super::schema::arrow_schema;
use super::{MIB, Parquet};
use crate::corpus::Value;
use crate::write::ShardFile;
use crate::write::contract::{Row, RowSchema, WriteError, WriteRows};

/// A shard being written, its current row group in memory.
pub(super) struct Shard {
    arrow: SchemaRef,
    writer: ArrowWriter<ShardFile>,
    fixed: Fixed,
    extras: Vec<Extra>,
    sound: Vec<Sound>,
    features: Vec<Cells>,
    group_bytes: usize,
    held_bytes: usize,
}

impl Shard {
    /// Starts the file with its schema and no row.
    pub(super) fn start(format: &Parquet, schema: &RowSchema, file: ShardFile) -> Result<Self, WriteError> {
        let arrow = arrow_schema(schema, format.layout);
        let group_bytes = (format.row_group_mib * MIB) as usize;
        Ok(Self {
            writer: ArrowWriter::try_new(file, arrow.clone(), Some(format.properties(schema)))?,
            arrow,
            fixed: Fixed::default(),
            extras: schema.extras.iter().map(|(_, kind)| Extra::new(*kind)).collect(),
            sound: schema.sound.iter().map(|column| Sound::new(column.number)).collect(),
            features: schema
                .features
                .iter()
                .map(|column| Cells::new(column.clone(), format.layout, group_bytes))
                .collect(),
            group_bytes,
            held_bytes: 0,
        })
    }

    /// Writes the rows in memory as one row group.
    fn write_group(&mut self) -> Result<(), WriteError> {
        if self.held_bytes == 0 {
            return Ok(());
        }
        let mut columns: Vec<ArrayRef> = self.fixed.finish().into();
        columns.extend(self.extras.iter_mut().map(Extra::finish));
        columns.extend(self.sound.iter_mut().map(Sound::finish));
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
        let text = |value: Value<'_>| if let Value::String(text) = value { text.len() } else { 0 };
        let texts = row.table.text(row.utterance).map_or(0, str::len)
            + (0..self.extras.len()).map(|extra| text(row.table.extra(extra, row.utterance))).sum::<usize>();
        let cell_bytes = texts + row.cells.iter().map(|cell| cell.bytes.len()).sum::<usize>();
        if self.held_bytes > 0 && self.held_bytes + cell_bytes + ROW_BYTES > self.group_bytes {
            self.write_group()?;
        }
        self.fixed.push(row);
        for (index, extra) in self.extras.iter_mut().enumerate() {
            extra.push(row.table.extra(index, row.utterance));
        }
        for (column, value) in self.sound.iter_mut().zip(row.sound) {
            column.push(*value);
        }
        for (cells, cell) in self.features.iter_mut().zip(row.cells) {
            cells.push(cell);
        }
        self.held_bytes += cell_bytes + ROW_BYTES;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<ShardFile, WriteError> {
        self.write_group()?;
        Ok(self.writer.into_inner()?)
    }
}
