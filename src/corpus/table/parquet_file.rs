//! Parquet, a batch of rows at a time.

use std::fs::File;
use std::path::Path;

use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::arrow_cells::{ArrowCells, target_type};
use super::parquet_schema::check_nesting;
use super::{AudioPaths, Table};
use crate::corpus::corpus_table::Rows;
use crate::corpus::regular_file::open_regular;
use crate::corpus::{CorpusError, Position};
use crate::isolation::isolated;

impl Table {
    pub(super) fn read_parquet(&self, path: &Path, rows: &mut Rows, paths: AudioPaths) -> Result<(), CorpusError> {
        let builder = open_parquet(path)?;
        let schema = builder.schema();
        let sources: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let resolved = self.resolve(path, &sources, rows)?;
        let (read, keys): (Vec<_>, Vec<_>) =
            resolved.into_iter().enumerate().filter(|(_, keys)| !keys.is_empty()).unzip();
        for column in &read {
            let field = schema.field(*column);
            target_type(field.data_type()).ok_or_else(|| CorpusError::ColumnType {
                path: path.to_owned(),
                column: field.name().clone(),
                kind: type_name(field.data_type()),
            })?;
        }
        let names: Vec<&str> = read.iter().map(|column| sources[*column].as_str()).collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), read.iter().copied());
        let mut number = 0;
        let mut batches = guarded(path, || builder.with_projection(mask).build())?;
        while let Some(batch) = guarded(path, || Ok(batches.next().transpose()?))? {
            let columns = batch.columns().iter().zip(&names).map(|(array, name)| ArrowCells::of(array, path, name));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            for row in 0..batch.num_rows() {
                number += 1;
                rows.begin(Position::Row(number));
                for (cells, keys) in columns.iter().zip(&keys) {
                    keys.iter().try_for_each(|key| rows.put(*key, cells.cell(row)))?;
                }
                paths.end(rows)?;
            }
        }
        Ok(())
    }
}

/// A Parquet file whose footer is read.
pub(in crate::corpus) fn open_parquet(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, CorpusError> {
    let file = open_regular(path)?;
    check_nesting(path, &file)?;
    guarded(path, || ParquetRecordBatchReaderBuilder::try_new(file))
}

/// The most letters of a type that a message shows.
const MOST_LETTERS: usize = 200;

/// A column's type for messages.
pub(in crate::corpus) fn type_name(kind: &DataType) -> String {
    let name = kind.to_string();
    match name.char_indices().nth(MOST_LETTERS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    }
}

/// What a step of the Parquet reader gives. Of files with flipped bits, `parquet` 60.1 refuses most and panics on a few
/// (negative offsets, a page of a dictionary that is not there); a corpus is input, so that is an error like the others.
pub(in crate::corpus) fn guarded<T>(
    path: &Path,
    step: impl FnOnce() -> parquet::errors::Result<T>,
) -> Result<T, CorpusError> {
    // An error ends the reading, and nobody sees the reader again.
    match isolated(step) {
        Ok(result) => result.map_err(|source| CorpusError::Parquet { path: path.to_owned(), source }),
        Err(_) => Err(CorpusError::DamagedParquet { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, DictionaryArray, Float32Array, Int8Array, ListArray, RecordBatch, StringArray,
        StringViewArray, TimestampSecondArray, UInt64Array,
    };
    use arrow::datatypes::{Int32Type, UInt8Type};
    use parquet::arrow::ArrowWriter;

    use super::*;
    use crate::corpus::{CorpusTable, Kind, ReadCorpus, Value};
    use crate::variables::Variables;

    fn read(settings: &str, columns: Vec<(&str, ArrayRef)>) -> Result<CorpusTable, CorpusError> {
        let folder = tempfile::tempdir().unwrap();
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let file = File::create(folder.path().join("a.parquet")).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let reader: Table = serde_saphyr::from_str(&format!("{{ path: '${{DIR}}/a.parquet', {settings} }}")).unwrap();
        let variable = ("DIR".to_owned(), folder.path().to_str().unwrap().to_owned());
        reader.read(&[variable].into_iter().collect::<Variables>())
    }

    fn paths() -> ArrayRef {
        Arc::new(StringArray::from(vec!["a.wav", "b.wav"]))
    }

    fn lists() -> ArrayRef {
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)]), Some([Some(2)])]))
    }

    #[test]
    fn every_flat_type_is_converted() {
        let speakers: DictionaryArray<UInt8Type> = ["x", "y"].into_iter().collect();
        let table = read(
            "columns: { audio: file, duration_s: seconds }, drop: [lists]",
            vec![
                ("lists", lists()),
                ("file", paths()),
                ("seconds", Arc::new(Float32Array::from(vec![Some(1.5), None]))),
                ("speaker", Arc::new(speakers)),
                ("text", Arc::new(StringViewArray::from(vec![Some("a long text, longer than a view"), None]))),
                ("level", Arc::new(Int8Array::from(vec![-3, 4]))),
                ("votes", Arc::new(UInt64Array::from(vec![1, 2]))),
                ("good", Arc::new(BooleanArray::from(vec![Some(true), None]))),
                ("when", Arc::new(TimestampSecondArray::from(vec![0, 86_400]))),
            ],
        )
        .unwrap();
        assert_eq!((table.id(1), table.duration_s(0), table.duration_s(1)), ("b", Some(1.5), None));
        assert_eq!((table.speaker(1), table.text(0)), (Some("y"), Some("a long text, longer than a view")));
        let kinds = [("level", Kind::Int64), ("votes", Kind::Int64), ("good", Kind::Boolean), ("when", Kind::String)];
        assert_eq!(table.extras().collect::<Vec<_>>(), kinds);
        let cells: Vec<_> = (0..4).map(|column| table.extra(column, 0)).collect();
        let (int, truth, when) = (Value::Int64, Value::Boolean(true), Value::String("1970-01-01T00:00:00"));
        assert_eq!(cells, [int(-3), int(1), truth, when]);
    }

    #[test]
    fn a_nested_column_is_refused_by_name() {
        let message = read("", vec![("audio", paths()), ("tokens", lists())]).unwrap_err().to_string();
        assert!(message.contains("the column `tokens` is of type List") && message.contains("`drop`"), "{message}");
    }

    #[test]
    fn a_long_type_is_cut_in_messages() {
        let field = |kind| vec![arrow::datatypes::Field::new("ä", kind, true)].into();
        let deep = (0..60).fold(DataType::Utf8, |kind, _| DataType::Struct(field(kind)));
        assert_eq!((type_name(&deep).chars().count(), type_name(&DataType::Utf8)), (201, "Utf8".to_owned()));
    }

    #[test]
    fn a_number_that_does_not_fit_is_an_error_and_not_a_null() {
        let votes: ArrayRef = Arc::new(UInt64Array::from(vec![1, u64::MAX]));
        let error = read("", vec![("audio", paths()), ("votes", votes)]).unwrap_err();
        assert!(matches!(&error, CorpusError::ColumnValue { column, .. } if column == "votes"), "{error}");
    }

    #[test]
    fn a_bad_row_is_named_by_its_number() {
        let times: ArrayRef = Arc::new(Float32Array::from(vec![0.0, f32::NAN]));
        let message = read("", vec![("audio", paths()), ("start_s", times)]).unwrap_err().to_string();
        assert!(message.contains("a.parquet`, row 2: `start_s` is `NaN`"), "{message}");
    }

    #[test]
    fn what_is_no_parquet_file_or_a_cut_one_is_an_error() {
        let file = tempfile::Builder::new().suffix(".parquet").tempfile().unwrap();
        let reader: Table = serde_saphyr::from_str(&format!("path: '{}'", file.path().display())).unwrap();
        let batch = RecordBatch::try_from_iter([("audio", paths())]).unwrap();
        let mut whole = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut whole, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        for bytes in [&b"not parquet at all"[..], &whole[..whole.len() / 2], &whole[..whole.len() - 1], b""] {
            std::fs::write(file.path(), bytes).unwrap();
            assert!(matches!(reader.read(&Variables::default()), Err(CorpusError::Parquet { .. })));
        }
        std::fs::write(file.path(), &whole).unwrap();
        assert_eq!(reader.read(&Variables::default()).unwrap().len(), 2);
    }

    #[test]
    fn a_panic_of_the_parquet_reader_is_an_error() {
        let error = guarded::<()>(Path::new("a.parquet"), || panic!("as the reader does")).unwrap_err();
        assert_eq!(error.to_string(), "`a.parquet` is damaged: the Parquet reader gave up on it");
    }
}
