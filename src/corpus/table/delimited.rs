//! CSV and TSV.

use std::path::{Path, PathBuf};

use csv::{ErrorKind, ReaderBuilder, StringRecord};

use super::records_ahead::{EndlessRecord, Watched};
use super::{AudioPaths, Table};
use crate::corpus::corpus_table::{Cell, Rows};
use crate::corpus::regular_file::open_regular;
use crate::corpus::{CorpusError, Place, Position};

/// What a quote means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::corpus) enum Quoting {
    /// A cell in quotes may hold delimiters, line ends and doubled quotes.
    Rfc4180,
    /// A quote is a letter like any other.
    None,
}

/// The records of a CSV or TSV file with a header, one at a time.
pub(in crate::corpus) struct Records {
    path: PathBuf,
    reader: csv::Reader<Watched>,
    /// The names of the columns.
    pub(in crate::corpus) header: Vec<String>,
    record: StringRecord,
}

impl Records {
    pub(in crate::corpus) fn open(path: &Path, quoting: Quoting, delimiter: char) -> Result<Self, CorpusError> {
        let (delimiter, has_quotes) = (delimiter as u8, quoting == Quoting::Rfc4180);
        let file = Watched::new(open_regular(path)?, delimiter, has_quotes);
        let mut reader = ReaderBuilder::new().delimiter(delimiter).quoting(has_quotes).from_reader(file);
        let header = reader.headers().map_err(|error| csv_error(path, error))?.iter().map(str::to_owned).collect();
        Ok(Self { path: path.to_owned(), reader, header, record: StringRecord::new() })
    }

    /// The next record, with as many cells as the header, and where it stands.
    pub(in crate::corpus) fn next_record(&mut self) -> Result<Option<(Position, &StringRecord)>, CorpusError> {
        let there = self.reader.read_record(&mut self.record).map_err(|error| csv_error(&self.path, error))?;
        let position = self.record.position().map_or(Position::Whole, |position| Position::Line(position.line()));
        Ok(there.then_some((position, &self.record)))
    }

    /// The number of the column `name`.
    pub(in crate::corpus) fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column == name)
    }
}

impl Table {
    pub(super) fn read_delimited(
        &self,
        path: &Path,
        quoting: Quoting,
        delimiter: char,
        rows: &mut Rows,
        paths: AudioPaths,
    ) -> Result<(), CorpusError> {
        let mut records = Records::open(path, quoting, delimiter)?;
        let keys = self.resolve(path, &records.header, rows)?;
        while let Some((position, record)) = records.next_record()? {
            rows.begin(position);
            for (cell, keys) in record.iter().zip(&keys) {
                keys.iter().try_for_each(|key| rows.put(*key, Cell::Untyped(cell)))?;
            }
            paths.end(rows)?;
        }
        Ok(())
    }
}

fn csv_error(path: &Path, error: csv::Error) -> CorpusError {
    let line = error.position().map(csv::Position::line);
    let place = line.map_or_else(|| Place::whole(path), |line| Place::line(path, line));
    match error.kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            CorpusError::RecordLength { place, expected: *expected_len, found: *len }
        }
        ErrorKind::Io(io) => match io.get_ref().and_then(|inner| inner.downcast_ref::<EndlessRecord>()) {
            Some(endless) => CorpusError::malformed(Place::line(path, endless.line()), endless.to_string()),
            None => CorpusError::Csv { place, source: error },
        },
        _ => CorpusError::Csv { place, source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::{CorpusTable, Kind, ReadCorpus, Value};
    use crate::variables::Variables;

    fn read(name: &str, settings: &str, content: &[u8]) -> Result<CorpusTable, CorpusError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), content).unwrap();
        let reader: Table = serde_saphyr::from_str(&format!("{{ path: '${{DIR}}/{name}', {settings} }}")).unwrap();
        let variable = ("DIR".to_owned(), folder.path().to_str().unwrap().to_owned());
        reader.read(&[variable].into_iter().collect::<Variables>())
    }

    fn message(name: &str, settings: &str, content: &str) -> String {
        read(name, settings, content.as_bytes()).unwrap_err().to_string()
    }

    const COMMON_VOICE: &str = "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tlocale\n\
        c1\tcommon_voice_en_1.mp3\t\"Stop!\" he said.\t2\t0\t\ten\n\
        c2\tcommon_voice_en_2.mp3\tNo, \"never.\t3\t1\tteens\ten\n";

    #[test]
    fn common_voice_needs_a_mapping_and_no_more() {
        let settings = "audio_root: '${DIR}/clips', columns: { audio: path, text: sentence, speaker: client_id, language: locale }";
        let table = read("validated.tsv", settings, COMMON_VOICE.as_bytes()).unwrap();
        assert_eq!((table.id(0), table.audio(0)), ("common_voice_en_1", "common_voice_en_1.mp3"));
        assert!(table.location(0).file().is_some_and(|file| file.ends_with("clips/common_voice_en_1.mp3")));
        assert_eq!((table.text(0), table.text(1)), (Some("\"Stop!\" he said."), Some("No, \"never.")));
        assert_eq!((table.speaker(1), table.language(1)), (Some("c2"), Some("en")));
        let kinds = [("up_votes", Kind::Int64), ("down_votes", Kind::Int64), ("age", Kind::String)];
        assert_eq!(table.extras().collect::<Vec<_>>(), kinds);
        assert_eq!((table.extra(2, 0), table.extra(2, 1)), (Value::Null, Value::String("teens")));
    }

    #[test]
    fn csv_is_quoted_as_rfc_4180_says_and_lines_are_counted_through_quotes() {
        let content = "\u{feff}audio,text,duration_s\na.wav,\"Well, \"\"yes\"\"\nno\",1.5\nb.wav,,\nc.wav,x,-2\n";
        let table = read("a.csv", "", content.rsplit_once("c.wav").unwrap().0.as_bytes()).unwrap();
        assert_eq!((table.text(0), table.text(1)), (Some("Well, \"yes\"\nno"), None));
        assert_eq!((table.duration_s(0), table.duration_s(1)), (Some(1.5), None));
        let message = message("a.csv", "", content);
        assert!(message.contains("a.csv`, line 5: `duration_s` is `-2`"), "{message}");
    }

    #[test]
    fn one_source_column_may_fill_two_columns_and_be_dropped_or_renamed() {
        let content = "path;copy;secret\na.wav;1;x\n";
        let settings = "format: csv, delimiter: ';', columns: { id: path, audio: path, take: copy }, drop: [secret]";
        let table = read("a.txt", settings, content.as_bytes()).unwrap();
        assert_eq!((table.id(0), table.audio(0)), ("a.wav", "a.wav"));
        assert_eq!(table.extras().collect::<Vec<_>>(), [("take", Kind::Int64)]);
    }

    #[test]
    fn a_column_that_is_not_there_is_named_with_the_nearest_and_all_others() {
        let message = message("a.tsv", "columns: { audio: path, text: sentense }", COMMON_VOICE);
        assert!(
            message.contains("no column `sentense` (did you mean `sentence`?); it has `client_id`, `path`,"),
            "{message}"
        );
    }

    #[test]
    fn a_header_that_fills_a_column_twice_is_refused() {
        let twice = message("a.csv", "columns: { text: sentence }", "audio,text,sentence\n");
        assert!(twice.contains("`text` is given twice, the second time by `sentence`"), "{twice}");
        assert!(message("a.csv", "", "audio,x,x\na,1,2\n").contains("`x` is given twice"));
        assert!(message("a.csv", "", ",audio\n0,a\n").contains("without a name"));
    }

    #[test]
    fn a_column_that_every_dataset_has_is_renamed_or_left_out() {
        let table = read("a.csv", "", b"audio,key,num_samples,sample_rate,copy\na,k,5,8000,1\n").unwrap();
        assert_eq!(table.extras().collect::<Vec<_>>(), [("source_key", Kind::String), ("source_copy", Kind::Int64)]);
        let named = message("a.csv", "columns: { key: x }", "audio,x\na,1\n");
        assert!(named.contains("every dataset has a column `key` of its own"), "{named}");
    }

    #[test]
    fn a_quote_that_never_closes_is_an_error_of_the_record_where_it_opens() {
        let open = message("a.csv", "", "audio,text\na.wav,x\n\nb.wav,\"hello\nc.wav,y\nd.wav,z\n");
        assert!(open.contains("a.csv`, line 4: a quote opens in the record that begins here"), "{open}");
        assert!(message("a.csv", "", "\u{feff}\"audio,text\na.wav,x\n").contains("line 1: a quote opens"));
        for (name, whole) in [
            ("a.csv", "audio,text\na.wav,\"he said \"\"no\"\"\""),
            ("a.csv", "audio,text\na.wav,say \"no\n"),
            ("a.csv", "audio,text\r\na.wav,\"\"\r\n"),
            ("a.tsv", "audio\ttext\na.wav\t\"no\n"),
        ] {
            assert_eq!(read(name, "", whole.as_bytes()).unwrap().len(), 1, "{whole}");
        }
    }

    #[test]
    fn a_record_longer_than_any_is_an_error_of_its_line() {
        let long = format!("audio,text\na.wav,x\nb.wav,\"{}", "y\n".repeat(1 << 20));
        assert!(
            message("a.csv", "", &long).contains("a.csv`, line 3: the record that begins here has more than 1 MiB")
        );
        assert!(message("a.tsv", "", &"y".repeat(2 << 20)).contains("line 1: the record that begins here"));
    }

    #[test]
    fn a_bad_record_is_named_by_its_line() {
        let short = message("a.csv", "", "audio,text\na.wav,x\nb.wav\n");
        assert!(short.ends_with("a.csv`, line 3: the record has 1 cells, the header has 2"), "{short}");
        let bytes = read("a.csv", "", b"audio\na.wav\n\xff.wav\n").unwrap_err();
        assert!(matches!(&bytes, CorpusError::Csv { place, .. } if place.position == Position::Line(3)), "{bytes:?}");
        assert!(message("a.csv", "", "audio,id\na.wav,1\nb.wav,\n").contains("line 3: the id is empty"));
        assert!(message("a.csv", "", "audio,text\n").contains("no rows"));
        assert!(message("a.csv", "", "path,text\na,x\n").ends_with("`columns: {audio: …}` with one of `path`, `text`"));
    }

    #[test]
    fn a_format_that_nothing_says_is_asked_for() {
        assert!(message("a.txt", "", "audio\na\n").contains("write `format: csv`"));
        assert!(message("a.ndjson", "delimiter: ';'", "{}").contains("`delimiter` is for csv and tsv"));
        for delimiter in ["';;'", "'\"'", "'ä'", "''"] {
            let error = serde_saphyr::from_str::<Table>(&format!("{{ path: x, delimiter: {delimiter} }}")).unwrap_err();
            assert!(error.to_string().contains("one ASCII character"), "{error}");
        }
    }

    #[test]
    fn json_lines_are_mapped_like_any_table() {
        let lines = b"{\"file\": \"a.wav\", \"score\": 1}\n{\"file\": \"b.wav\", \"score\": 0.5, \"late\": true}\n";
        let table = read("a.ndjson", "columns: { audio: file, id: file }", lines).unwrap();
        assert_eq!((table.id(1), table.audio(1)), ("b.wav", "b.wav"));
        assert_eq!(table.extras().collect::<Vec<_>>(), [("score", Kind::Float64), ("late", Kind::Boolean)]);
        let missing = read("a.ndjson", "columns: { audio: file, text: sentence }", lines).unwrap_err().to_string();
        assert!(missing.contains("no column `sentence`") && missing.contains("`late`"), "{missing}");
        let no_id = read("a.ndjson", "columns: { audio: file, id: late }", lines).unwrap_err().to_string();
        assert!(no_id.contains("line 1: the id, the field `late`, is empty or missing"), "{no_id}");
    }
}
