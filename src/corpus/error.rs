//! What can be wrong with a corpus.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::variables::VariableError;

/// Where in a file something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The file as a whole.
    Whole,
    /// A line of text, counted from 1.
    Line(u64),
    /// A row of a file without lines, counted from 1.
    Row(u64),
    /// A byte of the file, counted from 0: where a member of an archive begins.
    Byte(u64),
}

/// A file, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Where in the file.
    pub position: Position,
}

impl Place {
    /// The file as a whole.
    pub(super) fn whole(path: &Path) -> Self {
        Self { path: path.to_owned(), position: Position::Whole }
    }

    /// A byte of the file, counted from 0.
    pub(super) fn byte(path: &Path, byte: u64) -> Self {
        Self { path: path.to_owned(), position: Position::Byte(byte) }
    }

    /// A line of the file, counted from 1.
    pub(super) fn line(path: &Path, line: u64) -> Self {
        Self { path: path.to_owned(), position: Position::Line(line) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.position {
            Position::Whole => write!(f, "`{path}`"),
            Position::Line(line) => write!(f, "`{path}`, line {line}"),
            Position::Row(row) => write!(f, "`{path}`, row {row}"),
            Position::Byte(byte) => write!(f, "`{path}`, byte {byte}"),
        }
    }
}

/// Why no table can be made of a corpus.
#[derive(Debug, Error)]
pub enum CorpusError {
    /// A path or text of the pipeline file has a variable that cannot be filled.
    #[error(transparent)]
    Variable(#[from] VariableError),
    /// A file or folder could not be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// What should be a folder is missing, or is something else.
    #[error("there is no folder `{}`", path.display())]
    NoFolder {
        /// Where it should be.
        path: PathBuf,
    },
    /// A link leads back to a folder that contains it.
    #[error("the link `{}` leads back to `{}`, which contains it", path.display(), ancestor.display())]
    LinkLoop {
        /// The link.
        path: PathBuf,
        /// The folder that it leads to.
        ancestor: PathBuf,
    },
    /// A file name cannot be kept in a table of text.
    #[error("the name of `{}` is not UTF-8", path.display())]
    NameNotUtf8 {
        /// The file, with what cannot be shown replaced.
        path: PathBuf,
    },
    /// A text file is in another encoding.
    #[error("{place} is not UTF-8 text")]
    TextNotUtf8 {
        /// Where the text stands.
        place: Place,
        /// The first wrong byte.
        #[source]
        source: std::str::Utf8Error,
    },
    /// A folder has no recordings.
    #[error("`{}` has no recordings: looked for {looked_for}", root.display())]
    NoRecordings {
        /// The folder.
        root: PathBuf,
        /// The files looked for.
        looked_for: String,
    },
    /// A file has no utterances.
    #[error("`{}` has no rows", path.display())]
    NoRows {
        /// The file.
        path: PathBuf,
    },
    /// A file's name is not as `name` says.
    #[error("the name of `{}` does not match the pattern `{pattern}`", path.display())]
    NameUnmatched {
        /// The file.
        path: PathBuf,
        /// The pattern as written.
        pattern: String,
    },
    /// A line is not a JSON object.
    #[error("{place}, column {column}: {reason}")]
    Json {
        /// The line.
        place: Place,
        /// The column in the line, counted from 1; bytes.
        column: usize,
        /// What is wrong there. Not a `#[source]`: `serde_json` saw one line only and calls each of them line 1.
        reason: String,
    },
    /// Something of a corpus is not as its layout says.
    #[error("{place}: {reason}")]
    Malformed {
        /// Where it stands.
        place: Place,
        /// What is wrong there, and what to do.
        reason: String,
    },
    /// Several things are wrong, each of which alone would be an error.
    #[error("{} problems:{}", problems.len() as u64 + more, one_a_line(problems, *more))]
    Many {
        /// The first problems, in the order of the source.
        problems: Vec<CorpusError>,
        /// How many further ones there are.
        more: u64,
    },
    /// A record of a CSV or TSV file has more or fewer cells than the header.
    #[error("{place}: the record has {found} cells, the header has {expected}")]
    RecordLength {
        /// The record.
        place: Place,
        /// Columns of the header.
        expected: u64,
        /// Cells of the record.
        found: u64,
    },
    /// A CSV or TSV file could not be read.
    #[error("failed to read {place}")]
    Csv {
        /// The record, where it is known.
        place: Place,
        /// What is wrong.
        #[source]
        source: csv::Error,
    },
    /// A Parquet file is damaged, or of a kind that is not read.
    #[error("failed to read `{}` as Parquet", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// A Parquet file is damaged where its reader did not expect it.
    #[error("`{}` is damaged: the Parquet reader gave up on it", path.display())]
    DamagedParquet {
        /// The file.
        path: PathBuf,
    },
    /// The cells of a Parquet column do not become text, whole numbers, numbers or truth values.
    #[error("`{}`: the column `{column}` is of type {kind}, which a corpus table cannot hold: name it under `drop`", path.display())]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its Arrow type.
        kind: String,
    },
    /// A Parquet column has a value that its type in the corpus table cannot hold.
    #[error("`{}`: failed to convert the column `{column}`", path.display())]
    ColumnValue {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The value.
        #[source]
        source: arrow::error::ArrowError,
    },
    /// The ending of a file does not say what it is.
    #[error("the ending of `{}` says no format: write `format: csv`, `tsv`, `parquet` or `ndjson`", path.display())]
    NoFormat {
        /// The file.
        path: PathBuf,
    },
    /// A delimiter is given for a format that has none.
    #[error("`delimiter` is for csv and tsv, and `{}` is read as {format}", path.display())]
    DelimiterUnused {
        /// The file.
        path: PathBuf,
        /// The format's word.
        format: &'static str,
    },
    /// A column that the pipeline file names is not in the source.
    #[error(
        "`{}` has no column `{column}`{}; it has {}",
        path.display(),
        nearest.as_ref().map(|word| format!(" (did you mean `{word}`?)")).unwrap_or_default(),
        listed(there)
    )]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column as the pipeline file names it.
        column: String,
        /// The column that was probably meant.
        nearest: Option<String>,
        /// Every column of the source.
        there: Vec<String>,
    },
    /// No column of the source is the audio.
    #[error("`{}`: no column fills `audio`: write `columns: {{audio: …}}` with one of {}", path.display(), listed(there))]
    NoAudioColumn {
        /// The file.
        path: PathBuf,
        /// Every column of the source.
        there: Vec<String>,
    },
    /// A column of the source has no name.
    #[error("`{}` has a column without a name: give it one, or write `drop: [\"\"]`", path.display())]
    NamelessColumn {
        /// The file.
        path: PathBuf,
    },
    /// A column's name is one that the rows of a dataset use themselves.
    #[error("`{}`: every dataset has a column `{column}` of its own: give this one another name, such as `source_{column}`", path.display())]
    ReservedColumn {
        /// The file or folder.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// Two fields of one row, or two columns of one source, fill one column.
    #[error("{place}: `{column}` is given twice{}", also.as_ref().map(|other| format!(", the second time by `{other}`")).unwrap_or_default())]
    GivenTwice {
        /// The row or file.
        place: Place,
        /// The column of the corpus table.
        column: String,
        /// The field of the source that comes second, where its name is another.
        also: Option<String>,
    },
    /// An utterance has no id.
    #[error("{place}: {} is empty or missing", field.as_ref().map_or_else(|| "the id".to_owned(), |field| format!("the id, the field `{field}`,")))]
    NoId {
        /// The row.
        place: Place,
        /// The field of the source that should hold it, where the pipeline file names one.
        field: Option<String>,
    },
    /// Two utterances have one id.
    #[error("the id `{id}` is given twice, by {first} and by {second}{}", if *derived { ": give the rows ids of their own" } else { "" })]
    DuplicateId {
        /// The id.
        id: String,
        /// The first utterance.
        first: Place,
        /// The second utterance.
        second: Place,
        /// Whether the id was made of the audio path and the times.
        derived: bool,
    },
    /// An utterance has no recording.
    #[error("{place}: no audio is named")]
    NoAudio {
        /// The row.
        place: Place,
    },
    /// A value is not what its column holds.
    #[error("{place}: `{column}` is {value}, but must be {wanted}")]
    BadValue {
        /// The row.
        place: Place,
        /// The column of the corpus table.
        column: String,
        /// The value as the source has it.
        value: String,
        /// What the column holds.
        wanted: &'static str,
    },
    /// A folder that should be a split of LibriSpeech is none.
    #[error("`{}` has no `speaker/chapter` folders with recordings", path.display())]
    NoSplit {
        /// The folder.
        path: PathBuf,
    },
    /// A transcript names a recording that is not there.
    #[error("{place}: the recording of `{id}` is missing")]
    TranscriptWithoutAudio {
        /// The line of the transcript.
        place: Place,
        /// The utterance.
        id: String,
    },
    /// A line of `SPEAKERS.TXT` has too few fields.
    #[error("{place}: no `speaker | sex | …`")]
    SpeakerLine {
        /// The line.
        place: Place,
    },
}

impl CorpusError {
    /// Something that is not as the layout says.
    pub(super) fn malformed(place: Place, reason: impl Into<String>) -> Self {
        Self::Malformed { place, reason: reason.into() }
    }

    /// The same error, with the field of the source that comes second where one column is given twice.
    pub(super) fn given_by(self, field: &str) -> Self {
        match self {
            Self::GivenTwice { place, column, also: None } if column != field => {
                Self::GivenTwice { place, column, also: Some(field.to_owned()) }
            }
            other => other,
        }
    }
}

/// Words in backquotes, with commas between them.
fn listed(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Problems with their causes, each on a line of its own.
fn one_a_line(problems: &[CorpusError], more: u64) -> String {
    let mut lines = vec![String::new()];
    for problem in problems {
        let mut line = problem.to_string();
        let mut cause = std::error::Error::source(problem);
        while let Some(error) = cause {
            line.extend([": ", &error.to_string()]);
            cause = error.source();
        }
        lines.push(line);
    }
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n  ")
}
