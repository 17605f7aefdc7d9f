//! Files with a JSON object a line, read line by line so that a bad one is named by its number. Those that are compressed
//! with gzip are known by their first bytes.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::Value as Json;

use crate::corpus::corpus_table::{Cell, ColumnKey, Rows, Value};
use crate::corpus::regular_file::open_regular;
use crate::corpus::{CorpusError, Place};

/// The most bytes that a line may have: those of real manifests take some kilobytes, a parsed line takes many times its
/// bytes, and a small gzip file could hold one that fills the memory.
const MOST_LINE: u64 = 4 << 20;

/// A file with a JSON object a line, in gzip or not; blank lines are skipped.
pub(in crate::corpus) struct JsonLines {
    path: PathBuf,
    text: Box<dyn BufRead>,
    is_gzip: bool,
    bytes: Vec<u8>,
    number: u64,
}

/// One line: its number, counted from 1, and its fields as written, doubled ones included.
pub(in crate::corpus) type Line = (u64, Vec<(String, Json)>);

impl JsonLines {
    pub(in crate::corpus) fn open(path: &Path) -> Result<Self, CorpusError> {
        let unread = |source| CorpusError::Read { path: path.to_owned(), source };
        let mut file = BufReader::new(open_regular(path)?);
        let is_gzip = file.fill_buf().map_err(unread)?.starts_with(b"\x1f\x8b");
        let text: Box<dyn BufRead> =
            if is_gzip { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) };
        Ok(Self { path: path.to_owned(), text, is_gzip, bytes: Vec::new(), number: 0 })
    }

    /// Why the line after those read cannot be read.
    fn unread(&self, source: io::Error) -> CorpusError {
        let damage = match source.kind() {
            io::ErrorKind::UnexpectedEof => "ends early: it is cut off",
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => "is damaged",
            _ => return CorpusError::Read { path: self.path.clone(), source },
        };
        if self.is_gzip {
            let place = Place::line(&self.path, self.number + 1);
            CorpusError::malformed(place, format!("the gzip stream {damage}"))
        } else {
            CorpusError::Read { path: self.path.clone(), source }
        }
    }

    fn next_line(&mut self) -> Result<Option<Line>, CorpusError> {
        loop {
            self.bytes.clear();
            let read = self.text.by_ref().take(MOST_LINE + 1).read_until(b'\n', &mut self.bytes);
            if read.map_err(|source| self.unread(source))? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.bytes.len() as u64 > MOST_LINE {
                let reason = format!("the line has more than {} MiB: it is no line of a manifest", MOST_LINE >> 20);
                return Err(CorpusError::malformed(Place::line(&self.path, self.number), reason));
            }
            // Windows editors mark UTF-8 with these three bytes at the start of a file.
            let mark: &[u8] = if self.number == 1 { b"\xef\xbb\xbf" } else { b"" };
            let line = self.bytes.strip_prefix(mark).unwrap_or(&self.bytes);
            if !line.trim_ascii().is_empty() {
                let fields = fields(line).map_err(|error| json_error(&self.path, self.number, &error))?;
                return Ok(Some((self.number, fields)));
            }
        }
    }
}

impl Iterator for JsonLines {
    type Item = Result<Line, CorpusError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().transpose()
    }
}

fn json_error(path: &Path, number: u64, error: &serde_json::Error) -> CorpusError {
    let message = error.to_string();
    let reason = message.split(" at line ").next().unwrap_or(&message).to_owned();
    CorpusError::Json { place: Place::line(path, number), column: error.column(), reason }
}

/// The fields of one object as written, doubled ones included.
pub(in crate::corpus) fn fields(line: &[u8]) -> serde_json::Result<Vec<(String, Json)>> {
    let mut deserializer = serde_json::Deserializer::from_slice(line);
    let fields = deserializer.deserialize_map(Fields)?;
    deserializer.end()?;
    Ok(fields)
}

/// Reads an object into a list: a map would drop a field that is there twice.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(String, Json)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(8);
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(fields)
    }
}

/// Fills a cell with a JSON value; objects and lists, and numbers beyond 64 bits, are kept as JSON text.
pub(in crate::corpus) fn put_json(rows: &mut Rows, key: ColumnKey, json: &Json) -> Result<(), CorpusError> {
    let text;
    let value = match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Boolean(*truth),
        Json::String(string) => Value::String(string),
        Json::Number(number) => match number.as_i64() {
            Some(int) => Value::Int64(int),
            None if number.is_u64() => {
                text = number.to_string();
                Value::String(&text)
            }
            None => number.as_f64().map_or(Value::Null, Value::Float64),
        },
        Json::Array(_) | Json::Object(_) => {
            text = json.to_string();
            Value::String(&text)
        }
    };
    rows.put(key, Cell::Typed(value))
}
