//! Values of the columns of a batch.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int32Type, Int64Type};

use crate::value::{Kind, Value};

/// What the values of a column are; none where they are cells, or of no type of ours.
#[must_use]
pub fn kind_of(data_type: &DataType) -> Option<Kind> {
    match data_type {
        DataType::Utf8 => Some(Kind::String),
        DataType::Int32 | DataType::Int64 => Some(Kind::Int64),
        DataType::Float32 | DataType::Float64 => Some(Kind::Float64),
        DataType::Boolean => Some(Kind::Boolean),
        _ => None,
    }
}

/// A value of a column; null where its type is none of ours.
#[must_use]
pub fn value_at(cells: &ArrayRef, row: usize) -> Value<'_> {
    if cells.is_null(row) {
        return Value::Null;
    }
    match cells.data_type() {
        DataType::Utf8 => Value::String(cells.as_string::<i32>().value(row)),
        DataType::Int32 => Value::Int64(cells.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Value::Int64(cells.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => Value::Float64(cells.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Value::Float64(cells.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => Value::Boolean(cells.as_boolean().value(row)),
        _ => Value::Null,
    }
}
