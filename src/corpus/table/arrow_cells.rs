//! Columns of Arrow batches as cells of a corpus table.

use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, LargeStringArray, PrimitiveArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, Int64Type};

use crate::corpus::CorpusError;
use crate::corpus::corpus_table::{Cell, Value};

/// The Arrow type in which a column's cells are read; none where a corpus table cannot hold them.
pub(in crate::corpus) fn target_type(source: &DataType) -> Option<DataType> {
    match source {
        DataType::Null
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Timestamp(..)
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Some(DataType::LargeUtf8),
        DataType::Boolean => Some(DataType::Boolean),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Some(DataType::Float64),
        integer if integer.is_integer() => Some(DataType::Int64),
        DataType::Dictionary(_, values) => target_type(values),
        _ => None,
    }
}

/// A batch of one column.
pub(in crate::corpus) enum ArrowCells {
    Strings(LargeStringArray),
    Ints(PrimitiveArray<Int64Type>),
    Floats(PrimitiveArray<Float64Type>),
    Booleans(BooleanArray),
}

impl ArrowCells {
    pub(in crate::corpus) fn of(array: &ArrayRef, path: &Path, column: &str) -> Result<Self, CorpusError> {
        let target = target_type(array.data_type()).unwrap_or(DataType::LargeUtf8);
        // Not `safe`: a number that does not fit is an error, not a null.
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let array = cast_with_options(array, &target, &strict).map_err(|source| CorpusError::ColumnValue {
            path: path.to_owned(),
            column: column.to_owned(),
            source,
        })?;
        Ok(match target {
            DataType::Boolean => Self::Booleans(array.as_boolean().clone()),
            DataType::Int64 => Self::Ints(array.as_primitive().clone()),
            DataType::Float64 => Self::Floats(array.as_primitive().clone()),
            _ => Self::Strings(array.as_string().clone()),
        })
    }

    pub(in crate::corpus) fn cell(&self, row: usize) -> Cell<'_> {
        Cell::Typed(self.value(row))
    }

    pub(in crate::corpus) fn value(&self, row: usize) -> Value<'_> {
        match self {
            Self::Strings(array) if array.is_valid(row) => Value::String(array.value(row)),
            Self::Ints(array) if array.is_valid(row) => Value::Int64(array.value(row)),
            Self::Floats(array) if array.is_valid(row) => Value::Float64(array.value(row)),
            Self::Booleans(array) if array.is_valid(row) => Value::Boolean(array.value(row)),
            _ => Value::Null,
        }
    }
}
