//! Manifests of Lhotse: cuts, or recordings and supervisions, an object a line.
//!
//! P. Żelasko, D. Povey, J. Trmal and S. Khudanpur, "Lhotse: a speech data representation library for the modern deep
//! learning ecosystem", NeurIPS Data-Centric AI Workshop, 2021; <https://lhotse.readthedocs.io>. Read is what Lhotse
//! 1.33 writes, and the `shar_ptr` sources of Lhotse 2.0.

pub(super) mod columns;
pub(super) mod manifest;
mod recording;

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::columns::{Span, begin, put_cut, put_supervision};
use self::manifest::{Cut, Supervision, parsed};
pub(super) use self::recording::Pick;
use self::recording::{Recording, Sound};
use super::corpus_table::{CorpusTable, Rows};
use super::jsonl::json_lines::JsonLines;
use super::{CorpusError, Place, Position, ReadCorpus};
use crate::family::Member;
use crate::load::Commands;
use crate::variables::{Template, Variables};

/// Manifests of Lhotse: cuts, or recordings and supervisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Row", into = "Row")]
pub struct Lhotse {
    /// What is read.
    pub manifests: Manifests,
    /// The folder against which relative sources resolve; none is the folder of the manifest.
    pub root: Option<Template>,
    /// Whether sources may be commands.
    pub commands: Commands,
}

/// The manifests of a corpus.
#[derive(Debug, Clone, PartialEq)]
pub enum Manifests {
    /// Cuts, with the recordings and supervisions in them.
    Cuts(Template),
    /// Recordings, and what is said in them.
    Recordings {
        /// The manifest of the recordings.
        recordings: Template,
        /// The manifest of the supervisions; none makes each recording an utterance.
        supervisions: Option<Template>,
    },
}

/// Manifests of Lhotse: `cuts`, or `recordings` and `supervisions`, in `.jsonl` or `.jsonl.gz`.
///
/// ```yaml
/// lhotse: { recordings: recordings.jsonl.gz, supervisions: supervisions.jsonl.gz, root: "${CORPUS}" }
/// ```
///
/// **Cuts** are an utterance each, with the cut's id, and its times within the recording. The supervision of a cut gives
/// `text`, `speaker`, `language` and `gender`. Where a cut has several, their texts are joined by spaces in the order of
/// their starts; the others are filled where all supervisions agree, and the column `supervisions` holds all of them as
/// JSON text. A `MixedCut`, whose sound Lhotse mixes while it loads, is an error, and so is a `PaddingCut`.
///
/// **Recordings with supervisions** are an utterance a supervision, with its id and times; a recording that no
/// supervision names is left out. **Recordings alone** are an utterance each.
///
/// An utterance of one channel has its place in the file as `channel`, unless the file has no other. One of all channels
/// of one file has no `channel`. One of some of a file's channels, or of channels in several files, becomes an utterance
/// a channel: its id ends in `-c` and Lhotse's number of the channel, and only supervisions of this channel count.
///
/// Further columns are `recording_id`, `supervision_id` (of a cut's only supervision), `alignment` (as JSON text, times
/// as in the manifest) and every field under `custom`, of the cut and of the only supervision; objects and lists are kept
/// as JSON text. A field with the name of a column that there is anyway gets `source_` before it (`source_text`), a field
/// of a supervision that the cut has too gets `supervision_`. Left out are features and further data
/// (arrays, images, recordings in `custom`), the times of a cut's only supervision within the cut, and `num_samples` and
/// `sample_rate`, which decoding tells.
///
/// Sources are of type `file`, `url`, `shar_ptr` (a member of a tar file) or, with `commands: allow`, `command`.
/// **Relative paths are relative to `root`**, where Lhotse takes the folder that it is started in. A recording with
/// `transforms` is an error, as is sound in memory: Lhotse's `save_audios` writes both to files.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Row {
    /// The manifest of cuts. Not beside `recordings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cuts: Option<Template>,
    /// The manifest of recordings. Not beside `cuts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recordings: Option<Template>,
    /// The manifest of supervisions of these recordings. Default: every recording is an utterance without text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    supervisions: Option<Template>,
    /// The folder that relative sources are relative to. Default: the folder of the cuts or recordings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<Template>,
    /// Whether sources may be commands, which are then run by the shell: `refuse` or `allow`.
    #[serde(default)]
    commands: Commands,
}

/// A row that does not say what to read.
#[derive(Debug, Error)]
#[error("write either `cuts`, or `recordings` with or without `supervisions`")]
struct NotOneCorpus;

impl TryFrom<Row> for Lhotse {
    type Error = NotOneCorpus;

    fn try_from(row: Row) -> Result<Self, NotOneCorpus> {
        let manifests = match (row.cuts, row.recordings, row.supervisions) {
            (Some(cuts), None, None) => Manifests::Cuts(cuts),
            (None, Some(recordings), supervisions) => Manifests::Recordings { recordings, supervisions },
            _ => return Err(NotOneCorpus),
        };
        Ok(Self { manifests, root: row.root, commands: row.commands })
    }
}

impl From<Lhotse> for Row {
    fn from(Lhotse { manifests, root, commands }: Lhotse) -> Self {
        let (cuts, recordings, supervisions) = match manifests {
            Manifests::Cuts(cuts) => (Some(cuts), None, None),
            Manifests::Recordings { recordings, supervisions } => (None, Some(recordings), supervisions),
        };
        Self { cuts, recordings, supervisions, root, commands }
    }
}

impl JsonSchema for Lhotse {
    fn schema_name() -> Cow<'static, str> {
        "Lhotse".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Row::json_schema(generator)
    }
}

impl Member for Lhotse {
    const EXAMPLE: &'static str = r#"lhotse: { cuts: "${CORPUS}/cuts_train.jsonl.gz" }"#;
}

impl ReadCorpus for Lhotse {
    fn read(&self, variables: &Variables) -> Result<CorpusTable, CorpusError> {
        let fill = |template: &Template| -> Result<PathBuf, CorpusError> {
            Ok(PathBuf::from(template.fill(variables)?.as_ref()))
        };
        let root = self.root.as_ref().map(fill).transpose()?;
        let sound = |manifest: &Path| {
            let root = root.clone().or_else(|| manifest.parent().map(Path::to_owned)).unwrap_or_default();
            Sound { root, commands: self.commands }
        };
        match &self.manifests {
            Manifests::Cuts(cuts) => {
                let cuts = fill(cuts)?;
                read_cuts(&cuts, &sound(&cuts))
            }
            Manifests::Recordings { recordings, supervisions } => {
                let recordings = fill(recordings)?;
                let sound = sound(&recordings);
                match supervisions {
                    Some(supervisions) => read_supervisions(&fill(supervisions)?, &recordings, &sound),
                    None => read_recordings(&recordings, &sound),
                }
            }
        }
    }
}

fn read_cuts(path: &Path, sound: &Sound) -> Result<CorpusTable, CorpusError> {
    let mut rows = Rows::new(path, &sound.root);
    rows.set_commands(sound.commands);
    for line in JsonLines::open(path)? {
        let (number, fields) = line?;
        let place = Place::line(path, number);
        let cut = Cut::of(&place, fields)?;
        let Some(recording) = &cut.recording else {
            let reason = format!("the cut `{}` has no recording, only features: wavemill reads sound", cut.id);
            return Err(CorpusError::malformed(place, reason));
        };
        recording.check(&place)?;
        let supervisions = cut.supervisions(&place)?;
        for pick in recording.picks(cut.channel.numbers(), &place)? {
            let audio = recording.audio(&pick, sound, &place)?;
            put_cut(&mut rows, Position::Line(number), (&cut, &supervisions), &pick, &audio)?;
        }
    }
    rows.finish()
}

/// The recordings of a manifest, with the number of the line of each.
fn recordings(path: &Path) -> Result<impl Iterator<Item = Result<(u64, Recording), CorpusError>>, CorpusError> {
    let lines = JsonLines::open(path)?;
    Ok(lines.map(|line| {
        let (number, fields) = line?;
        let place = Place::line(path, number);
        if fields.iter().all(|(field, _)| field != "sources") {
            let reason = "no recording: the field `sources` is missing. Cuts belong under `cuts`, supervisions under `supervisions`";
            return Err(CorpusError::malformed(place, reason));
        }
        Ok((number, parsed(&place, fields)?))
    }))
}

fn read_recordings(path: &Path, sound: &Sound) -> Result<CorpusTable, CorpusError> {
    let mut rows = Rows::new(path, &sound.root);
    rows.set_commands(sound.commands);
    for recording in recordings(path)? {
        let (number, recording) = recording?;
        let place = Place::line(path, number);
        recording.check(&place)?;
        for pick in recording.picks(&recording.channels(), &place)? {
            let audio = recording.audio(&pick, sound, &place)?;
            let span = Span { id: &recording.id, audio: &audio, pick: &pick, start: 0.0, duration: recording.duration };
            begin(&mut rows, Position::Line(number), &span)?;
            rows.end()?;
        }
    }
    rows.finish()
}

fn read_supervisions(path: &Path, recordings_path: &Path, sound: &Sound) -> Result<CorpusTable, CorpusError> {
    let mut known: HashMap<String, (u64, Recording)> = HashMap::new();
    for recording in recordings(recordings_path)? {
        let (number, recording) = recording?;
        let second = Place::line(recordings_path, number);
        if let Some((first, recording)) = known.insert(recording.id.clone(), (number, recording)) {
            let first = Place::line(recordings_path, first);
            return Err(CorpusError::DuplicateId { id: recording.id, first, second, derived: false });
        }
    }
    let mut rows = Rows::new(path, &sound.root);
    rows.set_commands(sound.commands);
    for line in JsonLines::open(path)? {
        let (number, fields) = line?;
        let place = Place::line(path, number);
        let supervision: Supervision = parsed(&place, fields)?;
        let Some((line, recording)) = known.get(&supervision.recording_id) else {
            let (id, there) = (&supervision.recording_id, recordings_path.display());
            return Err(CorpusError::malformed(place, format!("the recording `{id}` is not in `{there}`")));
        };
        let recording_place = Place::line(recordings_path, *line);
        recording.check(&recording_place)?;
        for pick in recording.picks(supervision.channel.numbers(), &place)? {
            let audio = recording.audio(&pick, sound, &recording_place)?;
            let span = Span {
                id: &supervision.id,
                audio: &audio,
                pick: &pick,
                start: supervision.start,
                duration: Some(supervision.duration),
            };
            begin(&mut rows, Position::Line(number), &span)?;
            columns::put_text(&mut rows, "recording_id", Some(&recording.id))?;
            put_supervision(&mut rows, &supervision)?;
            rows.end()?;
        }
    }
    rows.finish()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::super::Value;
    use super::*;

    const STEREO: &str = r#"{"id": "st", "sources": [{"type": "file", "channels": [0, 1], "source": "st.wav"}], "sampling_rate": 8000, "num_samples": 8000, "duration": 1.0, "channel_ids": [0, 1]}"#;
    const PAIR: &str = r#"{"id": "lr", "sources": [{"type": "file", "channels": [0], "source": "l.wav"}, {"type": "file", "channels": [4, 7], "source": "r.wav"}], "sampling_rate": 8000, "num_samples": 8000, "duration": 1.0}"#;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    fn read_in(folder: &Path, row: &str) -> Result<CorpusTable, CorpusError> {
        let reader: Lhotse = serde_json::from_str(&row.replace("DIR", folder.to_str().unwrap())).unwrap();
        reader.read(&Variables::default())
    }

    fn read(cuts: impl AsRef<[u8]>) -> Result<CorpusTable, CorpusError> {
        read_in(folder(&[("cuts.jsonl", cuts.as_ref())]).path(), r#"{"cuts": "DIR/cuts.jsonl"}"#)
    }

    fn message(cuts: impl AsRef<[u8]>) -> String {
        read(cuts).unwrap_err().to_string()
    }

    /// A line with a cut of the channels of a recording, and further fields.
    fn cut(id: &str, channel: &str, recording: &str, further: &str) -> String {
        format!(
            r#"{{"id": "{id}", "start": 0.5, "duration": 0.25, "channel": {channel}, "recording": {recording}, "type": "MonoCut"{further}}}"#
        ) + "\n"
    }

    fn source(source: &str) -> String {
        let recording = format!(r#"{{"id": "r", "sources": [{source}], "sampling_rate": 8000}}"#);
        cut("c", "0", &recording, "")
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn ids(table: &CorpusTable) -> Vec<&str> {
        (0..table.len()).map(|row| table.id(row)).collect()
    }

    fn extra<'a>(table: &'a CorpusTable, column: &str, row: usize) -> Value<'a> {
        table.cell(column, row).unwrap_or_else(|| panic!("no column {column}")).1
    }

    #[test]
    fn a_cut_with_one_supervision_fills_the_columns() {
        let supervision = r#", "supervisions": [{"id": "s", "recording_id": "st", "start": 0.0, "duration": 0.2, "channel": 1, "text": "hello", "language": "en", "speaker": 14, "gender": "F", "custom": {"snr": 3.5, "take": 2, "none": null}, "alignment": {"word": [["hello", 0.0, 0.2, null]]}}], "features": {"type": "fbank"}, "custom": {"snr": 1.5, "text": "own", "key": 1, "num_samples": 9, "ali": {"array": {"storage_type": "numpy_files"}}, "noise": {"id": "n", "sources": [], "sampling_rate": 1}, "tags": ["a"]}, "origin": "x""#;
        let table = read(cut("a b.c", "1", STEREO, supervision)).unwrap();
        assert_eq!((table.id(0), table.audio(0), table.channel(0)), ("a b.c", "st.wav", Some(1)));
        assert_eq!((table.start_s(0), table.duration_s(0)), (Some(0.5), Some(0.25)));
        assert_eq!((table.text(0), table.speaker(0), table.language(0)), (Some("hello"), Some("14"), Some("en")));
        let extras: Vec<_> = table.extras().map(|(name, _)| (name, extra(&table, name, 0))).collect();
        let expected = [
            ("recording_id", Value::String("st")),
            ("snr", Value::Float64(1.5)),
            ("source_text", Value::String("own")),
            ("source_key", Value::Int64(1)),
            ("tags", Value::String(r#"["a"]"#)),
            ("origin", Value::String("x")),
            ("supervision_id", Value::String("s")),
            ("gender", Value::String("F")),
            ("alignment", Value::String(r#"{"word":[["hello",0.0,0.2,null]]}"#)),
            ("supervision_snr", Value::Float64(3.5)),
            ("take", Value::Int64(2)),
        ];
        assert_eq!(extras, expected);
    }

    #[test]
    fn channels_are_places_in_files() {
        let mono =
            r#"{"id": "m", "sources": [{"type": "file", "channels": [3], "source": "m.wav"}], "transforms": []}"#;
        let lines = [
            cut("mono", "3", mono, ""),
            cut("one", "0", STEREO, ""),
            cut("both", "[1, 0]", STEREO, ""),
            cut("second", "7", PAIR, ""),
            cut("file", "[4, 7]", PAIR, ""),
            cut("spread", "[0, 7]", PAIR, ""),
        ];
        let table = read(lines.concat()).unwrap();
        let rows: Vec<_> = (0..table.len()).map(|row| (table.id(row), table.audio(row), table.channel(row))).collect();
        let expected = [
            ("mono", "m.wav", None),
            ("one", "st.wav", Some(0)),
            ("both", "st.wav", None),
            ("second", "r.wav", Some(1)),
            ("file", "r.wav", None),
            ("spread-c0", "l.wav", None),
            ("spread-c7", "r.wav", Some(1)),
        ];
        assert_eq!(rows, expected);
        assert!(message(cut("x", "2", STEREO, "")).contains("line 1: the recording `st` has no channel 2"));
        assert!(message(cut("x", "[]", STEREO, "")).contains("no channel of the recording `st`"));
        assert!(message(cut("x", "-1", STEREO, "")).contains("`channel`: must be a channel's number"));
        let many = format!("{:?}", vec![0; 2000]);
        assert!(message(cut("x", &many, STEREO, "")).contains("2000 channels"));
    }

    #[test]
    fn several_supervisions_are_joined_where_they_agree() {
        let supervision = |id: &str, start: f64, channel: u8, speaker: &str| {
            format!(
                r#"{{"id": "{id}", "recording_id": "lr", "start": {start}, "duration": 0.1, "channel": {channel}, "text": "{id}", "speaker": "{speaker}", "language": "en"}}"#
            )
        };
        let all = [supervision("b", 0.2, 0, "x"), supervision("a", 0.1, 0, "y"), supervision("c", 0.3, 7, "z")];
        let supervisions = format!(r#", "supervisions": [{}]"#, all.join(", "));
        let lines = [cut("one", "0", PAIR, &supervisions), cut("two", "[0, 7]", PAIR, &supervisions)].concat();
        let table = read(lines).unwrap();
        assert_eq!(ids(&table), ["one", "two-c0", "two-c7"]);
        assert_eq!([table.text(0), table.text(1), table.text(2)], [Some("a b c"), Some("a b"), Some("c")]);
        assert_eq!([table.speaker(0), table.speaker(1), table.speaker(2)], [None, None, Some("z")]);
        assert_eq!((table.language(0), extra(&table, "supervision_id", 2)), (Some("en"), Value::String("c")));
        let Value::String(json) = extra(&table, "supervisions", 1) else { panic!("no JSON") };
        assert_eq!(json, format!("[{}, {}]", all[0], all[1]).replace(": ", ":").replace(", ", ","));
        assert_eq!(extra(&table, "supervisions", 2), Value::Null);
    }

    #[test]
    fn recordings_with_supervisions_are_an_utterance_a_supervision() {
        let supervisions = r#"{"id": "s1", "recording_id": "st", "start": 0, "duration": 1.0, "channel": 1, "text": "one", "custom": {"id": 5}}
            {"id": "s2", "recording_id": "lr", "start": 0.25, "duration": 0.5, "channel": [4, 7]}
            {"id": "s3", "recording_id": "st", "start": 0.25, "duration": 0.5}"#;
        let recordings = format!("{STEREO}\n{PAIR}\n");
        let folder = folder(&[("r.jsonl.gz", &gzip(&recordings)), ("s.jsonl", supervisions.as_bytes())]);
        let both = r#"{"recordings": "DIR/r.jsonl.gz", "supervisions": "DIR/s.jsonl", "root": "/data"}"#;
        let table = read_in(folder.path(), both).unwrap();
        assert_eq!(ids(&table), ["s1", "s2", "s3"]);
        assert_eq!((table.start_s(0), table.duration_s(0), table.channel(0)), (None, Some(1.0), Some(1)));
        assert_eq!((table.audio(1), table.start_s(1), table.channel(1)), ("r.wav", Some(0.25), None));
        assert_eq!((table.channel(2), table.audio_path(2)), (Some(0), PathBuf::from("/data/st.wav")));
        assert_eq!(extra(&table, "source_id", 0), Value::Int64(5));
        let alone = read_in(folder.path(), r#"{"recordings": "DIR/r.jsonl.gz"}"#).unwrap();
        assert_eq!(ids(&alone), ["st", "lr-c0", "lr-c4", "lr-c7"]);
        assert_eq!((alone.duration_s(0), alone.channel(0), alone.channel(3)), (Some(1.0), None, Some(1)));
        assert!(alone.audio_path(0).starts_with(folder.path()));

        let swapped = read_in(folder.path(), r#"{"recordings": "DIR/s.jsonl"}"#).unwrap_err().to_string();
        assert!(swapped.contains("line 1: no recording: the field `sources` is missing"), "{swapped}");
        fs::write(folder.path().join("r.jsonl.gz"), format!("{STEREO}\n")).unwrap();
        let missing = read_in(folder.path(), both).unwrap_err().to_string();
        assert!(missing.contains("s.jsonl`, line 2: the recording `lr` is not in"), "{missing}");
        fs::write(folder.path().join("r.jsonl.gz"), format!("{STEREO}\n{STEREO}")).unwrap();
        let twice = read_in(folder.path(), both).unwrap_err().to_string();
        assert!(twice.contains("`st` is given twice") && twice.contains("line 2"), "{twice}");
    }

    #[test]
    fn gzip_is_known_by_content_and_a_truncated_one_is_named_with_its_line() {
        let lines: Vec<_> = (0..2000).map(|id| cut(&format!("{}", id * 7919 % 1_000_003), "0", STEREO, "")).collect();
        let (first, second) = (gzip(&lines[..1000].concat()), gzip(&lines[1000..].concat()));
        let whole = [&first[..], &second].concat();
        assert_eq!(read(&whole).unwrap().len(), 2000);
        for end in [whole.len() - 3, first.len() + second.len() / 2, first.len() + 5] {
            let message = message(&whole[..end]);
            assert!(message.contains("the gzip stream ends early: it is cut off"), "{message}");
            let line = message.split("line ").nth(1).unwrap().split(':').next().unwrap().parse::<usize>().unwrap();
            assert!((1000..=2001).contains(&line), "{message}");
        }
        let mut damaged = whole.clone();
        damaged[first.len() / 2] ^= 0xff;
        let message = message(&damaged);
        assert!(message.contains("line ") && !message.contains('\n'), "{message}");
    }

    #[test]
    fn sources_are_files_addresses_and_commands_that_were_allowed() {
        let url = read(source(r#"{"type": "url", "channels": [0], "source": "https://a.org/b.wav"}"#)).unwrap();
        assert_eq!(url.audio_path(0), Path::new("https://a.org/b.wav"));
        let command = source(r#"{"type": "command", "channels": [0], "source": "sph2pipe a.sph"}"#);
        assert!(message(&command).contains("line 1: the sound is the output of the command `sph2pipe a.sph`: write"));
        let folder = folder(&[("cuts.jsonl", command.as_bytes())]);
        let allowed = read_in(folder.path(), r#"{"cuts": "DIR/cuts.jsonl", "commands": "allow"}"#).unwrap();
        assert_eq!(allowed.audio(0), "sph2pipe a.sph |");
        for (kind, text, wrong) in [
            ("file", "rm -rf x | ", "ends with `|`, as commands do"),
            ("url", "rm |", "ends with `|`"),
            ("memory", "", "save_audios"),
            ("shar", "", "lhotse_shar"),
            ("tape", "", "unknown type `tape`"),
            ("file", "", "no audio is named"),
            ("shar_ptr", "a.tar?o=1", "not of the form"),
        ] {
            let message = message(source(&format!(r#"{{"type": "{kind}", "channels": [0], "source": "{text}"}}"#)));
            assert!(message.contains(wrong) && message.contains("line 1"), "{message}");
        }
    }

    #[test]
    fn a_pointer_into_a_tar_file_is_the_data_of_its_member() {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, data) in [("a.flac", &b"sound"[..]), ("a.json", b"{}")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(data.len() as u64);
            tar.append_data(&mut header, name, data).unwrap();
        }
        let tar = tar.into_inner().unwrap();
        let pointed = |pointer: &str| {
            let line = source(&format!(r#"{{"type": "shar_ptr", "channels": [0], "source": "{pointer}"}}"#));
            let folder = folder(&[("a?b.tar", &tar), ("cuts.jsonl", line.as_bytes())]);
            read_in(folder.path(), r#"{"cuts": "DIR/cuts.jsonl"}"#)
        };
        assert_eq!(pointed("a?b.tar?o=0&e=2048").unwrap().audio(0), "a?b.tar#offset=512&length=5");
        for (pointer, wrong) in [
            ("a?b.tar?o=0&e=514", "byte 0: no member"),
            ("a?b.tar?o=100&e=2048", "byte 100: "),
            ("a?b.tar?o=9999999&e=18446744073709551615", "ends before"),
            ("none.tar?o=0&e=1", "none.tar"),
        ] {
            let message = pointed(pointer).unwrap_err().to_string();
            assert!(message.contains(wrong), "{message}");
        }
    }

    #[test]
    fn what_has_no_sound_of_its_own_says_what_to_do() {
        let mixed = message(r#"{"id": "m", "tracks": [], "type": "MixedCut"}"#);
        assert!(mixed.contains("line 1: a `MixedCut`") && mixed.contains("save_audios"), "{mixed}");
        assert!(message(r#"{"id": "p", "duration": 1.0, "type": "PaddingCut"}"#).contains("a `PaddingCut`"));
        let speed = STEREO.replace(r#""id": "st""#, r#""id": "st", "transforms": [{"name": "Speed"}]"#);
        assert!(message(cut("c", "0", &speed, "")).contains("`transforms`"));
        let features = r#"{"id": "c", "start": 0, "duration": 1, "channel": 0, "type": "MonoCut"}"#;
        assert!(message(features).contains("the cut `c` has no recording"));
        assert!(message(STEREO).contains("name this manifest under `recordings`"));
        assert!(message(r#"{"id": "s", "recording_id": "r"}"#).contains("under `supervisions`"));
        assert!(message(r#"{"id": "c"}"#).contains("the field `type` is missing"));
    }

    #[test]
    fn a_malformed_line_is_named_with_its_number_and_field() {
        let good = cut("good", "0", STEREO, "");
        let second = |line: &str| message(format!("{good}{line}"));
        assert!(second(r#"{"id": "#).contains("line 2, column"));
        assert!(second("[]").contains("expected a JSON object"));
        for (from, to, wrong) in [
            ("\"start\": 0.5", "\"start\": \"x\"", "line 2: `start`: invalid type: string \"x\""),
            ("\"start\": 0.5", "\"start\": -1", "line 2: `start_s` is `-1"),
            ("\"start\": 0.5, ", "", "line 2: missing field `start`"),
            ("\"id\": \"good\"", "\"id\": null", "line 2: `id`: must be a text, but is null"),
            ("\"id\": \"good\"", "\"id\": \"\"", "line 2: the id is empty or missing"),
            ("\"id\": \"good\"", "\"id\": \"a\", \"id\": \"b\"", "line 2: `id` is given twice"),
            ("[0, 1], \"source\"", "\"a\", \"source\"", "line 2: `recording.sources[0].channels`: must be a channel's"),
            ("\"st.wav\"", "7", "line 2: `recording.sources[0].source`: invalid type: integer `7`"),
            (
                "\"type\": \"MonoCut\"",
                "\"type\": \"MonoCut\", \"supervisions\": [7]",
                "line 2: `supervisions[0]`: invalid",
            ),
            ("\"type\": \"MonoCut\"", "\"type\": 7", "line 2: a cut of the unknown type"),
            ("\"good\"", "\"good\"", "the id `good` is given twice"),
        ] {
            assert!(good.contains(from), "{from}");
            let message = second(&good.replace(from, to));
            assert!(message.contains(wrong), "{message} / {wrong}");
        }
        let id = r#", "supervisions": [{"id": {}, "recording_id": "st", "start": 0, "duration": 1}]"#;
        assert!(second(&cut("x", "0", STEREO, id)).contains("`supervisions[0].id`: must be a text"));
    }

    #[test]
    fn a_row_names_cuts_or_recordings() {
        for row in [
            r"{}",
            r#"{"cuts": "a", "recordings": "b"}"#,
            r#"{"supervisions": "a"}"#,
            r#"{"cuts": "a", "supervisions": "b"}"#,
        ] {
            let message = serde_json::from_str::<Lhotse>(row).unwrap_err().to_string();
            assert!(message.contains("either `cuts`, or `recordings`"), "{message}");
        }
        let row = r#"{"recordings":"a","supervisions":"b","commands":"allow"}"#;
        let reader: Lhotse = serde_json::from_str(row).unwrap();
        assert_eq!(serde_json::to_string(&reader).unwrap(), row);
    }
}
