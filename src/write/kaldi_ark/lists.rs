//! The lists of a Kaldi data directory, sorted by key as `LC_ALL=C sort` does.
//!
//! Held in memory are the key of each row and where its line stands; the lines are read again in the order of the keys.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::read::RowLine;
use super::{archives, word};
use crate::manifest::{FileEntry, ShardEntry};
use crate::write::contract::{RowSchema, WriteError};
use crate::write::rows_back::next_line;
use crate::write::{ShardFile, unlike};

/// Writes the lists of every part of the dataset.
pub(super) fn write(schema: &RowSchema, folder: &Path, shards: &[ShardEntry]) -> Result<Vec<FileEntry>, WriteError> {
    let mut parts: BTreeMap<Option<&str>, Vec<&ShardEntry>> = BTreeMap::new();
    for shard in shards {
        parts.entry(shard.split.as_deref()).or_default().push(shard);
    }
    let mut written = Vec::new();
    for (split, shards) in parts {
        let part = split.map_or_else(|| "data".to_owned(), |split| format!("data/{split}"));
        written.extend(write_part(schema, folder, &part, &shards)?);
    }
    Ok(written)
}

/// Where the line of a row stands.
struct Place {
    key: Box<str>,
    shard: u32,
    line: u64,
    bytes: u32,
}

fn write_part(
    schema: &RowSchema,
    folder: &Path,
    part: &str,
    shards: &[&ShardEntry],
) -> Result<Vec<FileEntry>, WriteError> {
    let names = archives(schema);
    let mut places = Vec::new();
    let mut lines = Lines { paths: Vec::new(), open: HashMap::new() };
    for (number, shard) in shards.iter().enumerate() {
        let rows = shard.files.get(names.len()).ok_or_else(|| unlike(shard.files.len()))?;
        lines.paths.push(folder.join(&rows.path));
        index(&lines.paths[number], number as u32, &mut places)?;
    }
    places.sort_unstable_by(|one, other| one.key.as_bytes().cmp(other.key.as_bytes()));

    let frames = schema.matrix().map(|place| &schema.features[place]);
    let mut lists = Lists { folder, part, open: BTreeMap::new() };
    let mut speakers: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (number, place) in places.iter().enumerate() {
        let row = lines.row(place)?;
        let (key, metadata) = (&place.key, &row.metadata);
        for (archive, name) in names.iter().enumerate() {
            let path = &shards[place.shard as usize].files[archive].path;
            let (offset, _) = row.place(name)?;
            lists.line(&format!("{name}.scp"), key, &format!("{path}:{offset}"))?;
        }
        let text = |name: &str| metadata.0.get(name).and_then(Json::as_str).filter(|text| !text.trim().is_empty());
        if let Some(text) = text("text") {
            lists.line("text", key, &one_line(text))?;
        }
        if let Some(language) = text("language") {
            lists.line("utt2lang", key, &word(language))?;
        }
        let speaker = text("speaker").map_or_else(|| key.to_string(), |speaker| word(speaker).into_owned());
        lists.line("utt2spk", key, &speaker)?;
        speakers.entry(speaker).or_default().push(number as u32);
        if let Some(column) = frames {
            lists.line("utt2num_frames", key, &metadata.frames(column)?.to_string())?;
        }
        if let Some(duration) = metadata.0.get("duration_s").and_then(Json::as_f64) {
            lists.line("utt2dur", key, &duration.to_string())?;
        }
    }
    for (speaker, utterances) in &speakers {
        let keys: Vec<&str> = utterances.iter().map(|number| &*places[*number as usize].key).collect();
        lists.line("spk2utt", speaker, &keys.join(" "))?;
    }
    lists.commit()
}

/// Finds the lines of a shard's rows.
fn index(path: &Path, shard: u32, places: &mut Vec<Place>) -> Result<(), WriteError> {
    let mut file = BufReader::new(File::open(path)?);
    let (mut line, mut at) = (Vec::new(), 0);
    while next_line(&mut file, &mut line)? {
        let key = word(RowLine::parse(&line)?.metadata.key()?).into();
        places.push(Place { key, shard, line: at, bytes: line.len() as u32 });
        at += line.len() as u64 + 1;
    }
    Ok(())
}

/// A text on one line.
fn one_line(text: &str) -> String {
    let breaks = |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}');
    text.replace(breaks, " ").trim().to_owned()
}

/// The lines of all shards of a part.
struct Lines {
    paths: Vec<PathBuf>,
    open: HashMap<u32, File>,
}

impl Lines {
    fn row(&mut self, place: &Place) -> Result<RowLine, WriteError> {
        /// Files that are open at a time: fewer than any system allows.
        const OPEN: usize = 64;
        if self.open.len() >= OPEN && !self.open.contains_key(&place.shard) {
            self.open.clear();
        }
        let file = match self.open.entry(place.shard) {
            std::collections::hash_map::Entry::Occupied(file) => file.into_mut(),
            std::collections::hash_map::Entry::Vacant(empty) => {
                empty.insert(File::open(&self.paths[place.shard as usize])?)
            }
        };
        let mut line = vec![0; place.bytes as usize];
        file.seek(SeekFrom::Start(place.line))?;
        file.read_exact(&mut line)?;
        RowLine::parse(&line)
    }
}

/// The lists of a part: each starts with its first line.
struct Lists<'a> {
    folder: &'a Path,
    part: &'a str,
    open: BTreeMap<String, BufWriter<ShardFile>>,
}

impl Lists<'_> {
    fn line(&mut self, list: &str, key: &str, value: &str) -> io::Result<()> {
        if !self.open.contains_key(list) {
            let file = ShardFile::create(self.folder, &format!("{}/{list}", self.part))?;
            self.open.insert(list.to_owned(), BufWriter::new(file));
        }
        let Some(file) = self.open.get_mut(list) else { return Ok(()) };
        file.write_all(key.as_bytes())?;
        if !value.is_empty() {
            file.write_all(b" ")?;
            file.write_all(value.as_bytes())?;
        }
        file.write_all(b"\n")
    }

    /// Puts the lists in place, in the order of their names.
    fn commit(self) -> Result<Vec<FileEntry>, WriteError> {
        let files = self.open.into_values();
        let files = files.map(|file| file.into_inner().map_err(io::IntoInnerError::into_error)?.commit());
        Ok(files.collect::<io::Result<Vec<_>>>()?)
    }
}
