//! A shard while rows of it are read, in any order: where each cell lies, the rows' texts and numbers, and their checksums.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;

use arrow::array::{Array, AsArray, LargeBinaryArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float32Type, Int32Type, Schema};

use super::error::{Damage, DamageKind, DamagedRow, LoaderError};
use super::source::{Shard, Source};
use super::{Verify, file_at};
use crate::manifest::RowChecksums;
use crate::transform::ExtractError;
use crate::write::{CellPlace, ShardPlaces, WriteError, row_checksum};

/// What is read of every shard of a dataset.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// The columns whose cells are read.
    pub(super) cells: Vec<String>,
    /// All other columns that are read, in the order of the schema.
    pub(super) values: Vec<String>,
    pub(super) verify: Verify,
}

/// A shard that rows are read from.
#[derive(Debug)]
pub(super) struct OpenShard {
    number: usize,
    paths: Vec<PathBuf>,
    /// Those of its files that cells lie in; or the one with all of them.
    files: Vec<Option<File>>,
    places: ShardPlaces,
    /// The columns beside the cells, all rows.
    values: RecordBatch,
    /// Nothing where nothing is verified.
    checksums: Option<RowChecksums>,
    /// Rows whose texts or numbers are not those that were written.
    wrong: Vec<bool>,
}

impl OpenShard {
    pub(super) fn open(source: &Source, shard: &Shard, wanted: &Wanted) -> Result<Self, LoaderError> {
        let paths = source.paths(shard);
        let first = paths.first().cloned().unwrap_or_default();
        let damage = |path: &PathBuf, kind| Damage {
            path: path.clone(),
            shard: shard.number,
            row: None,
            source: Box::new(kind),
        };
        let format = |error| damage(&first, DamageKind::Format(error));
        for (path, entry) in paths.iter().zip(&shard.entry.files) {
            let found = path.metadata().map_err(|error| damage(path, DamageKind::Unreadable(error)))?.len();
            if found != entry.bytes {
                return Err(damage(path, DamageKind::Size { found, expected: entry.bytes }).into());
            }
        }
        let member = source.format.member();
        let cells: Vec<&str> = wanted.cells.iter().map(String::as_str).collect();
        let values: Vec<&str> = wanted.values.iter().map(String::as_str).collect();
        let mut parts = Vec::new();
        let places = member.places(&source.schema, &paths, &cells).map_err(format)?;
        let (places, files) = if let Some(places) = places {
            for batch in member.read(&source.schema, &paths, Some(&values)).map_err(format)? {
                parts.push(batch.map_err(format)?);
            }
            let used = |file: usize| places.cells.iter().any(|cells| cells.iter().any(|cell| cell.file == file));
            let open = |(file, path): (usize, &PathBuf)| {
                let opened = used(file).then(|| File::open(path)).transpose();
                opened.map_err(|error| damage(path, DamageKind::Unreadable(error)))
            };
            let files = paths.iter().enumerate().map(open).collect::<Result<_, _>>()?;
            (places, files)
        } else {
            let columns: Vec<&str> = values.iter().chain(&cells).copied().collect();
            let failed = |source| LoaderError::Spool { shard: first.clone(), source };
            let mut spool = Spool::new(cells.len()).map_err(failed)?;
            for batch in member.read(&source.schema, &paths, Some(&columns)).map_err(format)? {
                let batch = batch.map_err(format)?;
                for (column, name) in cells.iter().enumerate() {
                    let cells = batch.column_by_name(name).and_then(|cells| cells.as_binary_opt::<i64>());
                    let there = || format(WriteError::Damaged(format!("the column `{name}` is not there")));
                    spool.take(column, cells.ok_or_else(there)?).map_err(failed)?;
                }
                spool.places.rows += batch.num_rows() as u64;
                let schema = batch.schema();
                let fields = schema.fields().iter().enumerate();
                let rest = fields.filter(|(_, field)| values.contains(&field.name().as_str())).map(|(place, _)| place);
                let rest = batch.project(&rest.collect::<Vec<_>>());
                parts.push(rest.map_err(|error| format(WriteError::Arrow(error)))?);
            }
            let (file, places) = spool.finish().map_err(failed)?;
            (places, vec![Some(file)])
        };
        let values = joined(&parts).map_err(|error| format(WriteError::Arrow(error)))?;
        let rows = shard.entry.rows;
        let found = if wanted.cells.is_empty() { rows } else { places.rows };
        if values.num_rows() as u64 != rows || found != rows {
            let reason = format!("it has {} rows, and the manifest says {rows}", values.num_rows());
            return Err(format(WriteError::Damaged(reason)).into());
        }
        let mut this = Self { number: shard.number, paths, files, places, values, checksums: None, wrong: Vec::new() };
        if wanted.verify != Verify::Never {
            let checksums = source.checksums(shard)?;
            let found = row_checksum::of_batch(&this.values, &source.schema).map_err(format)?;
            let enough = |count: usize| count as u64 == rows;
            if !enough(checksums.rows.0.len())
                || !wanted.cells.iter().all(|name| checksums.cells.get(name).is_some_and(|sums| enough(sums.0.len())))
            {
                return Err(LoaderError::Record {
                    path: source.folder.record(shard.number),
                    reason:
                        "it has no checksums of rows, as datasets of an earlier version: make it anew, or do not verify"
                            .to_owned(),
                });
            }
            this.wrong = found.iter().zip(&checksums.rows.0).map(|(found, written)| found != written).collect();
            this.checksums = Some(checksums);
        }
        Ok(this)
    }

    /// The columns beside the cells.
    pub(super) const fn values(&self) -> &RecordBatch {
        &self.values
    }

    /// How many bytes the cell of a row has; `column` is its place among those wanted.
    pub(super) fn cell_bytes(&self, column: usize, row: usize) -> usize {
        self.places.cells[column][row].bytes as usize
    }

    /// Frames of a row in a column, or another count of 32 bits that stands beside the cells.
    pub(super) fn count(&self, name: &str, row: usize) -> Result<usize, Damage> {
        let counts = self.values.column_by_name(name).and_then(|counts| counts.as_primitive_opt::<Int32Type>());
        let count = counts.and_then(|counts| usize::try_from(counts.value(row)).ok());
        count.ok_or_else(|| self.wrong_cell(name, row, "it is no count".to_owned()))
    }

    /// What the integers of a row are to be multiplied with, as it stands in the column `name`.
    pub(super) fn scale(&self, name: &str, row: usize) -> Result<f32, Damage> {
        let scales = self.values.column_by_name(name).and_then(|scales| scales.as_primitive_opt::<Float32Type>());
        scales.map(|scales| scales.value(row)).ok_or_else(|| self.wrong_cell(name, row, "it is no scale".to_owned()))
    }

    /// Holds the texts and numbers of a row against their checksum.
    pub(super) fn check_values(&self, row: usize) -> Result<(), Damage> {
        if self.wrong.get(row) == Some(&true) {
            return Err(self.damage(row, 0, DamageKind::Checksum { column: "*".to_owned() }));
        }
        Ok(())
    }

    /// Reads the cell of a row, all of it, into `out`, and holds it against its checksum if `verify`.
    pub(super) fn read_cell(
        &self,
        column: usize,
        name: &str,
        row: usize,
        verify: bool,
        out: &mut [u8],
    ) -> Result<(), Damage> {
        let CellPlace { file, offset, .. } = self.places.cells[column][row];
        let read = match &self.files[file] {
            Some(file) => file_at::read_exact(file, out, offset),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        read.map_err(|error| self.damage(row, file, DamageKind::Unreadable(error)))?;
        if verify
            && let Some(checksums) = &self.checksums
            && checksums.cells.get(name).is_none_or(|sums| sums.0[row] != row_checksum::of_cell(out))
        {
            return Err(self.damage(row, file, DamageKind::Checksum { column: name.to_owned() }));
        }
        Ok(())
    }

    /// A row whose frames cannot be made into those that are asked for.
    pub(super) fn not_transformed(&self, name: &str, row: usize, source: ExtractError) -> Damage {
        self.damage(row, 0, DamageKind::Transform { column: name.to_owned(), source })
    }

    /// A row whose cell is not what its column says.
    pub(super) fn wrong_cell(&self, name: &str, row: usize, reason: String) -> Damage {
        self.damage(row, 0, DamageKind::Cell { column: name.to_owned(), reason })
    }

    fn damage(&self, row: usize, file: usize, source: DamageKind) -> Damage {
        let keys = self.values.column_by_name("key").and_then(|keys| keys.as_string_opt::<i32>());
        let groups = &self.places.groups;
        let group =
            (!groups.is_empty()).then(|| groups.partition_point(|first| *first <= row as u64).saturating_sub(1));
        let row = DamagedRow {
            number: row as u64,
            group,
            key: keys.filter(|keys| row < keys.len()).map(|keys| keys.value(row).to_owned()),
        };
        let path = self.paths.get(file).or(self.paths.first()).cloned().unwrap_or_default();
        Damage { path, shard: self.number, row: Some(Box::new(row)), source: Box::new(source) }
    }
}

fn joined(parts: &[RecordBatch]) -> Result<RecordBatch, arrow::error::ArrowError> {
    match parts {
        [] => Ok(RecordBatch::new_empty(Schema::empty().into())),
        [first, ..] => concat_batches(&first.schema(), parts),
    }
}

/// The cells of a shard whose format has them compressed or in lists, put into a file without a name as they are once read: so
/// rows can be read in any order, and memory does not hold a shard.
struct Spool {
    file: io::BufWriter<File>,
    places: ShardPlaces,
    end: u64,
}

impl Spool {
    fn new(columns: usize) -> io::Result<Self> {
        let places = ShardPlaces { rows: 0, cells: vec![Vec::new(); columns], groups: Vec::new() };
        Ok(Self { file: io::BufWriter::with_capacity(1 << 18, tempfile::tempfile()?), places, end: 0 })
    }

    /// Takes the next cells of a column.
    fn take(&mut self, column: usize, cells: &LargeBinaryArray) -> io::Result<()> {
        for row in 0..cells.len() {
            let bytes = cells.value(row);
            self.file.write_all(bytes)?;
            self.places.cells[column].push(CellPlace { file: 0, offset: self.end, bytes: bytes.len() as u64 });
            self.end += bytes.len() as u64;
        }
        Ok(())
    }

    fn finish(self) -> io::Result<(File, ShardPlaces)> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok((file, self.places))
    }
}
