//! A Parquet file being written.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::file::writer::SerializedFileWriter;

use super::columns::{Blobs, Cells};
use super::large_cell::LargeCell;
use super::properties::cell_type;
use super::{Compression, Layout, MIB, Parquet};
use crate::write::ShardFile;
use crate::write::columns::RowColumns;
use crate::write::contract::{Row, RowSchema, WriteError, WriteRows};
use crate::write::schema::arrow_schema_with;

/// A shard being written, its current row group in memory.
pub(super) struct Shard {
    arrow: SchemaRef,
    writer: SerializedFileWriter<ShardFile>,
    columns: ArrowRowGroupWriterFactory,
    groups: usize,
    rows: RowColumns,
    features: Vec<Cells>,
    audio: Vec<Blobs>,
    /// Whether cells go into the file as they are.
    plain: bool,
    group_bytes: usize,
    held_bytes: usize,
}

impl Shard {
    /// Starts the file with its schema and no row.
    pub(super) fn start(format: &Parquet, schema: &RowSchema, file: ShardFile) -> Result<Self, WriteError> {
        let arrow = arrow_schema_with(schema, |column| cell_type(column, format.layout));
        let group_bytes = (format.row_group_mib * MIB) as usize;
        let writer = ArrowWriter::try_new(file, arrow.clone(), Some(format.properties(schema)))?;
        let (writer, columns) = writer.into_serialized_writer()?;
        Ok(Self {
            writer,
            columns,
            groups: 0,
            arrow,
            plain: format.layout == Layout::Binary && format.compression == Compression::None,
            rows: RowColumns::new(schema),
            audio: schema.audio.iter().map(|_| Blobs::new(0)).collect(),
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
        let mut columns: Vec<Column<'_>> = self.rows.finish().map(Column::Array).collect();
        for cells in &mut self.features {
            columns.extend(cells.finish()?.map(Column::Array));
        }
        columns.extend(self.audio.iter_mut().map(|sound| Column::Array(Arc::new(sound.finish()))));
        self.write_group(columns)
    }

    /// Writes a row as a row group of its own, its cells as they are.
    fn write_large(&mut self, row: &Row<'_>) -> Result<(), WriteError> {
        self.rows.push(row);
        let mut columns: Vec<Column<'_>> = self.rows.finish().map(Column::Array).collect();
        for (cells, cell) in self.features.iter_mut().zip(row.cells) {
            cells.push_counts(cell);
            columns.push(Column::Cell(LargeCell::new(&cell.bytes)));
            columns.extend(cells.finish_counts().map(Column::Array));
        }
        columns.extend(row.audio.iter().map(|sound| Column::Cell(LargeCell::new(sound))));
        self.write_group(columns)
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
        let bytes = row.bytes();
        if self.held_bytes > 0 && self.held_bytes + bytes > self.group_bytes {
            self.write_held()?;
        }
        let mut blobs = row.cells.iter().map(|cell| &cell.bytes).chain(row.audio);
        if self.plain && blobs.any(|blob| blob.len() >= self.group_bytes) {
            self.write_held()?;
            return self.write_large(row);
        }
        self.rows.push(row);
        for (cells, cell) in self.features.iter_mut().zip(row.cells) {
            cells.push(cell);
        }
        for (column, sound) in self.audio.iter_mut().zip(row.audio) {
            column.push(sound);
        }
        self.held_bytes += bytes;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<ShardFile>, WriteError> {
        self.write_held()?;
        Ok(vec![self.writer.into_inner()?])
    }
}
