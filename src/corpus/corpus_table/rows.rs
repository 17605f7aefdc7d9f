//! The one place where rows become a corpus table: every reader hands over its cells here, and here they are checked.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use polars::prelude::{ChunkFullNull, Float64Chunked, Int64Chunked, StringChunked};

use super::cells::{Cell, Cells, GrowingCells, as_int};
use super::{CorpusTable, Extra, Origin, RESERVED, STANDARD};
use crate::audio::Seconds;
use crate::corpus::{CorpusError, Place, Position};
use crate::load::Commands;
use crate::value::Value;

/// The most columns beside the standard ones: each takes memory in every row.
const MOST_COLUMNS: usize = 1000;

/// The column that carries the column or field `name` of a source, where nobody says another: none of what decoding tells
/// (`num_samples`, `sample_rate`), and `source_…` of what else datasets have of their own.
pub(in crate::corpus) fn carried_name(name: &str) -> Option<Cow<'_, str>> {
    match name {
        "num_samples" | "sample_rate" => None,
        reserved if RESERVED.contains(&reserved) => Some(Cow::Owned(format!("source_{reserved}"))),
        other => Some(Cow::Borrowed(other)),
    }
}

/// A column that takes cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::corpus) struct ColumnKey(usize);

impl ColumnKey {
    pub(in crate::corpus) const ID: Self = Self(0);
    pub(in crate::corpus) const AUDIO: Self = Self(1);
    const START_S: Self = Self(2);
    const DURATION_S: Self = Self(3);
    const CHANNEL: Self = Self(4);
    pub(in crate::corpus) const TEXT: Self = Self(5);
    pub(in crate::corpus) const SPEAKER: Self = Self(6);
}

/// A corpus table while it is read, row by row.
///
/// A row is one [`begin`](Self::begin), its cells in any order by [`put`](Self::put), and one [`end`](Self::end).
///
/// A row without an id gets one made of itself alone, so that other rows may come and go: the audio path as kept in the
/// table, without `.` and `..` and without the extension; where the row has a start, then `-` and the start in
/// milliseconds, and `-` and the duration in milliseconds if there is one; where it has a channel, `-c` and the channel.
pub(in crate::corpus) struct Rows {
    /// What the rows are read from, in their order; the last is the one at hand.
    parts: Vec<Part>,
    root: Root,
    commands: Commands,
    keys: HashMap<String, ColumnKey>,
    /// By key: the standard columns, then the others in the order in which they came.
    columns: Vec<GrowingCells>,
    /// By row: its part, and where in it the row stands.
    positions: Vec<(usize, Position)>,
    derived_ids: bool,
    row: Row,
}

/// A file that rows are read from, and what holds for all of them.
struct Part {
    source: PathBuf,
    /// The folder below the root, with `/` behind it, that relative audio paths are relative to.
    folder: String,
    /// Cells of every row.
    cells: Vec<(ColumnKey, String)>,
}

/// What must be known of a row until it ends.
#[derive(Default)]
struct Row {
    audio: String,
    start_s: Option<Seconds>,
    duration_s: Option<Seconds>,
    channel: Option<i64>,
}

/// The folder against which audio paths resolve.
struct Root {
    path: PathBuf,
    /// The same without links, where it exists.
    canonical: Option<PathBuf>,
}

impl Root {
    /// `audio` as kept in datasets: relative to the root where it lies below, else as written.
    fn relative<'a>(&self, audio: &'a str) -> &'a str {
        if !Path::new(audio).is_absolute() {
            return audio;
        }
        let below = |root: &Path| Path::new(audio).strip_prefix(root).ok()?.to_str();
        below(&self.path).or_else(|| self.canonical.as_deref().and_then(below)).unwrap_or(audio)
    }
}

impl Rows {
    /// An empty table of what `source` says; `audio` paths resolve against `root`.
    pub(in crate::corpus) fn new(source: &Path, root: &Path) -> Self {
        let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
        Self {
            parts: vec![Part { source: source.to_owned(), folder: String::new(), cells: Vec::new() }],
            root: Root { path: root.to_owned(), canonical: root.canonicalize().ok() },
            commands: Commands::Refuse,
            keys: STANDARD.iter().enumerate().map(|(key, name)| ((*name).to_owned(), ColumnKey(key))).collect(),
            columns: STANDARD.into_iter().map(GrowingCells::new).collect(),
            positions: Vec::new(),
            derived_ids: false,
            row: Row::default(),
        }
    }

    /// Whether audio names that end in `|` are commands.
    pub(in crate::corpus) fn set_commands(&mut self, commands: Commands) {
        self.commands = commands;
    }

    /// Goes on with another file, whose relative audio paths are relative to `folder` below the root (empty, or with `/` at
    /// its end), and whose rows all have `cells`.
    pub(in crate::corpus) fn begin_part(&mut self, source: &Path, folder: &str, cells: Vec<(ColumnKey, String)>) {
        self.parts.push(Part { source: source.to_owned(), folder: folder.to_owned(), cells });
    }

    /// What is read at present.
    fn source(&self) -> &Path {
        self.parts.last().map_or(Path::new(""), |part| &part.source)
    }

    /// The column `name`, made where it is not there yet.
    pub(in crate::corpus) fn column(&mut self, name: &str) -> Result<ColumnKey, CorpusError> {
        if let Some(key) = self.keys.get(name) {
            return Ok(*key);
        }
        if RESERVED.contains(&name) {
            return Err(CorpusError::ReservedColumn { path: self.source().to_owned(), column: name.to_owned() });
        }
        if name.is_empty() {
            return Err(CorpusError::NamelessColumn { path: self.source().to_owned() });
        }
        if self.columns.len() == STANDARD.len() + MOST_COLUMNS {
            let is_here = self.positions.last().is_some_and(|(part, _)| *part == self.parts.len() - 1);
            let place = if is_here { self.place() } else { Place::whole(self.source()) };
            let reason = format!(
                "`{name}` would be column {} beside the standard ones, and at most {MOST_COLUMNS} are kept: put values \
                 that few rows have into one object, under one name",
                MOST_COLUMNS + 1
            );
            return Err(CorpusError::malformed(place, reason));
        }
        let key = ColumnKey(self.columns.len());
        self.columns.push(GrowingCells::new(name));
        self.keys.insert(name.to_owned(), key);
        Ok(key)
    }

    /// Goes on with the file `source`: the rows that follow stand in it.
    pub(in crate::corpus) fn continue_in(&mut self, source: &Path) {
        self.begin_part(source, "", Vec::new());
    }

    /// Starts the row that stands at `position` of the source.
    pub(in crate::corpus) fn begin(&mut self, position: Position) {
        self.positions.push((self.parts.len() - 1, position));
        self.row = Row::default();
    }

    /// Where the row at hand stands: in a folder of recordings, its recording.
    pub(in crate::corpus) fn place(&self) -> Place {
        match self.positions.last() {
            Some((_, Position::Whole)) if !self.row.audio.is_empty() => {
                Place::whole(&self.root.path.join(&self.row.audio))
            }
            Some((_, position)) => Place { path: self.source().to_owned(), position: *position },
            None => Place::whole(self.source()),
        }
    }

    /// Fills one cell of the row at hand.
    pub(in crate::corpus) fn put(&mut self, key: ColumnKey, cell: Cell<'_>) -> Result<(), CorpusError> {
        if self.has(key) {
            let column = self.columns[key.0].name().to_owned();
            return Err(CorpusError::GivenTwice { place: self.place(), column, also: None });
        }
        self.columns[key.0].pad(self.positions.len() - 1);
        match key {
            ColumnKey::ID if cell.is_empty() => Err(CorpusError::NoId { place: self.place(), field: None }),
            ColumnKey::AUDIO if cell.is_empty() => Err(CorpusError::NoAudio { place: self.place() }),
            ColumnKey::AUDIO => {
                let written = cell.to_string();
                // The first word of a command may lie below the root; what follows it is no path.
                let command = self.commands == Commands::Allow && written.ends_with('|');
                let audio = if command { written.as_str() } else { self.root.relative(&written) };
                let folder = self.parts.last().map_or("", |part| part.folder.as_str());
                let in_folder = !folder.is_empty() && !Path::new(audio).is_absolute() && !audio.contains("://");
                let audio = if in_folder { Cow::Owned(format!("{folder}{audio}")) } else { Cow::Borrowed(audio) };
                audio.as_ref().clone_into(&mut self.row.audio);
                self.push_text(key, Cell::Untyped(&audio));
                Ok(())
            }
            ColumnKey::START_S => {
                self.row.start_s = self.push_time(key, cell)?;
                Ok(())
            }
            ColumnKey::DURATION_S => {
                self.row.duration_s = self.push_time(key, cell)?;
                Ok(())
            }
            ColumnKey::CHANNEL => self.push_channel(key, cell),
            ColumnKey(standard) if standard < STANDARD.len() => {
                self.push_text(key, cell);
                Ok(())
            }
            ColumnKey(extra) => {
                self.columns[extra].push(cell);
                Ok(())
            }
        }
    }

    /// Text, whatever the source holds: a speaker may well be the number 14.
    fn push_text(&mut self, key: ColumnKey, cell: Cell<'_>) {
        let column = &mut self.columns[key.0];
        match cell {
            Cell::Untyped(text) if !text.is_empty() => column.push(Cell::Typed(Value::String(text))),
            Cell::Untyped(_) | Cell::Typed(Value::Null | Value::String(_)) => column.push(cell),
            Cell::Typed(other) => column.push(Cell::Typed(Value::String(&other.to_string()))),
        }
    }

    fn push_time(&mut self, key: ColumnKey, cell: Cell<'_>) -> Result<Option<Seconds>, CorpusError> {
        let number = match cell {
            _ if cell.is_null() => return Ok(None),
            Cell::Typed(Value::Float64(number)) => Some(number),
            Cell::Typed(Value::Int64(number)) => Some(number as f64),
            Cell::Untyped(text) | Cell::Typed(Value::String(text)) => text.trim().parse().ok(),
            Cell::Typed(Value::Boolean(_) | Value::Null) => None,
        };
        let time = number.and_then(Seconds::new);
        let time = time.ok_or_else(|| self.bad_value(key, cell, "a time in seconds, finite and not negative"))?;
        self.columns[key.0].push(Cell::Typed(Value::Float64(time.get())));
        Ok(Some(time))
    }

    fn push_channel(&mut self, key: ColumnKey, cell: Cell<'_>) -> Result<(), CorpusError> {
        let number = match cell {
            _ if cell.is_null() => return Ok(()),
            Cell::Typed(Value::Int64(number)) => Some(number),
            // Tools that know no missing integers write a column with gaps as floats.
            Cell::Typed(Value::Float64(number)) => (number.fract() == 0.0).then_some(number as i64),
            Cell::Untyped(text) | Cell::Typed(Value::String(text)) => as_int(text.trim().trim_end_matches(".0")),
            Cell::Typed(Value::Boolean(_) | Value::Null) => None,
        };
        let channel = number.filter(|channel| (0..=i64::from(u16::MAX)).contains(channel));
        let channel = channel.ok_or_else(|| self.bad_value(key, cell, "a channel's number, counted from 0"))?;
        self.columns[key.0].push(Cell::Typed(Value::Int64(channel)));
        self.row.channel = Some(channel);
        Ok(())
    }

    fn bad_value(&self, key: ColumnKey, cell: Cell<'_>, wanted: &'static str) -> CorpusError {
        let column = self.columns[key.0].name().to_owned();
        CorpusError::BadValue { place: self.place(), column, value: format!("`{cell}`"), wanted }
    }

    /// The recording of the row at hand as the table keeps it; empty where none is named yet.
    pub(in crate::corpus) fn audio(&self) -> &str {
        &self.row.audio
    }

    /// Whether the row at hand has a value in the column.
    pub(in crate::corpus) fn has(&self, key: ColumnKey) -> bool {
        self.columns[key.0].len() == self.positions.len()
    }

    /// Ends the row at hand as [`end`](Self::end) does, but makes its id of `name` in place of the audio path.
    pub(in crate::corpus) fn end_as(&mut self, name: &str) -> Result<(), CorpusError> {
        if self.has(ColumnKey::AUDIO) {
            name.clone_into(&mut self.row.audio);
        }
        self.end()
    }

    /// Ends the row at hand: checks that it has a recording, and makes its id where it has none.
    pub(in crate::corpus) fn end(&mut self) -> Result<(), CorpusError> {
        if !self.has(ColumnKey::AUDIO) {
            return Err(CorpusError::NoAudio { place: self.place() });
        }
        if !self.has(ColumnKey::ID) {
            self.derived_ids = true;
            let id = self.row.derived_id();
            self.put(ColumnKey::ID, Cell::Untyped(&id))?;
        }
        for (key, cell) in self.parts.last().map(|part| part.cells.clone()).into_iter().flatten() {
            self.put(key, Cell::string(&cell))?;
        }
        Ok(())
    }

    /// The table, once it is sure that no two rows have one id.
    pub(in crate::corpus) fn finish(self) -> Result<CorpusTable, CorpusError> {
        let len = self.positions.len();
        if len == 0 {
            let path = self.parts.into_iter().next().map(|part| part.source).unwrap_or_default();
            return Err(CorpusError::NoRows { path });
        }
        let names: Vec<String> =
            self.columns.iter().skip(STANDARD.len()).map(|cells| cells.name().to_owned()).collect();
        let mut columns = self.columns.into_iter().map(|cells| cells.finish(len));
        let id = texts(columns.next(), "id", len);
        let audio = texts(columns.next(), "audio", len);
        let start_s = times(columns.next(), "start_s", len);
        let duration_s = times(columns.next(), "duration_s", len);
        let table = CorpusTable {
            origins: vec![Origin { root: self.root.path, commands: self.commands, dataset: None, round: 0 }],
            origin: Vec::new(),
            dataset_row: Vec::new(),
            id,
            audio,
            start_s,
            given_s: duration_s.clone(),
            duration_s,
            channel: channels(columns.next(), "channel", len),
            text: texts(columns.next(), "text", len),
            speaker: texts(columns.next(), "speaker", len),
            language: texts(columns.next(), "language", len),
            extras: names.into_iter().zip(columns).map(|(name, cells)| Extra { name, cells }).collect(),
        };
        let place = |row: usize| match self.positions[row] {
            (_, Position::Whole) => Place::whole(&table.audio_path(row)),
            (part, position) => Place { path: self.parts[part].source.clone(), position },
        };
        let mut seen = HashMap::with_capacity(len);
        for row in 0..len {
            if let Some(first) = seen.insert(table.id(row), row) {
                let (first, second) = (place(first), place(row));
                let id = table.id(row).to_owned();
                return Err(CorpusError::DuplicateId { id, first, second, derived: self.derived_ids });
            }
        }
        drop(seen);
        Ok(table)
    }
}

impl Row {
    fn derived_id(&self) -> String {
        let mut id = without_extension(&self.audio);
        let mut add = |mark: &str, number: i64| id.extend([mark, &number.to_string()]);
        let milliseconds = |time: Seconds| (time.get() * 1000.0).round() as i64;
        if let Some(start_s) = self.start_s {
            add("-", milliseconds(start_s));
            self.duration_s.into_iter().for_each(|duration_s| add("-", milliseconds(duration_s)));
        }
        self.channel.into_iter().for_each(|channel| add("-c", channel));
        id
    }
}

/// A path without its extension, `.` and `..`, and `/` at its start.
pub(in crate::corpus) fn without_extension(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = Path::new(name).file_stem().and_then(std::ffi::OsStr::to_str).unwrap_or(name);
    let folders = folder.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
    folders.chain([stem]).collect::<Vec<_>>().join("/")
}

/// A standard column of text; one without any cell grew without a type.
fn texts(cells: Option<Cells>, name: &str, len: usize) -> StringChunked {
    if let Some(Cells::String(cells)) = cells { cells } else { StringChunked::full_null(name.into(), len) }
}

fn times(cells: Option<Cells>, name: &str, len: usize) -> Float64Chunked {
    if let Some(Cells::Float64(cells)) = cells { cells } else { Float64Chunked::full_null(name.into(), len) }
}

fn channels(cells: Option<Cells>, name: &str, len: usize) -> Int64Chunked {
    if let Some(Cells::Int64(cells)) = cells { cells } else { Int64Chunked::full_null(name.into(), len) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows<'a>(rows: impl IntoIterator<Item = &'a [(&'a str, &'a str)]>) -> Result<CorpusTable, CorpusError> {
        let mut table = Rows::new(Path::new("list.csv"), Path::new("/corpus"));
        for (line, row) in rows.into_iter().enumerate() {
            table.begin(Position::Line(line as u64 + 1));
            for (column, cell) in row {
                let key = table.column(column)?;
                table.put(key, Cell::Untyped(cell))?;
            }
            table.end()?;
        }
        table.finish()
    }

    fn message<'a>(bad: impl IntoIterator<Item = &'a [(&'a str, &'a str)]>) -> String {
        rows(bad).unwrap_err().to_string()
    }

    #[test]
    fn a_row_without_an_id_gets_one_of_itself_alone() {
        let table = rows([
            &[("audio", "./a/b.c.wav")][..],
            &[("audio", "/corpus/x.wav"), ("start_s", "1.5"), ("duration_s", "0.25"), ("channel", "1")],
            &[("audio", "x.wav"), ("start_s", "0")],
            &[("audio", "../x.wav"), ("duration_s", "3")],
            &[("audio", "/elsewhere/y"), ("id", "own")],
        ])
        .unwrap();
        let ids: Vec<_> = (0..table.len()).map(|row| table.id(row)).collect();
        assert_eq!(ids, ["a/b.c", "x-1500-250-c1", "x-0", "x", "own"]);
        assert_eq!([table.audio(1), table.audio(4)], ["x.wav", "/elsewhere/y"]);
        assert_eq!(table.location(1).to_string(), "/corpus/x.wav");
        assert_eq!(table.location(4).to_string(), "/elsewhere/y");
    }

    #[test]
    fn a_column_that_comes_late_is_null_before_and_after() {
        let table = rows([
            &[("audio", "a.wav")][..],
            &[("audio", "b.wav"), ("score", "7"), ("text", "hi"), ("duration_s", "2")],
            &[("audio", "c.wav")],
        ])
        .unwrap();
        assert_eq!(table.extras().collect::<Vec<_>>(), [("score", crate::value::Kind::Int64)]);
        let scores: Vec<_> = (0..3).map(|row| table.extra(0, row)).collect();
        assert_eq!(scores, [Value::Null, Value::Int64(7), Value::Null]);
        assert_eq!([table.text(0), table.text(1), table.text(2)], [None, Some("hi"), None]);
        assert_eq!([table.duration_s(0), table.duration_s(1), table.start_s(1)], [None, Some(2.0), None]);
    }

    #[test]
    fn what_is_wrong_with_a_row_is_said_with_its_line() {
        let twice = message([&[("audio", "a.wav"), ("id", "x")][..], &[("audio", "b.wav"), ("id", "x")]]);
        assert_eq!(twice, "the id `x` is given twice, by `list.csv`, line 1 and by `list.csv`, line 2");
        assert_eq!(message([&[("audio", "a.wav"), ("id", "")][..]]), "`list.csv`, line 1: the id is empty or missing");
        assert_eq!(message([&[("id", "x")][..]]), "`list.csv`, line 1: no audio is named");
        assert_eq!(message([&[("id", "x"), ("audio", "")][..]]), "`list.csv`, line 1: no audio is named");
        for time in ["-1", "nan", "inf", "soon"] {
            let message = message([&[("audio", "a.wav"), ("duration_s", time)][..]]);
            assert!(message.contains(&format!("`duration_s` is `{time}`, but must be a time")), "{message}");
        }
        assert!(message([&[("audio", "a.wav"), ("channel", "left")][..]]).contains("channel's number"));
        assert!(message([&[("audio", "a.wav"), ("text", "a"), ("text", "b")][..]]).contains("`text` is given twice"));
    }

    #[test]
    fn a_name_that_datasets_use_themselves_is_refused() {
        for column in RESERVED {
            let message = message([&[("audio", "a.wav"), (column, "1")][..]]);
            assert!(message.contains(&format!("has a column `{column}` of its own")), "{message}");
        }
    }

    #[test]
    fn a_column_that_is_carried_gives_way_to_those_of_datasets() {
        assert_eq!(["num_samples", "sample_rate"].map(carried_name), [None, None]);
        let names = ["key", "copy", "augmentation", "snr"].map(|name| carried_name(name).unwrap().into_owned());
        assert_eq!(names, ["source_key", "source_copy", "source_augmentation", "snr"]);
    }

    #[test]
    fn columns_without_bound_are_an_error_of_the_row() {
        let names: Vec<String> = (0..=MOST_COLUMNS).map(|number| format!("x{number}")).collect();
        let row: Vec<_> = [("audio", "a.wav")].into_iter().chain(names.iter().map(|name| (&name[..], "1"))).collect();
        assert_eq!(rows([&row[..=MOST_COLUMNS]]).unwrap().extras().count(), MOST_COLUMNS);
        let message = message([&row[..]]);
        assert!(message.starts_with("`list.csv`, line 1: `x1000` would be column 1001"), "{message}");
    }
}
