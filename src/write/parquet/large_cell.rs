//! A cell too large for a row group of its own size, put into the file without a copy.
//!
//! The writer of the parquet crate builds a page from the values that go into it: the features of an hour would be in memory
//! twice. The page of one uncompressed value is that value behind two numbers, so this writes it as it is (`PageHeader` of
//! parquet.thrift in Thrift's compact protocol, data page version 1, encoding PLAIN).

use std::io::{self, Read};

use parquet::basic::Encoding;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder};
use parquet::file::reader::{ChunkReader, Length};
use parquet::schema::types::ColumnDescPtr;

/// A column chunk of one value, as it stands in the file.
pub(in crate::write) struct LargeCell<'c> {
    /// The page's header and the length of the value.
    head: Vec<u8>,
    value: &'c [u8],
}

impl<'c> LargeCell<'c> {
    pub(super) fn new(value: &'c [u8]) -> Self {
        let page = value.len() as u64 + size_of::<u32>() as u64;
        let mut head = Vec::new();
        field(&mut head, 1, 0); // type: data page
        field(&mut head, 1, page); // uncompressed
        field(&mut head, 1, page); // compressed
        head.push(2 << 4 | STRUCT); // the data page's header, two fields on
        field(&mut head, 1, 1); // values
        field(&mut head, 1, 0); // PLAIN
        field(&mut head, 1, 3); // definition levels: RLE, of which there are none
        field(&mut head, 1, 3); // repetition levels, the same
        head.extend([STOP, STOP]);
        head.extend((value.len() as u32).to_le_bytes());
        Self { head, value }
    }

    /// What the file's footer says of it.
    pub(super) fn close(&self, column: ColumnDescPtr) -> Result<ColumnCloseResult> {
        let size = self.len() as i64;
        let mut offsets = OffsetIndexBuilder::new();
        offsets.append_offset_and_size(0, size as i32);
        offsets.append_row_count(1);
        offsets.append_unencoded_byte_array_data_bytes(Some(self.value.len() as i64));
        let metadata = ColumnChunkMetaData::builder(column)
            .set_encodings(vec![Encoding::PLAIN, Encoding::RLE])
            .set_num_values(1)
            .set_total_compressed_size(size)
            .set_total_uncompressed_size(size)
            .set_data_page_offset(0)
            .set_unencoded_byte_array_data_bytes(Some(self.value.len() as i64))
            .build()?;
        Ok(ColumnCloseResult {
            bytes_written: size as u64,
            rows_written: 1,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(offsets.build()),
        })
    }
}

impl Length for LargeCell<'_> {
    fn len(&self) -> u64 {
        (self.head.len() + self.value.len()) as u64
    }
}

impl<'c> ChunkReader for LargeCell<'c> {
    type T = io::Chain<io::Cursor<Vec<u8>>, &'c [u8]>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let mut head = io::Cursor::new(self.head.clone());
        head.set_position(start);
        Ok(head.chain(self.value))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<bytes::Bytes> {
        let mut bytes = vec![0; length];
        self.get_read(start)?.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

const INTEGER: u8 = 5;
const STRUCT: u8 = 12;
const STOP: u8 = 0;

/// Appends an integer, `delta` fields behind the one before.
fn field(out: &mut Vec<u8>, delta: u8, value: u64) {
    out.push(delta << 4 | INTEGER);
    let mut zigzag = value << 1;
    while zigzag >= 0x80 {
        out.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    out.push(zigzag as u8);
}
