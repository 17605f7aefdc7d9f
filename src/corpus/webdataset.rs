//! WebDataset: tar archives whose consecutive members with one name, but for the ending, are a sample.
//!
//! The rules are those of the `webdataset` package 1.0.2 (`base_plus_ext` and `group_by_keys` in `tariterators.py`,
//! `basichandlers` in `autodecode.py`).

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::archive::{self, Member as File, Members};
use super::corpus_table::{Cell, ColumnKey, CorpusTable, Rows};
use super::jsonl::fields::{column_of, put_fields};
use super::jsonl::json_lines::fields;
use super::shards::{common_folder, name_below};
use super::{AUDIO_EXTENSIONS, CorpusError, Place, Position, ReadCorpus, Shards};
use crate::family::Member;
use crate::variables::Variables;

/// WebDataset shards: tar archives whose members `a.wav`, `a.txt`, `a.json` are the sample `a`.
///
/// The key of a member is its name up to the first dot after its folders, the rest is its extension; members that
/// follow one another and have one key are a sample, and a sample is an utterance. Its id is the key with its folders
/// (`train/a`), which no other sample of any shard may have. Its audio are the bytes of the member in the shard:
/// shards are not unpacked, and must not be compressed.
///
/// - `json`: an object, whose fields become columns as those of `jsonl` do: `text`, `speaker`, `lang` or `language`,
///   `duration`, `offset`, `channel`, and any other under its own name; objects and lists are kept as JSON text. Times
///   are those of the member's sound. A field that is named as a column which every row has (`key`, `copy`,
///   `augmentation`, `audio`, `id`) becomes `source_key` and so on; `sample_rate` and `num_samples` are left out.
/// - `txt`, `text` or `transcript`: the text, without white space at its ends.
/// - `lang` or `language`, `speaker` or `spk`: the language and the speaker.
/// - `cls`, `cls2`, `class`, `count`, `index`, `inx`: columns of these names; `id` is `source_id`.
///
/// Where a member and a field fill one column, they must agree. Texts and objects may have at most 1 MiB. Members with
/// other extensions (`npy`, `pth`, `pyd`, `pickle`, …) are left out, and nothing is ever unpickled; so are members
/// without an extension, hidden ones and those of WebDataset itself (`__name__`). A sample without audio, or with
/// several recordings and no word on which to take, is an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webdataset {
    /// The shards: a path such as `train-{000000..000127}.tar`, a list of such paths, or a folder, whose `.tar` files
    /// are read in the order of their bytes.
    pub shards: Shards,
    /// The extension of the audio member, such as `flac` or `left.wav`. Default: the one member that wavemill decodes.
    #[serde(default)]
    pub audio: Option<String>,
    /// The extension of the member, or the field of the `json`, that is the text. What else would be the text becomes
    /// `source_text`. Default: see above.
    #[serde(default)]
    pub text: Option<String>,
    /// The field of the `json` that holds the id; every sample must have it. Default: the key is the id.
    #[serde(default)]
    pub id: Option<String>,
}

/// The most bytes of a text or object.
const MOST_TEXT: u64 = 1 << 20;

/// The most members of a sample. Names such as `call.0001.wav` have one key, all of them.
const MOST_MEMBERS: usize = 256;

/// Members of one key.
struct Sample {
    key: String,
    /// Extensions in lower case, as WebDataset has them.
    members: Vec<(String, File)>,
}

/// What a text member says.
struct Said {
    column: &'static str,
    extension: String,
    text: String,
}

impl Member for Webdataset {
    const EXAMPLE: &'static str = r#"webdataset: { shards: "${CORPUS}/train-{000000..000127}.tar" }"#;
    const PEERS: &'static [&'static str] = &["webdataset.WebDataset"];
}

impl ReadCorpus for Webdataset {
    fn read(&self, variables: &Variables) -> Result<CorpusTable, CorpusError> {
        let shards = self.shards.files(variables, "tar")?;
        let root = common_folder(&shards);
        let mut rows = Rows::new(shards.first().map_or(&root, |first| first), &root);
        let mut has_text = false;
        for path in &shards {
            rows.continue_in(path);
            let mut shard = Shard { path, name: name_below(&root, path)?, members: archive::members(path)? };
            let mut keys = HashSet::new();
            let mut held = None;
            while let Some(sample) = shard.sample(&mut held)? {
                has_text |= self.put(&mut rows, &mut shard, &sample)?;
                if let Some(sample) = keys.replace(sample.key) {
                    let reason = format!("the sample `{sample}` goes on here, but other members stand between its own");
                    return Err(CorpusError::malformed(rows.place(), reason));
                }
            }
        }
        match &self.text {
            Some(text) if !has_text => {
                let reason = format!("no sample has a member or a field `{text}` for the text");
                Err(CorpusError::malformed(Place::whole(&root), reason))
            }
            _ => rows.finish(),
        }
    }
}

impl Webdataset {
    /// Makes a row of a sample, and says whether it has a text.
    fn put(&self, rows: &mut Rows, shard: &mut Shard<'_>, sample: &Sample) -> Result<bool, CorpusError> {
        let first = sample.members.first().map_or(0, |(_, file)| file.at);
        rows.begin(Position::Byte(first));
        let audio = self.audio(sample).map_err(|reason| CorpusError::malformed(rows.place(), reason))?;
        rows.put(ColumnKey::AUDIO, Cell::Untyped(&archive::reference(shard.name, audio)))?;
        let mut said: Vec<Said> = Vec::new();
        for (extension, file) in &sample.members {
            if let Some(column) = self.column_of_member(extension) {
                let text = shard.text(file)?;
                let key = rows.column(column)?;
                rows.put(key, Cell::Untyped(&text)).map_err(|error| error.given_by(&file.name))?;
                said.push(Said { column, extension: extension.clone(), text });
            }
        }
        let mut has_text = said.iter().any(|said| said.column == "text");
        for (_, file) in sample.members.iter().filter(|(extension, _)| matches!(&extension[..], "json" | "jsn")) {
            let object = shard.members.read_small(file, MOST_TEXT)?;
            let mut object = fields(&object).map_err(|error| shard.wrong(file, error.to_string()))?;
            has_text |= object.iter().any(|(field, _)| self.text.as_deref() == Some(field));
            for said in &said {
                self.agree(said, &mut object).map_err(|reason| shard.wrong(file, reason))?;
            }
            put_fields(rows, &object, |field| self.column_of_field(field))?;
        }
        if !rows.has(ColumnKey::ID) {
            if self.id.is_some() {
                return Err(CorpusError::NoId { place: rows.place(), field: self.id.clone() });
            }
            rows.put(ColumnKey::ID, Cell::Untyped(sample.key.trim_start_matches("./")))?;
        }
        rows.end()?;
        Ok(has_text)
    }

    /// The one recording of a sample.
    fn audio<'a>(&self, sample: &'a Sample) -> Result<&'a File, String> {
        let Sample { key, members } = sample;
        let wanted = self.audio.as_ref().map(|wanted| wanted.trim_start_matches('.').to_lowercase());
        let is_audio = |extension: &str| match &wanted {
            Some(wanted) => wanted == extension,
            None => AUDIO_EXTENSIONS.contains(&extension.rsplit('.').next().unwrap_or_default()),
        };
        let recordings: Vec<_> = members.iter().filter(|(extension, _)| is_audio(extension)).collect();
        let listed = |members: &mut dyn Iterator<Item = &String>| {
            members.map(|extension| format!("`{extension}`")).collect::<Vec<_>>().join(", ")
        };
        match &recordings[..] {
            [(_, file)] => Ok(file),
            [] if matches!(&members[..], [(extension, _)] if extension == "data") => Err(format!(
                "the sample `{key}` is a pickle as lhotse writes it, which is not read: export Shar instead"
            )),
            [] => {
                let there = listed(&mut members.iter().map(|(extension, _)| extension));
                let looked_for = wanted.map_or("audio".to_owned(), |wanted| format!("`{wanted}` for the audio"));
                Err(format!("the sample `{key}` has no {looked_for}; it has {there}"))
            }
            several => {
                let there = listed(&mut several.iter().map(|(extension, _)| extension));
                Err(format!("the sample `{key}` has several recordings, {there}: say with `audio:` which to take"))
            }
        }
    }

    /// The column of a text member.
    fn column_of_member(&self, extension: &str) -> Option<&'static str> {
        Some(match extension {
            _ if self.text.as_ref().is_some_and(|text| text.trim_start_matches('.').to_lowercase() == extension) => {
                "text"
            }
            "txt" | "text" | "transcript" if self.text.is_some() => "source_text",
            "txt" | "text" | "transcript" => "text",
            "lang" | "language" => "language",
            "speaker" | "spk" => "speaker",
            "id" => "source_id",
            "cls" => "cls",
            "cls2" => "cls2",
            "class" => "class",
            "count" => "count",
            "index" => "index",
            "inx" => "inx",
            _ => return None,
        })
    }

    /// The column of a field of the `json`, as [`put_fields`] takes it.
    fn column_of_field<'a>(&self, field: &'a str) -> Cow<'a, str> {
        if self.text.as_deref() == Some(field) {
            return "text".into();
        }
        let column = match field {
            // The sound is the member; where it came from is told under the field's own name.
            "audio_filepath" => field,
            _ => column_of(field, self.id.as_deref()),
        };
        let is_taken = match column {
            "audio" => true,
            "id" => self.id.as_deref() != Some(field),
            "text" => self.text.is_some(),
            _ => false,
        };
        if is_taken { format!("source_{field}").into() } else { column.into() }
    }

    /// Takes out of an object what a member has said; what it says otherwise is an error.
    fn agree(&self, said: &Said, object: &mut Vec<(String, Json)>) -> Result<(), String> {
        let mut differs = None;
        object.retain(|(field, json)| {
            if self.column_of_field(field) != said.column {
                return true;
            }
            let agrees = match json {
                Json::Null => true,
                Json::String(string) => string.trim() == said.text,
                other => *other.to_string() == *said.text,
            };
            if !agrees {
                differs = Some(field.clone());
            }
            false
        });
        let Said { column, extension, .. } = said;
        let choice = if *column == "text" { format!(": choose with `text: {extension}`") } else { String::new() };
        match differs {
            Some(field) => {
                Err(format!("the field `{field}` says another {column} than the member `{extension}`{choice}"))
            }
            None => Ok(()),
        }
    }
}

/// A shard while it is read.
struct Shard<'a> {
    path: &'a Path,
    /// Below the root of the corpus.
    name: &'a str,
    members: Members,
}

impl Shard<'_> {
    /// The next sample; `held` is the first member of the one after it.
    fn sample(&mut self, held: &mut Option<(String, String, File)>) -> Result<Option<Sample>, CorpusError> {
        let mut sample: Option<Sample> = None;
        if let Some((key, extension, file)) = held.take() {
            sample = Some(Sample { key, members: vec![(extension, file)] });
        }
        for file in self.members.by_ref() {
            let file = file?;
            let Some((key, extension)) = key_and_extension(&file.name) else { continue };
            let (key, extension) = (key.to_owned(), extension.to_lowercase());
            match &mut sample {
                None => sample = Some(Sample { key, members: vec![(extension, file)] }),
                Some(sample) if sample.key == key => {
                    if sample.members.iter().any(|(other, _)| *other == extension) {
                        let reason = format!("the sample `{key}` has two members `{extension}`");
                        return Err(CorpusError::malformed(Place::byte(self.path, file.at), reason));
                    }
                    if sample.members.len() == MOST_MEMBERS {
                        let reason = format!(
                            "the sample `{key}` has more than {MOST_MEMBERS} members: a key ends at the first dot of \
                             a name"
                        );
                        return Err(CorpusError::malformed(Place::byte(self.path, file.at), reason));
                    }
                    sample.members.push((extension, file));
                }
                Some(_) => {
                    *held = Some((key, extension, file));
                    break;
                }
            }
        }
        Ok(sample)
    }

    /// A text without white space at its ends.
    fn text(&mut self, file: &File) -> Result<String, CorpusError> {
        let bytes = self.members.read_small(file, MOST_TEXT)?;
        let text = str::from_utf8(&bytes).map_err(|error| self.wrong(file, format!("no UTF-8 text: {error}")))?;
        Ok(text.trim_start_matches('\u{feff}').trim().to_owned())
    }

    fn wrong(&self, file: &File, reason: impl AsRef<str>) -> CorpusError {
        let reason = format!("`{}`: {}", file.name, reason.as_ref());
        CorpusError::malformed(Place::byte(self.path, file.at), reason)
    }
}

/// Splits a name at the first dot after its folders; none of names that WebDataset passes over, and of hidden ones.
fn key_and_extension(name: &str) -> Option<(&str, &str)> {
    if name.starts_with("__") && name.split('/').next().is_some_and(|part| part.len() >= 4 && part.ends_with("__")) {
        return None;
    }
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = base + name[base..].find('.').filter(|dot| *dot > 0)?;
    Some((&name[..dot], &name[dot + 1..]))
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Value};
    use super::*;

    fn shard(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, data) in members {
            let mut header = tar::Header::new_ustar();
            header.set_size(data.len() as u64);
            builder.append_data(&mut header, name, *data).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn read_shards(settings: &str, shards: &[Vec<u8>]) -> Result<CorpusTable, CorpusError> {
        let folder = tempfile::tempdir().unwrap();
        for (number, bytes) in shards.iter().enumerate() {
            std::fs::write(folder.path().join(format!("{number}.tar")), bytes).unwrap();
        }
        let path = folder.path().to_str().unwrap();
        let reader: Webdataset = serde_saphyr::from_str(&format!("{{ shards: '{path}', {settings} }}")).unwrap();
        reader.read(&Variables::default())
    }

    fn read(settings: &str, members: &[(&str, &[u8])]) -> Result<CorpusTable, CorpusError> {
        read_shards(settings, &[shard(members)])
    }

    fn message(settings: &str, members: &[(&str, &[u8])]) -> String {
        read(settings, members).unwrap_err().to_string()
    }

    #[test]
    fn consecutive_members_of_one_key_are_an_utterance() {
        let json =
            br#"{"text": "hi", "speaker": 14, "duration": 1.5, "lang": "en", "tags": [1, {"a": 2}], "key": "k", "num_samples": 9}"#;
        let first =
            shard(&[("x/a.json", json), ("x/a.wav", b"RIFF"), ("x/b.left.FLAC", b"fLaC!"), ("x/b.txt", b" yo\n")]);
        let second = shard(&[("./c.npy", b"??"), ("./c.ogg", b"OggS"), ("./c.cls", b"7")]);
        let table = read_shards("", &[first.clone(), second]).unwrap();
        assert_eq!([0, 1, 2].map(|row| table.id(row)), ["x/a", "x/b", "c"]);
        let audio = ["0.tar#offset=1536&length=4", "0.tar#offset=2560&length=5", "1.tar#offset=1536&length=4"];
        assert_eq!([0, 1, 2].map(|row| table.audio(row)), audio);
        assert_eq!(&first[2560..2565], b"fLaC!");
        assert_eq!([0, 1, 2].map(|row| table.text(row)), [Some("hi"), Some("yo"), None]);
        assert_eq!((table.speaker(0), table.language(0), table.duration_s(0)), (Some("14"), Some("en"), Some(1.5)));
        let extras: Vec<_> = table.extras().collect();
        assert_eq!(extras, [("tags", Kind::String), ("source_key", Kind::String), ("cls", Kind::Int64)]);
        assert_eq!((table.extra(0, 0), table.extra(2, 2)), (Value::String(r#"[1,{"a":2}]"#), Value::Int64(7)));
    }

    #[test]
    fn what_webdataset_writes_is_read() {
        let folder = "fixtures/golden/corpora/webdataset";
        let shards = format!("{folder}/train-{{000000..000001}}.tar");
        let reader = Webdataset { shards: shards.as_str().into(), audio: None, text: None, id: None };
        let table = reader.read(&Variables::default()).unwrap();
        let long = format!("{}/c", "long".repeat(40));
        assert_eq!((0..table.len()).map(|row| table.id(row)).collect::<Vec<_>>(), ["a", "folder/b", &long]);
        for row in 0..3 {
            assert_eq!(table.text(row), Some(format!("text {row} é").as_str()));
            assert_eq!(table.speaker(row), Some(format!("s{row}").as_str()));
            assert_eq!(table.cell("cls", row), Some((Kind::Int64, Value::Int64(row as i64))));
            let tags = format!(r#"[{row},{{"ä":null}}]"#);
            assert_eq!(table.cell("tags", row), Some((Kind::String, Value::String(&tags))));
            let (shard, range) = table.audio(row).split_once("#offset=").unwrap();
            let (offset, length) = range.split_once("&length=").unwrap();
            let bytes = std::fs::read(Path::new(folder).join(shard)).unwrap();
            assert_eq!((&bytes[offset.parse().unwrap()..][..4], length), (&b"RIFF"[..], "1644"));
        }
        assert_eq!(table.extras().count(), 2);
    }

    #[test]
    fn names_are_split_at_the_first_dot_after_their_folders() {
        assert_eq!(key_and_extension("a.b/c.d.wav"), Some(("a.b/c", "d.wav")));
        assert_eq!(key_and_extension("./c.wav"), Some(("./c", "wav")));
        for name in ["README", "a.b/c", ".hidden.wav", "a/._c.wav", "__meta__", "__meta__/a.wav"] {
            assert_eq!(key_and_extension(name), None, "{name}");
        }
        let table = read("", &[("README", b"x"), ("._a.wav", b"x"), ("a.wav", b"x"), ("__m__/b.wav", b"x")]).unwrap();
        assert_eq!((table.len(), table.id(0)), (1, "a"));
    }

    #[test]
    fn the_settings_name_audio_text_and_id() {
        let json = br#"{"text": "b", "raw": "c", "utt": "u1"}"#;
        let members: [(&str, &[u8]); 4] =
            [("a.json", json), ("a.left.wav", b"x"), ("a.right.wav", b"yy"), ("a.txt", b"a")];
        let table = read("audio: right.wav, text: raw, id: utt", &members[..3]).unwrap();
        assert_eq!((table.id(0), table.text(0), table.audio(0)), ("u1", Some("c"), "0.tar#offset=2560&length=2"));
        let both = message("audio: right.wav, text: raw", &members);
        assert!(
            both.contains("byte 0: `a.json`: the field `text` says another source_text than the member `txt`"),
            "{both}"
        );
        let table = read("audio: .left.wav, text: txt", &members).unwrap();
        assert_eq!(
            (table.text(0), table.cell("source_text", 0)),
            (Some("a"), Some((Kind::String, Value::String("b"))))
        );
        let differ = message("audio: left.wav", &members);
        assert!(differ.contains("says another text than the member `txt`: choose with `text: txt`"), "{differ}");
        assert!(
            message("", &members).contains("the sample `a` has several recordings, `left.wav`, `right.wav`: say with")
        );
        assert!(
            message("audio: flac", &members).contains("byte 0: the sample `a` has no `flac` for the audio; it has")
        );
        assert!(
            message("audio: left.wav, text: words", &members[..3])
                .contains("no sample has a member or a field `words`")
        );
        assert!(message("audio: left.wav, id: name", &members[..3]).contains("the id, the field `name`, is empty"));
        let agreed = [("a.json", &br#"{"text": "a", "id": 3}"#[..]), ("a.wav", b"x"), ("a.txt", b"a"), ("a.id", b"3")];
        let table = read("", &agreed).unwrap();
        assert_eq!((table.text(0), table.cell("source_id", 0)), (Some("a"), Some((Kind::Int64, Value::Int64(3)))));
    }

    #[test]
    fn what_is_wrong_is_said_with_shard_and_byte() {
        let wav: (&str, &[u8]) = ("a.wav", b"x");
        let broken = message("", &[wav, ("a.json", b"{\n\"text\": oops}")]);
        assert!(broken.contains("0.tar`, byte 1024: `a.json`: expected value at line 2"), "{broken}");
        assert!(message("", &[wav, ("a.json", b"[1]")]).contains("expected a JSON object"));
        assert!(message("", &[wav, ("a.json", br#"{"n": 1, "n": 2}"#)]).contains("`n` is given twice"));
        assert!(message("", &[wav, ("a.txt", b"\xff")]).contains("byte 1024: `a.txt`: no UTF-8 text"));
        assert!(message("", &[wav, ("a.txt", &vec![b'a'; (1 << 20) + 1])]).contains("at most 1048576 are read"));
        assert!(message("", &[wav, ("b.txt", b"x")]).contains("byte 1024: the sample `b` has no audio; it has `txt`"));
        assert!(
            message("", &[wav, ("b.wav", b"x"), ("a.txt", b"x")]).contains("byte 2048: the sample `a` has no audio")
        );
        assert!(message("", &[wav, ("b.wav", b"x"), wav]).contains("byte 2048: the sample `a` goes on here"));
        assert!(message("", &[wav, ("a.WAV", b"x")]).contains("byte 1024: the sample `a` has two members `wav`"));
        assert!(message("", &[("a.data", b"x")]).contains("a pickle as lhotse writes it"));
        assert!(message("", &[("README", b"x")]).contains("has no rows"));
        let twice = read_shards("", &[shard(&[wav]), shard(&[("b.wav", b"x"), wav])]).unwrap_err().to_string();
        assert!(twice.contains("0.tar`, byte 0 and by") && twice.ends_with("1.tar`, byte 1024"), "{twice}");
        let names: Vec<_> = (0..257).map(|number| format!("call.{number}.wav")).collect();
        let calls: Vec<_> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
        assert!(message("", &calls).contains("byte 262144: the sample `call` has more than 256 members"));
        let whole = shard(&[wav, ("b.wav", &[0; 2000])]);
        let cut = read_shards("", &[whole[..2000].to_vec()]).unwrap_err().to_string();
        assert!(cut.contains("byte 1024: `b.wav` should have 2000 bytes"), "{cut}");
    }
}
