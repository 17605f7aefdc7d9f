//! Arrow files: the columns as they stand in memory, so that a reader maps the file and copies nothing.

mod places;
mod read;
mod shard;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Batches, FormatError, RowSchema, WriteError, WriteRows, WriteShards};
use super::{ShardFile, ShardName, ShardPlaces, only, only_path};
use crate::family::Member;
use crate::manifest::Dtype;

use read::ArrowFile;
use shard::Shard;

const MIB: u64 = 1 << 20;

/// Arrow IPC files, also known as Feather version 2: mapped by pyarrow and opened by polars, and by DuckDB through pyarrow.
///
/// The columns are those of `parquet` with `layout: binary`: a feature cell is one `LargeBinary` of row-major little-endian
/// numbers, with `wavemill:dtype`, `wavemill:shape` and `wavemill:unit` in the field's metadata and an Int32 column
/// `<name>_frames` beside it; of integers with a scale, a Float32 column `<name>_scale` too. Encoded sound is a `LargeBinary` as
/// well, with `wavemill:codec`. Nothing is compressed, and every column starts at a multiple of 64 bytes, so that a mapped cell
/// is an array of its numbers as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Arrow {
    /// Size at which a shard is full, in MiB.
    #[schemars(range(min = 1, max = 65_536))]
    pub shard_mib: u64,
    /// Size of a record batch, in MiB: what a writer holds in memory. A larger row is a batch of its own.
    #[schemars(range(min = 1, max = 1024))]
    pub batch_mib: u64,
    /// How the numbers of features are stored, where the extractor leaves it open: f32, f16, bf16, i16 or i8.
    pub dtype: Dtype,
}

impl Default for Arrow {
    fn default() -> Self {
        Self { shard_mib: 128, batch_mib: 8, dtype: Dtype::F32 }
    }
}

impl Member for Arrow {
    const EXAMPLE: &'static str = "arrow: { shard_mib: 128, dtype: f16 }";
}

impl WriteShards for Arrow {
    fn files(&self, name: &ShardName<'_>, _: &RowSchema) -> Vec<String> {
        vec![name.file("arrow")]
    }

    fn shard_bytes(&self) -> u64 {
        self.shard_mib * MIB
    }

    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn accepts(&self, schema: &RowSchema) -> Result<(), FormatError> {
        schema.check_scales()
    }

    fn start(&self, schema: &RowSchema, files: Vec<ShardFile>) -> Result<Box<dyn WriteRows>, WriteError> {
        Ok(Box::new(Shard::start(schema, only(files)?, (self.batch_mib * MIB) as usize)?))
    }

    fn read(&self, schema: &RowSchema, files: &[PathBuf], columns: Option<&[&str]>) -> Result<Batches, WriteError> {
        Ok(Box::new(ArrowFile::open(only_path(files)?, schema, columns)?))
    }

    fn places(
        &self,
        schema: &RowSchema,
        files: &[PathBuf],
        columns: &[&str],
    ) -> Result<Option<ShardPlaces>, WriteError> {
        ArrowFile::open(only_path(files)?, schema, Some(columns))?.places(schema, columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::testing::Rows;

    #[test]
    fn every_kind_of_row_comes_back() {
        let format = Arrow { batch_mib: 1, ..Arrow::default() };
        Rows::of_all_kinds(0).write(&format, tempfile::tempdir().unwrap().path());
        // A cell of two MiB is a batch of its own.
        Rows::of_all_kinds(150).with_frames(40, 100_000).with_frames(41, 90_000).assert_round_trip(&format);
    }

    #[test]
    fn every_cell_lies_at_its_place() {
        let format = Arrow { batch_mib: 1, ..Arrow::default() };
        let mut rows = Rows::of_all_kinds(90).with_frames(40, 100_000).with_frames(41, 90_000);
        for row in 50..60 {
            rows = rows.with_frames(row, 20_000);
        }
        assert_eq!(rows.assert_places(&format).groups.len(), 8);
        assert!(Rows::of_all_kinds(0).assert_places(&format).groups.is_empty());
    }

    #[test]
    fn a_damaged_file_gives_an_error_and_no_panic() {
        Rows::of_all_kinds(9).assert_survives_damage(&Arrow::default());
    }

    #[test]
    fn the_file_of_another_schema_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let files = Rows::of_all_kinds(3).write(&Arrow::default(), folder.path());
        let other = Rows::of_all_kinds(3).without_audio().schema;
        assert!(matches!(Arrow::default().read(&other, &files, None).err(), Some(WriteError::Damaged(_))));
    }
}
