//! Safetensors: each column of a shard as one tensor, mapped into memory as it stands.

mod places;
mod read;
mod shard;
mod spool;

use std::collections::HashSet;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Batches, FormatError, RowSchema, WriteError, WriteRows, WriteShards};
use super::{ShardFile, ShardName, ShardPlaces, unlike};
use crate::family::Member;
use crate::manifest::Dtype;

use read::open;
use shard::Shard;

/// Safetensors: a shard's cells behind each other as one tensor a column, for PyTorch, JAX, MLX and Rust.
///
/// A shard is two files. `data/part-00000.safetensors` holds, for each feature column, the tensor `<name>`, all frames of all rows,
/// `[frames, bins]` or `[frames]` (f32, f16, bf16, i16 or i8); `<name>_offsets`, I64 of `[rows + 1]`: the frames of row `i` are
/// those from `offsets[i]` up to `offsets[i + 1]`; and for integers with a scale `<name>_scale`, F32 of `[rows]`. With
/// `load.channels: keep` a row's channels follow each other, and an offset counts the frames of all of them. Encoded sound is a tensor
/// of bytes, U8, with its `<name>_offsets`. `rows` in the file's metadata counts the rows.
///
/// `data/part-00000.jsonl` holds the texts and numbers of the rows, one line each, in the same order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Safetensors {
    /// Size at which a shard is full, in MiB.
    #[schemars(range(min = 1, max = 65_536))]
    pub shard_mib: u64,
    /// How the numbers of features are stored, where the extractor leaves it open: f32, f16, bf16, i16 or i8.
    pub dtype: Dtype,
}

impl Default for Safetensors {
    fn default() -> Self {
        Self { shard_mib: 128, dtype: Dtype::F32 }
    }
}

impl Member for Safetensors {
    const EXAMPLE: &'static str = "safetensors: { shard_mib: 128, dtype: f16 }";
}

/// The key of the file's metadata that counts the rows.
const ROWS: &str = "rows";

/// The tensor of where the rows of a column begin and end.
fn offsets_name(column: &str) -> String {
    format!("{column}_offsets")
}

impl WriteShards for Safetensors {
    fn files(&self, name: &ShardName<'_>, _: &RowSchema) -> Vec<String> {
        vec![name.file("safetensors"), name.file("jsonl")]
    }

    fn shard_bytes(&self) -> u64 {
        self.shard_mib << 20
    }

    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn accepts(&self, schema: &RowSchema) -> Result<(), FormatError> {
        schema.check_scales()?;
        // The name that the file's own metadata has.
        let mut seen = HashSet::from(["__metadata__".to_owned()]);
        let features = schema.features.iter().flat_map(|column| [Some(column.name.clone()), column.scale_name()]);
        let sound = schema.audio.iter().map(|column| Some(column.name.clone()));
        let columns =
            || schema.features.iter().map(|column| &column.name).chain(schema.audio.iter().map(|column| &column.name));
        let offsets = columns().map(|name| Some(offsets_name(name)));
        match features.chain(sound).chain(offsets).flatten().find(|name| !seen.insert(name.clone())) {
            Some(name) => Err(FormatError::Columns {
                reason: format!("the safetensors file would have two tensors `{name}`: give the column another name"),
            }),
            None => Ok(()),
        }
    }

    fn start(&self, schema: &RowSchema, files: Vec<ShardFile>) -> Result<Box<dyn WriteRows>, WriteError> {
        let [tensors, lines] = <[ShardFile; 2]>::try_from(files).map_err(|files| unlike(files.len()))?;
        Ok(Box::new(Shard::start(schema, tensors, lines)?))
    }

    fn read(&self, schema: &RowSchema, files: &[PathBuf], columns: Option<&[&str]>) -> Result<Batches, WriteError> {
        let [tensors, lines] = files else { return Err(unlike(files.len())) };
        open(schema, tensors, lines, columns)
    }

    fn places(
        &self,
        schema: &RowSchema,
        files: &[PathBuf],
        columns: &[&str],
    ) -> Result<Option<ShardPlaces>, WriteError> {
        let [tensors, _] = files else { return Err(unlike(files.len())) };
        places::places(tensors, schema, columns)
    }
}

/// What safetensors calls a type.
fn tensor_type(dtype: Dtype) -> ::safetensors::Dtype {
    use ::safetensors::Dtype as Tensor;
    match dtype {
        Dtype::F32 => Tensor::F32,
        Dtype::F16 => Tensor::F16,
        Dtype::Bf16 => Tensor::BF16,
        Dtype::I16 => Tensor::I16,
        Dtype::I8 => Tensor::I8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::contract::AudioColumn;
    use crate::write::testing::Rows;

    #[test]
    fn every_kind_of_row_comes_back() {
        let format = Safetensors::default();
        Rows::of_all_kinds(150).with_frames(40, 100_000).assert_round_trip(&format);
        Rows::of_all_kinds(5).with_features(|_| false).without_audio().assert_round_trip(&format);
    }

    #[test]
    fn every_cell_lies_at_its_place() {
        // Offsets are read a thousand and some at once.
        assert_eq!(
            Rows::of_all_kinds(1100).with_frames(40, 100_000).assert_places(&Safetensors::default()).groups,
            [0; 0]
        );
    }

    #[test]
    fn a_damaged_file_gives_an_error_and_no_panic() {
        Rows::of_all_kinds(9).assert_survives_damage(&Safetensors::default());
    }

    #[test]
    fn the_tensors_hold_the_rows_behind_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let rows = Rows::of_all_kinds(7);
        let files = rows.write(&Safetensors::default(), folder.path());
        let bytes = std::fs::read(&files[0]).unwrap();
        let tensors = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
        for (place, column) in rows.schema.features.iter().enumerate() {
            let tensor = tensors.tensor(&column.name).unwrap();
            let cells: Vec<u8> = rows.rows.iter().flat_map(|row| row.cells[place].bytes.clone()).collect();
            assert_eq!(tensor.data(), cells);
            assert_eq!(tensor.dtype(), tensor_type(column.dtype));
            assert_eq!(tensor.shape()[1..], column.bins.into_iter().collect::<Vec<_>>());
            let offsets = tensors.tensor(&offsets_name(&column.name)).unwrap();
            assert_eq!(offsets.shape(), [8]);
            assert_eq!(offsets.data()[56..], (tensor.shape()[0] as i64).to_le_bytes());
            let start = tensor.data().as_ptr() as usize - bytes.as_ptr() as usize;
            assert_eq!(start % column.dtype.bytes(), 0);
        }
        assert_eq!(tensors.tensor("scaled_scale").unwrap().shape(), [7]);
        assert_eq!(tensors.tensor("audio").unwrap().dtype(), ::safetensors::Dtype::U8);
    }

    #[test]
    fn two_tensors_of_one_name_are_refused() {
        let mut schema = Rows::of_all_kinds(0).schema;
        schema.audio.push(AudioColumn { name: "mel_offsets".to_owned(), codec: "wav".to_owned() });
        assert!(Safetensors::default().accepts(&schema).is_err());
    }
}
