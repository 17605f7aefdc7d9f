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

/// Kaldi archives and lists, as Kaldi and ESPnet read them: open in kaldiio and `kaldi_native_io`.
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

    fn gather(&self, schema: &RowSchema, folder: &Path, shards: &[ShardEntry]) -> Result<Vec<FileEntry>, WriteError> {
        lists::write(schema, folder, shards)
    }
}

/// The archives' names: of each feature column, then of the sound.
fn archives(schema: &RowSchema) -> Vec<String> {
    let feats = schema.matrix();
    let features = schema.features.iter().enumerate();
    let names =
        features.map(|(place, column)| if Some(place) == feats { "feats".to_owned() } else { column.name.clone() });
    names.chain(schema.audio.iter().map(|_| "wav".to_owned())).collect()
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::write::contract::AudioColumn;
    use crate::write::testing::{OwnedRow, Rows, wav};

    /// Rows with features of f32 and one channel, and WAV.
    fn rows(count: usize) -> Rows {
        let kept = |column: &FeatureColumn| column.dtype == Dtype::F32 && column.channels == CellChannels::One;
        let mut rows = Rows::of_all_kinds(count).with_features(kept);
        let (name, channels) = ("pitch".to_owned(), CellChannels::One);
        let pitch = FeatureColumn { name, bins: None, dtype: Dtype::F32, unit: "Hz".to_owned(), channels };
        rows.schema.features.push(pitch);
        rows.schema.audio = vec![AudioColumn { name: "audio".to_owned(), codec: "wav".to_owned() }];
        for OwnedRow { cells, audio, num_samples, .. } in &mut rows.rows {
            let mut pitch = cells[0].clone();
            pitch.bytes.truncate(pitch.frames as usize * 4);
            cells.push(pitch);
            *audio = vec![wav(*num_samples)];
        }
        rows
    }

    #[test]
    fn rows_come_back_as_they_went_in() {
        rows(150).assert_round_trip(&KaldiArk::default());
        rows(1).with_frames(0, 1_000_000).assert_round_trip(&KaldiArk::default());
        rows(9).without_audio().with_features(|_| false).assert_round_trip(&KaldiArk::default());
    }

    #[test]
    fn damaged_files_are_told() {
        rows(6).assert_survives_damage(&KaldiArk::default());
    }

    #[test]
    fn what_kaldi_has_no_place_for_is_refused() {
        let refused = |rows: Rows| KaldiArk::default().accepts(&rows.schema).unwrap_err().to_string();
        let halves = Rows::of_all_kinds(1).with_features(|column| column.dtype == Dtype::F16);
        assert!(refused(halves).contains("stores f32"));
        assert!(refused(Rows::of_all_kinds(1).with_features(|column| column.name == "mel")).contains("codec: wav"));
        let channels = Rows::of_all_kinds(1).with_features(|column| column.name == "channels");
        assert!(refused(channels).contains("load.channels: keep"));
        let mut twice = rows(1);
        twice.schema.features[1].name = "feats".to_owned();
        assert!(refused(twice).contains("two columns"));
    }

    #[test]
    fn a_cell_stands_in_the_archive_as_kaldi_writes_it() {
        let folder = tempfile::tempdir().unwrap();
        let rows = rows(4);
        let files = rows.write(&KaldiArk::default(), folder.path());
        let ark = fs::read(&files[0]).unwrap();
        let head = b"book%201/f\xc3\xbcr-000.a \0BFM \x04\x01\0\0\0\x04\x05\0\0\0";
        assert!(ark.starts_with(head));
        assert_eq!(ark[head.len()..head.len() + 20], rows.rows[0].cells[0].bytes);
        // The fourth row is empty.
        assert!(ark.ends_with(b" \0BFM \x04\0\0\0\0\x04\0\0\0\0"));
        assert!(fs::read(&files[1]).unwrap().ends_with(b" \0BFV \x04\0\0\0\0"));
    }

    /// Two shards of one part, and a third of another.
    fn dataset(folder: &Path) -> (Rows, Vec<ShardEntry>) {
        let (format, all) = (KaldiArk::default(), rows(30));
        let mut shards = Vec::new();
        for (split, number, range) in [(None, 0, 15..30), (None, 1, 0..15), (Some("test"), 0, 3..5)] {
            let name = ShardName { split, number, count: 2 };
            let files = format.files(&name, &all.schema);
            let files = files.iter().map(|path| ShardFile::create(folder, path).unwrap()).collect();
            let mut writer = format.start(&all.schema, files).unwrap();
            all.rows[range].iter().for_each(|row| writer.push(&row.row()).unwrap());
            let files = writer.finish().unwrap().into_iter().map(|file| file.commit().unwrap()).collect();
            shards.push(ShardEntry { split: split.map(str::to_owned), rows: 0, audio_s: 0.0, files });
        }
        (all, shards)
    }

    #[test]
    fn lists_are_sorted_and_say_where_everything_is() {
        let folder = tempfile::tempdir().unwrap();
        let (rows, shards) = dataset(folder.path());
        let written = KaldiArk::default().gather(&rows.schema, folder.path(), &shards).unwrap();
        let lists = [
            "feats.scp",
            "pitch.scp",
            "spk2utt",
            "text",
            "utt2dur",
            "utt2lang",
            "utt2num_frames",
            "utt2spk",
            "wav.scp",
        ];
        let expected = ["data", "data/test"].iter().flat_map(|part| lists.map(|list| format!("{part}/{list}")));
        assert_eq!(written.iter().map(|file| file.path.clone()).collect::<Vec<_>>(), expected.collect::<Vec<_>>());

        let list = |name: &str| fs::read_to_string(folder.path().join("data").join(name)).unwrap();
        let feats = list("feats.scp");
        let lines: Vec<&str> = feats.lines().collect();
        assert_eq!(lines.len(), 30);
        assert!(lines.is_sorted());
        for line in lines {
            let (key, place) = line.split_once(' ').unwrap();
            let (path, offset) = place.rsplit_once(':').unwrap();
            let ark = fs::read(folder.path().join(path)).unwrap();
            let offset: usize = offset.parse().unwrap();
            assert!(ark[offset..].starts_with(b"\0BFM "));
            assert!(ark[..offset].ends_with(format!("{key} ").as_bytes()));
        }
        assert_eq!(list("text").lines().next().unwrap(), "book%201/für-001.a~1 say \"ah\", then ø");
        assert_eq!(list("utt2spk").lines().next().unwrap(), "book%201/für-000.a book%201/für-000.a");
        assert!(list("spk2utt").starts_with("anna book%201/für-001.a~1 book%201/für-002.a~2 book%201/für-004.a~1 "));
        assert_eq!(list("utt2dur").lines().next().unwrap(), "book%201/für-000.a 0.0625");
        assert_eq!(list("utt2num_frames").lines().nth(1).unwrap(), "book%201/für-001.a~1 8");
        assert_eq!(list("utt2lang").lines().count(), 25);
    }
}
