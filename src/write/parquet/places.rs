//! Where the cells of a Parquet file lie: each behind its length, in pages that are neither compressed nor numbered.
//!
//! Of the file are read the footer, the pages' headers and the lengths of the cells.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use parquet::basic::{Compression as Codec, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};

use crate::load::parquet_page::{Encoding, Levels, MOST_BYTES, PageError, PageHeader, PageKind, Stretch};
use crate::write::contract::{RowSchema, WriteError};
use crate::write::open_file;
use crate::write::places::{CellColumn, CellPlace, ShardPlaces};

/// Where the cells of `columns` lie in the file `path`; none where one of them is stored in another way.
pub(super) fn places(path: &Path, schema: &RowSchema, columns: &[&str]) -> Result<Option<ShardPlaces>, WriteError> {
    let file = open_file(path)?;
    let length = file.metadata()?.len();
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).map_err(of_footer)?;
    let Some(leaves) = leaves(&metadata, schema, columns) else { return Ok(None) };
    let mut places = ShardPlaces { rows: 0, cells: vec![Vec::new(); leaves.len()], groups: Vec::new() };
    let mut pages = Pages { lengths: Lengths::new(&file), length };
    // Where the last chunk of each column ends.
    let mut ends = vec![0; leaves.len()];
    for group in metadata.row_groups() {
        let rows = u64::try_from(group.num_rows()).map_err(|_| damaged("a row group has less than no rows"))?;
        if rows > 0 {
            places.groups.push(places.rows);
        }
        places.rows = places.rows.checked_add(rows).ok_or_else(|| damaged("the row groups have too many rows"))?;
        for ((leaf, cells), end) in leaves.iter().zip(&mut places.cells).zip(&mut ends) {
            let chunk = group.columns().get(*leaf).ok_or_else(|| damaged("a row group lacks a column"))?;
            match pages.add(chunk, *end, cells)? {
                Some(chunk_end) => *end = chunk_end,
                None => return Ok(None),
            }
            if cells.len() as u64 != places.rows {
                return Err(damaged("a column has another number of cells than its row group has rows"));
            }
        }
    }
    if u64::try_from(metadata.file_metadata().num_rows()) != Ok(places.rows) {
        return Err(damaged("the row groups have not as many rows as the file"));
    }
    Ok(Some(places))
}

/// Which leaves of the file's schema the columns are; none where one of them is no column of byte arrays without nulls.
fn leaves(metadata: &ParquetMetaData, schema: &RowSchema, columns: &[&str]) -> Option<Vec<usize>> {
    CellColumn::find(schema, columns)?;
    let there = metadata.file_metadata().schema_descr().columns();
    let leaf = |name: &&str| {
        there.iter().position(|column| {
            matches!(column.path().parts(), [part] if part == name)
                && column.physical_type() == PhysicalType::BYTE_ARRAY
                && column.max_def_level() == 0
                && column.max_rep_level() == 0
        })
    };
    columns.iter().map(leaf).collect()
}

/// The pages of a column chunk, one after the other.
struct Pages<'a> {
    lengths: Lengths<'a>,
    /// Of the file.
    length: u64,
}

impl Pages<'_> {
    /// Adds the cells of a column chunk, and says where it ends; none where they are stored in another way. The column's chunk
    /// before it ends at byte `after`: bytes that several chunks claim would be as many cells as somebody likes.
    fn add(
        &mut self,
        chunk: &ColumnChunkMetaData,
        after: u64,
        cells: &mut Vec<CellPlace>,
    ) -> Result<Option<u64>, WriteError> {
        let number = |number: i64| u64::try_from(number).ok();
        let numbers = [chunk.data_page_offset(), chunk.compressed_size(), chunk.num_values()].map(number);
        let [Some(start), Some(size), Some(values)] = numbers else {
            return Err(damaged("a column chunk has a size or a place below zero"));
        };
        let end = start.checked_add(size).filter(|end| *end <= self.length && start >= after);
        let end = end.ok_or_else(|| damaged("a column chunk lies outside of the file, or in another one"))?;
        // The reader of pages stops at a page of that size. It has one cell.
        let too_large = size > MOST_BYTES && values == 1;
        if chunk.compression() != Codec::UNCOMPRESSED || chunk.dictionary_page_offset().is_some() || too_large {
            return Ok(None);
        }
        let before = cells.len() as u64;
        let mut at = start;
        while at < end {
            let header = match PageHeader::read(self.lengths.file, at, end) {
                Ok(header) => header,
                Err(PageError::Unsupported { .. }) => return Ok(None),
                Err(PageError::Read { source, .. }) => return Err(source.into()),
                Err(error @ PageError::Damaged { .. }) => return Err(damaged(&error.to_string())),
            };
            at = header.end();
            match header.kind {
                PageKind::Data {
                    values,
                    encoding: Encoding::Plain,
                    levels: Levels::Within | Levels::Apart { definition: 0 },
                    ..
                } if header.compressed == header.uncompressed => self.add_page(&header, values, cells)?,
                PageKind::Other => {}
                PageKind::Data { .. } | PageKind::Dictionary { .. } => return Ok(None),
            }
        }
        if cells.len() as u64 - before != values {
            return Err(damaged("a column chunk has another number of cells than its pages"));
        }
        Ok(Some(end))
    }

    /// Adds the cells of a page: each is its length in four bytes and itself. Whatever number of them is claimed, each takes four
    /// bytes of the page.
    fn add_page(&mut self, header: &PageHeader, values: u64, cells: &mut Vec<CellPlace>) -> Result<(), WriteError> {
        let (mut at, end) = (header.body, header.end());
        for _ in 0..values {
            let bytes = u64::from(self.lengths.at(at, end)?);
            let offset = at + Lengths::SIZE;
            if bytes > end - offset {
                return Err(damaged("a cell lies outside of its page"));
            }
            cells.push(CellPlace { file: 0, offset, bytes });
            at = offset + bytes;
        }
        if at == end { Ok(()) } else { Err(damaged("a page is longer than its cells")) }
    }
}

/// Lengths of cells, read with what stands around them: those of short cells come many at once.
struct Lengths<'a> {
    file: &'a File,
    held: Vec<u8>,
    /// Where the bytes held stand in the file.
    start: u64,
}

impl<'a> Lengths<'a> {
    /// Bytes of a length.
    const SIZE: u64 = size_of::<u32>() as u64;

    fn new(file: &'a File) -> Self {
        Self { file, held: Vec::new(), start: 0 }
    }

    /// The length that stands at byte `at`, before `end`.
    fn at(&mut self, at: u64, end: u64) -> Result<u32, WriteError> {
        /// What the system reads from a disk at least.
        const BLOCK: u64 = 4096;
        if end.saturating_sub(at) < Self::SIZE {
            return Err(damaged("a page ends within the length of a cell"));
        }
        if at < self.start || at + Self::SIZE > self.start + self.held.len() as u64 {
            self.held.clear();
            self.start = at;
            Stretch { file: self.file, at, end: end.min(at.saturating_add(BLOCK)) }.read_to_end(&mut self.held)?;
        }
        let first = self.held.get((at - self.start) as usize..).and_then(|bytes| bytes.first_chunk());
        first.map(|bytes| u32::from_le_bytes(*bytes)).ok_or_else(|| damaged("the file breaks off"))
    }
}

/// A footer that is none is damage; one that the disk does not give is not.
fn of_footer(error: ParquetError) -> WriteError {
    match error {
        ParquetError::External(_) => error.into(),
        error => damaged(&error.to_string()),
    }
}

fn damaged(reason: &str) -> WriteError {
    WriteError::Damaged(reason.to_owned())
}
