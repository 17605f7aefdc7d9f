//! Lhotse Shar: shards of cuts, with the sound of each shard in a tar file beside.
//!
//! <https://lhotse.readthedocs.io/en/latest/shar.html>; read is what Lhotse 1.33 writes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::archive::{self, members};
use super::corpus_table::{CorpusTable, Rows};
use super::jsonl::json_lines::JsonLines;
use super::lhotse::Pick;
use super::lhotse::columns::put_cut;
use super::lhotse::manifest::Cut;
use super::{CorpusError, Place, Position, ReadCorpus};
use crate::family::Member;
use crate::variables::{Template, Variables};

/// Lhotse Shar: a folder with shards of cuts, `cuts.000000.jsonl.gz`, and their sound, `recording.000000.tar`.
///
/// Every cut is an utterance with the cut's id; the columns are those that [`lhotse`](#lhotse) makes of cuts. Nothing is
/// unpacked: `audio` says which bytes of which tar file are the sound. Fields that have files of their own, as
/// `snr.000000.jsonl.gz`, are columns too. Left out are further tar files (`features`, arrays, second recordings) and
/// the index files of Lhotse 2.0.
///
/// Nothing is lost in silence: every shard must have all its files; the cuts and the members of their tar file must have
/// the same ids in the same order, the same number of them, and each cut must have its sound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LhotseShar {
    /// The folder.
    pub dir: Template,
}

impl Member for LhotseShar {
    const EXAMPLE: &'static str = r#"lhotse_shar: { dir: "${CORPUS}/shar" }"#;
}

impl ReadCorpus for LhotseShar {
    fn read(&self, variables: &Variables) -> Result<CorpusTable, CorpusError> {
        let dir = self.dir.fill(variables)?;
        let dir = Path::new(dir.as_ref());
        let mut rows = Rows::new(dir, dir);
        for shard in shards(dir)? {
            Reading::of(dir, &shard)?.read(&mut rows)?;
        }
        rows.finish()
    }
}

/// The field with the cuts themselves.
const CUTS: &str = "cuts";

/// The field with the sound of the cuts.
const RECORDING: &str = "recording";

/// The files of a shard, by name.
#[derive(Default)]
struct Shard {
    cuts: Option<String>,
    recording: Option<String>,
    /// Further fields with JSON lines.
    fields: BTreeMap<String, String>,
}

/// A shard's number as written, after its length: so that shard 1000000 comes after 999999. Empty where there is but one.
type Number = (usize, String);

/// What a file of the folder is: its field, the number of its shard and the ending.
fn parts(name: &str) -> Option<(&str, &str, &str)> {
    let (field, rest) = name.split_once('.')?;
    let (number, ending) = match rest.split_once('.') {
        Some((number, ending)) if number.bytes().all(|byte| byte.is_ascii_digit()) => (number, ending),
        _ => ("", rest),
    };
    (!field.is_empty()).then_some((field, number, ending))
}

/// The names in a folder, in the order of their bytes.
fn names(dir: &Path) -> Result<Vec<String>, CorpusError> {
    if !dir.is_dir() {
        return Err(CorpusError::NoFolder { path: dir.to_owned() });
    }
    let unread = |source| CorpusError::Read { path: dir.to_owned(), source };
    let mut names = Vec::new();
    for entry in dir.read_dir().map_err(unread)? {
        let name = entry.map_err(unread)?.file_name();
        names.push(name.into_string().map_err(|name| CorpusError::NameNotUtf8 { path: dir.join(name) })?);
    }
    names.sort_unstable();
    Ok(names)
}

/// The shards of a folder in their order, each with all files that there must be.
fn shards(dir: &Path) -> Result<Vec<Shard>, CorpusError> {
    let mut shards: BTreeMap<Number, Shard> = BTreeMap::new();
    for name in names(dir)? {
        let Some((field, number, ending)) = parts(&name) else { continue };
        let is_lines = matches!(ending, "jsonl" | "jsonl.gz");
        if field == RECORDING && is_lines {
            let reason = "recordings in JSON lines are not read here, only those in `recording.*.tar`";
            return Err(CorpusError::malformed(Place::whole(&dir.join(&name)), reason));
        }
        if !is_lines && (field, ending) != (RECORDING, "tar") {
            continue;
        }
        let shard = shards.entry((number.len(), number.to_owned())).or_default();
        let before = match field {
            CUTS => shard.cuts.replace(name.clone()),
            RECORDING => shard.recording.replace(name.clone()),
            other => shard.fields.insert(other.to_owned(), name.clone()),
        };
        if let Some(before) = before {
            let reason = format!("`{before}` and `{name}` are the same shard: remove one of them");
            return Err(CorpusError::malformed(Place::whole(dir), reason));
        }
    }
    check(&shards).map_err(|reason| CorpusError::malformed(Place::whole(dir), reason))?;
    Ok(shards.into_values().collect())
}

/// The most missing files that an error names.
const MOST_NAMED: usize = 10;

/// Checks that every shard has a file of every field; else what is missing.
fn check(shards: &BTreeMap<Number, Shard>) -> Result<(), String> {
    if shards.values().all(|shard| shard.cuts.is_none()) {
        return Err("no `cuts.000000.jsonl.gz` or `cuts.jsonl.gz`: this is no Lhotse Shar folder".to_owned());
    }
    if shards.values().all(|shard| shard.recording.is_none()) {
        return Err(
            "no `recording.000000.tar`: these shards have no field `recording`. Write them with one, or read cuts whose sound is in files of their own with `lhotse: { cuts: … }`"
                .to_owned(),
        );
    }
    let fields: BTreeSet<&str> = shards.values().flat_map(|shard| shard.fields.keys().map(String::as_str)).collect();
    let mut missing = Vec::new();
    for ((_, number), shard) in shards {
        let dot = if number.is_empty() { "" } else { "." };
        let mut must_have = |field: &str, ending: &str, is_there: bool| {
            if !is_there {
                missing.push(format!("`{field}{dot}{number}.{ending}`"));
            }
        };
        must_have(CUTS, "jsonl.gz", shard.cuts.is_some());
        must_have(RECORDING, "tar", shard.recording.is_some());
        for field in &fields {
            must_have(field, "jsonl.gz", shard.fields.contains_key(*field));
        }
    }
    let more = missing.len().saturating_sub(MOST_NAMED);
    missing.truncate(MOST_NAMED);
    let and_more = if more > 0 { format!(" and {more} more") } else { String::new() };
    match &missing[..] {
        [] => Ok(()),
        missing => {
            Err(format!("each shard must have a file of every field; missing: {}{and_more}", missing.join(", ")))
        }
    }
}

/// A shard while it is read.
struct Reading {
    cuts: PathBuf,
    tar: PathBuf,
    /// The name of the tar file, as the `audio` column has it.
    tar_name: String,
    fields: Vec<Field>,
}

/// A field with JSON lines of its own.
struct Field {
    name: String,
    path: PathBuf,
    lines: JsonLines,
}

impl Reading {
    fn of(dir: &Path, shard: &Shard) -> Result<Self, CorpusError> {
        let field = |(name, file): (&String, &String)| {
            let path = dir.join(file);
            Ok(Field { name: name.clone(), lines: JsonLines::open(&path)?, path })
        };
        let tar_name = shard.recording.clone().unwrap_or_default();
        Ok(Self {
            cuts: dir.join(shard.cuts.as_deref().unwrap_or_default()),
            tar: dir.join(&tar_name),
            tar_name,
            fields: shard.fields.iter().map(field).collect::<Result<_, CorpusError>>()?,
        })
    }

    fn read(mut self, rows: &mut Rows) -> Result<(), CorpusError> {
        let mut members = members(&self.tar)?;
        let mut end = 0;
        let mut next = || {
            let member = members.next().transpose()?;
            end = member.as_ref().map_or(end, |member| member.offset + member.length);
            Ok::<_, CorpusError>((member, end))
        };
        for line in JsonLines::open(&self.cuts)? {
            let (number, fields) = line?;
            let place = Place::line(&self.cuts, number);
            let mut cut = Cut::of(&place, fields)?;
            let (data, end) = next()?;
            let data = data.ok_or_else(|| self.cut_off(end, &cut.id, &place))?;
            let (meta, end) = next()?;
            let meta = meta.ok_or_else(|| self.cut_off(end, &cut.id, &place))?;
            self.check(&cut.id, &place, &data, &meta)?;
            for field in &mut self.fields {
                if let Some(value) = field.value(&cut.id, &place)? {
                    cut.custom.get_or_insert_default().insert(field.name.clone(), value);
                }
            }
            let picks = match &cut.recording {
                Some(recording) => {
                    recording.check(&place)?;
                    recording.picks(cut.channel.numbers(), &place)?
                }
                None => vec![Pick::WHOLE],
            };
            let audio = archive::reference(&self.tar_name, &data);
            let supervisions = cut.supervisions(&place)?;
            for pick in picks {
                put_cut(rows, Position::Whole, (&cut, &supervisions), &pick, &audio)?;
            }
        }
        if let (Some(member), _) = next()? {
            let reason =
                format!("`{}`: the archive has more members than `{}` has cuts", member.name, self.cuts.display());
            return Err(CorpusError::malformed(Place::byte(&self.tar, member.at), reason));
        }
        for field in &mut self.fields {
            if let Some(line) = field.lines.next() {
                let reason = format!("more lines than `{}` has cuts", self.cuts.display());
                return Err(CorpusError::malformed(Place::line(&field.path, line?.0), reason));
            }
        }
        Ok(())
    }

    /// The archive ends where the sound of a cut should be.
    fn cut_off(&self, end: u64, id: &str, cut: &Place) -> CorpusError {
        let reason = format!("the archive ends before the recording of `{id}`, {cut}: it is cut off, or of other cuts");
        CorpusError::malformed(Place::byte(&self.tar, end), reason)
    }

    /// Checks that a pair of members is the recording of a cut.
    fn check(&self, id: &str, cut: &Place, data: &archive::Member, meta: &archive::Member) -> Result<(), CorpusError> {
        let parts = |member: &archive::Member| {
            let name = member.name.strip_prefix("./").unwrap_or(&member.name);
            name.rsplit_once('.').map(|(stem, ending)| (stem.to_owned(), ending.to_owned()))
        };
        for member in [data, meta] {
            if parts(member).is_none_or(|(stem, _)| stem != id) {
                let reason = format!(
                    "the member `{}` stands where the recording of the cut `{id}` should be, {cut}",
                    member.name
                );
                return Err(CorpusError::malformed(Place::byte(&self.tar, member.at), reason));
            }
        }
        let ending = |member| parts(member).map(|(_, ending)| ending).unwrap_or_default();
        let reason = match (ending(data).as_str(), ending(meta).as_str()) {
            ("nodata", _) | (_, "nometa") => format!("the cut `{id}`, {cut}, has no recording: leave such cuts out"),
            ("json", _) => format!("`{}` stands where the sound should be, which comes before its JSON", data.name),
            (_, "json") => return Ok(()),
            _ => format!("`{}` is not followed by its JSON, but by `{}`", data.name, meta.name),
        };
        Err(CorpusError::malformed(Place::byte(&self.tar, data.at), reason))
    }
}

impl Field {
    /// What the next line says of the cut `id`; none where it says nothing.
    fn value(&mut self, id: &str, cut: &Place) -> Result<Option<Json>, CorpusError> {
        let Some(line) = self.lines.next() else {
            let reason = format!("no line for the cut `{id}`, {cut}");
            return Err(CorpusError::malformed(Place::whole(&self.path), reason));
        };
        let (number, fields) = line?;
        let (mut named, mut value) = (None, None);
        for (field, json) in fields {
            if field == "cut_id" {
                named = Some(json);
            } else if field == self.name {
                value = Some(json);
            }
        }
        if named.as_ref().and_then(Json::as_str) == Some(id) {
            return Ok(value);
        }
        let named = named.map_or("no cut".to_owned(), |named| format!("the cut {named}"));
        let reason = format!("`cut_id` names {named}, but the cut in its place is `{id}`, {cut}");
        Err(CorpusError::malformed(Place::line(&self.path, number), reason))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Value;
    use super::*;

    fn tar(members: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, data) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(data.len() as u64);
            tar.append_data(&mut header, name, data.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn cut(id: &str, channel: &str, channels: &str) -> String {
        format!(
            r#"{{"id": "{id}", "start": 0, "duration": 0.25, "channel": {channel}, "supervisions": [], "recording": {{"id": "r", "sources": [{{"type": "shar", "channels": {channels}, "source": ""}}], "duration": 0.25}}, "type": "MonoCut"}}"#
        ) + "\n"
    }

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    fn read(files: &[(&str, &[u8])]) -> Result<CorpusTable, CorpusError> {
        let folder = folder(files);
        LhotseShar { dir: folder.path().to_str().unwrap().into() }.read(&Variables::default())
    }

    fn message(files: &[(&str, &[u8])]) -> String {
        read(files).unwrap_err().to_string()
    }

    /// A shard of the cuts `a` and `b` with these members.
    fn of_two(members: &[(&str, &str)]) -> String {
        let cuts = [cut("a", "0", "[0]"), cut("b", "0", "[0]")].concat();
        message(&[("cuts.000000.jsonl", cuts.as_bytes()), ("recording.000000.tar", &tar(members))])
    }

    #[test]
    fn shards_are_read_in_order_with_the_bytes_of_their_sound() {
        let long = format!("long/{}", "x".repeat(150));
        let first = [cut("a b.c", "0", "[0]"), cut("d", "[0, 1]", "[0, 1]"), cut("e", "1", "[1]")].concat();
        let table = read(&[
            ("cuts.1000000.jsonl", cut(&long, "1", "[0, 1]").as_bytes()),
            ("recording.1000000.tar", &tar(&[(&format!("{long}.wav"), "1234"), (&format!("{long}.json"), "{}")])),
            ("cuts.999999.jsonl", first.as_bytes()),
            (
                "recording.999999.tar",
                &tar(&[
                    ("a b.c.flac", "sound"),
                    ("a b.c.json", "{}"),
                    ("d.flac", &"s".repeat(600)),
                    ("d.json", "{}"),
                    ("e.flac", ""),
                    ("e.json", "{}"),
                ]),
            ),
            ("features.999999.tar", b"not read"),
            ("cuts.999999.jsonl.idx", b"not read"),
        ])
        .unwrap();
        let rows: Vec<_> = (0..table.len()).map(|row| (table.id(row), table.audio(row), table.channel(row))).collect();
        let expected = [
            ("a b.c", "recording.999999.tar#offset=512&length=5", None),
            ("d", "recording.999999.tar#offset=2560&length=600", None),
            ("e", "recording.999999.tar#offset=5120&length=0", None),
            (&long, "recording.1000000.tar#offset=1536&length=4", Some(1)),
        ];
        assert_eq!(rows, expected);
        assert_eq!((table.start_s(0), table.duration_s(0)), (None, Some(0.25)));
        assert_eq!(table.extras().map(|(name, _)| name).collect::<Vec<_>>(), ["recording_id"]);
    }

    #[test]
    fn fields_with_lines_of_their_own_are_columns() {
        let cuts = [cut("a", "0", "[0]"), cut("b", "0", "[0]")].concat();
        let tar = tar(&[("a.wav", "1"), ("a.json", "{}"), ("b.wav", "1"), ("b.json", "{}")]);
        let with = |lines: &str| {
            read(&[("cuts.jsonl", cuts.as_bytes()), ("recording.tar", &tar), ("snr.jsonl", lines.as_bytes())])
        };
        let table = with("{\"cut_id\": \"a\", \"snr\": 1.5}\n{\"cut_id\": \"b\"}").unwrap();
        assert_eq!(
            (table.cell("snr", 0).unwrap().1, table.cell("snr", 1).unwrap().1),
            (Value::Float64(1.5), Value::Null)
        );
        for (lines, wrong) in [
            ("{\"cut_id\": \"b\"}\n{\"cut_id\": \"a\"}", "snr.jsonl`, line 1: `cut_id` names the cut \"b\", but"),
            ("{\"cut_id\": \"a\"}", "snr.jsonl`: no line for the cut `b`"),
            ("{\"cut_id\": \"a\"}\n{\"cut_id\": \"b\"}\n{\"cut_id\": \"c\"}", "snr.jsonl`, line 3: more lines"),
            ("{\"cut_id\": \"a\"}\n{}", "line 2: `cut_id` names no cut"),
            ("oops", "snr.jsonl`, line 1"),
        ] {
            let message = with(lines).unwrap_err().to_string();
            assert!(message.contains(wrong), "{message}");
        }
    }

    #[test]
    fn every_shard_must_have_every_file() {
        let (cuts, tar) = (cut("a", "0", "[0]"), tar(&[("a.wav", ""), ("a.json", "{}")]));
        let cuts = cuts.as_bytes();
        let lacking = message(&[
            ("cuts.000000.jsonl", cuts),
            ("recording.000000.tar", &tar),
            ("snr.000000.jsonl", b""),
            ("cuts.000001.jsonl.gz", cuts),
            ("recording.000002.tar", &tar),
        ]);
        for name in ["recording.000001.tar", "cuts.000002.jsonl.gz", "snr.000001.jsonl.gz", "snr.000002.jsonl.gz"] {
            assert!(lacking.contains(&format!("`{name}`")), "{lacking}");
        }
        assert!(message(&[("cuts.000000.jsonl", cuts)]).contains("no field `recording`"));
        assert!(message(&[("recording.000000.tar", &tar)]).contains("this is no Lhotse Shar folder"));
        assert!(message(&[]).contains("this is no Lhotse Shar folder"));
        let double = message(&[("cuts.0.jsonl", cuts), ("cuts.0.jsonl.gz", cuts), ("recording.0.tar", &tar)]);
        assert!(double.contains("are the same shard"), "{double}");
        let lines = message(&[("cuts.0.jsonl", cuts), ("recording.0.jsonl", b"")]);
        assert!(lines.contains("recordings in JSON lines are not read here"), "{lines}");
        let nowhere = LhotseShar { dir: "/no/such/folder".into() }.read(&Variables::default()).unwrap_err();
        assert!(matches!(nowhere, CorpusError::NoFolder { .. }));
    }

    #[test]
    fn members_that_are_not_the_cuts_are_errors_of_their_byte() {
        let a = [("a.wav", "1"), ("a.json", "{}")];
        let with = |others: &[(&'static str, &'static str)]| of_two(&[&a[..], others].concat());
        let other = with(&[("c.wav", "1"), ("c.json", "{}")]);
        assert!(other.contains("byte 2048: the member `c.wav` stands where the recording of the cut `b`"), "{other}");
        assert!(other.contains("cuts.000000.jsonl`, line 2"), "{other}");
        assert!(with(&[]).contains("byte 1538: the archive ends before the recording of `b`"), "{}", with(&[]));
        assert!(with(&[("b.wav", "1")]).contains("the archive ends before the recording of `b`"));
        assert!(with(&[("b.nodata", ""), ("b.nometa", "")]).contains("the cut `b`, "));
        assert!(
            with(&[("b.json", ""), ("b.wav", "")]).contains("byte 2048: `b.json` stands where the sound should be")
        );
        assert!(with(&[("b.wav", ""), ("b.txt", "")]).contains("is not followed by its JSON, but by `b.txt`"));
        let more = with(&[("b.wav", ""), ("b.json", ""), ("c.wav", "")]);
        assert!(more.contains("byte 3072: `c.wav`: the archive has more members than"), "{more}");
    }

    #[test]
    fn a_truncated_archive_is_an_error_of_its_byte() {
        let cuts = [cut("a", "0", "[0]"), cut("b", "0", "[0]")].concat();
        let sound = "s".repeat(2000);
        let whole = tar(&[("a.wav", &sound), ("a.json", "{}"), ("b.wav", &sound), ("b.json", "{}")]);
        for end in [0, 100, 512, 1000, 2560, 3000, 3584, 4000, 6144, 6200] {
            let files = [("cuts.jsonl", cuts.as_bytes()), ("recording.tar", &whole[..end])];
            let message = message(&files);
            assert!(message.contains("recording.tar`, byte ") && message.contains("cut off"), "{end}: {message}");
        }
    }

    #[test]
    fn malformed_cuts_are_named_with_their_line() {
        let tar = tar(&[("a.wav", ""), ("a.json", "{}")]);
        let with = |cuts: &str| message(&[("cuts.000000.jsonl", cuts.as_bytes()), ("recording.000000.tar", &tar)]);
        assert!(with("{oops").contains("cuts.000000.jsonl`, line 1, column"));
        assert!(with(r#"{"id": "m", "tracks": [], "type": "MixedCut"}"#).contains("line 1: a `MixedCut`"));
        assert!(with(&cut("a", "\"x\"", "[0]")).contains("line 1: `channel`: must be"));
        assert!(with(&cut("a", "2", "[0]")).contains("has no channel 2"));
    }
}
