//! The columns of a row group while it grows.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, FixedSizeListArray, Float32Array, Float64Builder, Int16Array, Int32Builder,
    Int64Builder, LargeBinaryBuilder, LargeListArray, StringBuilder,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};

use super::Layout;
use super::schema::frame_type;
use crate::corpus::{Kind, Value};
use crate::manifest::Dtype;
use crate::write::contract::{Cell, FeatureColumn, Number, ROW_COLUMNS, Row, WriteError};
use crate::write::decode;

/// The columns of [`ROW_COLUMNS`].
#[derive(Default)]
pub(super) struct Fixed {
    key: StringBuilder,
    id: StringBuilder,
    copy: Int32Builder,
    text: StringBuilder,
    speaker: StringBuilder,
    language: StringBuilder,
    num_samples: Int64Builder,
    sample_rate: Int32Builder,
    duration_s: Float64Builder,
    augmentation: StringBuilder,
}

impl Fixed {
    pub(super) fn push(&mut self, row: &Row<'_>) {
        let Row { table, utterance, .. } = *row;
        self.key.append_value(row.key);
        self.id.append_value(table.id(utterance));
        self.copy.append_value(row.copy as i32);
        self.text.append_option(row.text());
        self.speaker.append_option(table.speaker(utterance));
        self.language.append_option(table.language(utterance));
        self.num_samples.append_value(row.num_samples as i64);
        self.sample_rate.append_value(row.sample_rate.get() as i32);
        self.duration_s.append_value(row.num_samples as f64 / f64::from(row.sample_rate.get()));
        self.augmentation.append_option(row.augmentation);
    }

    /// The columns, in the order of [`ROW_COLUMNS`].
    pub(super) fn finish(&mut self) -> [ArrayRef; ROW_COLUMNS.len()] {
        let builders: [&mut dyn ArrayBuilder; ROW_COLUMNS.len()] = [
            &mut self.key,
            &mut self.id,
            &mut self.copy,
            &mut self.text,
            &mut self.speaker,
            &mut self.language,
            &mut self.num_samples,
            &mut self.sample_rate,
            &mut self.duration_s,
            &mut self.augmentation,
        ];
        builders.map(ArrayBuilder::finish)
    }
}

/// One of the corpus's further columns.
pub(super) enum Extra {
    Text(StringBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
}

impl Extra {
    pub(super) fn new(kind: Kind) -> Self {
        match kind {
            Kind::String => Self::Text(StringBuilder::new()),
            Kind::Int64 => Self::Int(Int64Builder::new()),
            Kind::Float64 => Self::Float(Float64Builder::new()),
            Kind::Boolean => Self::Bool(BooleanBuilder::new()),
        }
    }

    pub(super) fn push(&mut self, value: Value<'_>) {
        match (self, value) {
            (Self::Text(column), Value::String(value)) => column.append_value(value),
            (Self::Int(column), Value::Int64(value)) => column.append_value(value),
            (Self::Float(column), Value::Float64(value)) => column.append_value(value),
            (Self::Bool(column), Value::Boolean(value)) => column.append_value(value),
            (Self::Text(column), _) => column.append_null(),
            (Self::Int(column), _) => column.append_null(),
            (Self::Float(column), _) => column.append_null(),
            (Self::Bool(column), _) => column.append_null(),
        }
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(column) => Arc::new(column.finish()),
            Self::Int(column) => Arc::new(column.finish()),
            Self::Float(column) => Arc::new(column.finish()),
            Self::Bool(column) => Arc::new(column.finish()),
        }
    }
}

/// One column of what was found in the sound.
pub(super) enum Sound {
    Int(Int32Builder),
    Float(Float64Builder),
}

impl Sound {
    pub(super) fn new(number: Number) -> Self {
        match number {
            Number::Int32 => Self::Int(Int32Builder::new()),
            Number::Float64 => Self::Float(Float64Builder::new()),
        }
    }

    pub(super) fn push(&mut self, value: f64) {
        match self {
            Self::Int(column) => column.append_value(value as i32),
            Self::Float(column) => column.append_value(value),
        }
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Int(column) => Arc::new(column.finish()),
            Self::Float(column) => Arc::new(column.finish()),
        }
    }
}

/// One feature column, and the column of its frame counts.
pub(super) struct Cells {
    column: FeatureColumn,
    layout: Layout,
    room: usize,
    bytes: LargeBinaryBuilder,
    frames: Int32Builder,
}

impl Cells {
    /// Cells of at most `room` bytes together, but for one that alone is larger.
    pub(super) fn new(column: FeatureColumn, layout: Layout, room: usize) -> Self {
        Self { column, layout, room, bytes: LargeBinaryBuilder::with_capacity(0, room), frames: Int32Builder::new() }
    }

    pub(super) fn push(&mut self, cell: &Cell) {
        self.bytes.append_value(&cell.bytes);
        self.frames.append_value(cell.frames as i32);
    }

    /// Counts the frames of a cell that is written by other means.
    pub(super) fn push_frames(&mut self, cell: &Cell) {
        self.bytes.append_value([]);
        self.frames.append_value(cell.frames as i32);
    }

    /// The cells and their frame counts.
    pub(super) fn finish(&mut self) -> Result<[ArrayRef; 2], WriteError> {
        let cells = self.bytes.finish();
        let frames = self.frames.finish();
        // Room for the next row group at once: growing to it step by step would copy it, and hold it twice.
        self.bytes = LargeBinaryBuilder::with_capacity(frames.len(), self.room);
        let cells: ArrayRef = match self.layout {
            Layout::Binary => Arc::new(cells),
            Layout::List => {
                let offsets: Vec<i64> = std::iter::once(0)
                    .chain(frames.values().iter().scan(0, |end, frames| {
                        *end += i64::from(*frames);
                        Some(*end)
                    }))
                    .collect();
                let numbers: ArrayRef = match self.column.dtype {
                    Dtype::I16 => Arc::new(Int16Array::from_iter_values(
                        cells.value_data().chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])),
                    )),
                    dtype => Arc::new(Float32Array::from(decode(cells.value_data(), dtype))),
                };
                let rows: ArrayRef = match frame_type(&self.column) {
                    DataType::FixedSizeList(field, bins) => {
                        Arc::new(FixedSizeListArray::try_new(field, bins, numbers, None)?)
                    }
                    _ => numbers,
                };
                let field = Arc::new(Field::new_list_field(frame_type(&self.column), false));
                Arc::new(LargeListArray::try_new(field, OffsetBuffer::new(ScalarBuffer::from(offsets)), rows, None)?)
            }
        };
        Ok([cells, Arc::new(frames)])
    }
}
