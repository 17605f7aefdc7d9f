//! A Parquet file of declared features being written.

use arrow::array::StringBuilder;

use super::columns::{arrays_of, sound_of};
use super::features::{file_schema, properties};
use crate::write::ShardFile;
use crate::write::columns::{Counts, RowColumns};
use crate::write::contract::{AudioColumn, FeatureColumn, Row, RowSchema, WriteError, WriteRows};
use crate::write::parquet::{Blobs, Column, RowGroups};

/// A shard being written, its current row group in memory.
pub(super) struct Shard {
    groups: RowGroups,
    rows: RowColumns,
    features: Vec<(FeatureColumn, Blobs, Counts)>,
    audio: Vec<(AudioColumn, Blobs, StringBuilder)>,
    group_bytes: usize,
    held_bytes: usize,
}

impl Shard {
    /// Starts the file with its schema and no row.
    pub(super) fn start(schema: &RowSchema, file: ShardFile, group_bytes: usize) -> Result<Self, WriteError> {
        let columns = file_schema(schema);
        let properties = properties(schema, &columns);
        let feature = |column: &FeatureColumn| (column.clone(), Blobs::new(group_bytes), Counts::new(column));
        let audio = |column: &AudioColumn| (column.clone(), Blobs::new(0), StringBuilder::new());
        Ok(Self {
            groups: RowGroups::start(file, columns, properties)?,
            rows: RowColumns::new(schema),
            features: schema.features.iter().map(feature).collect(),
            audio: schema.audio.iter().map(audio).collect(),
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
        for (column, cells, counts) in &mut self.features {
            columns.push(Column::Array(arrays_of(cells.finish(), column)?));
            columns.extend(counts.finish().map(Column::Array));
        }
        for (_, sound, paths) in &mut self.audio {
            columns.push(Column::Array(sound_of(sound.finish(), paths.finish())?));
        }
        self.groups.write(columns)
    }
}

impl WriteRows for Shard {
    fn push(&mut self, row: &Row<'_>) -> Result<(), WriteError> {
        let bytes = row.bytes();
        if self.held_bytes + bytes > self.group_bytes {
            self.write_held()?;
        }
        self.rows.push(row);
        for ((_, cells, counts), cell) in self.features.iter_mut().zip(row.cells) {
            cells.push(&cell.bytes);
            counts.push(cell);
        }
        for ((column, bytes, paths), sound) in self.audio.iter_mut().zip(row.audio) {
            bytes.push(sound);
            paths.append_value(format!("{}.{}", row.key.replace('/', "_"), column.extension()));
        }
        self.held_bytes += bytes;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<ShardFile>, WriteError> {
        self.write_held()?;
        Ok(vec![self.groups.finish()?])
    }
}
