//! Arrow columns while they grow, row by row.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder,
    LargeBinaryBuilder, RecordBatch, StringBuilder,
};
use arrow::datatypes::SchemaRef;

use super::contract::{Cell, FeatureColumn, Number, ROW_COLUMNS, Row, RowSchema, WriteError};
use super::schema::arrow_schema;
use crate::value::{Kind, Value};

/// The columns of a row beside its features and its sound.
pub(super) struct RowColumns {
    fixed: Fixed,
    extras: Vec<Extra>,
    sound: Vec<Sound>,
}

impl RowColumns {
    pub(super) fn new(schema: &RowSchema) -> Self {
        Self {
            fixed: Fixed::default(),
            extras: schema.extras.iter().map(|(_, kind)| Extra::new(*kind)).collect(),
            sound: schema.sound.iter().map(|column| Sound::new(column.number)).collect(),
        }
    }

    pub(super) fn push(&mut self, row: &Row<'_>) {
        self.fixed.push(row);
        for (column, value) in self.extras.iter_mut().zip(row.extras) {
            column.push(*value);
        }
        for (column, value) in self.sound.iter_mut().zip(row.sound) {
            column.push(*value);
        }
    }

    /// The columns of the rows pushed, in the order of the schema; it is empty then.
    pub(super) fn finish(&mut self) -> impl Iterator<Item = ArrayRef> {
        let fixed = self.fixed.finish().into_iter();
        fixed.chain(self.extras.iter_mut().map(Extra::finish)).chain(self.sound.iter_mut().map(Sound::finish))
    }
}

/// The frame counts of a feature column's cells, and their scales where they have one.
pub(super) struct Counts {
    frames: Int32Builder,
    scales: Option<Float32Builder>,
}

impl Counts {
    pub(super) fn new(column: &FeatureColumn) -> Self {
        Self { frames: Int32Builder::new(), scales: column.is_scaled().then(Float32Builder::new) }
    }

    pub(super) fn push(&mut self, cell: &Cell) {
        self.frames.append_value(cell.frames as i32);
        if let Some(scales) = &mut self.scales {
            scales.append_value(cell.scale);
        }
    }

    pub(super) fn finish(&mut self) -> impl Iterator<Item = ArrayRef> {
        let frames: ArrayRef = Arc::new(self.frames.finish());
        let scales = self.scales.as_mut().map(|scales| Arc::new(scales.finish()) as ArrayRef);
        std::iter::once(frames).chain(scales)
    }
}

/// Rows on their way into a batch of [`arrow_schema`].
pub(super) struct BatchBuilder {
    schema: SchemaRef,
    rows: RowColumns,
    features: Vec<(LargeBinaryBuilder, Counts)>,
    audio: Vec<LargeBinaryBuilder>,
    len: usize,
}

impl BatchBuilder {
    pub(super) fn new(schema: &RowSchema) -> Self {
        Self {
            schema: arrow_schema(schema),
            rows: RowColumns::new(schema),
            features: schema.features.iter().map(|column| (LargeBinaryBuilder::new(), Counts::new(column))).collect(),
            audio: schema.audio.iter().map(|_| LargeBinaryBuilder::new()).collect(),
            len: 0,
        }
    }

    pub(super) const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, row: &Row<'_>) {
        self.rows.push(row);
        for ((cells, counts), cell) in self.features.iter_mut().zip(row.cells) {
            cells.append_value(&cell.bytes);
            counts.push(cell);
        }
        for (column, sound) in self.audio.iter_mut().zip(row.audio) {
            column.append_value(sound);
        }
        self.len += 1;
    }

    /// The rows pushed; it is empty then.
    pub(super) fn finish(&mut self) -> Result<RecordBatch, WriteError> {
        self.len = 0;
        let mut columns: Vec<ArrayRef> = self.rows.finish().collect();
        for (cells, counts) in &mut self.features {
            columns.push(Arc::new(cells.finish()));
            columns.extend(counts.finish());
        }
        columns.extend(self.audio.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }
}

/// The columns of [`ROW_COLUMNS`].
#[derive(Default)]
struct Fixed {
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
    fn push(&mut self, row: &Row<'_>) {
        self.key.append_value(row.key);
        self.id.append_value(row.id);
        self.copy.append_value(row.copy as i32);
        self.text.append_option(row.text);
        self.speaker.append_option(row.speaker);
        self.language.append_option(row.language);
        self.num_samples.append_value(row.num_samples as i64);
        self.sample_rate.append_value(row.sample_rate.get() as i32);
        self.duration_s.append_value(row.duration_s());
        self.augmentation.append_option(row.augmentation);
    }

    /// The columns, in the order of [`ROW_COLUMNS`].
    fn finish(&mut self) -> [ArrayRef; ROW_COLUMNS.len()] {
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
enum Extra {
    Text(StringBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
}

impl Extra {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::String => Self::Text(StringBuilder::new()),
            Kind::Int64 => Self::Int(Int64Builder::new()),
            Kind::Float64 => Self::Float(Float64Builder::new()),
            Kind::Boolean => Self::Bool(BooleanBuilder::new()),
        }
    }

    fn push(&mut self, value: Value<'_>) {
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

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(column) => Arc::new(column.finish()),
            Self::Int(column) => Arc::new(column.finish()),
            Self::Float(column) => Arc::new(column.finish()),
            Self::Bool(column) => Arc::new(column.finish()),
        }
    }
}

/// One column of what was found in the sound.
enum Sound {
    Int(Int32Builder),
    Float(Float64Builder),
}

impl Sound {
    fn new(number: Number) -> Self {
        match number {
            Number::Int32 => Self::Int(Int32Builder::new()),
            Number::Float64 => Self::Float(Float64Builder::new()),
        }
    }

    fn push(&mut self, value: f64) {
        match self {
            Self::Int(column) => column.append_value(value as i32),
            Self::Float(column) => column.append_value(value),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Int(column) => Arc::new(column.finish()),
            Self::Float(column) => Arc::new(column.finish()),
        }
    }
}
