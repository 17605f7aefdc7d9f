//! Shard formats: what rows are written into.

mod columns;
mod contract;
mod metadata;
mod numbers;
mod rows_back;
mod schema;
mod shard_file;
mod shard_name;
#[cfg(test)]
mod testing;

mod arrow;
mod hugging_face;
mod parquet;
mod safetensors;

use std::path::PathBuf;

use crate::family::family;

pub use contract::{
    AudioColumn, Batches, Cell, CellChannels, FeatureColumn, FormatError, NUM_CHANNELS, Number, ROW_COLUMNS, Row,
    RowSchema, SoundColumn, WriteError, WriteRows, WriteShards,
};
pub use metadata::Metadata;
pub use numbers::{decode, decode_cell, encode, encode_scaled};
pub use schema::arrow_schema;
pub use shard_file::ShardFile;
pub use shard_name::ShardName;

family! {
    /// Shard formats: what the rows are written into.
    pub enum Format: WriteShards = "write" {
        parquet: Parquet,
        arrow: Arrow,
        safetensors: Safetensors,
        hugging_face: HuggingFace,
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

fn unlike(files: usize) -> WriteError {
    WriteError::Damaged(format!("a shard of this format has one file, not {files}"))
}

impl Default for Format {
    fn default() -> Self {
        Self::Parquet(Parquet::default())
    }
}
