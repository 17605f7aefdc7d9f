//! Shard formats: what rows are written into.

mod columns;
mod contract;
mod key_escape;
mod metadata;
mod npy;
mod numbers;
mod places;
pub mod row_checksum;
mod rows_back;
mod schema;
mod shard_file;
mod shard_name;
mod split;
mod tar_member;
#[cfg(test)]
mod testing;
mod values;

mod arrow;
mod hugging_face;
mod kaldi_ark;
mod lhotse_shar;
mod parquet;
mod safetensors;
mod webdataset;

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::family::family;
use crate::manifest::Manifest;

pub use contract::{
    AudioColumn, Batches, Cell, CellChannels, FeatureColumn, FormatError, NUM_CHANNELS, Number, ROW_COLUMNS, Row,
    RowSchema, SoundColumn, WriteError, WriteRows, WriteShards,
};
pub use metadata::Metadata;
pub use numbers::{decode, decode_cell, decode_into, encode, encode_scaled};
pub use places::{CellPlace, ShardPlaces};
pub use schema::arrow_schema;
pub use shard_file::ShardFile;
pub use shard_name::ShardName;
pub use split::{Share, Split};
pub use values::{kind_of, value_at};

family! {
    /// Shard formats: what the rows are written into.
    pub enum Format: WriteShards = "write" {
        parquet: Parquet,
        arrow: Arrow,
        safetensors: Safetensors,
        hugging_face: HuggingFace,
        webdataset: Webdataset,
        kaldi_ark: KaldiArk,
        lhotse_shar: LhotseShar,
    }
}

/// The one file of a shard that has one.
fn only(files: Vec<ShardFile>) -> Result<ShardFile, WriteError> {
    let [file] = <[ShardFile; 1]>::try_from(files).map_err(|files| unlike(files.len()))?;
    Ok(file)
}

/// The same of a shard that is read.
fn only_path(files: &[PathBuf]) -> Result<&PathBuf, WriteError> {
    let [file] = files else { return Err(unlike(files.len())) };
    Ok(file)
}

/// Opens a file of a shard; of several, the error names the one that is missing.
fn open_file(path: &Path) -> Result<File, WriteError> {
    File::open(path).map_err(|error| {
        let message = format!("{}: {error}", path.display());
        WriteError::File(io::Error::new(error.kind(), message))
    })
}

fn unlike(files: usize) -> WriteError {
    WriteError::Damaged(format!("a shard of this format and schema has another number of files than {files}"))
}

/// What the rows are written into, and in which parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Write {
    /// The format of the shards.
    #[serde(flatten)]
    pub format: Format,
    /// The parts of the dataset; without it there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
}

impl Write {
    /// The format, as what it does.
    #[must_use]
    pub fn member(&self) -> &dyn WriteShards {
        self.format.member()
    }

    /// What a dataset's rows were written into; none where its manifest names no format of this version.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Option<Self> {
        serde_json::from_value(manifest.pipeline.get("write")?.clone()).ok()
    }

    /// The format's word in the pipeline file.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.format.name()
    }
}

impl Default for Write {
    fn default() -> Self {
        Self { format: Format::Parquet(Parquet::default()), split: None }
    }
}

impl JsonSchema for Write {
    fn schema_name() -> Cow<'static, str> {
        "Write".into()
    }

    /// A format's row, with `split` beside its name.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let split = generator.subschema_for::<Split>();
        let mut schema = Format::json_schema(generator);
        for format in schema.get_mut("oneOf").and_then(serde_json::Value::as_array_mut).into_iter().flatten() {
            if let Some(keys) = format.get_mut("properties").and_then(serde_json::Value::as_object_mut) {
                keys.insert("split".to_owned(), split.clone().to_value());
            }
        }
        schema
    }
}
