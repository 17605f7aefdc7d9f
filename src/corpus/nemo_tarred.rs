//! NeMo's tarred datasets: manifests beside shards of recordings.
//!
//! The layout is what `convert_to_tarred_audio_dataset.py` of NVIDIA NeMo writes, and `LazyNeMoTarredIterator` reads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::archive::{self, Member as File};
use super::corpus_table::{Cell, ColumnKey, CorpusTable, Rows};
use super::jsonl::fields::{column_of, put_fields};
use super::jsonl::json_lines::JsonLines;
use super::shards::{common_folder, name_below};
use super::{CorpusError, Place, Position, ReadCorpus, Shards};
use crate::family::Member;
use crate::variables::Variables;

/// NeMo's tarred datasets: manifests whose `audio_filepath` are members of `audio_0.tar`, `audio_1.tar`, …
///
/// A line is an utterance, and its fields become columns as those of `jsonl` do; `shard_id`, `source_audio_offset` and
/// any other are carried along, `key`, `copy` and `augmentation` as `source_key` and so on, `_skipme` too: lines that NeMo passes over are rows, for `select` to leave out. Its
/// audio are the bytes of the member in the shard, which is not unpacked and must not be compressed.
///
/// - `a-sub1.wav`, `a-sub2.wav`, … are further utterances of the member `a.wav`, at other offsets.
/// - Where NeMo recoded the recordings, a line says `a.wav` and the member is `a.flac`: without a member of the very
///   name, the only one that differs in its extension is taken.
/// - Members that no line names are left out, as a manifest may be a filtered one.
///
/// Shards go by the last number after `_` in their names, which is also that of a sharded manifest (`manifest_0.json`).
/// With one manifest each line says it by `shard_id`; with several, lines that say another than their manifest are an
/// error, and so are shards without a manifest, manifests without a shard and lines without a member.
///
/// A line without an id gets one as in `jsonl`: the name without extension (`a-sub1`), with an `offset` then `-` and
/// the offset and `-` and the duration, both in milliseconds. NeMo counts `-sub` within a shard alone: where two lines
/// of two shards come to one id, name a field that tells them apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NemoTarred {
    /// The manifests: `tarred_audio_manifest.json`, or `sharded_manifests/manifest__OP_0..127_CL_.json`, in which
    /// `{0..127}` means the same; a list of such, or a folder.
    pub manifest: Shards,
    /// The shards: `audio__OP_0..127_CL_.tar`, a list of such, or a folder.
    pub audio: Shards,
    /// The field that holds the id; every line must have it. Default: `id` on the lines that have one.
    #[serde(default)]
    pub id: Option<String>,
}

impl Member for NemoTarred {
    const EXAMPLE: &'static str = r#"nemo_tarred: { manifest: "${CORPUS}/sharded_manifests/manifest__OP_0..127_CL_.json", audio: "${CORPUS}/audio__OP_0..127_CL_.tar" }"#;
    const PEERS: &'static [&'static str] = &["nemo.LazyNeMoTarredIterator"];
}

impl ReadCorpus for NemoTarred {
    fn read(&self, variables: &Variables) -> Result<CorpusTable, CorpusError> {
        let manifests = self.manifest.files(variables, "json")?;
        let tars = self.audio.files(variables, "tar")?;
        let root = common_folder(&tars);
        let mut archives = Archives::new(&tars, &root)?;
        let numbers = numbers(&manifests, &archives)?;
        let mut rows = Rows::new(manifests.first().map_or(&root, |first| first), &root);
        for (path, number) in manifests.iter().zip(numbers) {
            rows.continue_in(path);
            for line in JsonLines::open(path)? {
                let (line, fields) = line?;
                rows.begin(Position::Line(line));
                self.put(&mut rows, &fields, number, &mut archives)?;
            }
            // The shards of a sharded manifest are needed for no other.
            archives.forget();
        }
        rows.finish()
    }
}

impl NemoTarred {
    /// Makes a row of a line, whose manifest is that of the shard `number`.
    fn put(
        &self,
        rows: &mut Rows,
        fields: &[(String, Json)],
        number: Option<u64>,
        archives: &mut Archives,
    ) -> Result<(), CorpusError> {
        let id = self.id.as_deref();
        let is_audio = |field: &str| column_of(field, id) == "audio";
        put_fields(rows, fields.iter().filter(|(field, _)| !is_audio(field)), |field| column_of(field, id).into())?;
        let mut names = fields.iter().filter(|(field, json)| is_audio(field) && !json.is_null());
        let name = match (names.next(), names.next()) {
            (Some((_, Json::String(name))), None) => name,
            (None, _) => return Err(CorpusError::NoAudio { place: rows.place() }),
            (Some(_), None) => {
                return Err(CorpusError::malformed(rows.place(), "`audio_filepath` is no text: it names a member"));
            }
            (Some(_), Some(_)) => {
                let (place, column) = (rows.place(), "audio".to_owned());
                return Err(CorpusError::GivenTwice { place, column, also: None });
            }
        };
        let wrong = |rows: &Rows, reason| CorpusError::malformed(rows.place(), reason);
        let number = shard_of(fields, number, archives).map_err(|reason| wrong(rows, reason))?;
        let Some(archive) = archives.by_number.get_mut(&number) else {
            return Err(wrong(rows, format!("there is no shard {number} among those under `audio`")));
        };
        archive.read()?;
        let file = archive.find(name).map_err(|reason| wrong(rows, reason))?;
        rows.put(ColumnKey::AUDIO, Cell::Untyped(&archive::reference(&archive.name, file)))?;
        if self.id.is_some() && !rows.has(ColumnKey::ID) {
            return Err(CorpusError::NoId { place: rows.place(), field: self.id.clone() });
        }
        rows.end_as(name)
    }
}

/// The shard of a line: what it says itself, and what its manifest is of, which must be the same.
fn shard_of(fields: &[(String, Json)], number: Option<u64>, archives: &Archives) -> Result<u64, String> {
    let said = match fields.iter().find(|(field, json)| field == "shard_id" && !json.is_null()) {
        Some((_, json)) => {
            let said = json.as_u64().or_else(|| json.as_str()?.parse().ok());
            Some(said.ok_or_else(|| format!("`shard_id` is {json}, but must be a whole number"))?)
        }
        None => None,
    };
    let only = || archives.by_number.keys().next().copied().filter(|_| archives.by_number.len() == 1);
    match (said, number) {
        (Some(said), Some(number)) if said != number => {
            Err(format!("`shard_id` is {said}, but the manifest is that of shard {number}"))
        }
        (Some(said), _) => Ok(said),
        (None, number) => number.or_else(only).ok_or_else(|| {
            "no `shard_id` says which shard has the recording: give it, or use the sharded manifests".to_owned()
        }),
    }
}

/// The shard of each manifest; none where one manifest is of all.
fn numbers(manifests: &[PathBuf], archives: &Archives) -> Result<Vec<Option<u64>>, CorpusError> {
    if manifests.len() == 1 {
        return Ok(vec![None]);
    }
    let mut seen = BTreeMap::new();
    for path in manifests {
        let number = number_of(path)?;
        let wrong = |reason| Err(CorpusError::malformed(Place::whole(path), reason));
        if !archives.by_number.contains_key(&number) {
            return wrong(format!("there is no shard {number} among those under `audio`"));
        }
        if let Some(other) = seen.insert(number, path) {
            return wrong(format!("shard {number} has another manifest, `{}`", other.display()));
        }
    }
    match archives.by_number.iter().find(|(number, _)| !seen.contains_key(number)) {
        Some((number, archive)) => {
            let reason = format!("shard {number} has no manifest among those under `manifest`");
            Err(CorpusError::malformed(Place::whole(&archive.path), reason))
        }
        None => manifests.iter().map(|path| number_of(path).map(Some)).collect(),
    }
}

/// The last number after `_` in a file's name, as NeMo finds it: 3 of `audio_3.tar` and of
/// `manifest_3_normalized.json`.
fn number_of(path: &Path) -> Result<u64, CorpusError> {
    let name = path.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
    let digits = |part: &str| part.bytes().take_while(u8::is_ascii_digit).count();
    let number = name.split('_').skip(1).filter_map(|part| part[..digits(part)].parse().ok()).last();
    number.ok_or_else(|| {
        let reason =
            "the name says no shard: shards and their manifests end in `_` and a number, as `audio_0.tar` does";
        CorpusError::malformed(Place::whole(path), reason)
    })
}

/// The shards by their numbers.
struct Archives {
    by_number: BTreeMap<u64, Archive>,
}

/// A shard, and its members once a line has asked for one.
struct Archive {
    path: PathBuf,
    /// Below the root of the corpus.
    name: String,
    /// In the order of their names, so that those which differ in the extension alone stand together.
    members: Option<Vec<File>>,
}

impl Archives {
    fn new(tars: &[PathBuf], root: &Path) -> Result<Self, CorpusError> {
        let mut by_number: BTreeMap<u64, Archive> = BTreeMap::new();
        for path in tars {
            let number = number_of(path)?;
            let archive = Archive { path: path.clone(), name: name_below(root, path)?.to_owned(), members: None };
            if let Some(other) = by_number.insert(number, archive) {
                let reason = format!("shard {number} is also `{}`", other.path.display());
                return Err(CorpusError::malformed(Place::whole(path), reason));
            }
        }
        Ok(Self { by_number })
    }

    fn forget(&mut self) {
        self.by_number.values_mut().for_each(|archive| archive.members = None);
    }
}

impl Archive {
    fn read(&mut self) -> Result<(), CorpusError> {
        if self.members.is_some() {
            return Ok(());
        }
        let mut members = archive::members(&self.path)?.collect::<Result<Vec<_>, _>>()?;
        members.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some([_, second]) = members.array_windows().find(|[first, second]| first.name == second.name) {
            let reason = format!("the member `{}` is there twice", second.name);
            return Err(CorpusError::malformed(Place::byte(&self.path, second.at), reason));
        }
        self.members = Some(members);
        Ok(())
    }

    /// The member that a line names.
    fn find(&self, name: &str) -> Result<&File, String> {
        let repeated = without_sub(name);
        let named = self.by_name(name);
        if let Some(repeated) = &repeated
            && let Some(file) = self.by_name(repeated)
        {
            return match named {
                Some(_) => {
                    Err(format!("`{name}` may be a member or a further part of `{repeated}`: rename it, as NeMo asks"))
                }
                None => Ok(file),
            };
        }
        let recoded =
            || repeated.iter().map(String::as_str).chain([name]).find_map(|name| self.by_stem(name).transpose());
        match named {
            Some(file) => Ok(file),
            None => recoded().unwrap_or_else(|| Err(format!("`{name}` is no member of `{}`", self.path.display()))),
        }
    }

    fn members(&self) -> &[File] {
        self.members.as_deref().unwrap_or_default()
    }

    fn by_name(&self, name: &str) -> Option<&File> {
        let found = self.members().binary_search_by(|file| file.name.as_str().cmp(name));
        found.ok().map(|index| &self.members()[index])
    }

    /// The one member that differs from `name` in its extension alone.
    fn by_stem(&self, name: &str) -> Result<Option<&File>, String> {
        let stem = split_extension(name).0;
        let begin = format!("{stem}.");
        let from = self.members().partition_point(|file| file.name < begin);
        let beside = self.members()[from..].iter().take_while(|file| file.name.starts_with(&begin));
        let mut there = beside.filter(|file| split_extension(&file.name).0 == stem);
        match (there.next(), there.next()) {
            (Some(first), Some(second)) => {
                Err(format!("`{name}` is no member, and may be `{}` or `{}`", first.name, second.name))
            }
            (found, _) => Ok(found),
        }
    }
}

/// A name before its last dot, and from it on.
fn split_extension(name: &str) -> (&str, &str) {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = name[base..].rfind('.').map_or(name.len(), |dot| base + dot);
    name.split_at(dot)
}

/// `a.wav` of `a-sub12.wav`; none of other names.
fn without_sub(name: &str) -> Option<String> {
    let (stem, extension) = split_extension(name);
    let (stem, number) = stem.rsplit_once("-sub")?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !stem.is_empty()).then(|| format!("{stem}{extension}"))
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Value};
    use super::*;

    struct Dataset(tempfile::TempDir);

    impl Dataset {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn tar(self, name: &str, members: &[&str]) -> Self {
            let mut builder = tar::Builder::new(Vec::new());
            for (index, member) in members.iter().enumerate() {
                let data = vec![b'x'; index + 1];
                let mut header = tar::Header::new_ustar();
                header.set_size(data.len() as u64);
                builder.append_data(&mut header, member, &data[..]).unwrap();
            }
            std::fs::write(self.0.path().join(name), builder.into_inner().unwrap()).unwrap();
            self
        }

        fn manifest(self, name: &str, lines: &[&str]) -> Self {
            std::fs::write(self.0.path().join(name), lines.join("\n")).unwrap();
            self
        }

        fn read(&self, manifest: &str, audio: &str) -> Result<CorpusTable, CorpusError> {
            let path = |name: &str| Shards::from(self.0.path().join(name).to_str().unwrap());
            NemoTarred { manifest: path(manifest), audio: path(audio), id: None }.read(&Variables::default())
        }
    }

    const SHARDS: (&str, &str) = ("manifest__OP_0..1_CL_.json", "audio_{0..1}.tar");

    fn two_shards() -> Dataset {
        Dataset::new().tar("audio_0.tar", &["a.wav", "b.wav", "spare.wav"]).tar("audio_1.tar", &["c_1_5_2_0.wav"])
    }

    #[test]
    fn lines_are_utterances_of_the_members_that_they_name() {
        let first = [
            r#"{"audio_filepath": "b.wav", "duration": 2, "text": "b", "shard_id": 0, "lang": "en"}"#,
            r#"{"audio_filepath": "a.wav", "duration": 2.5, "offset": 0.0, "text": "a", "shard_id": 0}"#,
            r#"{"audio_filepath": "a-sub1.wav", "duration": 1, "offset": 2.5, "text": "a again", "shard_id": 0}"#,
        ];
        let second =
            [r#"{"audio_filepath": "c_1_5_2_0.wav", "duration": 2.0, "shard_id": 1, "source_audio_offset": 1.5}"#];
        let data = two_shards().manifest("manifest_0.json", &first).manifest("manifest_1.json", &second);
        let data = data.manifest("all.json", &[second[0], first[0], first[1], first[2]]);
        let table = data.read(SHARDS.0, SHARDS.1).unwrap();
        assert_eq!([0, 1, 2, 3].map(|row| table.id(row)), ["b", "a-0-2500", "a-sub1-2500-1000", "c_1_5_2_0"]);
        let audio = ["audio_0.tar#offset=1536&length=2", "audio_0.tar#offset=512&length=1"];
        assert_eq!([0, 1, 2].map(|row| table.audio(row)), [audio[0], audio[1], audio[1]]);
        assert_eq!(table.audio(3), "audio_1.tar#offset=512&length=1");
        assert_eq!((table.start_s(2), table.duration_s(2), table.language(0)), (Some(2.5), Some(1.0), Some("en")));
        let extras: Vec<_> = table.extras().collect();
        assert_eq!(extras, [("shard_id", Kind::Int64), ("source_audio_offset", Kind::Float64)]);
        assert_eq!(table.extra(1, 3), Value::Float64(1.5));
        let table = data.read("all.json", SHARDS.1).unwrap();
        assert_eq!([0, 1].map(|row| table.audio(row)), ["audio_1.tar#offset=512&length=1", audio[0]]);
    }

    #[test]
    fn what_nemo_writes_is_read_with_sharded_manifests_or_one() {
        let ids = ["0-0-50", "0-sub1-50-50", "1-0-50", "1-50-50", "2-0-50", "2-sub1-50-50"];
        for manifest in
            ["sharded_manifests/manifest__OP_0..1_CL_.json", "sharded_manifests", "tarred_audio_manifest.json"]
        {
            let golden = |path: &str| Shards::from(format!("fixtures/golden/corpora/nemo_tarred/{path}").as_str());
            let reader = NemoTarred { manifest: golden(manifest), audio: golden("audio__OP_0..1_CL_.tar"), id: None };
            let table = reader.read(&Variables::default()).unwrap();
            assert_eq!((0..table.len()).map(|row| table.id(row)).collect::<Vec<_>>(), ids);
            assert_eq!(
                (table.text(1), table.start_s(1), table.duration_s(1)),
                (Some("0 0.05"), Some(0.05), Some(0.05))
            );
            assert_eq!(table.audio(0), table.audio(1));
            // One recording, cut in two shards.
            assert_eq!(table.audio(2), "audio_0.tar#offset=5120&length=1644");
            assert_eq!(table.audio(3), "audio_1.tar#offset=1536&length=1644");
        }
    }

    #[test]
    fn a_recoded_member_is_found_by_its_stem() {
        let data = Dataset::new()
            .tar("audio_0.tar", &["a.b.flac", "a.flac", "ab.flac", "b.flac", "b.wav", "d-sub1.wav", "e.b.wav"]);
        let lines = [
            r#"{"audio_filepath": "a.wav"}"#,
            r#"{"audio_filepath": "a-sub3.wav"}"#,
            r#"{"audio_filepath": "d-sub1.wav"}"#,
        ];
        let data = data.manifest("all.json", &lines).manifest("unclear.json", &[r#"{"audio_filepath": "b.mp3"}"#]);
        let table = data.read("all.json", "audio_0.tar").unwrap();
        assert_eq!([0, 1, 2].map(|row| table.id(row)), ["a", "a-sub3", "d-sub1"]);
        assert_eq!(table.audio(0), table.audio(1));
        let data = data.manifest("other.json", &[r#"{"audio_filepath": "e.wav"}"#]);
        let other = data.read("other.json", "audio_0.tar").unwrap_err().to_string();
        assert!(other.contains("line 1: `e.wav` is no member of"), "{other}");
        let unclear = data.read("unclear.json", "audio_0.tar").unwrap_err().to_string();
        assert!(unclear.contains("line 1: `b.mp3` is no member, and may be `b.flac` or `b.wav`"), "{unclear}");
    }

    #[test]
    fn a_line_that_does_not_fit_its_shard_is_named() {
        let good = r#"{"audio_filepath": "a.wav", "shard_id": 0}"#;
        for (line, wanted) in [
            (r#"{"audio_filepath": "c.wav", "shard_id": 0}"#, "line 2: `c.wav` is no member of"),
            (r#"{"audio_filepath": "../a.wav", "shard_id": 0}"#, "line 2: `../a.wav` is no member of"),
            (r#"{"audio_filepath": "b.wav", "shard_id": 7}"#, "line 2: there is no shard 7 among those"),
            (r#"{"audio_filepath": "b.wav", "shard_id": -1}"#, "line 2: `shard_id` is -1, but must be a whole number"),
            (r#"{"audio_filepath": "b.wav"}"#, "line 2: no `shard_id` says which shard"),
            (r#"{"audio_filepath": 3, "shard_id": 0}"#, "line 2: `audio_filepath` is no text"),
            (r#"{"text": "b", "shard_id": 0}"#, "line 2: no audio is named"),
            (r#"{"audio_filepath": "b.wav", "audio": "a.wav", "shard_id": 0}"#, "line 2: `audio` is given twice"),
            (r#"{"audio_filepath": "b.wav", oops}"#, "line 2, column 29"),
            (good, "line 1 and by"),
        ] {
            let message = two_shards().manifest("all.json", &[good, line]).read("all.json", SHARDS.1).unwrap_err();
            assert!(message.to_string().contains(wanted), "{message}");
        }
        let data = two_shards().manifest("manifest_0.json", &[good]).manifest("manifest_1.json", &[good]);
        let message = data.read(SHARDS.0, SHARDS.1).unwrap_err().to_string();
        assert!(message.contains("manifest_1.json`, line 1: `shard_id` is 0, but the manifest is that of shard 1"));
    }

    #[test]
    fn shards_and_manifests_that_do_not_belong_together_are_named() {
        let line = r#"{"audio_filepath": "a.wav"}"#;
        let data = two_shards().manifest("manifest_0.json", &[line]).manifest("manifest_1.json", &[line]);
        let message = |manifest, audio| data.read(manifest, audio).unwrap_err().to_string();
        assert!(message(SHARDS.0, "audio_0.tar").contains("manifest_1.json`: there is no shard 1"));
        assert!(message("manifest_{0..2}.json", SHARDS.1).contains("manifest_2.json`: there is no shard 2"));
        assert!(message("manifest_{0,0}.json", SHARDS.1).contains("shard 0 has another manifest"));
        assert!(message(SHARDS.0, "audio_{0..2}.tar").contains("audio_2.tar`: shard 2 has no manifest"));
        assert!(message(SHARDS.0, "audio_{0,0}.tar").contains("shard 0 is also"));
        assert!(message("manifest_0.json", "audio.tar").contains("the name says no shard"));
        assert!(message("manifest_0.json", "audio_5.tar").contains("failed to read"));
        assert_eq!(number_of(Path::new("x_9/manifest_3_normalized.json")).unwrap(), 3);
        assert_eq!(number_of(Path::new("audio_v2_0012.tar")).unwrap(), 12);
    }

    #[test]
    fn damaged_shards_and_doubled_names_are_errors_of_their_bytes() {
        let line = r#"{"audio_filepath": "a.wav"}"#;
        let data = Dataset::new().tar("audio_0.tar", &["b.wav", "a.wav", "b.wav"]).manifest("all.json", &[line]);
        let message = data.read("all.json", "audio_0.tar").unwrap_err().to_string();
        assert!(message.contains("audio_0.tar`, byte 2048: the member `b.wav` is there twice"), "{message}");
        let unclear = Dataset::new().tar("audio_0.tar", &["a.wav", "a-sub1.wav"]);
        let unclear = unclear.manifest("all.json", &[r#"{"audio_filepath": "a-sub1.wav"}"#]);
        let message = unclear.read("all.json", "audio_0.tar").unwrap_err().to_string();
        assert!(message.contains("may be a member or a further part of `a.wav`"), "{message}");
        let path = data.0.path().join("audio_0.tar");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..700]).unwrap();
        let message = data.read("all.json", "audio_0.tar").unwrap_err().to_string();
        assert!(message.contains("audio_0.tar`, byte 0: `b.wav` should have 1 bytes"), "{message}");
    }
}
