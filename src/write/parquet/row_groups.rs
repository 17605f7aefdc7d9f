//! The row groups of a Parquet file, one column after the other: no more than one is in memory in two shapes.

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use super::large_cell::LargeCell;
use crate::write::ShardFile;
use crate::write::contract::WriteError;

/// A file of row groups.
pub(in crate::write) struct RowGroups {
    schema: SchemaRef,
    writer: SerializedFileWriter<ShardFile>,
    columns: ArrowRowGroupWriterFactory,
    groups: usize,
}

/// One column of a row group.
pub(in crate::write) enum Column<'c> {
    Array(ArrayRef),
    /// The only value of a column.
    Cell(LargeCell<'c>),
}

impl RowGroups {
    /// Starts the file with its schema and no row.
    pub(in crate::write) fn start(
        file: ShardFile,
        schema: SchemaRef,
        properties: WriterProperties,
    ) -> Result<Self, WriteError> {
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))?;
        let (writer, columns) = writer.into_serialized_writer()?;
        Ok(Self { schema, writer, columns, groups: 0 })
    }

    /// Writes a row group.
    pub(in crate::write) fn write(&mut self, columns: Vec<Column<'_>>) -> Result<(), WriteError> {
        let mut writers = self.columns.create_column_writers(self.groups)?.into_iter();
        self.groups += 1;
        let descriptions = self.writer.schema_descr().columns().to_vec();
        let mut group = self.writer.next_row_group()?;
        let mut leaves = 0;
        for (field, column) in self.schema.fields().iter().zip(columns) {
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

    /// Writes the footer.
    pub(in crate::write) fn finish(self) -> Result<ShardFile, WriteError> {
        Ok(self.writer.into_inner()?)
    }
}
