//! Mozilla Common Voice, as its archives unpack: a folder a language, with a list a split and the recordings in `clips`.
//!
//! R. Ardila et al., "Common Voice: a massively-multilingual speech corpus", LREC 2020;
//! <https://github.com/common-voice/cv-dataset>.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{SeqAccessDeserializer, StrDeserializer};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::corpus_table::{Cell, ColumnKey, CorpusTable, Rows};
use super::folder::stem;
use super::table::delimited::{Quoting, Records};
use super::{CorpusError, Place, Position, ReadCorpus};
use crate::audio::Seconds;
use crate::family::Member;
use crate::nearest::nearest;
use crate::variables::{Template, Variables};

/// Common Voice: the splits of one language, `train.tsv` and its like, with the recordings in `clips`.
///
/// The id is the clip's name without extension (`common_voice_en_1`). `client_id` is the speaker, `sentence` the text,
/// `locale` the language where the list has it. The column `split` says which list a row is of. Every other column of
/// the lists is carried along under its own name, whatever a release calls it (`accent` or `accents`, `age`, `gender`,
/// `up_votes`, …): text, or numbers where all cells are. Where `clip_durations.tsv` is there, durations are known without
/// opening a clip; its lines for other clips are left out.
///
/// Early releases name clips without `.mp3`, which is added. A clip that two of the splits name is an error:
/// `validated` holds all of `train`, `dev` and `test`. Whether a clip is there shows when it is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommonVoice {
    /// The folder of one language, which holds `clips`.
    pub root: Template,
    /// The split to read, or a list of them: `train`, `dev`, `test`, `validated`, `other`, `invalidated`.
    pub split: CommonVoiceSplits,
}

/// A list of Common Voice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CommonVoiceSplit {
    /// For training: no speaker of it is in `dev` or `test`.
    Train,
    /// For choosing among models.
    Dev,
    /// For measuring them.
    Test,
    /// Everything that listeners found right.
    Validated,
    /// What too few have listened to.
    Other,
    /// What listeners found wrong.
    Invalidated,
}

impl CommonVoiceSplit {
    const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::Test => "test",
            Self::Validated => "validated",
            Self::Other => "other",
            Self::Invalidated => "invalidated",
        }
    }
}

/// One split, or a list of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CommonVoiceSplits(pub Vec<CommonVoiceSplit>);

impl<'de> Deserialize<'de> for CommonVoiceSplits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;

        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = CommonVoiceSplits;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a split as `train`, or a list as `[train, dev]`")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<CommonVoiceSplits, E> {
                let split = CommonVoiceSplit::deserialize(StrDeserializer::new(word))?;
                Ok(CommonVoiceSplits(vec![split]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, splits: A) -> Result<CommonVoiceSplits, A::Error> {
                let splits = Vec::deserialize(SeqAccessDeserializer::new(splits))?;
                if splits.is_empty() {
                    return Err(serde::de::Error::custom("the list of splits is empty"));
                }
                Ok(CommonVoiceSplits(splits))
            }
        }

        deserializer.deserialize_any(OneOrSeveral)
    }
}

impl JsonSchema for CommonVoiceSplits {
    fn schema_name() -> Cow<'static, str> {
        "CommonVoiceSplits".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<CommonVoiceSplit>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}

impl Member for CommonVoice {
    const EXAMPLE: &'static str = r#"common_voice: { root: "${CORPUS}/cv-corpus-21.0/en", split: train }"#;
}

impl ReadCorpus for CommonVoice {
    fn read(&self, variables: &Variables) -> Result<CorpusTable, CorpusError> {
        let root = self.root.fill(variables)?;
        let root = Path::new(root.as_ref());
        if !root.is_dir() {
            return Err(CorpusError::NoFolder { path: root.to_owned() });
        }
        let mut reading = Reading::of(root);
        for split in &self.split.0 {
            reading.split(*split)?;
        }
        let durations = root.join("clip_durations.tsv");
        let lengths = if durations.is_file() { Some(reading.clips.lengths(&durations)?) } else { None };
        let table = reading.rows.finish()?;
        Ok(match lengths {
            Some(lengths) => table.with_durations(&lengths),
            None => table,
        })
    }
}

/// Lists while they are read.
struct Reading {
    root: PathBuf,
    rows: Rows,
    clips: Clips,
}

/// Which clips there are.
#[derive(Default)]
struct Clips {
    /// The row of each clip, by its name without extension.
    rows: HashMap<String, usize>,
    /// The list and the line of each row.
    places: Vec<(CommonVoiceSplit, Position)>,
}

impl Reading {
    fn of(root: &Path) -> Self {
        Self { root: root.to_owned(), rows: Rows::new(root, root), clips: Clips::default() }
    }

    fn list(&self, split: CommonVoiceSplit) -> PathBuf {
        self.root.join(split.name()).with_extension("tsv")
    }

    fn split(&mut self, split: CommonVoiceSplit) -> Result<(), CorpusError> {
        let path = self.list(split);
        let mut records = Records::open(&path, Quoting::None, '\t')?;
        let clip = column(&records, &path, "path")?;
        let keys = self.columns(&path, &records.header)?;
        let split_column = self.rows.column("split")?;
        let mut any = false;
        while let Some((position, record)) = records.next_record()? {
            any = true;
            let place = Place { path: path.clone(), position };
            let name = record.get(clip).unwrap_or_default();
            if name.is_empty() {
                return Err(CorpusError::NoAudio { place });
            }
            if name.contains(['/', '\\']) || name == ".." {
                return Err(CorpusError::malformed(place, format!("`{name}` is not the name of a clip")));
            }
            let file: Cow<'_, str> = if name.contains('.') { name.into() } else { format!("{name}.mp3").into() };
            let id = stem(&file);
            match self.clips.rows.entry(id.to_owned()) {
                Entry::Vacant(vacant) => vacant.insert(self.clips.places.len()),
                Entry::Occupied(first) => {
                    let (split, position) = self.clips.places[*first.get()];
                    let first = Place { path: self.list(split), position };
                    return Err(CorpusError::DuplicateId { id: id.to_owned(), first, second: place, derived: false });
                }
            };
            self.clips.places.push((split, position));
            self.rows.begin(Position::Whole);
            self.rows.put(ColumnKey::AUDIO, Cell::string(&format!("clips/{file}")))?;
            self.rows.put(ColumnKey::ID, Cell::string(id))?;
            self.rows.put(split_column, Cell::string(split.name()))?;
            for (cell, key) in record.iter().zip(&keys) {
                if let Some(key) = key {
                    self.rows.put(*key, Cell::Untyped(cell))?;
                }
            }
            self.rows.end()?;
        }
        if any { Ok(()) } else { Err(CorpusError::NoRows { path }) }
    }

    /// The columns of the corpus that those of a list fill; none for the clip's name, which is read apart.
    fn columns(&mut self, path: &Path, header: &[String]) -> Result<Vec<Option<ColumnKey>>, CorpusError> {
        let mut keys = Vec::with_capacity(header.len());
        for name in header {
            let target = match name.as_str() {
                "path" => {
                    keys.push(None);
                    continue;
                }
                "client_id" => "speaker",
                "sentence" => "text",
                "locale" => "language",
                "id" | "audio" | "start_s" | "duration_s" | "channel" | "split" => {
                    let reason = format!("a list of Common Voice has no column `{name}`: read it with `table`");
                    return Err(CorpusError::malformed(Place::whole(path), reason));
                }
                other => other,
            };
            let key = Some(self.rows.column(target)?);
            if keys.contains(&key) {
                let place = Place::whole(path);
                let twice = CorpusError::GivenTwice { place, column: target.to_owned(), also: None };
                return Err(twice.given_by(name));
            }
            keys.push(key);
        }
        Ok(keys)
    }
}

impl Clips {
    /// The length of every row's clip that `clip_durations.tsv` knows, in seconds.
    fn lengths(&self, path: &Path) -> Result<Vec<Option<f64>>, CorpusError> {
        let mut records = Records::open(path, Quoting::None, '\t')?;
        let clip = column(&records, path, "clip")?;
        // Releases up to 2023 wrote `duration[ms]`, and some others `duration`: milliseconds both.
        let name = if records.column("duration[ms]").is_some() { "duration[ms]" } else { "duration" };
        let duration = column(&records, path, name)?;
        let mut lengths = vec![None; self.places.len()];
        while let Some((position, record)) = records.next_record()? {
            let Some(&row) = record.get(clip).and_then(|clip| self.rows.get(stem(clip))) else { continue };
            let value = record.get(duration).unwrap_or_default();
            let seconds = value.parse::<f64>().ok().and_then(|milliseconds| Seconds::new(milliseconds / 1000.0));
            let seconds = seconds.ok_or_else(|| CorpusError::BadValue {
                place: Place { path: path.to_owned(), position },
                column: name.to_owned(),
                value: format!("`{value}`"),
                wanted: "a time in milliseconds",
            })?;
            lengths[row] = Some(seconds.get());
        }
        Ok(lengths)
    }
}

/// The number of a column that must be there.
fn column(records: &Records, path: &Path, name: &str) -> Result<usize, CorpusError> {
    records.column(name).ok_or_else(|| CorpusError::NoColumn {
        path: path.to_owned(),
        column: name.to_owned(),
        nearest: nearest(name, records.header.iter().map(String::as_str)).map(str::to_owned),
        there: records.header.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Value};
    use super::*;

    const OLD: &str = "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccent\n\
        c1\tcv_1\t\"Stop!\" he said.\t2\t0\t\t\tus\n\
        c2\tcv_2.mp3\tNo, \"never.\t3\t1\tteens\tmale\t\n";
    const NEW: &str = "client_id\tpath\tsentence_id\tsentence\tsentence_domain\tup_votes\tdown_votes\tage\tgender\t\
        accents\tvariant\tlocale\tsegment\n\
        c3\tcv_3.mp3\ts1\tHello.\t\t2\t0\ttwenties\tmale_masculine\tWelsh\t\ten\t\n";

    fn read_from(files: &[(&str, &str)], split: &str) -> Result<CorpusTable, CorpusError> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(root.path().join(name), text).unwrap();
        }
        let reader: CommonVoice = serde_saphyr::from_str(&format!("{{ root: '${{R}}', split: {split} }}")).unwrap();
        let variable = ("R".to_owned(), root.path().to_str().unwrap().to_owned());
        reader.read(&[variable].into_iter().collect())
    }

    fn message(files: &[(&str, &str)], split: &str) -> String {
        read_from(files, split).unwrap_err().to_string()
    }

    #[test]
    fn old_and_new_lists_are_read_and_their_further_columns_carried() {
        let table = read_from(&[("train.tsv", OLD), ("dev.tsv", NEW)], "[train, dev]").unwrap();
        assert_eq!([table.id(0), table.audio(0), table.audio(1)], ["cv_1", "clips/cv_1.mp3", "clips/cv_2.mp3"]);
        assert_eq!((table.text(0), table.text(2)), (Some("\"Stop!\" he said."), Some("Hello.")));
        assert_eq!((table.speaker(1), table.language(1), table.language(2)), (Some("c2"), None, Some("en")));
        let cell = |column, row| table.cell(column, row).unwrap();
        assert_eq!(cell("split", 2), (Kind::String, Value::String("dev")));
        assert_eq!(cell("up_votes", 1), (Kind::Int64, Value::Int64(3)));
        assert_eq!([cell("accent", 0).1, cell("accent", 2).1], [Value::String("us"), Value::Null]);
        assert_eq!([cell("accents", 2).1, cell("sentence_id", 2).1], [Value::String("Welsh"), Value::String("s1")]);
        assert_eq!(table.duration_s(0), None);
    }

    #[test]
    fn durations_are_known_from_their_list_and_cut_nothing() {
        let durations = "clip\tduration[ms]\ncv_2.mp3\t2500\nelsewhere.mp3\tlong\n";
        let table = read_from(&[("test.tsv", OLD), ("clip_durations.tsv", durations)], "test").unwrap();
        assert_eq!([table.duration_s(0), table.duration_s(1), table.cut_duration_s(1)], [None, Some(2.5), None]);
        let bad = message(&[("test.tsv", OLD), ("clip_durations.tsv", "clip\tduration[ms]\ncv_2.mp3\t-1\n")], "test");
        assert!(bad.contains("clip_durations.tsv`, line 2: `duration[ms]` is `-1`"), "{bad}");
        let none = message(&[("test.tsv", OLD), ("clip_durations.tsv", "clip\tms\n")], "test");
        assert!(none.contains("no column `duration`"), "{none}");
    }

    #[test]
    fn a_clip_of_two_splits_is_named_with_both_lines() {
        let twice = message(&[("train.tsv", OLD), ("validated.tsv", OLD)], "[train, validated]");
        assert!(twice.starts_with("the id `cv_1` is given twice, by"), "{twice}");
        assert!(twice.contains("train.tsv`, line 2 and by") && twice.ends_with("validated.tsv`, line 2"), "{twice}");
    }

    #[test]
    fn what_is_no_list_of_common_voice_is_refused() {
        assert!(message(&[], "train").starts_with("failed to read"));
        assert!(message(&[("train.tsv", "client_id\tpaths\n")], "train").contains("(did you mean `paths`?)"));
        assert!(message(&[("train.tsv", "path\tsentence\n")], "train").contains("has no rows"));
        assert!(message(&[("train.tsv", "path\tsentence\na\n")], "train").contains("line 2: the record has 1 cells"));
        assert!(message(&[("train.tsv", "path\tsentence\n\tx\n")], "train").contains("line 2: no audio is named"));
        assert!(message(&[("train.tsv", "path\n../../x.mp3\n")], "train").contains("is not the name of a clip"));
        assert!(message(&[("train.tsv", "path\tduration_s\na\t1\n")], "train").contains("read it with `table`"));
        assert!(
            message(&[("train.tsv", "path\ttext\tsentence\na\t1\t2\n")], "train").contains("`text` is given twice")
        );
        for split in ["[]", "trian", "[train, all]", "7"] {
            let row = format!("{{ root: x, split: {split} }}");
            assert!(serde_saphyr::from_str::<CommonVoice>(&row).is_err(), "{split}");
        }
    }
}
