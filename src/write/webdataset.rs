//! WebDataset: tar archives in which the members of a sample follow each other.
//!
//! What a sample is: <https://github.com/webdataset/webdataset>, `group_by_keys` in `tariterators.py`.

mod places;
mod read;

use std::collections::HashSet;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Batches, FormatError, Row, RowSchema, WriteError, WriteRows, WriteShards};
use super::key_escape::file_stem;
use super::metadata::Metadata;
use super::rows_back::{Wanted, batches, broken_off};
use super::tar_member::TarWriter;
use super::{ShardFile, ShardName, ShardPlaces, npy, unlike};
use crate::family::Member;
use crate::manifest::Dtype;

use read::Samples;

/// WebDataset: opens in webdataset, Hugging Face `datasets` and everything that reads tar archives.
///
/// A shard is `data/part-00000.tar`, of a split `data/train-00000.tar`. A row is one sample: `<key>.json` with its texts and
/// numbers, `<key>.txt` with what is said (empty where that is not known: `datasets` wants the same members in every sample),
/// `<key>.<column>.npy` for each feature, and its sound as
/// `<key>.flac`, or as `<key>.<column>.flac` where there are several. Arrays are `[frames, bins]`, or `[frames]`, in NumPy's
/// types; integers with a scale have it as `<column>_scale` in the JSON. Keys are stems of file names there: `.`, `/`, `\`, `%`,
/// control characters and `"*:<>?|` are written as `%2E` and so on; the JSON's `key` is the key as it is.
///
/// `datasets` takes the types of the JSON from the first samples: a column that is null in all of them and has a value later, it
/// refuses; webdataset itself does not mind.
///
/// A name of more than 100 bytes stands in a PAX header, which readers that jump to a sample by its offset must know.
/// `data/part-00000.idx` has those offsets: of each sample's first header and of the last one's end, 64-bit little-endian.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Webdataset {
    /// Size at which a shard is full, in MiB.
    #[schemars(range(min = 1, max = 65_536))]
    pub shard_mib: u64,
    /// How the numbers of features are stored, where the extractor leaves it open: f32, f16, i16 or i8. NumPy has no bf16.
    pub dtype: Dtype,
}

impl Default for Webdataset {
    fn default() -> Self {
        Self { shard_mib: 128, dtype: Dtype::F32 }
    }
}

impl Member for Webdataset {
    const EXAMPLE: &'static str = "webdataset: { shard_mib: 128, dtype: f16 }";
    const PEERS: &'static [&'static str] = &["webdataset.TarWriter"];
}

impl WriteShards for Webdataset {
    fn files(&self, name: &ShardName<'_>, _: &RowSchema) -> Vec<String> {
        vec![name.file("tar"), name.file("idx")]
    }

    fn shard_bytes(&self) -> u64 {
        self.shard_mib << 20
    }

    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn accepts(&self, schema: &RowSchema) -> Result<(), FormatError> {
        npy::accepts(schema)?;
        let mut seen = HashSet::new();
        let names =
            schema.features.iter().map(|column| &column.name).chain(schema.audio.iter().map(|column| &column.name));
        match names.into_iter().find(|name| !seen.insert(name.to_lowercase())) {
            // webdataset puts extensions into lower case.
            Some(name) => {
                let reason =
                    format!("`webdataset` does not tell the column `{name}` from one that differs only in its case");
                Err(FormatError::Columns { reason })
            }
            None => Ok(()),
        }
    }

    fn start(&self, schema: &RowSchema, files: Vec<ShardFile>) -> Result<Box<dyn WriteRows>, WriteError> {
        let [tar, index] = <[ShardFile; 2]>::try_from(files).map_err(|files| unlike(files.len()))?;
        Ok(Box::new(Shard {
            names: MemberNames::of(schema),
            schema: schema.clone(),
            tar: TarWriter::new(tar),
            index: BufWriter::new(index),
        }))
    }

    fn read(&self, schema: &RowSchema, files: &[PathBuf], columns: Option<&[&str]>) -> Result<Batches, WriteError> {
        let [tar, index] = files else { return Err(unlike(files.len())) };
        let samples = Samples::open(schema, Wanted::new(schema, columns), tar, index)?;
        Ok(batches(schema, columns, samples))
    }

    fn places(
        &self,
        schema: &RowSchema,
        files: &[PathBuf],
        columns: &[&str],
    ) -> Result<Option<ShardPlaces>, WriteError> {
        let [tar, index] = files else { return Err(unlike(files.len())) };
        if !places::can_tell(schema, columns) {
            return Ok(None);
        }
        let samples = Samples::open(schema, Wanted::new(schema, Some(columns)), tar, index)?;
        samples.places(schema, columns).map(Some).map_err(broken_off)
    }
}

/// What follows the key in the names of a sample's members.
struct MemberNames {
    features: Vec<String>,
    audio: Vec<String>,
}

impl MemberNames {
    fn of(schema: &RowSchema) -> Self {
        let audio = match schema.audio.as_slice() {
            [column] => vec![format!(".{}", column.extension())],
            columns => columns.iter().map(|column| format!(".{}.{}", column.name, column.extension())).collect(),
        };
        Self { features: schema.features.iter().map(|column| format!(".{}.npy", column.name)).collect(), audio }
    }
}

/// A shard being written: nothing of it is held.
struct Shard {
    names: MemberNames,
    schema: RowSchema,
    tar: TarWriter,
    index: BufWriter<ShardFile>,
}

impl WriteRows for Shard {
    fn push(&mut self, row: &Row<'_>) -> Result<(), WriteError> {
        self.index.write_all(&self.tar.position().to_le_bytes())?;
        let key = file_stem(row.key);
        let json = Metadata::of(row, &self.schema).json()?;
        self.tar.member(&format!("{key}.json"), &[&json])?;
        self.tar.member(&format!("{key}.txt"), &[row.text.unwrap_or_default().as_bytes()])?;
        let channels = npy::row_channels(row, &self.schema);
        for ((name, column), cell) in self.names.features.iter().zip(&self.schema.features).zip(row.cells) {
            let head = npy::head(column, cell, channels);
            self.tar.member(&format!("{key}{name}"), &[&head, &cell.bytes])?;
        }
        for (name, sound) in self.names.audio.iter().zip(row.audio) {
            self.tar.member(&format!("{key}{name}"), &[sound])?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<ShardFile>, WriteError> {
        self.index.write_all(&self.tar.position().to_le_bytes())?;
        let index = self.index.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(vec![self.tar.finish()?, index])
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::write::testing::Rows;

    fn rows(count: usize) -> Rows {
        Rows::of_all_kinds(count).with_features(|column| column.dtype != Dtype::Bf16)
    }

    #[test]
    fn rows_come_back_as_they_went_in() {
        rows(150).assert_round_trip(&Webdataset::default());
        rows(1).with_frames(0, 1_000_000).assert_round_trip(&Webdataset::default());
        rows(9).without_audio().with_features(|_| false).assert_round_trip(&Webdataset::default());
    }

    #[test]
    fn every_cell_lies_at_its_place() {
        assert_eq!(rows(150).with_frames(40, 100_000).assert_places(&Webdataset::default()).groups, [0; 0]);
    }

    #[test]
    fn damaged_files_are_told() {
        rows(6).assert_survives_damage(&Webdataset::default());
    }

    #[test]
    fn bf16_is_refused() {
        let rows = Rows::of_all_kinds(1);
        let refused = Webdataset::default().accepts(&rows.schema).unwrap_err();
        assert_eq!(refused.key(), "dtype");
    }

    #[test]
    fn a_sample_is_what_follows_a_key_up_to_its_first_dot() {
        let folder = tempfile::tempdir().unwrap();
        let files = rows(2).with_features(|column| column.name == "mel").write(&Webdataset::default(), folder.path());
        let mut tar = tar::Archive::new(fs::File::open(&files[0]).unwrap());
        let names = tar.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
        let (one, two) = ("book 1%2Ffür-000%2Ea", "book 1%2Ffür-001%2Ea~1");
        let expected = [
            format!("{one}.json"),
            format!("{one}.txt"),
            format!("{one}.mel.npy"),
            format!("{one}.flac"),
            format!("{two}.json"),
            format!("{two}.txt"),
            format!("{two}.mel.npy"),
            format!("{two}.flac"),
        ];
        assert_eq!(names.collect::<Vec<_>>(), expected);
        let index = fs::read(&files[1]).unwrap();
        assert_eq!(index.len(), 24);
        let end = u64::from_le_bytes(index[16..].try_into().unwrap());
        assert_eq!(fs::metadata(&files[0]).unwrap().len(), end + 1024);
        assert_eq!(Path::new(&files[1]).extension().unwrap(), "idx");
    }
}
