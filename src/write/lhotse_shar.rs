//! Lhotse Shar: cuts as lines of JSON, and a tar archive for each kind of data beside them.
//!
//! Layout and manifests are those that `lhotse.shar.SharWriter` of lhotse 1.33 writes and `LazySharIterator` reads.

mod cut;
mod read;

use std::io::Write;
use std::path::PathBuf;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Batches, FormatError, Row, RowSchema, WriteError, WriteRows, WriteShards};
use super::rows_back::{Wanted, batches};
use super::tar_member::TarWriter;
use super::{ShardFile, ShardName, npy, unlike};
use crate::family::Member;
use crate::manifest::Dtype;

use cut::Cut;
use read::Cuts;

/// Lhotse Shar: opens with `CutSet.from_shar(in_dir="out/data")`, for lhotse, icefall and NeMo.
///
/// A shard is `data/cuts.000000.jsonl.gz` and a tar archive for each field: `recording.000000.tar` with the sound, `features.000000.tar`
/// with the column `features`, or else the only one of one channel that has bins, and one for every other feature, under its column's name, as a
/// custom array. A split has a folder: `data/train/`. Each row is a cut with one supervision, whose id is the row's key; all that
/// lhotse has no place for is in its `custom` fields, also `<column>_scale`. Arrays are in NumPy's types, sound is FLAC, WAV or Opus.
///
/// Ids stand in names of tar members, as lhotse asks. A key that would not come back from there (with `%`, or with a part between slashes that is
/// empty, `.` or `..`) is written with `%2F` and so on; `custom["key"]` is the key as it is. A name of more than 100
/// bytes stands in a PAX header: lhotse reads it front to back, but not through an index.
///
/// Lhotse asks for a frame shift in whole samples that gives the number of frames back: 10 ms where that does, and the
/// nearest that does elsewhere, which for features without their edges is a little more than the extractor's. Where none does,
/// as for long utterances without their edges, lhotse's `validate` says so, and loads them all the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LhotseShar {
    /// Size at which a shard is full, in MiB.
    #[schemars(range(min = 1, max = 65_536))]
    pub shard_mib: u64,
    /// How the numbers of features are stored, where the extractor leaves it open: f32, f16, i16 or i8. NumPy has no bf16.
    pub dtype: Dtype,
}

impl Default for LhotseShar {
    fn default() -> Self {
        Self { shard_mib: 128, dtype: Dtype::F32 }
    }
}

impl Member for LhotseShar {
    const EXAMPLE: &'static str = "lhotse_shar: { shard_mib: 128, dtype: f16 }";
    const PEERS: &'static [&'static str] = &["lhotse.shar.SharWriter"];
}

impl WriteShards for LhotseShar {
    fn files(&self, name: &ShardName<'_>, schema: &RowSchema) -> Vec<String> {
        let (folder, number) = (name.folder(), name.number);
        let fields = fields(schema).into_iter().map(|field| format!("{folder}/{}.{number:06}.tar", field.name));
        std::iter::once(format!("{folder}/cuts.{number:06}.jsonl.gz")).chain(fields).collect()
    }

    fn shard_bytes(&self) -> u64 {
        self.shard_mib << 20
    }

    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn accepts(&self, schema: &RowSchema) -> Result<(), FormatError> {
        /// What lhotse calls the parts of a cut.
        const TAKEN: [&str; 9] =
            ["cuts", "id", "start", "duration", "channel", "supervisions", "features", "recording", "custom"];
        npy::accepts(schema)?;
        let columns = |reason: String| Err(FormatError::Columns { reason });
        if schema.audio.len() > 1 {
            return columns("a cut has one recording: use `encode` once".to_owned());
        }
        if let Some(column) = schema.audio.iter().find(|column| column.codec == "vorbis") {
            let name = &column.name;
            return columns(format!(
                "Shar has FLAC, WAV and Opus, and `{name}` is vorbis: use `encode: {{ codec: flac }}`"
            ));
        }
        let arrays = fields(schema).into_iter().filter(|field| matches!(field.kind, Kind::Array(_)));
        match arrays.map(|field| field.name).find(|name| TAKEN.contains(&name.as_str())) {
            Some(name) => columns(format!(
                "`{name}` is a part of lhotse's cuts, and the column of that name is none: name it otherwise"
            )),
            None => Ok(()),
        }
    }

    fn start(&self, schema: &RowSchema, files: Vec<ShardFile>) -> Result<Box<dyn WriteRows>, WriteError> {
        /// As gzip's own.
        const LEVEL: u32 = 6;
        let fields = fields(schema);
        if files.len() != fields.len() + 1 {
            return Err(unlike(files.len()));
        }
        let mut files = files.into_iter();
        let Some(cuts) = files.next() else { return Err(unlike(0)) };
        Ok(Box::new(Shard {
            schema: schema.clone(),
            cuts: GzBuilder::new().mtime(0).write(cuts, Compression::new(LEVEL)),
            fields: fields.into_iter().zip(files.map(TarWriter::new)).collect(),
        }))
    }

    fn read(&self, schema: &RowSchema, files: &[PathBuf], columns: Option<&[&str]>) -> Result<Batches, WriteError> {
        Ok(batches(schema, columns, Cuts::open(schema, Wanted::new(schema, columns), files)?))
    }
}

/// A kind of data, in an archive of its own.
struct Field {
    name: String,
    kind: Kind,
}

/// Which column a field has, by its place among the features or the sound.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Recording(usize),
    Features(usize),
    Array(usize),
}

/// The fields of a dataset: its sound, its features.
fn fields(schema: &RowSchema) -> Vec<Field> {
    let features = schema.matrix();
    let field = |name: &str, kind| Field { name: name.to_owned(), kind };
    let sound = (0..schema.audio.len()).map(|place| field("recording", Kind::Recording(place)));
    let arrays = schema.features.iter().enumerate().map(|(place, column)| {
        if Some(place) == features {
            field("features", Kind::Features(place))
        } else {
            field(&column.name, Kind::Array(place))
        }
    });
    sound.chain(arrays).collect()
}

/// What follows the id in the names of a field's data.
fn extension(schema: &RowSchema, kind: Kind) -> &'static str {
    match kind {
        Kind::Recording(place) => schema.audio[place].extension(),
        Kind::Features(_) | Kind::Array(_) => "npy",
    }
}

/// A shard being written: nothing of it is held.
struct Shard {
    schema: RowSchema,
    cuts: GzEncoder<ShardFile>,
    fields: Vec<(Field, TarWriter)>,
}

impl WriteRows for Shard {
    fn push(&mut self, row: &Row<'_>) -> Result<(), WriteError> {
        let cut = Cut::of(row, &self.schema);
        let mut manifests = Vec::with_capacity(self.fields.len());
        for (Field { name, kind }, tar) in &mut self.fields {
            let manifest = cut.manifest(*kind);
            let data = format!("{}.{}", cut.id(), extension(&self.schema, *kind));
            match *kind {
                Kind::Recording(place) => tar.member(&data, &[&row.audio[place]])?,
                Kind::Features(place) | Kind::Array(place) => {
                    let (column, cell) = (&self.schema.features[place], &row.cells[place]);
                    let head = npy::head(column, cell, cut.channels());
                    tar.member(&data, &[&head, &cell.bytes])?;
                }
            }
            tar.member(&format!("{}.json", cut.id()), &[manifest.to_string().as_bytes(), b"\n"])?;
            manifests.push((name.as_str(), *kind, manifest));
        }
        let line = cut.line(manifests);
        self.cuts.write_all(line.to_string().as_bytes())?;
        Ok(self.cuts.write_all(b"\n")?)
    }

    fn finish(self: Box<Self>) -> Result<Vec<ShardFile>, WriteError> {
        let mut files = vec![self.cuts.finish()?];
        for (_, tar) in self.fields {
            files.push(tar.finish()?);
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::write::contract::{AudioColumn, FeatureColumn};
    use crate::write::testing::Rows;

    fn rows(count: usize) -> Rows {
        Rows::of_all_kinds(count).with_features(|column| column.dtype != Dtype::Bf16)
    }

    #[test]
    fn rows_come_back_as_they_went_in() {
        rows(150).assert_round_trip(&LhotseShar::default());
        rows(1).with_frames(0, 1_000_000).assert_round_trip(&LhotseShar::default());
        let one = |column: &FeatureColumn| column.name == "mel";
        rows(9).with_features(one).assert_round_trip(&LhotseShar::default());
        rows(9).without_audio().with_features(|_| false).assert_round_trip(&LhotseShar::default());
        let mut rows = rows(3);
        for (row, key) in rows.rows.iter_mut().zip(["../up//a", "a%2Fb", "/"]) {
            row.key = key.to_owned();
        }
        rows.assert_round_trip(&LhotseShar::default());
    }

    #[test]
    fn damaged_files_are_told() {
        rows(6).assert_survives_damage(&LhotseShar::default());
    }

    #[test]
    fn what_shar_has_no_place_for_is_refused() {
        let refused = |rows: &Rows| LhotseShar::default().accepts(&rows.schema).unwrap_err().to_string();
        assert!(refused(&Rows::of_all_kinds(1)).contains("NumPy"));
        let mut rows = rows(1);
        rows.schema.audio[0].codec = "vorbis".to_owned();
        assert!(refused(&rows).contains("vorbis"));
        rows.schema.audio = vec![AudioColumn { name: "x".to_owned(), codec: "flac".to_owned() }; 2];
        assert!(refused(&rows).contains("one recording"));
        rows.schema.audio.clear();
        rows.schema.features[0].bins = None;
        rows.schema.features[0].name = "duration".to_owned();
        assert!(refused(&rows).contains("name it otherwise"));
    }

    #[test]
    fn files_and_cuts_are_as_lhotse_names_them() {
        let folder = tempfile::tempdir().unwrap();
        let rows = rows(2).with_features(|column| matches!(column.name.as_str(), "mel" | "samples"));
        let format = LhotseShar::default();
        let split = ShardName { split: Some("dev"), number: 12, count: 20 };
        assert_eq!(
            format.files(&split, &rows.schema),
            [
                "data/dev/cuts.000012.jsonl.gz",
                "data/dev/recording.000012.tar",
                "data/dev/features.000012.tar",
                "data/dev/samples.000012.tar"
            ]
        );
        let files = rows.write(&format, folder.path());
        let mut cuts = String::new();
        flate2::read::GzDecoder::new(std::fs::File::open(&files[0]).unwrap()).read_to_string(&mut cuts).unwrap();
        let expected = concat!(
            r#"{"id":"book 1/für-000.a","start":0,"duration":0.0625,"channel":0,"supervisions":[{"id":"book 1/für-000.a","#,
            r#""recording_id":"book 1/für-000.a","start":0,"duration":0.0625,"channel":0}],"#,
            r#""recording":{"id":"book 1/für-000.a","sources":[{"type":"shar","channels":[0],"source":""}],"#,
            r#""sampling_rate":16000,"num_samples":1000,"duration":0.0625,"channel_ids":[0]},"#,
            r#""features":{"type":"mel","num_frames":1,"num_features":5,"frame_shift":0.063,"sampling_rate":16000,"#,
            r#""start":0,"duration":0.0625,"storage_type":"shar","storage_path":"","storage_key":"","#,
            r#""recording_id":"book 1/für-000.a","channels":0},"custom":{"key":"book 1/für-000.a","#,
        );
        assert_eq!(cuts.lines().next().unwrap()[..expected.len()], *expected);
    }
}
