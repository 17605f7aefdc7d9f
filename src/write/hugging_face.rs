//! Parquet shards as the Hugging Face `datasets` write them: numbers as lists, and the features declared in the file.

mod columns;
mod features;
mod shard;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::ArrayRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Batches, CellChannels, FormatError, RowSchema, WriteError, WriteRows, WriteShards};
use super::{ShardFile, ShardName, only, only_path};
use crate::family::Member;
use crate::manifest::Dtype;

use columns::{bytes_of_arrays, bytes_of_sound};
use shard::Shard;

const MIB: u64 = 1 << 20;

/// Parquet for the Hugging Face `datasets`: `load_dataset("folder")` opens it, with the features as arrays and the sound as `Audio`.
///
/// A shard is `data/train-00000-of-00003.parquet`, with the name of the split where `write.split` cuts some. A feature column is an
/// `Array2D` of `[frames, bins]`, or a `List` where a frame is one number, and has an Int32 column `<name>_frames` beside it; of
/// integers with a scale, a Float32 column `<name>_scale` too. Encoded sound is a struct of `bytes` and `path`, the `Audio`
/// feature. pyarrow, polars and DuckDB read lists of numbers. There is no bf16 in Arrow, and no array of several channels whose
/// frames vary: both are refused. `parquet` reads several times faster where nobody needs the declared features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HuggingFace {
    /// Size at which a shard is full, in MiB.
    #[schemars(range(min = 1, max = 65_536))]
    pub shard_mib: u64,
    /// Size of a row group, in MiB: what a reader fetches at once. A writer holds several times that in memory.
    #[schemars(range(min = 1, max = 1024))]
    pub row_group_mib: u64,
    /// How the numbers of features are stored, where the extractor leaves it open: f32, f16, i16 or i8.
    pub dtype: Dtype,
}

impl Default for HuggingFace {
    fn default() -> Self {
        Self { shard_mib: 128, row_group_mib: 8, dtype: Dtype::F32 }
    }
}

impl Member for HuggingFace {
    const EXAMPLE: &'static str = "hugging_face: { shard_mib: 512, dtype: f32 }";
}

impl WriteShards for HuggingFace {
    fn files(&self, name: &ShardName<'_>, _: &RowSchema) -> Vec<String> {
        let ShardName { split, number, count } = name;
        // `datasets` takes words for the names of splits.
        let split = split.unwrap_or("train").replace('-', "_");
        vec![format!("data/{split}-{number:05}-of-{count:05}.parquet")]
    }

    fn shard_bytes(&self) -> u64 {
        self.shard_mib * MIB
    }

    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn accepts(&self, schema: &RowSchema) -> Result<(), FormatError> {
        schema.check_scales()?;
        for column in &schema.features {
            if column.channels == CellChannels::All {
                let reason = format!(
                    "`hugging_face` stores one channel a cell, and `load.channels: keep` gives `{}` all of them",
                    column.name
                );
                return Err(FormatError::Columns { reason });
            }
            if column.dtype == Dtype::Bf16 {
                let (column, dtype) = (column.name.clone(), column.dtype);
                return Err(FormatError::Dtype { column, dtype, stored: "f32, f16, i16 and i8" });
            }
        }
        Ok(())
    }

    fn start(&self, schema: &RowSchema, files: Vec<ShardFile>) -> Result<Box<dyn WriteRows>, WriteError> {
        Ok(Box::new(Shard::start(schema, only(files)?, (self.row_group_mib * MIB) as usize)?))
    }

    fn read(&self, schema: &RowSchema, files: &[PathBuf], columns: Option<&[&str]>) -> Result<Batches, WriteError> {
        let features = schema.features.clone();
        super::parquet::read(only_path(files)?, schema, columns, move |name, array| {
            let cells = match features.iter().find(|column| column.name == name) {
                Some(column) => bytes_of_arrays(array, column),
                None => bytes_of_sound(array),
            };
            Some(Arc::new(cells?) as ArrayRef)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::testing::Rows;

    fn rows(count: usize) -> Rows {
        let fits = |dtype, channels| dtype != Dtype::Bf16 && channels == CellChannels::One;
        Rows::of_all_kinds(count).with_features(|column| fits(column.dtype, column.channels))
    }

    #[test]
    fn every_kind_of_row_comes_back() {
        let format = HuggingFace { row_group_mib: 1, ..HuggingFace::default() };
        rows(150).with_frames(40, 100_000).assert_round_trip(&format);
    }

    #[test]
    fn a_damaged_file_gives_an_error_and_no_panic() {
        rows(9).assert_survives_damage(&HuggingFace::default());
    }

    #[test]
    fn what_arrow_has_no_array_for_is_refused() {
        for name in ["brain", "waves"] {
            let schema = Rows::of_all_kinds(0).with_features(|column| column.name == name).schema;
            assert!(HuggingFace::default().accepts(&schema).is_err(), "{name}");
        }
    }

    #[test]
    fn shards_are_named_as_the_hub_names_them() {
        let (schema, format) = (RowSchema::default(), HuggingFace::default());
        let files = |split| format.files(&ShardName { split, number: 1, count: 12 }, &schema);
        assert_eq!(files(None), ["data/train-00001-of-00012.parquet"]);
        assert_eq!(files(Some("test-clean")), ["data/test_clean-00001-of-00012.parquet"]);
    }
}
