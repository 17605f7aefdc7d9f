//! A Parquet file being written.

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::file::writer::SerializedFileWriter;

use super::columns::{Cells, Extra, Fixed, Sound};
use super::large_cell::LargeCell;
use super::schema::arrow_schema;
use super::{Compression, Layout, MIB, Parquet};
use crate::corpus::Value;
use crate::write::ShardFile;
use crate::write::contract::{Cell, Row, RowSchema, WriteError, WriteRows};

/// A shard being written, its current row group in memory.
pub(super) struct Shard {
    arrow: SchemaRef,
    writer: SerializedFileWriter<ShardFile>,
    columns: ArrowRowGroupWriterFactory,
    groups: usize,
    fixed: Fixed,
    extras: Vec<Extra>,
    sound: Vec<Sound>,
    features: Vec<Cells>,
    /// Whether cells go into the file as they are.
    plain: bool,
    group_bytes: usize,
    held_bytes: usize,
}

impl Shard {
    /// Starts the file with its schema and no row.
    pub(super) fn start(format: &Parquet, schema: &RowSchema, file: ShardFile) -> Result<Self, WriteError> {
        let arrow = arrow_schema(schema, format.layout);
        let group_bytes = (format.row_group_mib * MIB) as usize;
        let writer = ArrowWriter::try_new(file, arrow.clone(), Some(format.properties(schema)))?;
        let (writer, columns) = writer.into_serialized_writer()?;
        Ok(Self {
            writer,
            columns,
            groups: 0,
            arrow,
            plain: format.layout == Layout::Binary && format.compression == Compression::None,
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
    fn write_held(&mut self) -> Result<(), WriteError> {
        if self.held_bytes == 0 {
            return Ok(());
        }
        self.held_bytes = 0;
        let mut columns = self.finish_row_columns();
        for cells in &mut self.features {
            columns.extend(cells.finish()?.map(Column::Array));
        }
        self.write_group(columns)
    }

    /// Writes a row as a row group of its own, its cells as they are.
    fn write_large(&mut self, row: &Row<'_>) -> Result<(), WriteError> {
        let mut columns = self.finish_row_columns();
        for (cells, cell) in self.features.iter_mut().zip(row.cells) {
            let [_, frames] = cells.finish()?;
            columns.extend([Column::Cell(LargeCell::new(&cell.bytes)), Column::Array(frames)]);
        }
        self.write_group(columns)
    }

    /// The columns of the rows in memory, but for the features.
    fn finish_row_columns<'c>(&mut self) -> Vec<Column<'c>> {
        let fixed = self.fixed.finish().into_iter();
        let extras = self.extras.iter_mut().map(Extra::finish);
        let sound = self.sound.iter_mut().map(Sound::finish);
        fixed.chain(extras).chain(sound).map(Column::Array).collect()
    }

    fn write_group(&mut self, columns: Vec<Column<'_>>) -> Result<(), WriteError> {
        let mut writers = self.columns.create_column_writers(self.groups)?.into_iter();
        self.groups += 1;
        let descriptions = self.writer.schema_descr().columns().to_vec();
        let mut group = self.writer.next_row_group()?;
        let mut leaves = 0;
        for (field, column) in self.arrow.fields().iter().zip(columns) {
            match column {
                Column::Array(array) => {
                    for (leaf, mut writer) in compute_leaves(field, &array)?.iter().zip(&mut writers) {
                        writer.write(leaf)?;
                        writer.close()?.append_to_row_group(&mut group)?;
                        leaves += 1;
                    }
                }
                Column::Cell(cell) => {
                    // Its writer stays empty.
                    drop(writers.next());
                    let close = cell.close(descriptions[leaves].clone())?;
                    group.append_column(&cell, close)?;
                    leaves += 1;
                }
            }
        }
        group.close()?;
        Ok(())
    }
}

/// One column of a row group.
enum Column<'c> {
    Array(ArrayRef),
    /// The only value of a column.
    Cell(LargeCell<'c>),
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
            self.write_held()?;
        }
        let is_large = |cell: &Cell| cell.bytes.len() >= self.group_bytes;
        let alone = self.plain && row.cells.iter().any(is_large);
        if alone {
            self.write_held()?;
        }
        self.fixed.push(row);
        for (index, extra) in self.extras.iter_mut().enumerate() {
            extra.push(row.table.extra(index, row.utterance));
        }
        for (column, value) in self.sound.iter_mut().zip(row.sound) {
            column.push(*value);
        }
        if alone {
            for (cells, cell) in self.features.iter_mut().zip(row.cells) {
                cells.push_frames(cell);
            }
            return self.write_large(row);
        }
        for (cells, cell) in self.features.iter_mut().zip(row.cells) {
            cells.push(cell);
        }
        self.held_bytes += cell_bytes + ROW_BYTES;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<ShardFile, WriteError> {
        self.write_held()?;
        Ok(self.writer.into_inner()?)
    }
}
