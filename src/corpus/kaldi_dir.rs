//! Kaldi data directories: `wav.scp`, `segments`, `text`, `utt2spk` and their kin, as Kaldi, `ESPnet`, icefall and lhotse
//! write them.
//!
//! The files are those of <https://kaldi-asr.org/doc/data_prep.html>.

mod archive;
mod lists;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::archive::Archives;
use self::lists::{Check, Column, Entries, Keys, Line, each_line, words};
use super::corpus_table::{Cell, ColumnKey, CorpusTable, RESERVED, Rows, STANDARD, Value};
use super::folder::Folder;
use super::problems::Problems;
use super::{CorpusError, Place, Position, ReadCorpus};
use crate::family::Member;
use crate::load::Commands;
use crate::variables::{Template, Variables};

/// A Kaldi data directory: `wav.scp`, and `segments`, `text`, `utt2spk` and whatever else stands beside.
///
/// With `segments` an utterance is a line of it, its id the first word; the column `recording` says of which recording
/// it is. Without, an utterance is a line of `wav.scp`. A segment that ends at `-1` goes to the end of its recording; a
/// fifth word of a segment is its channel, counted from 0.
///
/// | file | column |
/// |---|---|
/// | `text` | `text` |
/// | `utt2spk`, or `spk2utt` where it is missing | `speaker` |
/// | `utt2lang` | `language` |
/// | `utt2dur`, `reco2dur` | `duration_s` where `segments` says none: it tells how long the sound is and cuts nothing |
/// | `spk2gender` (`m` or `f`) | `gender` |
/// | `reco2file_and_channel` | `file` and `file_channel` (`A` or `B`): names for scoring; they choose no channel |
/// | `utt2X`, `spk2X`, `reco2X` | `X`, as text; where several files give one column, the first of these that knows it |
///
/// Left out are files of features (`feats.scp`, `cmvn.scp`), of scoring (`stm`, `ctm`) and what decoding tells for
/// certain (`utt2num_samples`, `utt2sample_rate`).
///
/// A recording in `wav.scp` is a path; `archive.ark:123` is the WAV, or the sound as kaldiio writes it, at byte 123 of an
/// archive; `command |` is the output of a command, which is an error unless `commands: allow` stands here.
///
/// Lists need no order, but a key may be there once only, and must be known to `wav.scp` or `segments`. Utterances
/// without a line in a list have nothing in its column. Everything that is wrong is told at once, up to twenty problems
/// with file and line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KaldiDir {
    /// The data directory.
    pub dir: Template,
    /// The folder that relative paths in `wav.scp` are relative to; Kaldi's recipes take the folder they run in. Default:
    /// the data directory.
    #[serde(default)]
    pub root: Option<Template>,
    /// Whether commands in `wav.scp` may be run: `refuse` or `allow`. They run with your rights: allow them only where
    /// you trust the directory. Default: refuse.
    #[serde(default)]
    pub commands: Commands,
}

impl Member for KaldiDir {
    const EXAMPLE: &'static str = r#"kaldi_dir: { dir: "${CORPUS}/data/train", root: "${CORPUS}" }"#;
}

impl ReadCorpus for KaldiDir {
    fn read(&self, variables: &Variables) -> Result<CorpusTable, CorpusError> {
        let dir = self.dir.fill(variables)?;
        let dir = Path::new(dir.as_ref());
        let root = self.root.as_ref().map(|root| root.fill(variables)).transpose()?;
        let root = root.as_deref().map_or(dir, Path::new);
        if let Some(path) = [dir, root].into_iter().find(|folder| !folder.is_dir()) {
            return Err(CorpusError::NoFolder { path: path.to_owned() });
        }
        let mut problems = Problems::default();
        let data = DataDir::read(dir, root, self.commands, &mut problems)?;
        let columns = Columns::read(dir, &data, &mut problems)?;
        problems.none()?;
        data.table(root, self.commands, &columns)
    }
}

/// An utterance of `segments`.
struct Segment {
    /// Its recording's number.
    recording: usize,
    start_s: f64,
    /// None is up to the end of the recording.
    end_s: Option<f64>,
    channel: Option<i64>,
}

/// The recordings and utterances of a data directory.
struct DataDir {
    /// The audio of each recording, as corpus tables name it.
    recordings: Entries<String>,
    /// None where the recordings are the utterances.
    segments: Option<Entries<Segment>>,
}

impl DataDir {
    fn read(dir: &Path, root: &Path, commands: Commands, problems: &mut Problems) -> Result<Self, CorpusError> {
        let mut archives = Archives::below(root);
        let mut recordings = Entries::of(dir.join("wav.scp"));
        each_line(&dir.join("wav.scp"), problems, |problems, line, id, rest| {
            // A bad line is a recording all the same: that its segments have none is no problem of their own.
            let audio = audio(rest, line, commands, &mut archives).unwrap_or_else(|problem| {
                problems.add(problem);
                String::new()
            });
            recordings.add(line, id, audio)
        })?;
        let path = dir.join("segments");
        if !path.exists() {
            return Ok(Self { recordings, segments: None });
        }
        let mut segments = Entries::of(path.clone());
        each_line(&path, problems, |problems, line, id, rest| {
            let segment = Segment::parse(rest, line, &recordings).unwrap_or_else(|problem| {
                problems.add(problem);
                Segment { recording: 0, start_s: 0.0, end_s: None, channel: None }
            });
            segments.add(line, id, segment)
        })?;
        Ok(Self { recordings, segments: Some(segments) })
    }

    /// The list whose lines are the utterances.
    fn utterances(&self) -> &dyn Keys {
        self.segments.as_ref().map_or(&self.recordings as &dyn Keys, |segments| segments)
    }

    fn table(&self, root: &Path, commands: Commands, columns: &Columns) -> Result<CorpusTable, CorpusError> {
        let mut rows = Rows::new(self.utterances().path(), root);
        rows.set_commands(commands);
        let (start_s, duration_s) = (rows.column("start_s")?, rows.column("duration_s")?);
        let (channel, language) = (rows.column("channel")?, rows.column("language")?);
        let recording_id = self.segments.as_ref().map(|_| rows.column("recording")).transpose()?;
        let further =
            columns.further.iter().map(|further| rows.column(&further.name)).collect::<Result<Vec<_>, _>>()?;
        let mut known_s = Vec::with_capacity(self.utterances().len());
        for number in 0..self.utterances().len() {
            let segment = self.segments.as_ref().map(|segments| segments.entry(number));
            let recording = segment.map_or(number, |segment| segment.value.recording);
            let (id, line) = match segment {
                Some(segment) => (&segment.key, segment.line),
                None => (&self.recordings.entry(number).key, self.recordings.entry(number).line),
            };
            rows.begin(Position::Line(line));
            rows.put(ColumnKey::AUDIO, Cell::string(&self.recordings.entry(recording).value))?;
            rows.put(ColumnKey::ID, Cell::string(id))?;
            if let Some(segment) = segment {
                let segment = &segment.value;
                rows.put(start_s, Cell::Typed(Value::Float64(segment.start_s)))?;
                rows.put(duration_s, Cell::Typed(segment.duration_s().map_or(Value::Null, Value::Float64)))?;
                rows.put(channel, Cell::Typed(segment.channel.map_or(Value::Null, Value::Int64)))?;
            }
            if let Some(column) = recording_id {
                rows.put(column, Cell::string(&self.recordings.entry(recording).key))?;
            }
            rows.put(ColumnKey::TEXT, cell(columns.text.get(number)))?;
            rows.put(ColumnKey::SPEAKER, cell(columns.speaker.get(number)))?;
            rows.put(language, cell(columns.language.get(number)))?;
            for (key, further) in further.iter().zip(&columns.further) {
                let [by_utterance, by_speaker, by_recording] = &further.by;
                let of_speaker = || by_speaker.get(columns.speaker_numbers[number]?);
                let value = by_utterance.get(number).or_else(of_speaker).or_else(|| by_recording.get(recording));
                rows.put(*key, cell(value.filter(|value| !value.is_empty())))?;
            }
            rows.end()?;
            let all_s = columns.recording_s.get(recording).and_then(seconds);
            let rest_s = all_s.map(|all_s| all_s - segment.map_or(0.0, |segment| segment.value.start_s));
            let length_s = columns.utterance_s.get(number).and_then(seconds).or(rest_s);
            known_s.push(length_s.filter(|length_s| *length_s > 0.0));
        }
        Ok(rows.finish()?.with_durations(&known_s))
    }
}

fn cell(value: Option<&str>) -> Cell<'_> {
    value.map_or(Cell::Typed(Value::Null), Cell::string)
}

impl Segment {
    /// Reads `recording start end [channel]`.
    fn parse(text: &str, line: Line<'_>, recordings: &Entries<String>) -> Result<Self, CorpusError> {
        let words: Vec<&str> = words(text).take(5).collect();
        let (recording, start, end, channel) = match words[..] {
            [recording, start, end] => (recording, start, end, None),
            [recording, start, end, channel] => (recording, start, end, Some(channel)),
            _ => return Err(line.malformed("a segment is `utterance recording start end`")),
        };
        let missing = || line.malformed(format!("`wav.scp` knows no `{recording}`"));
        let recording = recordings.number(recording).ok_or_else(missing)?;
        let start_s = seconds(start).ok_or_else(|| line.malformed(format!("the start `{start}` is not {TIME}")))?;
        let end_s = match end.parse::<f64>() {
            Ok(-1.0) => None,
            _ => Some(seconds(end).ok_or_else(|| line.malformed(format!("the end `{end}` is not {TIME}, nor -1")))?),
        };
        if end_s.is_some_and(|end_s| end_s <= start_s) {
            let reason = format!("the segment starts at {start} and ends at {end}, so that nothing is in it");
            return Err(line.malformed(reason));
        }
        let channel = channel.map(|channel| {
            let number = channel.parse::<u16>().map(i64::from);
            number.map_err(|_| line.malformed(format!("`{channel}` is not a channel's number, counted from 0")))
        });
        Ok(Self { recording, start_s, end_s, channel: channel.transpose()? })
    }

    /// How long it is, without the digits that a difference of decimal fractions adds.
    fn duration_s(&self) -> Option<f64> {
        const DIGITS: f64 = 1e9;
        let duration_s = self.end_s? - self.start_s;
        let rounded = (duration_s * DIGITS).round() / DIGITS;
        Some(if rounded.is_finite() && rounded > 0.0 { rounded } else { duration_s })
    }
}

const TIME: &str = "a time in seconds, finite and not negative";

fn seconds(text: &str) -> Option<f64> {
    text.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0)
}

/// What `wav.scp` calls a recording, as corpus tables name it.
fn audio(text: &str, line: Line<'_>, commands: Commands, archives: &mut Archives) -> Result<String, CorpusError> {
    match text.strip_suffix('|').map(str::trim_end) {
        Some("") => return Err(line.malformed("there is no command before `|`")),
        Some(_) if commands == Commands::Refuse => {
            let reason = "the sound is the output of a command: write `commands: allow` to run it, if you trust it";
            return Err(line.malformed(reason));
        }
        Some(command) => return Ok(format!("{command} |")),
        None => {}
    }
    let is_offset = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match text.rsplit_once(':') {
        _ if text.is_empty() => Err(line.malformed("neither a path nor a command stands behind the recording's name")),
        _ if text == "-" => Err(line.malformed("`-` is the standard input: name a file")),
        _ if text.starts_with('|') => Err(line.malformed("`| command` takes sound: one that gives it ends in `|`")),
        _ if text.ends_with(']') => Err(line.malformed("a range in brackets is one of a matrix, which is no sound")),
        Some((path, offset)) if is_offset(offset) => archives.reference(path, offset, line),
        _ => Ok(text.to_owned()),
    }
}

/// What the lists beside `wav.scp` and `segments` say.
struct Columns {
    text: Column,
    speaker: Column,
    language: Column,
    further: Vec<Further>,
    /// The number of each utterance's speaker in the lists by speaker.
    speaker_numbers: Vec<Option<usize>>,
    utterance_s: Column,
    recording_s: Column,
}

/// A column that is none of the standard ones: by utterance, by speaker and by recording.
struct Further {
    name: String,
    by: [Column; 3],
}

/// Lists with a place of their own, or that say again what others say.
const KNOWN: [&str; 7] = ["utt2spk", "utt2lang", "utt2dur", "spk2utt", "reco2dur", "reco2utt", "reco2file_and_channel"];

/// What decoding tells for certain.
const DECODED: [&str; 2] = ["num_samples", "sample_rate"];

/// Whose list a file is, as the number in [`Further::by`], and the column that it fills.
fn further(file: &str) -> Option<(usize, &str)> {
    let mut kinds = ["utt2", "spk2", "reco2"].into_iter().enumerate();
    let (kind, name) = kinds.find_map(|(kind, prefix)| Some((kind, file.strip_prefix(prefix)?)))?;
    let is_name = !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    (is_name && !KNOWN.contains(&file) && !DECODED.contains(&name)).then_some((kind, name))
}

impl Columns {
    fn read(dir: &Path, data: &DataDir, problems: &mut Problems) -> Result<Self, CorpusError> {
        let files = Folder::list(dir)?.files;
        let has = |name: &str| files.iter().any(|file| file == name);
        let (utterances, recordings) = (data.utterances(), &data.recordings as &dyn Keys);
        let mut read = |name: &str, keys: &dyn Keys, check: Check| {
            if has(name) { Column::read(&dir.join(name), keys, check, problems) } else { Ok(Column::default()) }
        };
        let text = read("text", utterances, anything)?;
        let speaker = read("utt2spk", utterances, one_word)?;
        let language = read("utt2lang", utterances, one_word)?;
        let times = (read("utt2dur", utterances, time)?, read("reco2dur", recordings, time)?);
        let sides = read("reco2file_and_channel", recordings, file_and_channel)?;
        let (speaker, of_speakers) = if has("utt2spk") || !has("spk2utt") {
            (speaker, dir.join("utt2spk"))
        } else {
            let path = dir.join("spk2utt");
            (Column::read_inverse(&path, utterances, problems)?, path)
        };
        let mut speakers = Entries::of(of_speakers);
        let number = |utterance| Some(speakers.number_or_add(speaker.get(utterance)?));
        let speaker_numbers = (0..utterances.len()).map(number).collect();
        let mut columns = Self {
            text,
            speaker,
            language,
            further: Vec::new(),
            speaker_numbers,
            utterance_s: times.0,
            recording_s: times.1,
        };
        if !sides.is_empty() {
            columns.add("file", 2, sides.part(|side| words(side).next()));
            columns.add("file_channel", 2, sides.part(|side| words(side).nth(1)));
        }
        for file in &files {
            let Some((kind, name)) = further(file) else { continue };
            let path = dir.join(file);
            if RESERVED.contains(&name) || STANDARD.contains(&name) {
                let reason = format!("the column `{name}` is not for this list to fill: rename the file");
                problems.add(CorpusError::malformed(Place::whole(&path), reason));
                continue;
            }
            let check = if file == "spk2gender" { gender } else { anything };
            let keys = [utterances, &speakers, recordings][kind];
            columns.add(name, kind, Column::read(&path, keys, check, problems)?);
        }
        Ok(columns)
    }

    /// Adds a list to the further column `name`.
    fn add(&mut self, name: &str, kind: usize, column: Column) {
        let place = self.further.iter().position(|further| further.name == name).unwrap_or_else(|| {
            self.further.push(Further { name: name.to_owned(), by: <[Column; 3]>::default() });
            self.further.len() - 1
        });
        self.further[place].by[kind] = column;
    }
}

fn anything(_: &str) -> Option<&'static str> {
    None
}

fn one_word(value: &str) -> Option<&'static str> {
    (words(value).count() != 1).then_some("one word")
}

fn gender(value: &str) -> Option<&'static str> {
    (!["m", "f"].contains(&value)).then_some("`m` or `f`")
}

fn time(value: &str) -> Option<&'static str> {
    seconds(value).is_none().then_some(TIME)
}

/// A recipe with one channel may write `1` for it, which Kaldi's own check lets pass.
fn file_and_channel(value: &str) -> Option<&'static str> {
    let fits = matches!(words(value).collect::<Vec<_>>()[..], [_, "A" | "B" | "1"]);
    (!fits).then_some("a file and its channel, `A` or `B`")
}

#[cfg(test)]
mod tests {
    use crate::load::Location;
    use std::fs;

    use super::*;

    fn data_dir(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    fn read_with(dir: &tempfile::TempDir, settings: &str) -> Result<CorpusTable, CorpusError> {
        let reader: KaldiDir = serde_saphyr::from_str(&format!("{{ dir: '${{DIR}}', {settings} }}")).unwrap();
        let variable = ("DIR".to_owned(), dir.path().to_str().unwrap().to_owned());
        reader.read(&[variable].into_iter().collect())
    }

    fn read(files: &[(&str, &str)]) -> Result<CorpusTable, CorpusError> {
        read_with(&data_dir(files), "")
    }

    fn message(files: &[(&str, &str)]) -> String {
        read(files).unwrap_err().to_string()
    }

    fn ids(table: &CorpusTable) -> Vec<&str> {
        (0..table.len()).map(|row| table.id(row)).collect()
    }

    fn extra<'a>(table: &'a CorpusTable, column: &str, row: usize) -> Value<'a> {
        table.cell(column, row).unwrap_or_else(|| panic!("no column {column}")).1
    }

    const WAV: (&str, &str) = ("wav.scp", "b wavs/b.wav\na  /data/a b.flac\n");

    #[test]
    fn without_segments_the_recordings_are_the_utterances() {
        let table = read(&[
            WAV,
            ("text", "a HELLO  WORLD \nb\n"),
            ("utt2spk", "a s1\nb s2\n"),
            ("spk2utt", "nonsense\n"),
            ("utt2lang", "b en\n"),
            ("reco2dur", "a 2.5\n"),
            ("utt2dur", "b 1.25\n"),
        ])
        .unwrap();
        assert_eq!(ids(&table), ["b", "a"]);
        assert_eq!([table.audio(0), table.audio(1)], ["wavs/b.wav", "/data/a b.flac"]);
        assert_eq!([table.text(0), table.text(1)], [Some(""), Some("HELLO  WORLD")]);
        assert_eq!([table.speaker(0), table.speaker(1)], [Some("s2"), Some("s1")]);
        assert_eq!([table.language(0), table.language(1)], [Some("en"), None]);
        // The length of a whole recording is known, and cuts nothing.
        assert_eq!([table.duration_s(0), table.duration_s(1)], [Some(1.25), Some(2.5)]);
        assert_eq!([table.cut_duration_s(0), table.start_s(1)], [None, None]);
        assert_eq!(table.extras().len(), 0);
        assert!(matches!(table.location(0), Location::File(_)));
    }

    #[test]
    fn segments_cut_and_minus_one_is_the_end() {
        let table = read(&[
            WAV,
            ("segments", "u2 b 0.1 0.3\nu1 a 1.5 -1\nu3 a 0 1e0 1\n"),
            ("reco2dur", "a 4\n"),
            ("utt2dur", "u2 0.7\n"),
            ("text", "u1 x\n"),
        ])
        .unwrap();
        assert_eq!(ids(&table), ["u2", "u1", "u3"]);
        assert_eq!([table.start_s(0), table.duration_s(0), table.cut_duration_s(0)], [Some(0.1), Some(0.2), Some(0.2)]);
        assert_eq!([table.start_s(1), table.duration_s(1), table.cut_duration_s(1)], [Some(1.5), Some(2.5), None]);
        assert_eq!([table.channel(1), table.channel(2)], [None, Some(1)]);
        assert_eq!((table.audio(1), extra(&table, "recording", 1)), ("/data/a b.flac", Value::String("a")));
        assert_eq!([table.text(0), table.text(1)], [None, Some("x")]);
    }

    #[test]
    fn further_lists_become_columns_by_utterance_speaker_and_recording() {
        let table = read(&[
            WAV,
            ("segments", "u1 a 0 1\nu2 b 0 1\n"),
            ("spk2utt", "s1 u1\ns2 u2\n"),
            ("spk2gender", "s1 m\ns2 f\n"),
            ("utt2gender", "u2 female\n"),
            ("utt2dialect", "u1 New England\nu2\n"),
            ("spk2age", "s2 30\n"),
            ("reco2room", "a hall\n"),
            ("reco2file_and_channel", "a sw1 A\nb sw1 B\n"),
            ("utt2num_samples", "u1 8000\n"),
            ("utt2spk.bak", "nonsense\n"),
            ("feats.scp", "u1 feats.ark:1\n"),
        ])
        .unwrap();
        let names: Vec<_> = table.extras().map(|(name, _)| name).collect();
        assert_eq!(names, ["recording", "file", "file_channel", "room", "age", "gender", "dialect"]);
        let of = |column, row| extra(&table, column, row);
        assert_eq!([of("gender", 0), of("gender", 1)], [Value::String("m"), Value::String("female")]);
        assert_eq!([of("dialect", 0), of("dialect", 1)], [Value::String("New England"), Value::Null]);
        assert_eq!([of("age", 0), of("age", 1)], [Value::Null, Value::String("30")]);
        assert_eq!([of("room", 0), of("file", 1)], [Value::String("hall"), Value::String("sw1")]);
        assert_eq!([of("file_channel", 0), of("file_channel", 1)], [Value::String("A"), Value::String("B")]);
        assert_eq!([table.speaker(0), table.speaker(1)], [Some("s1"), Some("s2")]);
        assert_eq!(table.channel(1), None);
    }

    #[test]
    fn what_lhotse_exports_is_read() {
        // lhotse.kaldi.export_to_kaldi, where one recording has two channels.
        let dir = data_dir(&[
            (
                "wav.scp",
                "a_0 a.wav\ns_1 ffmpeg -threads 1 -i s.wav -ar 16000 -map_channel 0.0.1  -f wav -threads 1 pipe:1 |\n",
            ),
            ("segments", "u0-0 a_0 0.1 0.3\nu1-0 a_0 0.3 1.5345\nv-1 s_1 0 1\n"),
            ("reco2dur", "a_0 2.0\ns_1 1.0\n"),
            ("text", "u0-0 HELLO WORLD\nu1-0 \nv-1 X  Y\n"),
            ("utt2dur", "u0-0 0.2\nu1-0 1.2345\nv-1 1\n"),
            ("utt2gender", "u0-0 f\nu1-0 f\nv-1 m\n"),
            ("utt2lang", "u0-0 en\nu1-0 en\nv-1 en\n"),
            ("utt2spk", "u0-0 sp0\nu1-0 sp1\nv-1 q\n"),
        ]);
        let table = read_with(&dir, "commands: allow").unwrap();
        assert_eq!(ids(&table), ["u0-0", "u1-0", "v-1"]);
        assert_eq!(
            table.audio(2),
            "ffmpeg -threads 1 -i s.wav -ar 16000 -map_channel 0.0.1  -f wav -threads 1 pipe:1 |"
        );
        assert_eq!([table.text(1), table.text(2)], [Some(""), Some("X  Y")]);
        assert_eq!([table.cut_duration_s(0), table.cut_duration_s(1)], [Some(0.2), Some(1.2345)]);
        assert_eq!((table.speaker(2), extra(&table, "gender", 2)), (Some("q"), Value::String("m")));
        assert!(read_with(&dir, "").unwrap_err().to_string().contains("wav.scp`, line 2: the sound is the output"));
    }

    #[test]
    fn every_problem_is_told_at_once_with_file_and_line() {
        let message = message(&[
            ("wav.scp", "a a.wav\nb\na again.wav\nc sox c.wav -t wav - |\nd -\ne x.wav[0:3]\n"),
            ("segments", "u1 a 2 1\nu2 x 0 1\nu3 a 0\nu4 a 0 soon\nu5 a -2 1\nu6 a 0 1 left\nu1 a 0 1\nu7 a 1 1\n"),
            ("text", "u1 fine\nu1 twice\nghost boo\n"),
            ("utt2spk", "u1 two words\n"),
            ("spk2gender", "nobody m\n"),
            ("utt2dur", "u1 long\n"),
            ("utt2key", "u1 x\n"),
        ]);
        let lines: Vec<&str> = message.lines().collect();
        let problems = [
            ("wav.scp`, line 2", "neither a path nor a command"),
            ("wav.scp`, line 1 and by", "wav.scp`, line 3"),
            ("wav.scp`, line 4", "write `commands: allow`"),
            ("wav.scp`, line 5", "standard input"),
            ("wav.scp`, line 6", "a range in brackets"),
            ("segments`, line 1", "the segment starts at 2 and ends at 1"),
            ("segments`, line 2", "`wav.scp` knows no `x`"),
            ("segments`, line 3", "a segment is `utterance recording start end`"),
            ("segments`, line 4", "the end `soon` is not a time"),
            ("segments`, line 5", "the start `-2` is not a time"),
            ("segments`, line 6", "`left` is not a channel's number"),
            ("segments`, line 1 and by", "segments`, line 7"),
            ("segments`, line 8", "nothing is in it"),
            ("text`, line 1 and by", "text`, line 2"),
            ("text`, line 3", "`segments` knows no `ghost`"),
            ("utt2spk`, line 1", "`two words` is not one word"),
            ("utt2dur`, line 1", "`long` is not a time in seconds"),
            ("spk2gender`, line 1", "`utt2spk` knows no `nobody`"),
            ("utt2key`", "the column `key` is not for this list to fill"),
        ];
        assert_eq!(lines[0], "19 problems:");
        assert_eq!(lines.len(), 1 + problems.len(), "{message}");
        for (line, (place, reason)) in lines[1..].iter().zip(problems) {
            assert!(line.contains(place) && line.contains(reason), "{place}: {reason} != {line}");
        }
    }

    #[test]
    fn twenty_problems_are_told_and_the_rest_are_counted() {
        let message = message(&[WAV, ("text", &"ghost boo\n".repeat(1000))]);
        assert_eq!(message.lines().count(), 22);
        assert!(message.starts_with("1000 problems:") && message.ends_with("and 980 more"), "{message}");
    }

    #[test]
    fn a_lone_problem_is_told_as_it_is() {
        let gender = message(&[WAV, ("utt2spk", "a s\n"), ("spk2gender", "s female\n")]);
        assert!(gender.ends_with("spk2gender`, line 1: `female` is not `m` or `f`"), "{gender}");
        let channel = message(&[WAV, ("reco2file_and_channel", "a x C\n")]);
        assert!(channel.ends_with("line 1: `x C` is not a file and its channel, `A` or `B`"), "{channel}");
        let speakers = message(&[WAV, ("spk2utt", "s a b\nt b\n")]);
        assert!(speakers.contains("the id `b` is given twice, by") && speakers.ends_with("line 2"), "{speakers}");
        assert!(message(&[("wav.scp", "\n")]).contains("wav.scp` has no rows"));
        assert!(message(&[("text", "a b\n")]).starts_with("failed to read"));
        let dir = data_dir(&[WAV]);
        fs::write(dir.path().join("text"), b"a fine\nb \xff\n").unwrap();
        assert!(read_with(&dir, "").unwrap_err().to_string().ends_with("text`, line 2 is not UTF-8 text"));
        assert!(read_with(&dir, "root: '${DIR}/no'").unwrap_err().to_string().contains("there is no folder"));
    }

    #[test]
    fn commands_are_kept_as_they_are_where_they_are_allowed() {
        let dir = data_dir(&[("wav.scp", "a cat a.wav|\n")]);
        let command = format!("{}/bin/sph2pipe -f wav b.sph |", dir.path().display());
        fs::write(dir.path().join("wav.scp"), format!("a cat a.wav|\nb {command}\nc c.wav\n")).unwrap();
        let table = read_with(&dir, "commands: allow").unwrap();
        assert_eq!([table.audio(0), table.audio(1), table.audio(2)], ["cat a.wav |", &command, "c.wav"]);
        assert!(matches!(table.location(0), Location::Command(_)));
        assert!(matches!(table.gather(&[0]).location(0), Location::Command(_)));
        assert!(message(&[("wav.scp", "a |\n")]).contains("there is no command before `|`"));
    }

    #[test]
    fn paths_are_relative_to_the_root_and_archives_are_looked_into() {
        let dir = data_dir(&[]);
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        let wav = [b"a RIFF".as_slice(), &16_u32.to_le_bytes(), b"WAVE", &[0; 12]].concat();
        fs::write(dir.path().join("raw.ark"), &wav).unwrap();
        let absolute = dir.path().join("x.wav").display().to_string();
        fs::write(data.join("wav.scp"), format!("a raw.ark:2\nb b.wav\nc {absolute}\n")).unwrap();
        let read = |root| {
            let dir = data.to_str().unwrap().into();
            KaldiDir { dir, root, commands: Commands::Refuse }.read(&Variables::default())
        };
        let table = read(Some(dir.path().to_str().unwrap().into())).unwrap();
        assert_eq!([table.audio(0), table.audio(1), table.audio(2)], ["raw.ark#offset=2&length=24", "b.wav", "x.wav"]);
        assert_eq!(table.audio_path(1), dir.path().join("b.wav"));
        assert!(read(None).unwrap_err().to_string().contains("data/raw.ark`"));
    }
}
