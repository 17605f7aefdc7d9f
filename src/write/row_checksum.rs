//! The checksum of a row, end to end: of the values that a writer is given, and of those that a reader of any format gives back.
//!
//! A cell's is XXH3-64 of its bytes. That of all else in a row is XXH3-64 of its values one after the other, in the order of
//! [`RowSchema::describe`]: each is a byte that says its kind, and what follows it, numbers little-endian.
//!
//! | kind | byte | what follows |
//! |---|---|---|
//! | nothing | 0 | |
//! | text | 1 | its length in bytes, 64 bits; its UTF-8 |
//! | whole number | 2 | 64 bits, signed |
//! | other number | 3 | the bits of its double precision; of every NaN those of the same one |
//! | truth value | 4 | 0 or 1 |
//!
//! XXH3: <https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>. It finds accidents, not forgeries; the files' BLAKE3
//! is for those.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray,
};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Int32Type, Int64Type};
use xxhash_rust::xxh3::xxh3_64;

use super::arrow_schema;
use super::contract::{Number, Row, RowSchema, WriteError};
use crate::value::{Kind, Value};

/// The checksum of a cell's bytes, be they features or encoded sound.
#[must_use]
pub fn of_cell(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// The checksum of all that a row holds beside its cells.
#[must_use]
pub fn of_row(row: &Row<'_>, schema: &RowSchema) -> u64 {
    let mut values = Values::default();
    values.text(Some(row.key));
    values.text(Some(row.id));
    values.whole(i64::from(row.copy as i32));
    values.text(row.text);
    values.text(row.speaker);
    values.text(row.language);
    values.whole(row.num_samples as i64);
    values.whole(i64::from(row.sample_rate.get() as i32));
    values.float(row.duration_s());
    values.text(row.augmentation);
    for ((_, kind), value) in schema.extras.iter().zip(row.extras) {
        match (kind, *value) {
            (Kind::String, Value::String(value)) => values.text(Some(value)),
            (Kind::Int64, Value::Int64(value)) => values.whole(value),
            (Kind::Float64, Value::Float64(value)) => values.float(value),
            (Kind::Boolean, Value::Boolean(value)) => values.truth(value),
            // A column stores nothing else than its own kind.
            _ => values.nothing(),
        }
    }
    for (column, value) in schema.sound.iter().zip(row.sound) {
        match column.number {
            Number::Int32 => values.whole(i64::from(*value as i32)),
            Number::Float64 => values.float(*value),
        }
    }
    for (column, cell) in schema.features.iter().zip(row.cells) {
        values.whole(i64::from(cell.frames as i32));
        if column.is_scaled() {
            values.float(f64::from(cell.scale));
        }
    }
    values.take_checksum()
}

/// The same of every row of a batch in which all columns beside the cells are there.
///
/// # Errors
///
/// A column is missing, or has another type than [`arrow_schema`] says.
pub fn of_batch(batch: &RecordBatch, schema: &RowSchema) -> Result<Vec<u64>, WriteError> {
    let expected = arrow_schema(schema);
    let beside_cells = expected.fields().iter().filter(|field| *field.data_type() != DataType::LargeBinary);
    let columns = beside_cells.map(|field| {
        let column = batch.column_by_name(field.name()).and_then(|array| Column::of(array, field));
        column.ok_or_else(|| WriteError::Damaged(format!("the column `{}` is not as the manifest says", field.name())))
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let mut values = Values::default();
    let checksum = |row| {
        for column in &columns {
            column.add(row, &mut values);
        }
        values.take_checksum()
    };
    Ok((0..batch.num_rows()).map(checksum).collect())
}

/// The values of one row, as they are hashed; the memory serves row after row.
#[derive(Default)]
struct Values(Vec<u8>);

impl Values {
    fn nothing(&mut self) {
        self.0.push(0);
    }

    fn text(&mut self, text: Option<&str>) {
        let Some(text) = text else { return self.nothing() };
        self.0.push(1);
        self.0.extend((text.len() as u64).to_le_bytes());
        self.0.extend(text.as_bytes());
    }

    fn whole(&mut self, number: i64) {
        self.0.push(2);
        self.0.extend(number.to_le_bytes());
    }

    fn float(&mut self, number: f64) {
        /// Formats that write numbers as text know one NaN only.
        const NAN: u64 = 0x7ff8_0000_0000_0000;
        self.0.push(3);
        self.0.extend(if number.is_nan() { NAN } else { number.to_bits() }.to_le_bytes());
    }

    fn truth(&mut self, truth: bool) {
        self.0.extend([4, u8::from(truth)]);
    }

    /// The checksum of the values so far; there are none then.
    fn take_checksum(&mut self) -> u64 {
        let checksum = xxh3_64(&self.0);
        self.0.clear();
        checksum
    }
}

/// A column of a batch, its type known.
enum Column<'a> {
    Text(&'a StringArray),
    Int32(&'a Int32Array),
    Int64(&'a Int64Array),
    Float32(&'a Float32Array),
    Float64(&'a Float64Array),
    Truth(&'a BooleanArray),
}

impl<'a> Column<'a> {
    /// None where it has another type than `field`.
    fn of(array: &'a ArrayRef, field: &Field) -> Option<Self> {
        match field.data_type() {
            DataType::Utf8 => array.as_string_opt().map(Self::Text),
            DataType::Int32 => array.as_primitive_opt::<Int32Type>().map(Self::Int32),
            DataType::Int64 => array.as_primitive_opt::<Int64Type>().map(Self::Int64),
            DataType::Float32 => array.as_primitive_opt::<Float32Type>().map(Self::Float32),
            DataType::Float64 => array.as_primitive_opt::<Float64Type>().map(Self::Float64),
            DataType::Boolean => array.as_boolean_opt().map(Self::Truth),
            _ => None,
        }
    }

    fn add(&self, row: usize, values: &mut Values) {
        let array: &dyn Array = match self {
            Self::Text(array) => array,
            Self::Int32(array) => array,
            Self::Int64(array) => array,
            Self::Float32(array) => array,
            Self::Float64(array) => array,
            Self::Truth(array) => array,
        };
        if array.is_null(row) {
            return values.nothing();
        }
        match self {
            Self::Text(array) => values.text(Some(array.value(row))),
            Self::Int32(array) => values.whole(i64::from(array.value(row))),
            Self::Int64(array) => values.whole(array.value(row)),
            Self::Float32(array) => values.float(f64::from(array.value(row))),
            Self::Float64(array) => values.float(array.value(row)),
            Self::Truth(array) => values.truth(array.value(row)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::manifest::Dtype;
    use crate::write::testing::{OwnedRow, Rows, read};
    use crate::write::{
        Arrow, CellChannels, HuggingFace, KaldiArk, LhotseShar, Parquet, Safetensors, Webdataset, WriteShards,
    };

    /// Rows that each hold a number or a text that is easily lost.
    fn rows(count: usize) -> Rows {
        let mut rows = Rows::of_all_kinds(count);
        let float = |row: &mut OwnedRow, number| row.extras[0] = Value::Float64(number);
        float(&mut rows.rows[1], f64::NAN);
        float(&mut rows.rows[2], f64::INFINITY);
        float(&mut rows.rows[3], -0.0);
        float(&mut rows.rows[4], 0.1 + 0.2);
        float(&mut rows.rows[5], -f64::NAN);
        rows.rows[6].text = Some("");
        rows.rows[6].extras = vec![Value::Null; 4];
        rows.rows[7].extras[3] = Value::String("");
        rows.rows[7].sound[1] = f64::NEG_INFINITY;
        rows
    }

    #[test]
    fn rows_have_the_same_checksum_before_and_after_every_format() {
        let no_bf16 = |rows: Rows| rows.with_features(|column| column.dtype != Dtype::Bf16);
        let one_channel = |rows: Rows| no_bf16(rows).with_features(|column| column.channels == CellChannels::One);
        let one_matrix = |rows: Rows| rows.with_features(|column| column.name == "mel").without_audio();
        let cases: [(&dyn WriteShards, Rows); 7] = [
            (&Parquet::default(), rows(90)),
            (&Arrow::default(), rows(90)),
            (&Safetensors::default(), rows(90)),
            (&HuggingFace::default(), one_channel(rows(90))),
            (&Webdataset::default(), no_bf16(rows(90))),
            (&KaldiArk::default(), one_matrix(rows(90))),
            (&LhotseShar::default(), one_matrix(rows(90))),
        ];
        for (format, rows) in cases {
            let folder = tempfile::tempdir().unwrap();
            let files = rows.write(format, folder.path());
            let back = read(format, &rows.schema, &files, None).unwrap();
            let written: Vec<u64> = rows.rows.iter().map(|row| of_row(&row.row(), &rows.schema)).collect();
            assert_eq!(of_batch(&back, &rows.schema).unwrap(), written, "{:?}", files[0]);
        }
    }

    #[test]
    fn whatever_changes_in_a_row_its_checksum_does() {
        let rows = Rows::of_all_kinds(1);
        let mut seen = HashSet::from([of_row(&rows.rows[0].row(), &rows.schema)]);
        let changes: [fn(&mut OwnedRow); 17] = [
            |row| row.key.push('x'),
            |row| row.id.push('x'),
            |row| row.copy += 1,
            |row| row.text = Some(""),
            |row| row.speaker = Some(""),
            |row| row.speaker = Some("anna"),
            |row| row.language = Some("fr"),
            |row| row.num_samples += 1,
            |row| row.augmentation = Some(String::new()),
            |row| row.extras[0] = Value::Float64(-0.0),
            |row| row.extras[0] = Value::Null,
            |row| row.extras[1] = Value::Int64(0),
            |row| row.extras[2] = Value::Boolean(false),
            |row| row.sound[0] = 7.0,
            |row| row.sound[1] = f64::NAN,
            |row| row.cells[0].frames += 1,
            |row| row.cells[4].scale *= 2.0,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut row = rows.rows[0].clone();
            change(&mut row);
            assert!(seen.insert(of_row(&row.row(), &rows.schema)), "change {number}");
        }
    }

    #[test]
    fn a_batch_of_other_columns_is_refused() {
        let rows = Rows::of_all_kinds(3);
        let batch = rows.batch();
        let without: Vec<usize> = (1..batch.num_columns()).collect();
        assert!(of_batch(&batch.project(&without).unwrap(), &rows.schema).is_err());
        let mut other = rows.schema.clone();
        other.extras[0].1 = Kind::Int64;
        assert!(of_batch(&batch, &other).is_err());
    }

    #[test]
    fn the_bytes_that_are_hashed_stay_the_same_between_versions() {
        let mut values = Values::default();
        values.nothing();
        values.text(Some("ø"));
        values.whole(-2);
        values.float(1.5);
        values.float(-f64::NAN);
        values.truth(true);
        let expected: [&[u8]; 6] = [
            &[0],
            &[1, 2, 0, 0, 0, 0, 0, 0, 0, 0xc3, 0xb8],
            &[2, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[3, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f],
            &[3, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f],
            &[4, 1],
        ];
        assert_eq!(values.0, expected.concat());
    }
}
