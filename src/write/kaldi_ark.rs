//! Kaldi archives, and the lists of a Kaldi data directory.
//!
//! The formats are those of Kaldi's `matrix/kaldi-matrix.cc`, `matrix/kaldi-vector.cc`, `util/kaldi-table-inl.h` and
//! `feat/wave-reader.cc`.

mod lists;
mod read;

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::contract::{
    Batches, CellChannels, FeatureColumn, FormatError, Row, RowSchema, WriteError, WriteRows, WriteShards,
};
use super::key_escape::escaped;
use super::metadata::Metadata;
use super::rows_back::{Wanted, batches};
use super::{ShardFile, ShardName, unlike};
use crate::family::Member;
use crate::manifest::{Dtype, FileEntry, ShardEntry};

use read::Utterances;

/// Kaldi archives and lists: open in Kaldi, ESPnet, kaldiio, kaldi_native_io, k2 and lhotse.
///
/// A shard has an archive for each feature column, `data/feats.00000.ark` and so on, of a split `data/train/feats.00000.ark`. `feats`
/// is the column `features`, or else the only one that has bins; others keep their names. Cells are float matrices, or
/// float vectors where they have no bins: f32 alone, of one channel. Sound goes into `data/wav.00000.ark` if it is WAV.
/// `data/rows.00000.jsonl` has what Kaldi has no place for: every text and number of every row, and where it stands.
///
/// The lists are written last, sorted as Kaldi sorts, in `data/` or in the folder of their split: `feats.scp`, `wav.scp`, `text`,
/// `utt2spk` (the key itself where no speaker is known), `spk2utt`, `utt2lang`, `utt2num_frames`, `utt2dur`. What has no value for any row
/// has no list. Paths in them are relative to the dataset's folder: run Kaldi's tools there. White space, control characters and `%` in
/// keys and speakers are written as `%20` and so on; line breaks in texts become spaces. Kaldi's own checks further ask that keys
/// start with their speaker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KaldiArk {
    /// Size at which a shard is full, in MiB.
    #[schemars(range(min = 1, max = 65_536))]
    pub shard_mib: u64,
}

impl Default for KaldiArk {
    fn default() -> Self {
        Self { shard_mib: 128 }
    }
}

impl Member for KaldiArk {
    const EXAMPLE: &'static str = "kaldi_ark: { shard_mib: 128 }";
    const PEERS: &'static [&'static str] = &["copy-feats", "kaldiio.WriteHelper"];
}

impl WriteShards for KaldiArk {
    fn files(&self, name: &ShardName<'_>, schema: &RowSchema) -> Vec<String> {
        let (folder, number) = (name.folder(), name.number);
        let archives = archives(schema).into_iter().map(|archive| format!("{folder}/{archive}.{number:05}.ark"));
        archives.chain([format!("{folder}/rows.{number:05}.jsonl")]).collect()
    }

    fn shard_bytes(&self) -> u64 {
        self.shard_mib << 20
    }

    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn accepts(&self, schema: &RowSchema) -> Result<(), FormatError> {
        let columns = |reason: String| Err(FormatError::Columns { reason });
        for FeatureColumn { name, dtype, channels, .. } in &schema.features {
            if *dtype != Dtype::F32 {
                return Err(FormatError::Dtype { column: name.clone(), dtype: *dtype, stored: "f32" });
            }
            if *channels == CellChannels::All {
                return columns(format!(
                    "Kaldi's matrices hold one channel, and `load.channels: keep` gives `{name}` all of them"
                ));
            }
        }
        if let Some(column) = schema.audio.iter().find(|column| column.codec != "wav") {
            let (name, codec) = (&column.name, &column.codec);
            return columns(format!(
                "Kaldi reads sound from archives as WAV, and `{name}` is {codec}: use `encode: {{ codec: wav }}`"
            ));
        }
        let archives = archives(schema);
        match archives.iter().enumerate().find(|(place, name)| archives[..*place].contains(name)) {
            Some((_, name)) => columns(format!("two columns would go into the archive `{name}`: name one otherwise")),
            None => Ok(()),
        }
    }

    fn start(&self, schema: &RowSchema, files: Vec<ShardFile>) -> Result<Box<dyn WriteRows>, WriteError> {
        let names = archives(schema);
        if files.len() != names.len() + 1 {
            return Err(unlike(files.len()));
        }
        // Large enough for what stands between cells; cells themselves mostly go past it.
        let files = files.into_iter().map(|file| BufWriter::with_capacity(1 << 16, file)).collect();
        Ok(Box::new(Shard { names, schema: schema.clone(), files }))
    }

    fn read(&self, schema: &RowSchema, files: &[PathBuf], columns: Option<&[&str]>) -> Result<Batches, WriteError> {
        let utterances = Utterances::open(schema, Wanted::new(schema, columns), files)?;
        Ok(batches(schema, columns, utterances))
    }

    fn gather(
        &self,
        schema: &RowSchema,
        folder: &Path,
        shards: &[ShardEntry],
    ) -> Result<Vec<FileEntry>, WriteError> {
        lists::write(schema, folder, shards)
    }
}

/// The archives' names: of each feature column, then of the sound.
fn archives(schema: &RowSchema) -> Vec<String> {
    let feats = feats(schema);
    let features = schema.features.iter().enumerate();
    let names = features.map(|(place, column)| if Some(place) == feats { "feats".to_owned() } else { column.name.clone() });
    names.chain(schema.audio.iter().map(|_| "wav".to_owned())).collect()
}

/// The column that Kaldi knows as features.
fn feats(schema: &RowSchema) -> Option<usize> {
    let matrices = || schema.features.iter().enumerate().filter(|(_, column)| column.bins.is_some());
    let named = matrices().find(|(_, column)| column.name == "features");
    let only = matrices().next().filter(|_| matrices().count() == 1);
    named.or(only).map(|(place, _)| place)
}

/// A key or a speaker as a word: Kaldi's lists have one to a column.
fn word(text: &str) -> Cow<'_, str> {
    escaped(text, |letter| letter.is_whitespace() || letter.is_control())
}

/// What stands before the numbers of a cell of `frames` frames.
fn head(column: &FeatureColumn, frames: u32) -> Vec<u8> {
    // Kaldi's integers tell how long they are: a byte before each of these says 4. A matrix without rows has no columns either.
    match column.bins {
        Some(bins) => {
            let bins = if frames == 0 { 0 } else { bins as u32 };
            [&b"\0BFM \x04"[..], &frames.to_le_bytes(), b"\x04", &bins.to_le_bytes()].concat()
        }
        None => [&b"\0BFV \x04"[..], &frames.to_le_bytes()].concat(),
    }
}

/// A shard being written: nothing of it is held.
struct Shard {
    names: Vec<String>,
    schema: RowSchema,
    /// The archives, then the rows.
    files: Vec<BufWriter<ShardFile>>,
}

impl WriteRows for Shard {
    fn push(&mut self, row: &Row<'_>) -> Result<(), WriteError> {
        let key = word(row.key);
        let mut places = Map::new();
        let cells = self.schema.features.iter().zip(row.cells);
        let cells = cells.map(|(column, cell)| (head(column, cell.frames), cell.bytes.as_slice()));
        let sound = row.audio.iter().map(|sound| (Vec::new(), sound.as_slice()));
        for ((name, file), (head, bytes)) in self.names.iter().zip(&mut self.files).zip(cells.chain(sound)) {
            file.write_all(key.as_bytes())?;
            file.write_all(b" ")?;
            let offset = file.get_ref().len() + file.buffer().len() as u64;
            file.write_all(&head)?;
            file.write_all(bytes)?;
            places.insert(name.clone(), json!([offset, head.len() + bytes.len()]));
        }
        if let Some(rows) = self.files.last_mut() {
            let row = json!({ "row": Metadata::of(row, &self.schema).0, "at": places });
            serde_json::to_writer(&mut *rows, &row).map_err(io::Error::from)?;
            rows.write_all(b"\n")?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<ShardFile>, WriteError> {
        let files = self.files.into_iter().map(|file| file.into_inner().map_err(io::IntoInnerError::into_error));
        Ok(files.collect::<io::Result<Vec<_>>>()?)
    }
}
