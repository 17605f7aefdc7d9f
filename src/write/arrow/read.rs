//! An Arrow file being read: nothing of it is believed before it was held against the file's length.
//!
//! The arrow crate's own reader trusts where a batch says that its columns stand, and reads all of them. This reads the columns
//! that were asked for (Arrow columnar format, version 1.5, "IPC File Format").

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::vec;

use arrow::array::{ArrayData, ArrayRef, RecordBatch, make_array};
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::{Block, FieldNode, root_as_footer, root_as_message};

use crate::write::arrow_schema;
use crate::write::contract::{RowSchema, WriteError};

/// How the file starts, padded to eight bytes, and how it ends.
const MAGIC: &[u8] = b"ARROW1";
/// The file's start and its padding.
const HEAD: u64 = 8;
/// The length of the footer and the file's end.
const TAIL: u64 = 10;
/// What stands before the metadata of a batch: a mark and their length.
const PREFIX: usize = 8;

/// A file and its batches that are still to be read.
pub(super) struct ArrowFile {
    pub(super) file: File,
    pub(super) schema: SchemaRef,
    /// Which of the columns were asked for.
    wanted: Vec<usize>,
    pub(super) blocks: vec::IntoIter<Block>,
    /// Rows that were read and not given yet.
    held: Option<RecordBatch>,
}

/// What a batch says of its columns, held against the file.
pub(super) struct BatchLayout {
    pub(super) rows: u64,
    /// One for each column.
    pub(super) nodes: Vec<FieldNode>,
    /// As many for each column as [`buffers_of`] its type.
    pub(super) buffers: Vec<Span>,
}

/// Bytes of the file.
pub(super) struct Span {
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

impl ArrowFile {
    pub(super) fn open(path: &Path, schema: &RowSchema, columns: Option<&[&str]>) -> Result<Self, WriteError> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        if length < HEAD + TAIL || read_at(&mut file, 0, MAGIC.len() as u64)?.as_slice() != MAGIC {
            return Err(damaged("it is no Arrow file"));
        }
        let tail = read_at(&mut file, length - TAIL, TAIL)?;
        let (size, magic) = tail.as_slice().split_at(size_of::<u32>());
        let size = u64::from(u32::from_le_bytes(size.try_into().unwrap_or_default()));
        if magic != MAGIC || size > length - HEAD - TAIL {
            return Err(damaged("the Arrow file breaks off"));
        }
        let end = length - TAIL - size;
        let footer = read_at(&mut file, end, size)?;
        let footer = root_as_footer(&footer).map_err(|error| damaged(&format!("the footer: {error}")))?;
        let expected = arrow_schema(schema);
        match footer.schema().map(try_fb_to_schema).transpose()? {
            Some(there) if there == *expected => {}
            _ => return Err(damaged("the columns are not as the manifest says")),
        }
        let blocks: Vec<Block> = footer.recordBatches().into_iter().flatten().copied().collect();
        if blocks.iter().any(|block| !lies_within(block, end)) {
            return Err(damaged("a batch lies outside of the file"));
        }
        let fields = expected.fields().iter().enumerate();
        let wanted = fields.filter(|(_, field)| columns.is_none_or(|columns| columns.contains(&field.name().as_str())));
        let wanted = wanted.map(|(place, _)| place).collect();
        Ok(Self { file, schema: expected, wanted, blocks: blocks.into_iter(), held: None })
    }

    /// Where the columns of the batch in `block` stand.
    pub(super) fn layout(&mut self, block: &Block) -> Result<BatchLayout, WriteError> {
        let metadata = read_at(&mut self.file, block.offset() as u64, block.metaDataLength() as u64)?;
        let message = metadata.get(PREFIX..).map(root_as_message).and_then(Result::ok);
        let batch = message.and_then(|message| message.header_as_record_batch());
        let (batch, nodes, buffers) = batch
            .and_then(|batch| Some((batch, batch.nodes()?, batch.buffers()?)))
            .filter(|(batch, ..)| batch.compression().is_none())
            .ok_or_else(|| damaged("a batch has no columns that can be read"))?;
        let fields = self.schema.fields();
        let count: usize = fields.iter().map(|field| buffers_of(field.data_type())).sum();
        if nodes.len() != fields.len() || buffers.len() != count {
            return Err(damaged("a batch has another number of columns than the file"));
        }
        let (start, length) = (block.offset() as u64 + block.metaDataLength() as u64, block.bodyLength() as u64);
        let span = |buffer: &arrow::ipc::Buffer| {
            let (offset, bytes) = (buffer.offset() as u64, buffer.length() as u64);
            let within = offset.checked_add(bytes).is_some_and(|end| end <= length);
            within.then(|| Span { offset: start + offset, bytes })
        };
        let buffers = buffers.iter().map(span).collect::<Option<_>>();
        Ok(BatchLayout {
            rows: u64::try_from(batch.length()).map_err(|_| damaged("a batch has less than no rows"))?,
            nodes: nodes.iter().copied().collect(),
            buffers: buffers.ok_or_else(|| damaged("a column lies outside of its batch"))?,
        })
    }

    /// The columns asked for of the batch in `block`.
    fn batch(&mut self, block: &Block) -> Result<RecordBatch, WriteError> {
        let BatchLayout { rows, nodes, buffers } = self.layout(block)?;
        let fields = self.schema.fields();
        let mut columns = Vec::with_capacity(self.wanted.len());
        let mut first = 0;
        for (place, field) in fields.iter().enumerate() {
            let next = first + buffers_of(field.data_type());
            if self.wanted.contains(&place) {
                let body = buffers[first..next].iter().map(|span| read_at(&mut self.file, span.offset, span.bytes));
                let body = body.collect::<Result<Vec<_>, _>>()?;
                let node = &nodes[place];
                if u64::try_from(node.length()) != Ok(rows) {
                    return Err(damaged("the columns of a batch have not the same length"));
                }
                columns.push(column(field.data_type(), node, body)?);
            }
            first = next;
        }
        Ok(RecordBatch::try_new(self.schema.project(&self.wanted)?.into(), columns)?)
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, WriteError> {
        /// A few rows at a time, as the other formats give them.
        const ROWS: usize = 64;
        loop {
            if let Some(held) = self.held.take_if(|held| held.num_rows() > 0) {
                let rows = held.num_rows().min(ROWS);
                self.held = Some(held.slice(rows, held.num_rows() - rows));
                return Ok(Some(held.slice(0, rows)));
            }
            let Some(block) = self.blocks.next() else { return Ok(None) };
            self.held = Some(self.batch(&block)?);
        }
    }
}

impl Iterator for ArrowFile {
    type Item = Result<RecordBatch, WriteError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.next_batch();
        if batch.is_err() {
            self.blocks = Vec::new().into_iter();
        }
        batch.transpose()
    }
}

/// Whether a batch stands between the file's head and the footer, at `end`.
fn lies_within(block: &Block, end: u64) -> bool {
    let number = |number: i64| u64::try_from(number).ok();
    let parts = [number(block.offset()), number(block.metaDataLength().into()), number(block.bodyLength())];
    let ends = parts.into_iter().try_fold(0_u64, |sum, part| sum.checked_add(part?));
    ends.is_some_and(|ends| ends <= end) && block.offset() as u64 >= HEAD
}

/// How many buffers a column of this type has in a batch.
pub(super) fn buffers_of(data_type: &DataType) -> usize {
    match data_type {
        // Which values are there, where they end, and the values.
        DataType::Utf8 | DataType::LargeBinary => 3,
        _ => 2,
    }
}

/// A column of its buffers, checked.
fn column(data_type: &DataType, node: &FieldNode, buffers: Vec<Buffer>) -> Result<ArrayRef, WriteError> {
    let mut buffers = buffers.into_iter();
    let there = buffers.next().filter(|_| node.null_count() != 0);
    let length = usize::try_from(node.length()).map_err(|_| damaged("a column has less than no rows"))?;
    let data = ArrayData::builder(data_type.clone()).len(length).null_bit_buffer(there);
    Ok(make_array(data.buffers(buffers.collect()).align_buffers(true).build()?))
}

/// Bytes of the file, which has them.
pub(super) fn read_at(file: &mut File, offset: u64, size: u64) -> Result<Buffer, WriteError> {
    let mut bytes = MutableBuffer::from_len_zeroed(size as usize);
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes.as_slice_mut())?;
    Ok(bytes.into())
}

pub(super) fn damaged(reason: &str) -> WriteError {
    WriteError::Damaged(reason.to_owned())
}
