//! Feature and audio columns of a row group while it grows.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, Int8Array, Int16Array, LargeBinaryArray,
    LargeBinaryBuilder, LargeListArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Float32Type, Int8Type, Int16Type};

use super::Layout;
use super::properties::frame_type;
use crate::manifest::Dtype;
use crate::write::columns::Counts;
use crate::write::contract::{Cell, FeatureColumn, WriteError};
use crate::write::decode;

/// One feature column, and the columns that count its frames and hold its scales.
pub(super) struct Cells {
    column: FeatureColumn,
    layout: Layout,
    bytes: Blobs,
    counts: Counts,
    /// The frames of each cell, for lists.
    frames: Vec<u32>,
}

impl Cells {
    /// Cells of at most `room` bytes together, but for one that alone is larger.
    pub(super) fn new(column: FeatureColumn, layout: Layout, room: usize) -> Self {
        Self { bytes: Blobs::new(room), counts: Counts::new(&column), frames: Vec::new(), column, layout }
    }

    pub(super) fn push(&mut self, cell: &Cell) {
        self.bytes.push(&cell.bytes);
        self.push_counts(cell);
    }

    /// Counts the frames of a cell; its bytes are written by other means.
    pub(super) fn push_counts(&mut self, cell: &Cell) {
        self.counts.push(cell);
        if self.layout == Layout::List {
            self.frames.push(cell.frames);
        }
    }

    /// The frame counts and scales alone.
    pub(super) fn finish_counts(&mut self) -> impl Iterator<Item = ArrayRef> {
        self.frames.clear();
        self.counts.finish()
    }

    /// The cells, then their frame counts and scales.
    pub(super) fn finish(&mut self) -> Result<impl Iterator<Item = ArrayRef>, WriteError> {
        let cells = self.bytes.finish();
        let cells: ArrayRef = match self.layout {
            Layout::Binary => Arc::new(cells),
            Layout::List => self.lists(&cells)?,
        };
        Ok(std::iter::once(cells).chain(self.finish_counts()))
    }

    fn lists(&self, cells: &LargeBinaryArray) -> Result<ArrayRef, WriteError> {
        let offsets: Vec<i64> = std::iter::once(0)
            .chain(self.frames.iter().scan(0, |end, frames| {
                *end += i64::from(*frames);
                Some(*end)
            }))
            .collect();
        let bytes = cells.value_data();
        let numbers: ArrayRef = match self.column.dtype {
            Dtype::I8 => {
                Arc::new(Int8Array::from_iter_values(bytes.iter().map(|byte| i8::from_le_bytes([*byte]))))
            }
            Dtype::I16 => Arc::new(Int16Array::from_iter_values(
                bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])),
            )),
            dtype => Arc::new(Float32Array::from(decode(bytes, dtype))),
        };
        let rows: ArrayRef = match frame_type(&self.column) {
            DataType::FixedSizeList(field, bins) => Arc::new(FixedSizeListArray::try_new(field, bins, numbers, None)?),
            _ => numbers,
        };
        let field = Arc::new(Field::new_list_field(frame_type(&self.column), false));
        Ok(Arc::new(LargeListArray::try_new(field, OffsetBuffer::new(ScalarBuffer::from(offsets)), rows, None)?))
    }
}

/// Lists of frames as runs of bytes: what [`Cells`] made of them, the other way.
pub(super) fn bytes_of_lists(lists: &dyn Array, column: &FeatureColumn) -> Option<LargeBinaryArray> {
    let lists = lists.as_list_opt::<i64>()?;
    let bins = column.bins.unwrap_or(1);
    let frames = lists.values();
    let numbers = match frames.as_fixed_size_list_opt() {
        // A slice keeps its parent's numbers.
        Some(frames) => frames.values().slice(frames.offset() * bins, frames.len() * bins),
        None => frames.clone(),
    };
    let numbers: Buffer = match (numbers.as_primitive_opt::<Float32Type>(), column.dtype) {
        (Some(numbers), Dtype::F32) => numbers.values().iter().flat_map(|number| number.to_le_bytes()).collect(),
        (None, Dtype::I16) => {
            numbers.as_primitive_opt::<Int16Type>()?.values().iter().flat_map(|number| number.to_le_bytes()).collect()
        }
        (None, Dtype::I8) => {
            numbers.as_primitive_opt::<Int8Type>()?.values().iter().flat_map(|number| number.to_le_bytes()).collect()
        }
        _ => return None,
    };
    let frame_bytes = column.frame_bytes() as i64;
    let offsets: Vec<i64> = lists.offsets().iter().map(|offset| offset * frame_bytes).collect();
    LargeBinaryArray::try_new(OffsetBuffer::new(ScalarBuffer::from(offsets)), numbers, None).ok()
}

/// Runs of bytes.
pub(super) struct Blobs {
    room: usize,
    builder: LargeBinaryBuilder,
}

impl Blobs {
    pub(super) fn new(room: usize) -> Self {
        Self { room, builder: LargeBinaryBuilder::with_capacity(0, room) }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.builder.append_value(bytes);
    }

    pub(super) fn finish(&mut self) -> LargeBinaryArray {
        let blobs = self.builder.finish();
        // Room for the next row group at once: growing to it step by step would copy it, and hold it twice.
        self.builder = LargeBinaryBuilder::with_capacity(blobs.len(), self.room);
        blobs
    }
}
