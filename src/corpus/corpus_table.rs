//! The corpus table: a row an utterance, columns in polars, so that a million rows are eight arrays and not a million
//! structs.

mod cells;
mod condition;
mod rows;
mod select;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use polars::prelude::{
    ChunkTake, ChunkedArray, Column, DataFrame, Float64Chunked, Int64Chunked, IntoColumn, PolarsDataType, PolarsResult,
    StringChunked,
};

use super::wavemill::{AtLoad, Dataset, OfDataset};
use super::{CorpusError, Position};
use crate::load::{Commands, FetchSound, Location};
pub use crate::value::{Kind, Value};

pub(super) use self::cells::Cell;
use self::cells::Cells;
pub use self::condition::RowCondition;
pub(super) use self::rows::{ColumnKey, Rows, carried_name, without_extension};
pub use self::select::{SelectError, columns_read};

/// The columns that every corpus table has, in their order.
pub(super) const STANDARD: [&str; 8] =
    ["id", "audio", "start_s", "duration_s", "channel", "text", "speaker", "language"];

/// Columns that the rows of a dataset have of their own, beside the standard ones.
pub(super) const RESERVED: [&str; 5] = ["key", "copy", "num_samples", "sample_rate", "augmentation"];

/// What a corpus says of its utterances: ids, recordings, times, texts, and whatever else its source knows.
///
/// Rows have the order of the source; ids are unique and not empty. Accessors take a row, `0..len()`, and panic beyond,
/// as a slice does.
#[derive(Debug, Clone)]
pub struct CorpusTable {
    /// Where the rows come from: one, or one of each corpus of a merge.
    origins: Vec<Origin>,
    /// Each row's place in `origins`; nothing where all are of the first.
    origin: Vec<u32>,
    /// Each row's number in its dataset; nothing where no origin is one.
    dataset_row: Vec<u64>,
    id: StringChunked,
    audio: StringChunked,
    start_s: Float64Chunked,
    duration_s: Float64Chunked,
    /// The durations that the source gives: a length that was only measured cuts nothing.
    given_s: Float64Chunked,
    channel: Int64Chunked,
    text: StringChunked,
    speaker: StringChunked,
    language: StringChunked,
    extras: Vec<Extra>,
}

/// What audio names of a corpus mean.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) root: PathBuf,
    pub(super) commands: Commands,
    /// The dataset whose rows they are, where they are rows of one.
    pub(super) dataset: Option<OfDataset>,
    /// Which time a merge takes the row: from 0.
    pub(super) round: u32,
}

/// A column beside the standard ones.
#[derive(Debug, Clone)]
struct Extra {
    name: String,
    cells: Cells,
}

impl CorpusTable {
    /// The columns that every table has, with their types.
    pub const STANDARD_COLUMNS: [(&'static str, Kind); STANDARD.len()] = [
        ("id", Kind::String),
        ("audio", Kind::String),
        ("start_s", Kind::Float64),
        ("duration_s", Kind::Float64),
        ("channel", Kind::Int64),
        ("text", Kind::String),
        ("speaker", Kind::String),
        ("language", Kind::String),
    ];

    /// The number of utterances.
    #[must_use]
    pub fn len(&self) -> usize {
        self.id.len()
    }

    /// Whether there is no utterance.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the row's audio name means.
    fn origin(&self, row: usize) -> &Origin {
        &self.origins[self.origin.get(row).map_or(0, |origin| *origin as usize)]
    }

    /// The utterance's id: unique and not empty.
    #[must_use]
    pub fn id(&self, row: usize) -> &str {
        self.id.get(row).unwrap_or_default()
    }

    /// The recording as datasets keep it: relative to the root where it lies below, else as the source writes it.
    #[must_use]
    pub fn audio(&self, row: usize) -> &str {
        self.audio.get(row).unwrap_or_default()
    }

    /// The recording as this machine finds it, for a decoder.
    #[must_use]
    pub fn location(&self, row: usize) -> Location {
        let Origin { root, commands, dataset, .. } = self.origin(row);
        match dataset.as_ref().map(|dataset| &dataset.sound) {
            None => Location::of(root, self.audio(row), *commands),
            Some(Some(sound)) => Location::Fetched {
                name: self.audio(row).to_owned(),
                source: Arc::clone(sound) as Arc<dyn FetchSound>,
                row: self.dataset_row[row],
            },
            // There is no such file, as whoever loads it will say.
            Some(None) => Location::File(root.join(self.audio(row))),
        }
    }

    /// Which time a merge takes the row: 0 but where the weight of its corpus is more than 1.
    #[must_use]
    pub fn round(&self, row: usize) -> u32 {
        self.origin(row).round
    }

    /// The datasets that rows come from: where they stand, and a hash of what they hold.
    pub fn datasets(&self) -> impl Iterator<Item = (&Path, &str)> {
        let datasets = self.origins.iter().filter_map(|origin| origin.dataset.as_ref());
        datasets.map(|dataset| (dataset.rows.folder(), dataset.fingerprint.as_str()))
    }

    /// The table as the rows of a dataset, one after the other.
    pub(super) fn of_dataset(mut self, dataset: &OfDataset) -> Self {
        self.dataset_row = (0..self.len() as u64).collect();
        self.origins.iter_mut().for_each(|origin| origin.dataset = Some(dataset.clone()));
        self
    }

    /// The dataset whose rows these are, all of them, with what is left to whoever loads it.
    #[must_use]
    pub fn dataset(&self) -> Option<(&Dataset, &AtLoad)> {
        let [Origin { dataset: Some(dataset), .. }] = self.origins.as_slice() else { return None };
        Some((dataset.rows.as_ref(), dataset.at_load.as_ref()))
    }

    /// Which row of its dataset a row is.
    #[must_use]
    pub fn dataset_row(&self, row: usize) -> Option<u64> {
        self.origin(row).dataset.as_ref()?;
        self.dataset_row.get(row).copied()
    }

    /// The first row whose dataset has no sound, if there is one.
    #[must_use]
    pub fn without_sound(&self) -> Option<usize> {
        let silent = |row: &usize| self.origin(*row).dataset.as_ref().is_some_and(|dataset| dataset.sound.is_none());
        (0..self.len()).find(silent)
    }

    /// What a message calls a recording.
    pub(in crate::corpus) fn audio_path(&self, row: usize) -> PathBuf {
        self.location(row).to_string().into()
    }

    /// Where in the recording the utterance begins, in seconds; none is at its start.
    #[must_use]
    pub fn start_s(&self, row: usize) -> Option<f64> {
        self.start_s.get(row)
    }

    /// How long the utterance is, in seconds; none where neither the source says so nor a header was read.
    #[must_use]
    pub fn duration_s(&self, row: usize) -> Option<f64> {
        self.duration_s.get(row)
    }

    /// After how many seconds from its start the source lets the utterance end; none is the end of the recording.
    #[must_use]
    pub fn cut_duration_s(&self, row: usize) -> Option<f64> {
        self.given_s.get(row)
    }

    /// The one channel of the recording that the utterance is in, counted from 0; none is all of them.
    #[must_use]
    pub fn channel(&self, row: usize) -> Option<i64> {
        self.channel.get(row)
    }

    /// What is said.
    #[must_use]
    pub fn text(&self, row: usize) -> Option<&str> {
        self.text.get(row)
    }

    /// Who says it.
    #[must_use]
    pub fn speaker(&self, row: usize) -> Option<&str> {
        self.speaker.get(row)
    }

    /// In which language, as the source writes it.
    #[must_use]
    pub fn language(&self, row: usize) -> Option<&str> {
        self.language.get(row)
    }

    /// The further columns, in the order of the source.
    pub fn extras(&self) -> impl ExactSizeIterator<Item = (&str, Kind)> {
        self.extras.iter().map(|extra| (extra.name.as_str(), extra.cells.kind()))
    }

    /// A cell of the further column number `column`.
    #[must_use]
    pub fn extra(&self, column: usize, row: usize) -> Value<'_> {
        self.extras[column].cells.value(row)
    }

    /// A cell of any column, with the column's type; none where there is no such column.
    #[must_use]
    pub fn cell(&self, column: &str, row: usize) -> Option<(Kind, Value<'_>)> {
        fn text(cells: &StringChunked, row: usize) -> (Kind, Value<'_>) {
            (Kind::String, cells.get(row).map_or(Value::Null, Value::String))
        }
        let time = |cells: &Float64Chunked| (Kind::Float64, cells.get(row).map_or(Value::Null, Value::Float64));
        Some(match column {
            "id" => text(&self.id, row),
            "audio" => text(&self.audio, row),
            "start_s" => time(&self.start_s),
            "duration_s" => time(&self.duration_s),
            "channel" => (Kind::Int64, self.channel.get(row).map_or(Value::Null, Value::Int64)),
            "text" => text(&self.text, row),
            "speaker" => text(&self.speaker, row),
            "language" => text(&self.language, row),
            extra => {
                let extra = self.extras.iter().find(|there| there.name == extra)?;
                (extra.cells.kind(), extra.cells.value(row))
            }
        })
    }

    /// Every column with its type: the standard ones, then the further ones.
    pub fn columns(&self) -> impl Iterator<Item = (&str, Kind)> {
        Self::STANDARD_COLUMNS.into_iter().chain(self.extras())
    }

    /// The table with durations filled in where the source gives none: `probed[row]`, in seconds.
    ///
    /// # Panics
    ///
    /// `probed` has another length than the table.
    #[must_use]
    pub fn with_durations(mut self, probed: &[Option<f64>]) -> Self {
        assert_eq!(probed.len(), self.len(), "a duration a row");
        let filled = self.duration_s.iter().zip(probed).map(|(given, probed)| given.or(*probed));
        self.duration_s = filled.collect::<Float64Chunked>().with_name("duration_s".into());
        self
    }

    /// The table of the rows named, in the order named; a row may be named several times, and then its id is there
    /// several times too.
    ///
    /// # Panics
    ///
    /// A row is beyond the table.
    #[must_use]
    pub fn gather(&self, rows: &[u32]) -> Self {
        let extra = |extra: &Extra| Extra {
            name: extra.name.clone(),
            cells: match &extra.cells {
                Cells::String(cells) => Cells::String(taken(cells, rows)),
                Cells::Int64(cells) => Cells::Int64(taken(cells, rows)),
                Cells::Float64(cells) => Cells::Float64(taken(cells, rows)),
                Cells::Boolean(cells) => Cells::Boolean(taken(cells, rows)),
            },
        };
        Self {
            origins: self.origins.clone(),
            origin: if self.origin.is_empty() {
                Vec::new()
            } else {
                rows.iter().map(|row| self.origin[*row as usize]).collect()
            },
            dataset_row: if self.dataset_row.is_empty() {
                Vec::new()
            } else {
                rows.iter().map(|row| self.dataset_row[*row as usize]).collect()
            },
            id: taken(&self.id, rows),
            audio: taken(&self.audio, rows),
            start_s: taken(&self.start_s, rows),
            duration_s: taken(&self.duration_s, rows),
            given_s: taken(&self.given_s, rows),
            channel: taken(&self.channel, rows),
            text: taken(&self.text, rows),
            speaker: taken(&self.speaker, rows),
            language: taken(&self.language, rows),
            extras: self.extras.iter().map(extra).collect(),
        }
    }

    /// The rows of several tables, one after the other, each with a prefix and a suffix of its ids and the number of its round.
    ///
    /// # Errors
    ///
    /// Two utterances have one id.
    pub(super) fn concatenated(tables: &[(String, String, u32, Self)]) -> Result<Self, CorpusError> {
        let mut rows = Rows::new(Path::new(""), Path::new(""));
        let (mut origins, mut origin, mut dataset_row) = (Vec::new(), Vec::new(), Vec::new());
        for (prefix, suffix, round, table) in tables {
            let first = origins.len() as u32;
            origins.extend(table.origins.iter().cloned().map(|origin| Origin { round: *round, ..origin }));
            let columns: Vec<(String, ColumnKey)> = table
                .columns()
                .filter(|(name, _)| *name != "id")
                .map(|(name, _)| Ok((name.to_owned(), rows.column(name)?)))
                .collect::<Result<_, CorpusError>>()?;
            for row in 0..table.len() {
                rows.begin(Position::Whole);
                dataset_row.push(table.dataset_row.get(row).copied().unwrap_or(0));
                origin.push(first + table.origin.get(row).copied().unwrap_or(0));
                rows.put(ColumnKey::ID, Cell::Typed(Value::String(&format!("{prefix}{}{suffix}", table.id(row)))))?;
                for (name, key) in &columns {
                    if let Some((_, value)) = table.cell(name, row).filter(|(_, value)| *value != Value::Null) {
                        rows.put(*key, Cell::Typed(value))?;
                    }
                }
                rows.end()?;
            }
        }
        // What the rows mean, each corpus has said: here no path is one of this folder, and no length that was measured a cut.
        let each = || tables.iter().flat_map(|(.., table)| (0..table.len()).map(move |row| (table, row)));
        let audio: StringChunked = each().map(|(table, row)| Some(table.audio(row))).collect();
        let given_s: Float64Chunked = each().map(|(table, row)| table.cut_duration_s(row)).collect();
        let (audio, given_s) = (audio.with_name("audio".into()), given_s.with_name("duration_s".into()));
        Ok(Self { origins, origin, dataset_row, audio, given_s, ..rows.finish()? })
    }

    /// The table with an utterance for every channel of its recording: `counts[row]` of them, where the source names none.
    /// The utterances of a recording with several channels are called `id-ch0`, `id-ch1`, …
    ///
    /// # Errors
    ///
    /// Such an id is taken by another row: it is returned.
    ///
    /// # Panics
    ///
    /// `counts` has another length than the table.
    pub fn each_channel(&self, counts: &[u16]) -> Result<Self, String> {
        assert_eq!(counts.len(), self.len(), "a count a row");
        let channels = |row: usize| if self.channel(row).is_none() { counts[row].max(1) } else { 1 };
        let rows: Vec<(u32, u16)> =
            (0..self.len()).flat_map(|row| (0..channels(row)).map(move |channel| (row as u32, channel))).collect();
        let mut table = self.gather(&rows.iter().map(|(row, _)| *row).collect::<Vec<_>>());
        let id = |&(row, channel): &(u32, u16)| match channels(row as usize) {
            1 => self.id(row as usize).to_owned(),
            _ => format!("{}-ch{channel}", self.id(row as usize)),
        };
        let channel = |&(row, channel): &(u32, u16)| self.channel(row as usize).or(Some(i64::from(channel)));
        table.id = rows.iter().map(id).collect::<StringChunked>().with_name("id".into());
        table.channel = rows.iter().map(channel).collect::<Int64Chunked>().with_name("channel".into());
        let mut seen = HashSet::with_capacity(table.len());
        match (0..table.len()).find(|row| !seen.insert(table.id(*row))) {
            Some(row) => Err(table.id(row).to_owned()),
            None => Ok(table),
        }
    }

    /// The table as a polars frame: the standard columns, then the further ones. No cell is copied.
    ///
    /// # Errors
    ///
    /// None that are known: names are unique and columns of one length.
    pub fn frame(&self) -> PolarsResult<DataFrame> {
        let mut columns: Vec<Column> = vec![
            self.id.clone().into_column(),
            self.audio.clone().into_column(),
            self.start_s.clone().into_column(),
            self.duration_s.clone().into_column(),
            self.channel.clone().into_column(),
            self.text.clone().into_column(),
            self.speaker.clone().into_column(),
            self.language.clone().into_column(),
        ];
        columns.extend(self.extras.iter().map(|extra| match &extra.cells {
            Cells::String(cells) => cells.clone().into_column(),
            Cells::Int64(cells) => cells.clone().into_column(),
            Cells::Float64(cells) => cells.clone().into_column(),
            Cells::Boolean(cells) => cells.clone().into_column(),
        }));
        DataFrame::new(self.len(), columns)
    }
}

fn taken<T: PolarsDataType>(cells: &ChunkedArray<T>, rows: &[u32]) -> ChunkedArray<T>
where
    ChunkedArray<T>: ChunkTake<[u32]>,
{
    let taken = cells.take(rows).expect("the rows to gather lie within the table");
    taken.rechunk().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Position;

    fn three() -> CorpusTable {
        let mut rows = Rows::new(Path::new("three.csv"), Path::new("/corpus"));
        for (line, name) in ["a", "b", "https://host/c.wav"].into_iter().enumerate() {
            rows.begin(Position::Line(line as u64 + 2));
            rows.put(ColumnKey::AUDIO, Cell::Untyped(name)).unwrap();
            let size = rows.column("size").unwrap();
            rows.put(size, Cell::Untyped(["", "2.5", "3"][line])).unwrap();
            rows.end().unwrap();
        }
        rows.finish().unwrap()
    }

    #[test]
    fn a_gathered_table_has_the_rows_named_in_the_order_named() {
        let table = three().gather(&[1, 1, 0]);
        let ids: Vec<_> = (0..table.len()).map(|row| table.id(row)).collect();
        assert_eq!(ids, ["b", "b", "a"]);
        assert_eq!((table.extra(0, 0), table.extra(0, 2)), (Value::Float64(2.5), Value::Null));
        assert_eq!(table.speaker(0), None);
    }

    #[test]
    fn probed_durations_fill_gaps_and_replace_nothing() {
        let table = three().with_durations(&[Some(1.0), None, Some(3.0)]).with_durations(&[Some(9.0), None, None]);
        assert_eq!([0, 1, 2].map(|row| table.duration_s(row)), [Some(1.0), None, Some(3.0)]);
        assert_eq!(table.select("duration_s > 2").unwrap().len(), 1);
    }

    #[test]
    fn every_channel_of_a_recording_can_be_an_utterance_of_its_own() {
        let table = three().each_channel(&[2, 1, 3]).unwrap();
        let rows: Vec<_> = (0..table.len()).map(|row| (table.id(row), table.channel(row).unwrap())).collect();
        assert_eq!(rows[..3], [("a-ch0", 0), ("a-ch1", 1), ("b", 0)]);
        assert_eq!(rows.len(), 6);
    }

    #[test]
    fn the_frame_has_the_columns_of_the_table_in_their_order() {
        let table = three();
        let names = table.frame().unwrap().get_column_names_owned();
        assert_eq!(names, table.columns().map(|(name, _)| name).collect::<Vec<_>>());
        assert_eq!(names[STANDARD.len()..], ["size"]);
    }

    #[test]
    fn paths_are_joined_to_the_root_and_urls_are_not() {
        let table = three();
        assert_eq!(table.location(0).to_string(), "/corpus/a");
        assert_eq!(table.location(2).to_string(), "https://host/c.wav");
    }
}
