//! LibriSpeech, as its archives unpack: `split/speaker/chapter/speaker-chapter-utterance.flac`, with the transcripts of a
//! chapter in `speaker-chapter.trans.txt` beside.
//!
//! V. Panayotov, G. Chen, D. Povey and S. Khudanpur, "LibriSpeech: an ASR corpus based on public domain audio books",
//! ICASSP 2015; <https://www.openslr.org/12>.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::audio_folder::text_of;
use super::corpus_table::{Cell, ColumnKey, CorpusTable, Rows, Value};
use super::folder::{Folder, stem};
use super::{AUDIO_EXTENSIONS, CorpusError, Place, Position, ReadCorpus, has_extension};
use crate::family::Member;
use crate::variables::{Template, Variables};

/// LibriSpeech and corpora laid out like it: `split/speaker/chapter/` with recordings and one `.trans.txt`.
///
/// The id is the recording's name without extension (`84-121123-0000`). Beside text and speaker there are the columns
/// `split` and `chapter`, and `gender` (`F` or `M`) where `SPEAKERS.TXT` stands in `root`. Recordings may have been
/// converted: any extension that wavemill decodes will do.
///
/// Nothing is lost in silence: a recording without a line in a transcript is an utterance without text, and a line
/// without its recording is an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Librispeech {
    /// The folder that holds the splits, often called `LibriSpeech`.
    pub root: Template,
    /// The splits to read, in this order: `[train-clean-100, train-clean-360]`. Default: every folder in `root` that is
    /// laid out as a split, in alphabetic order.
    #[serde(default)]
    pub splits: Vec<String>,
}

impl Member for Librispeech {
    const EXAMPLE: &'static str = r#"librispeech: { root: "${CORPUS}", splits: [train-clean-100] }"#;
}

impl ReadCorpus for Librispeech {
    fn read(&self, variables: &Variables) -> Result<CorpusTable, CorpusError> {
        let root = self.root.fill(variables)?;
        let root = Path::new(root.as_ref());
        if !root.is_dir() {
            return Err(CorpusError::NoFolder { path: root.to_owned() });
        }
        let mut reading = Reading::of(root)?;
        for split in &self.splits {
            if reading.split(split)? == 0 {
                return Err(CorpusError::NoSplit { path: root.join(split) });
            }
        }
        if self.splits.is_empty() {
            let mut found = 0;
            for split in Folder::list(root)?.folders {
                found += reading.split(&split)?;
            }
            if found == 0 {
                let looked_for = "recordings in `split/speaker/chapter/`".to_owned();
                return Err(CorpusError::NoRecordings { root: root.to_owned(), looked_for });
            }
        }
        reading.rows.finish()
    }
}

/// A LibriSpeech tree while it is read.
struct Reading {
    root: PathBuf,
    rows: Rows,
    chapter: ColumnKey,
    split: ColumnKey,
    /// The column and what it holds for each speaker, where the tree says so.
    gender: Option<(ColumnKey, HashMap<String, String>)>,
}

/// A line of a transcript.
struct Transcript {
    text: String,
    place: Place,
}

impl Reading {
    fn of(root: &Path) -> Result<Self, CorpusError> {
        let mut rows = Rows::new(root, root);
        let (split, chapter) = (rows.column("split")?, rows.column("chapter")?);
        let speakers = root.join("SPEAKERS.TXT");
        let gender = if speakers.is_file() { Some((rows.column("gender")?, genders(&speakers)?)) } else { None };
        Ok(Self { root: root.to_owned(), rows, chapter, split, gender })
    }

    /// Reads one split; the number of its utterances.
    fn split(&mut self, split: &str) -> Result<usize, CorpusError> {
        let path = self.root.join(split);
        if !path.is_dir() {
            return Err(CorpusError::NoFolder { path });
        }
        let mut utterances = 0;
        for speaker in Folder::list(&path)?.folders {
            for chapter in Folder::list(&path.join(&speaker))?.folders {
                utterances += self.chapter(split, &speaker, &chapter)?;
            }
        }
        Ok(utterances)
    }

    fn chapter(&mut self, split: &str, speaker: &str, chapter: &str) -> Result<usize, CorpusError> {
        let path = self.root.join(split).join(speaker).join(chapter);
        let files = Folder::list(&path)?.files;
        let mut transcripts = HashMap::new();
        for file in files.iter().filter(|file| file.ends_with(".trans.txt")) {
            read_transcripts(&path.join(file), &mut transcripts)?;
        }
        let mut utterances = 0;
        for file in files.iter().filter(|file| has_extension(Path::new(file), &AUDIO_EXTENSIONS)) {
            let id = stem(file);
            let rows = &mut self.rows;
            rows.begin(Position::Whole);
            rows.put(ColumnKey::AUDIO, Cell::string(&format!("{split}/{speaker}/{chapter}/{file}")))?;
            rows.put(ColumnKey::ID, Cell::string(id))?;
            rows.put(ColumnKey::SPEAKER, Cell::string(speaker))?;
            rows.put(self.split, Cell::string(split))?;
            rows.put(self.chapter, Cell::string(chapter))?;
            if let Some(transcript) = transcripts.remove(id) {
                rows.put(ColumnKey::TEXT, Cell::string(&transcript.text))?;
            }
            if let Some((column, genders)) = &self.gender {
                rows.put(
                    *column,
                    genders.get(speaker).map_or(Cell::Typed(Value::Null), |gender| Cell::string(gender)),
                )?;
            }
            rows.end()?;
            utterances += 1;
        }
        match transcripts.into_iter().min_by(|a, b| a.0.cmp(&b.0)) {
            Some((id, Transcript { place, .. })) => Err(CorpusError::TranscriptWithoutAudio { place, id }),
            None => Ok(utterances),
        }
    }
}

/// Reads `id TEXT` lines.
fn read_transcripts(path: &Path, transcripts: &mut HashMap<String, Transcript>) -> Result<(), CorpusError> {
    for (number, line) in (1..).zip(text_of(path)?.lines()) {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let (id, text) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let (place, text) = (Place::line(path, number), text.trim_start().to_owned());
        if let Some(first) = transcripts.insert(id.to_owned(), Transcript { text, place: place.clone() }) {
            let (id, first) = (id.to_owned(), first.place);
            return Err(CorpusError::DuplicateId { id, first, second: place, derived: false });
        }
    }
    Ok(())
}

/// Reads the `ID | SEX | …` lines of `SPEAKERS.TXT`; a semicolon starts a comment.
fn genders(path: &Path) -> Result<HashMap<String, String>, CorpusError> {
    let mut genders = HashMap::new();
    for (number, line) in (1..).zip(text_of(path)?.lines()) {
        if line.starts_with(';') || line.trim().is_empty() {
            continue;
        }
        let mut fields = line.split('|').map(str::trim);
        let (Some(speaker), Some(gender)) = (fields.next(), fields.next()) else {
            return Err(CorpusError::SpeakerLine { place: Place::line(path, number) });
        };
        genders.insert(speaker.to_owned(), gender.to_owned());
    }
    Ok(genders)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = tree.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        tree
    }

    fn two_splits() -> tempfile::TempDir {
        tree(&[
            ("README.TXT", ""),
            ("books/a.txt", ""),
            ("train-clean-100/19/198/19-198-0001.flac", ""),
            ("train-clean-100/19/198/19-198-0000.flac", ""),
            ("train-clean-100/19/198/19-198-0002.flac", ""),
            ("train-clean-100/19/198/19-198.trans.txt", "19-198-0000 NORTHANGER ABBEY\n19-198-0001 THIS LITTLE WORK\n"),
            ("dev-clean/84/121123/84-121123-0000.wav", ""),
            ("dev-clean/84/121123/84-121123.trans.txt", "84-121123-0000 GO DO YOU HEAR\n"),
        ])
    }

    fn read(tree: &tempfile::TempDir, splits: &[&str]) -> Result<CorpusTable, CorpusError> {
        let splits = splits.iter().map(|split| (*split).to_owned()).collect();
        Librispeech { root: tree.path().to_str().unwrap().into(), splits }.read(&Variables::default())
    }

    fn message(tree: &tempfile::TempDir, splits: &[&str]) -> String {
        read(tree, splits).unwrap_err().to_string()
    }

    #[test]
    fn every_split_is_read_in_order_with_texts_and_speakers() {
        let table = read(&two_splits(), &[]).unwrap();
        let ids: Vec<_> = (0..table.len()).map(|row| table.id(row)).collect();
        assert_eq!(ids, ["84-121123-0000", "19-198-0000", "19-198-0001", "19-198-0002"]);
        assert_eq!(table.audio(0), "dev-clean/84/121123/84-121123-0000.wav");
        assert_eq!((table.text(1), table.speaker(1)), (Some("NORTHANGER ABBEY"), Some("19")));
        assert_eq!(table.extras().map(|(name, _)| name).collect::<Vec<_>>(), ["split", "chapter"]);
        let (split, chapter) = (Value::String("train-clean-100"), Value::String("198"));
        assert_eq!((table.extra(0, 3), table.extra(1, 3)), (split, chapter));
    }

    #[test]
    fn a_recording_without_a_transcript_is_an_utterance_without_text() {
        assert_eq!(read(&two_splits(), &["train-clean-100"]).unwrap().text(2), None);
    }

    #[test]
    fn a_transcript_without_its_recording_is_an_error_with_its_line() {
        let tree = two_splits();
        fs::remove_file(tree.path().join("train-clean-100/19/198/19-198-0001.flac")).unwrap();
        let message = message(&tree, &["train-clean-100"]);
        assert!(message.ends_with("19-198.trans.txt`, line 2: the recording of `19-198-0001` is missing"), "{message}");
        assert_eq!(read(&tree, &["dev-clean"]).unwrap().len(), 1);
    }

    #[test]
    fn the_list_of_speakers_gives_their_gender() {
        let tree = two_splits();
        let list = tree.path().join("SPEAKERS.TXT");
        fs::write(&list, ";ID |SEX| SUBSET |MINUTES| NAME\n19 | F | train-clean-100 | 25.19 | Kara Shallenberg\n")
            .unwrap();
        let table = read(&tree, &[]).unwrap();
        assert_eq!((table.extra(2, 0), table.extra(2, 1)), (Value::Null, Value::String("F")));
        fs::write(&list, "nonsense\n").unwrap();
        assert!(message(&tree, &[]).ends_with("SPEAKERS.TXT`, line 1: no `speaker | sex | …`"));
    }

    #[test]
    fn a_split_that_is_not_there_or_none_at_all_is_an_error() {
        assert!(message(&two_splits(), &["test-clean"]).contains("there is no folder"));
        assert!(message(&two_splits(), &["books"]).contains("books` has no `speaker/chapter` folders"));
        assert!(message(&tree(&[("a/b.txt", "")]), &[]).contains("looked for recordings in `split/speaker/chapter/`"));
    }

    #[test]
    fn an_id_that_is_there_twice_is_an_error() {
        let tree = two_splits();
        fs::write(tree.path().join("dev-clean/84/121123/84-121123-0000.flac"), "").unwrap();
        let twice = message(&tree, &["dev-clean"]);
        assert!(twice.contains("84-121123-0000.flac` and by") && twice.contains("0000.wav`"), "{twice}");
        let transcripts = "84-121123-0000 GO\n84-121123-0000 STAY\n";
        fs::write(tree.path().join("dev-clean/84/121123/84-121123.trans.txt"), transcripts).unwrap();
        assert!(message(&tree, &["dev-clean"]).contains("line 1 and by"));
    }
}
