//! Where the sounds of a Parquet file are: one reference a row, without reading the sounds.
//!
//! Of an uncompressed page the lengths of its values are read, four bytes each; of a compressed one its header, and its levels
//! where a row may be null, for which it must be decompressed.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use parquet::basic::{Compression, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use crate::corpus::table::parquet_file::guarded;
use crate::corpus::{CorpusError, Place};
use crate::load::parquet_page::{
    Codec, Encoding, Hybrid, Levels, Page, PageError, PageHeader, PageKind, PageReference, Stretch,
};

/// The definition levels of a page.
type PageLevels = Hybrid<Vec<u8>>;

/// The sounds of a file, row by row.
pub(super) struct Sounds {
    path: PathBuf,
    file: File,
    /// The column's path in the schema, such as `audio.bytes`.
    column: String,
    /// The definition level of a sound that is there.
    level: u8,
    /// The column's chunks, of which the last is the next.
    chunks: Vec<Chunk>,
    chunk: Chunk,
    dictionary: Option<Dictionary>,
    page: OpenPage,
}

/// The column in one row group, as far as it is not read.
#[derive(Clone, Copy)]
struct Chunk {
    at: u64,
    end: u64,
    rows: u64,
    codec: Codec,
    may_be_null: bool,
}

/// The dictionary of a chunk.
struct Dictionary {
    /// Where its page's header stands.
    page: u64,
    /// Where each value begins and how long it is, where it is not compressed.
    places: Option<Vec<(u64, u32)>>,
}

/// A page that is being read.
struct OpenPage {
    /// Where its header stands.
    at: u64,
    row: u64,
    rows: u64,
    levels: Option<Hybrid<Vec<u8>>>,
    values: Values,
}

enum Values {
    /// Compressed: only the page can be named.
    Compressed { dictionary: bool },
    /// The next value's length is at `at`.
    Plain { at: u64, end: u64 },
    /// Numbers in a dictionary whose places are known.
    Numbers(Hybrid<Vec<u8>>),
}

impl Sounds {
    /// The sounds in the leaf `leaf` of the file's schema.
    pub(super) fn of(path: &Path, file: File, metadata: &ParquetMetaData, leaf: usize) -> Result<Self, CorpusError> {
        let fail = |reason: String| CorpusError::malformed(Place::whole(path), reason);
        let column = metadata.file_metadata().schema_descr().column(leaf);
        let name = column.path().string();
        if column.physical_type() != Type::BYTE_ARRAY || column.max_rep_level() != 0 {
            return Err(fail(format!("the column `{name}` is not one byte array a row, so it holds no sound")));
        }
        let level = u8::try_from(column.max_def_level());
        let level = level.map_err(|_| fail(format!("the column `{name}` lies too deep in other columns")))?;
        let length = file.metadata().map_err(|source| CorpusError::Read { path: path.to_owned(), source })?.len();
        let mut chunks = Vec::with_capacity(metadata.num_row_groups());
        for group in metadata.row_groups() {
            let rows = u64::try_from(group.num_rows()).map_err(|_| fail("a row group of negative size".to_owned()))?;
            chunks.push(guarded(path, || Ok(Chunk::of(group.column(leaf), rows, level)))?.map_err(fail)?);
        }
        if chunks.iter().any(|chunk| chunk.end > length) {
            return Err(fail(format!("the column `{name}` goes beyond the end of the file: it is cut, copy it again")));
        }
        chunks.reverse();
        let chunk = Chunk { at: 0, end: 0, rows: 0, codec: Codec::Uncompressed, may_be_null: false };
        let values = Values::Compressed { dictionary: false };
        let page = OpenPage { at: 0, row: 0, rows: 0, levels: None, values };
        Ok(Self { path: path.to_owned(), file, column: name, level, chunks, chunk, dictionary: None, page })
    }

    /// What stands behind the `#` of the next row's reference; none where the row is null.
    pub(super) fn next_sound(&mut self) -> Result<Option<String>, CorpusError> {
        while self.page.row == self.page.rows {
            if self.chunk.rows > 0 {
                self.open_page()?;
            } else {
                self.chunk = self.chunks.pop().ok_or_else(|| self.error("the file has more rows than sounds"))?;
                self.dictionary = None;
            }
        }
        let found = self.page.next_in(&self.file, self.dictionary.as_ref(), self.level);
        let found = found.map_err(|error| self.page_error(&error))?;
        self.chunk.rows = self.chunk.rows.saturating_sub(1);
        let row = self.page.row - 1;
        Ok(found.map(|found| match found {
            Found::Bytes { offset, length } => format!("offset={offset}&length={length}"),
            Found::InPage { dictionary } => PageReference {
                column: self.column.clone(),
                page: self.page.at,
                row,
                codec: self.chunk.codec,
                levels: self.level,
                dictionary,
            }
            .to_string(),
        }))
    }

    fn error(&self, reason: &str) -> CorpusError {
        let reason = format!("the column `{}`: {reason}", self.column);
        CorpusError::malformed(Place::whole(&self.path), reason)
    }

    fn page_error(&self, error: &PageError) -> CorpusError {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        self.error(&format!("{error}{cause}"))
    }

    /// Goes on with the next page of the chunk.
    fn open_page(&mut self) -> Result<(), CorpusError> {
        let Chunk { at, end, rows, .. } = self.chunk;
        if at >= end {
            return Err(self.error("a row group has more rows than sounds"));
        }
        let header = PageHeader::read(&self.file, at, end).map_err(|error| self.page_error(&error))?;
        self.chunk.at = header.end();
        let opened = match header.kind {
            PageKind::Other => Ok(None),
            PageKind::Dictionary { values } => {
                let known = self.chunk.codec == Codec::Uncompressed;
                let places = known.then(|| places(&self.file, at, &header, values)).transpose();
                places.map(|places| {
                    self.dictionary = Some(Dictionary { page: at, places });
                    None
                })
            }
            PageKind::Data { values, .. } if values > rows => {
                return Err(self.error("a row group has more sounds than rows"));
            }
            PageKind::Data { values, nulls, encoding, levels } => {
                self.open_rows(at, &header, nulls, encoding, levels).map(|(levels, in_place)| {
                    let values_at = OpenPage { at, row: 0, rows: values, levels, values: in_place };
                    Some(values_at)
                })
            }
        };
        if let Some(page) = opened.map_err(|error| self.page_error(&error))? {
            self.page = page;
        }
        Ok(())
    }

    /// The levels of a page, and how its values are found.
    fn open_rows(
        &self,
        at: u64,
        header: &PageHeader,
        nulls: Option<u64>,
        encoding: Encoding,
        levels: Levels,
    ) -> Result<(Option<PageLevels>, Values), PageError> {
        let Chunk { end, codec, .. } = self.chunk;
        let dictionary = match encoding {
            Encoding::Plain => None,
            Encoding::Dictionary => {
                let reason = "it follows a dictionary that is not there";
                Some(self.dictionary.as_ref().ok_or(PageError::Damaged { page: at, reason })?)
            }
            Encoding::Other(reason) => return Err(PageError::Unsupported { page: at, reason }),
        };
        let uncompressed = codec == Codec::Uncompressed || !header.is_compressed;
        if !uncompressed || dictionary.is_some_and(|dictionary| dictionary.places.is_none()) {
            let values = Values::Compressed { dictionary: dictionary.is_some() };
            if !self.chunk.may_be_null || nulls == Some(0) {
                return Ok((None, values));
            }
            let page = Page::read(&self.file, at, end, codec, self.level)?;
            return Ok((page.levels().map(|levels| levels.to_owned()), values));
        }
        let read = |source| PageError::Read { page: at, source };
        let mut body = Stretch { file: &self.file, at: header.body, end: header.end() };
        let length = match levels {
            Levels::Apart { definition } => definition,
            Levels::Within if self.level == 0 => 0,
            Levels::Within => u64::from(length(&mut body).map_err(read)?),
        };
        let levels = body.exactly(length).map_err(read)?;
        let levels = (self.level > 0).then(|| Hybrid::of_levels(levels, self.level));
        if dictionary.is_none() {
            return Ok((levels, Values::Plain { at: body.at, end: body.end }));
        }
        let mut numbers = body.exactly(body.end - body.at).map_err(read)?;
        let width = if numbers.is_empty() { 0 } else { numbers.remove(0) };
        Ok((levels, Values::Numbers(Hybrid::new(numbers, width))))
    }
}

/// Where a sound is.
enum Found {
    Bytes { offset: u64, length: u32 },
    InPage { dictionary: Option<u64> },
}

impl OpenPage {
    /// Where the sound of the next row is; none where it is null.
    fn next_in(&mut self, file: &File, dictionary: Option<&Dictionary>, level: u8) -> Result<Option<Found>, PageError> {
        let damaged = |reason| PageError::Damaged { page: self.at, reason };
        self.row += 1;
        if let Some(levels) = &mut self.levels {
            let own = levels.next_value().ok_or(damaged("it has fewer levels than rows"))?;
            if own != u32::from(level) {
                return Ok(None);
            }
        }
        match &mut self.values {
            Values::Compressed { dictionary: coded } => {
                let dictionary = dictionary.filter(|_| *coded).map(|dictionary| dictionary.page);
                Ok(Some(Found::InPage { dictionary }))
            }
            Values::Plain { at, end } => {
                let (offset, length) = place(file, self.at, at, *end)?;
                Ok(Some(Found::Bytes { offset, length }))
            }
            Values::Numbers(numbers) => {
                let number = numbers.next_value().ok_or(damaged("it ends within its numbers"))?;
                let places = dictionary.and_then(|dictionary| dictionary.places.as_ref());
                let found = places.and_then(|places| places.get(number as usize));
                let (offset, length) = *found.ok_or(damaged("it numbers a value that its dictionary lacks"))?;
                Ok(Some(Found::Bytes { offset, length }))
            }
        }
    }
}

impl Chunk {
    /// A column chunk as the file's footer describes it, or what is wrong with it.
    fn of(chunk: &ColumnChunkMetaData, rows: u64, level: u8) -> Result<Self, String> {
        let codec = match chunk.compression() {
            Compression::UNCOMPRESSED => Codec::Uncompressed,
            Compression::SNAPPY => Codec::Snappy,
            Compression::GZIP(_) => Codec::Gzip,
            Compression::ZSTD(_) => Codec::Zstd,
            Compression::LZ4_RAW => Codec::Lz4Raw,
            other => {
                return Err(format!(
                    "its sound is compressed as {other}, which is not read: write it again without compression, or as snappy, \
                     gzip, zstd or lz4"
                ));
            }
        };
        let dictionary = chunk.dictionary_page_offset().filter(|at| (1..chunk.data_page_offset()).contains(at));
        let negative = |_| "a column chunk at a negative place".to_owned();
        let at = u64::try_from(dictionary.unwrap_or(chunk.data_page_offset())).map_err(negative)?;
        let length = u64::try_from(chunk.compressed_size()).map_err(negative)?;
        let nulls = chunk.statistics().and_then(parquet::file::statistics::Statistics::null_count_opt);
        let end = at.checked_add(length).ok_or_else(|| "a column chunk without an end".to_owned())?;
        Ok(Self { at, end, rows, codec, may_be_null: level > 0 && nulls != Some(0) })
    }
}

/// Four bytes as a length.
fn length(from: &mut Stretch<'_>) -> std::io::Result<u32> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    Ok(u32::from_le_bytes(length))
}

/// Where the plain value is whose length stands at `at`, and moves `at` behind it.
fn place(file: &File, page: u64, at: &mut u64, end: u64) -> Result<(u64, u32), PageError> {
    let damaged = || PageError::Damaged { page, reason: "it ends within a value" };
    if end.saturating_sub(*at) < 4 {
        return Err(damaged());
    }
    let length = length(&mut Stretch { file, at: *at, end }).map_err(|source| PageError::Read { page, source })?;
    let offset = *at + 4;
    if u64::from(length) > end - offset {
        return Err(damaged());
    }
    *at = offset + u64::from(length);
    Ok((offset, length))
}

/// Where the values of an uncompressed dictionary are.
fn places(file: &File, page: u64, header: &PageHeader, values: u64) -> Result<Vec<(u64, u32)>, PageError> {
    let mut at = header.body;
    let mut places = Vec::new();
    while (places.len() as u64) < values {
        places.push(place(file, page, &mut at, header.end())?);
    }
    Ok(places)
}
