//! VCTK, as its archives unpack: a folder a speaker, recordings in one tree and texts in another.
//!
//! J. Yamagishi, C. Veaux and K. MacDonald, "CSTR VCTK Corpus: English multi-speaker corpus for CSTR voice cloning
//! toolkit", University of Edinburgh; 0.80 of 2012, 0.92 of 2019, <https://doi.org/10.7488/ds/2645>.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::audio_folder::text_of;
use super::corpus_table::{Cell, ColumnKey, CorpusTable, Rows, Value};
use super::folder::{Folder, stem};
use super::lines::TextLines;
use super::{AUDIO_EXTENSIONS, CorpusError, Place, Position, ReadCorpus, has_extension};
use crate::family::Member;
use crate::variables::{Template, Variables};

/// VCTK 0.92 (`wav48_silence_trimmed/p225/p225_001_mic1.flac`) and 0.80 (`wav48/p225/p225_001.wav`).
///
/// The id is `p225_001`; with `mic: both` it is `p225_001_mic1` and `p225_001_mic2`, and the column `mic` says which. The
/// text is that of `txt/p225/p225_001.txt`; a recording without one is an utterance without text (`p315` has none). Texts
/// without a recording are left out, as both releases have some. From `speaker-info.txt`, where it is there, come
/// `gender` (`F` or `M`), `age`, `accent`, `region` and `comment`.
///
/// Recordings may have been converted: any extension that wavemill decodes will do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vctk {
    /// The folder that holds `txt` and the recordings.
    pub root: Template,
    /// Which microphone of 0.92: `mic1`, `mic2` or `both`. `p280` and some other utterances have no `mic2`; 0.80 has one
    /// microphone only, which is `mic1` here. Default: mic1.
    #[serde(default)]
    pub mic: Microphone,
}

/// A microphone of VCTK.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Microphone {
    /// The omnidirectional DPA 4035.
    #[default]
    Mic1,
    /// The small-diaphragm Sennheiser MKH 800.
    Mic2,
    /// Both, each an utterance.
    Both,
}

impl Member for Vctk {
    const EXAMPLE: &'static str = r#"vctk: { root: "${CORPUS}/VCTK-Corpus-0.92", mic: mic1 }"#;
}

/// The recordings of 0.92, where names end in the microphone, and of 0.80.
const TRIMMED: &str = "wav48_silence_trimmed";
const UNTRIMMED: &str = "wav48";

impl ReadCorpus for Vctk {
    fn read(&self, variables: &Variables) -> Result<CorpusTable, CorpusError> {
        let root = self.root.fill(variables)?;
        let root = Path::new(root.as_ref());
        if !root.is_dir() {
            return Err(CorpusError::NoFolder { path: root.to_owned() });
        }
        let none = || CorpusError::NoRecordings {
            root: root.to_owned(),
            looked_for: format!("recordings in `{TRIMMED}/speaker/` or `{UNTRIMMED}/speaker/`"),
        };
        let folder = [TRIMMED, UNTRIMMED].into_iter().find(|folder| root.join(folder).is_dir()).ok_or_else(none)?;
        if folder == UNTRIMMED && self.mic != Microphone::Mic1 {
            let reason = "VCTK 0.80 was published with one microphone: leave `mic` out";
            return Err(CorpusError::malformed(Place::whole(&root.join(folder)), reason));
        }
        let mut reading = Reading::of(root, folder, self.mic)?;
        let mut utterances = 0;
        for speaker in Folder::list(&root.join(folder))?.folders {
            utterances += reading.speaker(&speaker)?;
        }
        if utterances == 0 { Err(none()) } else { reading.rows.finish() }
    }
}

/// A VCTK tree while it is read.
struct Reading {
    root: PathBuf,
    folder: &'static str,
    mic: Microphone,
    rows: Rows,
    /// Where `speaker-info.txt` is there: the columns, and what they hold for each speaker.
    speakers: Option<(Vec<ColumnKey>, HashMap<String, Speaker>)>,
}

/// A line of `speaker-info.txt`, in the order of [`Speaker::COLUMNS`].
struct Speaker([String; 5]);

impl Reading {
    fn of(root: &Path, folder: &'static str, mic: Microphone) -> Result<Self, CorpusError> {
        let mut rows = Rows::new(root, root);
        let list = root.join("speaker-info.txt");
        let speakers = if list.is_file() {
            let speakers = Speaker::list(&list)?;
            let columns = Speaker::COLUMNS.into_iter().map(|name| rows.column(name)).collect::<Result<_, _>>()?;
            Some((columns, speakers))
        } else {
            None
        };
        Ok(Self { root: root.to_owned(), folder, mic, rows, speakers })
    }

    /// Reads the recordings of one speaker; the number of them.
    fn speaker(&mut self, speaker: &str) -> Result<usize, CorpusError> {
        let path = self.root.join(self.folder).join(speaker);
        let mut utterances = 0;
        for file in Folder::list(&path)?.files {
            if !has_extension(Path::new(&file), &AUDIO_EXTENSIONS) {
                continue;
            }
            let name = stem(&file);
            let (utterance, mic) = match name.rsplit_once('_') {
                _ if self.folder == UNTRIMMED => (name, None),
                Some((utterance, mic @ ("mic1" | "mic2"))) => (utterance, Some(mic)),
                _ => {
                    let reason = "the name is not `speaker_number_mic1` or `…_mic2`";
                    return Err(CorpusError::malformed(Place::whole(&path.join(&file)), reason));
                }
            };
            let wanted = match self.mic {
                Microphone::Mic1 => mic != Some("mic2"),
                Microphone::Mic2 => mic == Some("mic2"),
                Microphone::Both => true,
            };
            if wanted {
                let id = if self.mic == Microphone::Both { name } else { utterance };
                self.utterance(speaker, &file, id, utterance, mic)?;
                utterances += 1;
            }
        }
        Ok(utterances)
    }

    fn utterance(
        &mut self,
        speaker: &str,
        file: &str,
        id: &str,
        utterance: &str,
        mic: Option<&str>,
    ) -> Result<(), CorpusError> {
        let text = self.root.join("txt").join(speaker).join(format!("{utterance}.txt"));
        let rows = &mut self.rows;
        rows.begin(Position::Whole);
        rows.put(ColumnKey::AUDIO, Cell::string(&format!("{}/{speaker}/{file}", self.folder)))?;
        rows.put(ColumnKey::ID, Cell::string(id))?;
        rows.put(ColumnKey::SPEAKER, Cell::string(speaker))?;
        if text.is_file() {
            rows.put(ColumnKey::TEXT, Cell::string(text_of(&text)?.trim()))?;
        }
        if let Some(mic) = mic.filter(|_| self.mic == Microphone::Both) {
            let column = rows.column("mic")?;
            rows.put(column, Cell::string(mic))?;
        }
        if let Some((columns, speakers)) = &self.speakers {
            // 0.80 lists speakers without the letter that their folders begin with.
            let known = speakers.get(speaker).or_else(|| speakers.get(speaker.strip_prefix('p')?));
            for (number, column) in columns.iter().enumerate() {
                let cell = known.map_or(Cell::Typed(Value::Null), |speaker| Cell::Untyped(&speaker.0[number]));
                rows.put(*column, cell)?;
            }
        }
        rows.end()
    }
}

impl Speaker {
    const COLUMNS: [&'static str; 5] = ["age", "gender", "accent", "region", "comment"];

    /// Reads `ID AGE GENDER ACCENT REGION (COMMENT)` lines: columns of spaces, where the region may be several words, or
    /// missing.
    fn list(path: &Path) -> Result<HashMap<String, Self>, CorpusError> {
        let mut lines = TextLines::open(path)?;
        let mut speakers = HashMap::new();
        while let Some((number, line)) = lines.next_line()? {
            let (known, comment) = line.split_once('(').unwrap_or((line, ""));
            let mut words = known.split_whitespace();
            let (Some(id), Some(age), Some(gender)) = (words.next(), words.next(), words.next()) else {
                return Err(CorpusError::malformed(Place::line(path, number), "no `id age gender …`"));
            };
            if (id, age) == ("ID", "AGE") {
                continue;
            }
            let accent = words.next().unwrap_or_default();
            let region = words.collect::<Vec<_>>().join(" ");
            let comment = comment.trim_end().trim_end_matches(')').trim();
            let values = [age, gender, accent, &region, comment].map(str::to_owned);
            if speakers.insert(id.to_owned(), Self(values)).is_some() {
                let reason = format!("the speaker `{id}` is there twice");
                return Err(CorpusError::malformed(Place::line(path, number), reason));
            }
        }
        Ok(speakers)
    }
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

    fn read(tree: &tempfile::TempDir, mic: Microphone) -> Result<CorpusTable, CorpusError> {
        Vctk { root: tree.path().to_str().unwrap().into(), mic }.read(&Variables::default())
    }

    fn message(files: &[(&str, &str)], mic: Microphone) -> String {
        read(&tree(files), mic).unwrap_err().to_string()
    }

    fn ids(table: &CorpusTable) -> Vec<&str> {
        (0..table.len()).map(|row| table.id(row)).collect()
    }

    const INFO: &str = "ID  AGE  GENDER  ACCENTS  REGION COMMENTS\n\
        p225  23  F    English    Southern  England\n\
        p280  25  F    French   (mic2 files are unavailable)\n";

    fn release_092() -> tempfile::TempDir {
        tree(&[
            ("speaker-info.txt", INFO),
            ("wav48_silence_trimmed/log.txt", ""),
            ("wav48_silence_trimmed/p225/p225_001_mic1.flac", ""),
            ("wav48_silence_trimmed/p225/p225_001_mic2.flac", ""),
            ("wav48_silence_trimmed/p280/p280_002_mic1.flac", ""),
            ("wav48_silence_trimmed/s5/s5_003_mic2.flac", ""),
            ("txt/p225/p225_001.txt", "Please call Stella.\n"),
            ("txt/p225/p225_999.txt", "Never recorded.\n"),
        ])
    }

    #[test]
    fn each_microphone_of_0_92_or_both_can_be_read() {
        let tree = release_092();
        let table = read(&tree, Microphone::Mic1).unwrap();
        assert_eq!(ids(&table), ["p225_001", "p280_002"]);
        assert_eq!(table.audio(0), "wav48_silence_trimmed/p225/p225_001_mic1.flac");
        assert_eq!((table.text(0), table.text(1)), (Some("Please call Stella."), None));
        let of = |column, row| table.cell(column, row).unwrap().1;
        assert_eq!([of("age", 0), of("gender", 0)], [Value::Int64(23), Value::String("F")]);
        assert_eq!([of("accent", 0), of("region", 0)], [Value::String("English"), Value::String("Southern England")]);
        assert_eq!([of("region", 1), of("comment", 1)], [Value::Null, Value::String("mic2 files are unavailable")]);
        assert_eq!(ids(&read(&tree, Microphone::Mic2).unwrap()), ["p225_001", "s5_003"]);
        let both = read(&tree, Microphone::Both).unwrap();
        assert_eq!(ids(&both), ["p225_001_mic1", "p225_001_mic2", "p280_002_mic1", "s5_003_mic2"]);
        assert_eq!([both.text(1), both.speaker(3)], [Some("Please call Stella."), Some("s5")]);
        assert_eq!(
            (both.cell("mic", 1).unwrap().1, both.cell("age", 3).unwrap().1),
            (Value::String("mic2"), Value::Null)
        );
    }

    #[test]
    fn release_0_80_has_one_microphone_and_lists_speakers_by_number() {
        let tree = tree(&[
            ("speaker-info.txt", "ID  AGE  GENDER  ACCENTS  REGION\n225  23  F    English    Southern  England\n"),
            ("wav48/p225/p225_001.wav", ""),
            ("wav48/p376/p376_295.raw", ""),
            ("txt/p225/p225_001.txt", "Please call Stella."),
        ]);
        let table = read(&tree, Microphone::Mic1).unwrap();
        assert_eq!((ids(&table), table.text(0)), (vec!["p225_001"], Some("Please call Stella.")));
        assert_eq!(table.cell("age", 0).unwrap().1, Value::Int64(23));
        assert!(read(&tree, Microphone::Both).unwrap_err().to_string().contains("one microphone: leave `mic` out"));
    }

    #[test]
    fn what_is_no_vctk_is_refused() {
        let wav = ("wav48/p225/p225_001.wav", "");
        assert!(message(&[("txt/a.txt", "")], Microphone::Mic1).contains("looked for recordings in"));
        assert!(message(&[("wav48/p225/a.txt", "")], Microphone::Mic1).contains("has no recordings"));
        let name = message(&[("wav48_silence_trimmed/p225/p225_001.flac", "")], Microphone::Mic1);
        assert!(name.contains("p225_001.flac`: the name is not `speaker_number_mic1`"), "{name}");
        let short = message(&[wav, ("speaker-info.txt", "ID AGE GENDER\np225 23\n")], Microphone::Mic1);
        assert!(short.ends_with("speaker-info.txt`, line 2: no `id age gender …`"), "{short}");
        let twice = message(&[wav, ("speaker-info.txt", "p225 23 F\np225 24 F\n")], Microphone::Mic1);
        assert!(twice.ends_with("line 2: the speaker `p225` is there twice"), "{twice}");
        let missing = Vctk { root: "/no/such".into(), mic: Microphone::Mic1 };
        assert!(matches!(missing.read(&Variables::default()), Err(CorpusError::NoFolder { .. })));
    }
}
