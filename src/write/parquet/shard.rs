//! A Parquet file being written.

use std::sync::Arc;

use super::columns::{Blobs, Cells};
use super::large_cell::LargeCell;
use super::properties::cell_type;
use super::row_groups::{Column, RowGroups};
use super::{Compression, Layout, MIB, Parquet};
use crate::write::ShardFile;
use crate::write::columns::RowColumns;
use crate::write::contract::{Row, RowSchema, WriteError, WriteRows};
use crate::write::schema::arrow_schema_with;

/// A shard being written, its current row group in memory.
pub(super) struct Shard {
    groups: RowGroups,
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
        Ok(Self {
            groups: RowGroups::start(file, arrow, format.properties(schema))?,
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
        self.groups.write(columns)
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
        self.groups.write(columns)
    }
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
        Ok(vec![self.groups.finish()?])
    }
}
