//! LJ Speech, as its archive unpacks: `metadata.csv` with a recording a line, and the recordings in `wavs`.
//!
//! K. Ito and L. Johnson, "The LJ Speech Dataset", 2017; <https://keithito.com/LJ-Speech-Dataset/>.

use std::collections::HashMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::corpus_table::{Cell, ColumnKey, CorpusTable, Rows};
use super::folder::{Folder, stem};
use super::lines::TextLines;
use super::problems::Problems;
use super::{AUDIO_EXTENSIONS, CorpusError, Place, Position, ReadCorpus, has_extension};
use crate::family::Member;
use crate::variables::{Template, Variables};

/// LJ Speech and corpora laid out like it: lines `id|transcription|normalized transcription` in `metadata.csv`, and the
/// recordings in `wavs`.
///
/// A quote in `metadata.csv` is a letter like any other. The id is the first field. The transcription that is not the
/// text is the column `raw_text` or `normalized_text`; where lines have one transcription only, it is the text.
/// Recordings may have been converted: any extension that wavemill decodes will do. The list says what the corpus is:
/// recordings that it does not name are left out, and a line without its recording is an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ljspeech {
    /// The folder that holds `metadata.csv` and `wavs`.
    pub root: Template,
    /// Which transcription is the text: `normalized`, with numbers and abbreviations as they are spoken, or `raw`.
    /// Default: normalized.
    #[serde(default)]
    pub text: LjspeechText,
}

/// A transcription of LJ Speech.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LjspeechText {
    /// With numbers and abbreviations as they are spoken: the third field.
    #[default]
    Normalized,
    /// As it was printed: the second field.
    Raw,
}

impl Member for Ljspeech {
    const EXAMPLE: &'static str = r#"ljspeech: { root: "${CORPUS}/LJSpeech-1.1" }"#;
}

impl ReadCorpus for Ljspeech {
    fn read(&self, variables: &Variables) -> Result<CorpusTable, CorpusError> {
        let root = self.root.fill(variables)?;
        let root = Path::new(root.as_ref());
        let wavs = root.join("wavs");
        if let Some(path) = [root, &wavs].into_iter().find(|folder| !folder.is_dir()) {
            return Err(CorpusError::NoFolder { path: path.to_owned() });
        }
        let list = root.join("metadata.csv");
        let mut lines = TextLines::open(&list)?;
        let files = Folder::list(&wavs)?.files;
        let mut recordings: HashMap<&str, &str> = HashMap::new();
        for file in files.iter().filter(|file| has_extension(Path::new(file), &AUDIO_EXTENSIONS)) {
            if let Some(other) = recordings.insert(stem(file), file) {
                let (id, first, second) = (stem(file).to_owned(), wavs.join(other), wavs.join(file));
                let (first, second) = (Place::whole(&first), Place::whole(&second));
                return Err(CorpusError::DuplicateId { id, first, second, derived: false });
            }
        }
        let mut rows = Rows::new(&list, root);
        let mut problems = Problems::default();
        let mut other_text = None;
        while let Some((number, line)) = lines.next_line()? {
            let place = Place::line(&list, number);
            let fields: Vec<&str> = line.split('|').map(str::trim).collect();
            let (id, raw, normalized) = match fields[..] {
                [id, only] => (id, only, None),
                [id, raw, normalized] => (id, raw, Some(normalized)),
                _ => {
                    let reason =
                        format!("{} fields with `|` between, and not `id|transcription|normalized`", fields.len());
                    problems.add(CorpusError::malformed(place, reason));
                    continue;
                }
            };
            let Some(file) = recordings.get(id) else {
                problems.add(CorpusError::TranscriptWithoutAudio { place, id: id.to_owned() });
                continue;
            };
            let (text, other) = match (self.text, normalized) {
                (LjspeechText::Normalized, Some(normalized)) => (normalized, Some(("raw_text", raw))),
                (LjspeechText::Raw, Some(normalized)) => (raw, Some(("normalized_text", normalized))),
                (_, None) => (raw, None),
            };
            rows.begin(Position::Line(number));
            rows.put(ColumnKey::AUDIO, Cell::string(&format!("wavs/{file}")))?;
            rows.put(ColumnKey::ID, Cell::string(id))?;
            rows.put(ColumnKey::TEXT, Cell::string(text))?;
            if let Some((name, other)) = other {
                let column = other_text.map_or_else(|| rows.column(name), Ok)?;
                other_text = Some(column);
                rows.put(column, Cell::string(other))?;
            }
            rows.end()?;
        }
        problems.none()?;
        rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Value;
    use super::*;

    fn read(metadata: &str, wavs: &[&str], text: LjspeechText) -> Result<CorpusTable, CorpusError> {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("wavs")).unwrap();
        for name in wavs {
            fs::write(root.path().join("wavs").join(name), "").unwrap();
        }
        fs::write(root.path().join("metadata.csv"), metadata).unwrap();
        Ljspeech { root: root.path().to_str().unwrap().into(), text }.read(&Variables::default())
    }

    fn message(metadata: &str, wavs: &[&str]) -> String {
        read(metadata, wavs, LjspeechText::Normalized).unwrap_err().to_string()
    }

    const LIST: &str = "LJ001-0002|in \"1815\", |in \"eighteen fifteen\",\nLJ001-0001|Mr. A|Mister A\n";
    const WAVS: [&str; 3] = ["LJ001-0001.wav", "LJ001-0002.flac", "LJ001-0003.wav"];

    #[test]
    fn either_transcription_is_the_text_and_the_other_is_carried() {
        let table = read(LIST, &WAVS, LjspeechText::Normalized).unwrap();
        assert_eq!([table.id(0), table.audio(0)], ["LJ001-0002", "wavs/LJ001-0002.flac"]);
        assert_eq!((table.len(), table.text(0)), (2, Some("in \"eighteen fifteen\",")));
        assert_eq!(table.cell("raw_text", 1).unwrap().1, Value::String("Mr. A"));
        let table = read(LIST, &WAVS, LjspeechText::Raw).unwrap();
        assert_eq!(
            (table.text(1), table.cell("normalized_text", 1).unwrap().1),
            (Some("Mr. A"), Value::String("Mister A"))
        );
        let table = read("a|only one\n", &["a.wav"], LjspeechText::Normalized).unwrap();
        assert_eq!((table.text(0), table.extras().len()), (Some("only one"), 0));
    }

    #[test]
    fn every_bad_line_is_told() {
        let message = message("LJ001-0001\nLJ001-0002|a|b\n\n../x|a|b\na|b|c|d\n", &WAVS);
        assert!(message.starts_with("3 problems:"), "{message}");
        assert!(message.contains("line 1: 1 fields") && message.contains("line 5: 4 fields"), "{message}");
        assert!(message.contains("metadata.csv`, line 4: the recording of `../x` is missing"), "{message}");
    }

    #[test]
    fn what_is_there_twice_or_not_at_all_is_an_error() {
        assert!(message("a|b|c\na|d|e\n", &["a.wav"]).contains("metadata.csv`, line 1 and by"));
        assert!(message("a|b|c\n", &["a.wav", "a.flac"]).contains("a.flac` and by"));
        assert!(message("", &["a.wav"]).contains("has no rows"));
        let reader = Ljspeech { root: "/no/such".into(), text: LjspeechText::Raw };
        assert!(matches!(reader.read(&Variables::default()), Err(CorpusError::NoFolder { .. })));
    }
}
