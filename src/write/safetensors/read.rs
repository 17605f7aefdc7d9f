//! A safetensors file being read, row by row.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use safetensors::Dtype as TensorType;
use safetensors::tensor::Metadata as Header;

use super::{ROWS, offsets_name, tensor_type};
use crate::write::Metadata;
use crate::write::contract::{Batches, RowSchema, WriteError};
use crate::write::open_file;
use crate::write::rows_back::{StoredRow, StoredRows, Wanted, batches, next_line};

/// The length of the header, and the largest that safetensors knows.
const LENGTH: u64 = 8;
const LONGEST_HEADER: u64 = 100_000_000;

/// Opens a shard.
pub(super) fn open(
    schema: &RowSchema,
    tensors: &Path,
    lines: &Path,
    columns: Option<&[&str]>,
) -> Result<Batches, WriteError> {
    let mut file = open_file(tensors)?;
    let (header, start) = header(&mut file)?;
    let rows = stored_rows(&header)?;
    let wanted = Wanted::new(schema, columns);
    let find =
        |name: &str, dtype, bins, frame_bytes| Packed::find(&header, start, rows, name, dtype, bins, frame_bytes);
    let features = schema.features.iter().zip(&wanted.features).map(|(column, wanted)| {
        let packed = find(&column.name, tensor_type(column.dtype), column.bins, column.frame_bytes())?;
        Ok(wanted.then_some(packed))
    });
    let audio = schema.audio.iter().zip(&wanted.audio).map(|(column, wanted)| {
        let packed = find(&column.name, TensorType::U8, None, 1)?;
        Ok(wanted.then_some(packed))
    });
    let rows = PackedRows {
        features: features.collect::<Result<_, WriteError>>()?,
        audio: audio.collect::<Result<_, WriteError>>()?,
        lines: BufReader::new(open_file(lines)?),
        line: Vec::new(),
        file,
        row: 0,
        rows,
    };
    Ok(batches(schema, columns, rows))
}

/// How many rows the file says it has.
pub(super) fn stored_rows(header: &Header) -> Result<u64, WriteError> {
    let rows = header.metadata().as_ref().and_then(|metadata| metadata.get(ROWS)?.parse().ok());
    rows.ok_or_else(|| damaged("the safetensors file does not say how many rows it has"))
}

/// The file's header, and where its tensors start.
pub(super) fn header(file: &mut File) -> Result<(Header, u64), WriteError> {
    let all = file.metadata()?.len();
    let breaks_off = || damaged("the safetensors file breaks off");
    let mut length = [0; LENGTH as usize];
    if all < LENGTH {
        return Err(breaks_off());
    }
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > (all - LENGTH).min(LONGEST_HEADER) {
        return Err(breaks_off());
    }
    let mut bytes = vec![0; length as usize];
    file.read_exact(&mut bytes)?;
    let header: Header = serde_json::from_slice(&bytes)
        .map_err(|error| damaged(&format!("the header of the safetensors file: {error}")))?;
    let start = LENGTH + length;
    if header.data_len() as u64 != all - start {
        return Err(breaks_off());
    }
    Ok((header, start))
}

struct PackedRows {
    file: File,
    lines: BufReader<File>,
    line: Vec<u8>,
    /// None of columns that nobody asked for.
    features: Vec<Option<Packed>>,
    audio: Vec<Option<Packed>>,
    row: u64,
    rows: u64,
}

impl StoredRows for PackedRows {
    fn next_row(&mut self) -> Result<Option<StoredRow>, WriteError> {
        let there = next_line(&mut self.lines, &mut self.line)?;
        if there != (self.row < self.rows) {
            return Err(damaged("the two files of the shard have not the same number of rows"));
        }
        if !there {
            return Ok(None);
        }
        let mut cells = |columns: &mut Vec<Option<Packed>>| {
            let cells = columns.iter_mut().map(|column| match column {
                Some(column) => column.cell(&mut self.file, self.row),
                None => Ok(Vec::new()),
            });
            cells.collect::<Result<Vec<_>, _>>()
        };
        let (features, audio) = (cells(&mut self.features)?, cells(&mut self.audio)?);
        self.row += 1;
        Ok(Some(StoredRow { metadata: Metadata::parse(&self.line)?, cells: features, audio }))
    }
}

/// A column's tensor and where its rows stand in it.
pub(super) struct Packed {
    /// Where the tensor starts in the file.
    start: u64,
    frames: u64,
    frame_bytes: u64,
    /// Where the offsets start in the file.
    offsets_start: u64,
    rows: u64,
    /// Some of the offsets, from that of row `first` on.
    offsets: Vec<u64>,
    first: u64,
}

impl Packed {
    pub(super) fn find(
        header: &Header,
        start: u64,
        rows: u64,
        name: &str,
        dtype: TensorType,
        bins: Option<usize>,
        frame_bytes: usize,
    ) -> Result<Self, WriteError> {
        let unlike = || damaged(&format!("the tensors of `{name}` are not as the manifest says"));
        let offsets = header.info(&offsets_name(name)).ok_or_else(unlike)?;
        let tensor = header.info(name).ok_or_else(unlike)?;
        let frames = *tensor.shape.first().ok_or_else(unlike)?;
        let as_written = offsets.dtype == TensorType::I64
            && rows.checked_add(1).is_some_and(|count| offsets.shape.iter().map(|size| *size as u64).eq([count]))
            && tensor.dtype == dtype
            && tensor.shape[1..].iter().copied().eq(bins);
        if !as_written {
            return Err(unlike());
        }
        Ok(Self {
            start: start + tensor.data_offsets.0 as u64,
            frames: frames as u64,
            frame_bytes: frame_bytes as u64,
            offsets_start: start + offsets.data_offsets.0 as u64,
            rows,
            offsets: Vec::new(),
            first: 0,
        })
    }

    /// The bytes of a row.
    fn cell(&mut self, file: &mut File, row: u64) -> Result<Vec<u8>, WriteError> {
        let (offset, bytes) = self.place(file, row)?;
        read_at(file, offset, bytes)
    }

    /// Where the bytes of a row start in the file, and how many they are.
    pub(super) fn place(&mut self, file: &mut File, row: u64) -> Result<(u64, u64), WriteError> {
        let (from, to) = (self.offset(file, row)?, self.offset(file, row + 1)?);
        if from > to || to > self.frames {
            return Err(damaged("the offsets of a column are not in order"));
        }
        Ok((self.start + from * self.frame_bytes, (to - from) * self.frame_bytes))
    }

    /// Where the frames of a row start.
    fn offset(&mut self, file: &mut File, row: u64) -> Result<u64, WriteError> {
        /// Offsets that are read at once.
        const BLOCK: u64 = 1024;
        const OFFSET: u64 = size_of::<u64>() as u64;
        if row < self.first || row - self.first >= self.offsets.len() as u64 {
            let count = (self.rows + 1).saturating_sub(row).min(BLOCK);
            let bytes = read_at(file, self.offsets_start + row * OFFSET, count * OFFSET)?;
            let (numbers, _) = bytes.as_chunks();
            self.offsets = numbers.iter().map(|number| u64::from_le_bytes(*number)).collect();
            self.first = row;
        }
        let offset = self.offsets.get((row - self.first) as usize);
        offset.copied().ok_or_else(|| damaged("a column has less offsets than rows"))
    }
}

/// Bytes of the file, which has them.
fn read_at(file: &mut File, offset: u64, size: u64) -> Result<Vec<u8>, WriteError> {
    let mut bytes = Vec::with_capacity(size as usize);
    file.seek(SeekFrom::Start(offset))?;
    file.take(size).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != size {
        return Err(damaged("the safetensors file breaks off"));
    }
    Ok(bytes)
}

fn damaged(reason: &str) -> WriteError {
    WriteError::Damaged(reason.to_owned())
}
