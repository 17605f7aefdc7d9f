//! How deep the columns of a Parquet file lie in one another, told before anything follows the schema down.
//!
//! `parquet` makes its schema of the footer's list of elements by a function that calls itself for each level, and believes the
//! number of children that an element claims (`schema/types.rs` of 60.1): a footer of 80 KB can end the process. So the footer
//! is walked here first: `FileMetaData` and `SchemaElement` of `parquet.thrift`.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::corpus::{CorpusError, Place};
use crate::load::parquet_page::{Form, Stretch, Thrift};

/// The most levels of columns within columns; those of real files are fewer than ten.
const MOST_LEVELS: usize = 64;

/// The field of `FileMetaData` that lists the schema's elements, each before its children.
const SCHEMA: i64 = 2;

/// The field of `SchemaElement` that says how many children it has.
const CHILDREN: i64 = 5;

/// What is wrong with a schema.
enum Wrong {
    Deep,
    Children,
    Unreadable(io::Error),
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// Checks that the file's schema can be followed down. A file that is no Parquet file, or is cut, passes: the reader tells.
pub(super) fn check_nesting(path: &Path, mut file: &File) -> Result<(), CorpusError> {
    let unread = |source| CorpusError::Read { path: path.to_owned(), source };
    let length = file.metadata().map_err(unread)?.len();
    let mut tail = [0; 8];
    if length < tail.len() as u64 {
        return Ok(());
    }
    let end = length - tail.len() as u64;
    file.seek(SeekFrom::Start(end)).and_then(|_| file.read_exact(&mut tail)).map_err(unread)?;
    file.rewind().map_err(unread)?;
    let [a, b, c, d, magic @ ..] = tail;
    let footer = u64::from(u32::from_le_bytes([a, b, c, d]));
    if magic != *b"PAR1" || footer > end {
        return Ok(());
    }
    let mut thrift = Thrift { bytes: BufReader::new(Stretch { file, at: end - footer, end }), read: 0 };
    let reason = match check_footer(&mut thrift) {
        Ok(()) => return Ok(()),
        Err(Wrong::Deep) => {
            format!("its columns lie in one another more than {MOST_LEVELS} levels deep: write it with flatter columns")
        }
        Err(Wrong::Children) => "the footer is damaged: a column has more children than there are".to_owned(),
        Err(Wrong::Unreadable(error)) => match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                "the footer is damaged: copy the file or write it again".to_owned()
            }
            _ => return Err(unread(error)),
        },
    };
    Err(CorpusError::malformed(Place::whole(path), reason))
}

/// Checks every schema of a footer: of two, a reader may take the last.
fn check_footer(thrift: &mut Thrift<impl Read>) -> Result<(), Wrong> {
    let mut id = 0;
    while let Some((next, form)) = thrift.field(id)? {
        id = next;
        match (id, form) {
            (SCHEMA, Form::List) => check_schema(thrift)?,
            _ => thrift.pass(form, 0)?,
        }
    }
    Ok(())
}

fn check_schema(thrift: &mut Thrift<impl Read>) -> Result<(), Wrong> {
    let (count, form) = thrift.list()?;
    if !matches!(form, Form::Struct) {
        return Err(Wrong::Unreadable(io::ErrorKind::InvalidData.into()));
    }
    // How many children are still to come of each group that the element at hand lies in.
    let mut open: Vec<u64> = Vec::new();
    for number in 0..count {
        while open.last() == Some(&0) {
            open.pop();
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        match children(thrift)? {
            0 => {}
            children if children >= count - number => return Err(Wrong::Children),
            // The first element is the whole, and no column.
            _ if open.len() > MOST_LEVELS => return Err(Wrong::Deep),
            children => open.push(children),
        }
    }
    Ok(())
}

/// How many children the element at hand says it has.
fn children(thrift: &mut Thrift<impl Read>) -> Result<u64, Wrong> {
    let (mut id, mut children) = (0, 0);
    while let Some((next, form)) = thrift.field(id)? {
        id = next;
        match (id, form) {
            (CHILDREN, Form::Int) => children = u64::try_from(thrift.int()?).map_err(|_| Wrong::Children)?,
            _ => thrift.pass(form, 0)?,
        }
    }
    Ok(children)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch, StringArray, StructArray};
    use arrow::datatypes::Field;
    use parquet::arrow::ArrowWriter;

    use super::super::parquet_file::open_parquet;

    /// A file without rows whose elements claim these numbers of children; the last is a column of whole numbers.
    fn claiming(children: &[u8], count: u8) -> Vec<u8> {
        let mut footer = vec![0x15, 2, 0x19, 0xfc];
        let total = children.len() as u64 + 1;
        footer.extend([(total & 0x7f) as u8 | 0x80, ((total >> 7) & 0x7f) as u8 | 0x80, (total >> 14) as u8]);
        for claimed in children {
            footer.extend([0x35, 0, 0x18, 1, b'a', 0x15, claimed * 2 * count, 0]);
        }
        footer.extend([0x15, 2, 0x25, 0, 0x18, 1, b'a', 0, 0x16, 0, 0x19, 0x0c, 0]);
        let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
        [b"PAR1", &footer[..], &length, b"PAR1"].concat()
    }

    fn opened(bytes: &[u8]) -> Result<(), String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        open_parquet(file.path()).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn a_schema_that_goes_too_deep_is_refused_before_anything_follows_it() {
        for groups in [66, 10_000] {
            let message = opened(&claiming(&vec![1; groups], 1)).unwrap_err();
            assert!(message.contains("more than 64 levels deep"), "{groups}: {message}");
        }
        assert_eq!(opened(&claiming(&[1; 65], 1)), Ok(()));
    }

    #[test]
    fn children_that_are_not_there_are_refused() {
        let message = opened(&claiming(&[1, 1], 60)).unwrap_err();
        assert!(message.contains("a column has more children than there are"), "{message}");
    }

    #[test]
    fn real_schemas_pass() {
        let mut array: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        for _ in 0..60 {
            let field = Arc::new(Field::new("x", array.data_type().clone(), true));
            array = Arc::new(StructArray::from(vec![(field, array)]));
        }
        let flat: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let batch = RecordBatch::try_from_iter([("a", flat.clone()), ("deep", array), ("b", flat)]).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        assert_eq!(opened(&bytes), Ok(()));
    }
}
