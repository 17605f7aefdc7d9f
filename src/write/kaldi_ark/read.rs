//! Utterances read back: their metadata line by line, their cells from where it says.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;

use serde_json::{Map, Value as Json};

use super::{archives, head, word};
use crate::write::contract::{RowSchema, WriteError};
use crate::write::metadata::Metadata;
use crate::write::open_file;
use crate::write::rows_back::{StoredRow, StoredRows, Wanted, next_line};
use crate::write::unlike;

/// A row of `rows.00000.jsonl`.
pub(super) struct RowLine {
    pub(super) metadata: Metadata,
    places: Map<String, Json>,
}

impl RowLine {
    pub(super) fn parse(line: &[u8]) -> Result<Self, WriteError> {
        let Metadata(mut line) = Metadata::parse(line)?;
        match (line.remove("row"), line.remove("at")) {
            (Some(Json::Object(row)), Some(Json::Object(places))) => Ok(Self { metadata: Metadata(row), places }),
            _ => Err(WriteError::Damaged("a row has no `row` or no `at`".to_owned())),
        }
    }

    /// Where the row's value stands in the archive `name`, and how many bytes it has.
    pub(super) fn place(&self, name: &str) -> Result<(u64, u64), WriteError> {
        let place = self.places.get(name).and_then(Json::as_array).map(Vec::as_slice);
        match place {
            Some([offset, bytes]) => offset.as_u64().zip(bytes.as_u64()),
            _ => None,
        }
        .ok_or_else(|| WriteError::Damaged(format!("a row does not say where it stands in the archive `{name}`")))
    }
}

/// The utterances of a shard.
pub(super) struct Utterances {
    schema: RowSchema,
    wanted: Wanted,
    archives: Vec<Archive>,
    rows: BufReader<File>,
    line: Vec<u8>,
}

struct Archive {
    name: String,
    file: BufReader<File>,
    length: u64,
    /// Where the next byte comes from.
    at: u64,
    /// Where the value of the row just read ends.
    end: u64,
}

impl Utterances {
    pub(super) fn open(schema: &RowSchema, wanted: Wanted, files: &[PathBuf]) -> Result<Self, WriteError> {
        let names = archives(schema);
        let Some((rows, paths)) = files.split_last().filter(|(_, paths)| paths.len() == names.len()) else {
            return Err(unlike(files.len()));
        };
        let archive = |(name, path): (String, &PathBuf)| {
            let file = open_file(path)?;
            let length = file.metadata()?.len();
            Ok(Archive { name, file: BufReader::new(file), length, at: 0, end: 0 })
        };
        let archives = names.into_iter().zip(paths).map(archive).collect::<Result<Vec<_>, WriteError>>()?;
        let rows = BufReader::new(open_file(rows)?);
        Ok(Self { schema: schema.clone(), wanted, archives, rows, line: Vec::new() })
    }
}

impl Archive {
    /// The value of `key`, which `row` places behind the one before; nothing where it is not wanted.
    fn value(&mut self, row: &RowLine, key: &str, wanted: bool) -> Result<Vec<u8>, WriteError> {
        let name = &self.name;
        let damaged = |what: &str| WriteError::Damaged(format!("the archive `{name}` {what} `{key}`"));
        let (offset, bytes) = row.place(name)?;
        let start = self.end;
        if start.checked_add(key.len() as u64 + 1) != Some(offset) {
            return Err(damaged("has no room, or too much, before"));
        }
        self.end = offset.checked_add(bytes).filter(|end| *end <= self.length).ok_or_else(|| damaged("ends within"))?;
        if !wanted {
            return Ok(Vec::new());
        }
        self.file.seek_relative((start - self.at) as i64)?;
        let mut before = vec![0; key.len() + 1];
        self.file.read_exact(&mut before)?;
        if before.strip_suffix(b" ") != Some(key.as_bytes()) {
            return Err(damaged("has something else where its row places"));
        }
        let mut value = vec![0; bytes as usize];
        self.file.read_exact(&mut value)?;
        self.at = self.end;
        Ok(value)
    }
}

impl StoredRows for Utterances {
    fn next_row(&mut self) -> Result<Option<StoredRow>, WriteError> {
        if !next_line(&mut self.rows, &mut self.line)? {
            return match self.archives.iter().find(|archive| archive.end != archive.length) {
                Some(Archive { name, .. }) => {
                    Err(WriteError::Damaged(format!("the archive `{name}` does not end with the last row")))
                }
                None => Ok(None),
            };
        }
        let row = RowLine::parse(&self.line)?;
        let key = word(row.metadata.key()?).into_owned();
        let mut archives = self.archives.iter_mut();
        let mut cells = Vec::with_capacity(self.schema.features.len());
        for ((column, wanted), archive) in self.schema.features.iter().zip(&self.wanted.features).zip(&mut archives) {
            let mut cell = archive.value(&row, &key, *wanted)?;
            if *wanted {
                let frames = row.metadata.frames(column)?;
                let head = head(column, frames);
                let bytes = (frames as usize).checked_mul(column.frame_bytes());
                if !cell.starts_with(&head) || bytes != Some(cell.len() - head.len()) {
                    let what = format!("`{}` of `{key}` is not of the size that its row says", column.name);
                    return Err(WriteError::Damaged(what));
                }
                cell.drain(..head.len());
            }
            cells.push(cell);
        }
        let sound = self.wanted.audio.iter().zip(archives);
        let sound = sound.map(|(wanted, archive)| archive.value(&row, &key, *wanted));
        let audio = sound.collect::<Result<Vec<_>, _>>()?;
        Ok(Some(StoredRow { metadata: row.metadata, cells, audio }))
    }
}
