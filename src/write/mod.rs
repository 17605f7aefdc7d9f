//! Shard formats: what rows are written into.

mod columns;
mod contract;
mod key_escape;
mod metadata;
mod npy;
mod numbers;
mod rows_back;
mod schema;
mod shard_file;
mod shard_name;
mod tar_member;
#[cfg(test)]
mod testing;

mod kaldi_ark;
mod lhotse_shar;
mod parquet;
mod webdataset;

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

fn unlike(files: usize) -> WriteError {
    WriteError::Damaged(format!("a shard of this format and schema has another number of files than {files}"))
}

impl Default for Format {
    fn default() -> Self {
        Self::Parquet(Parquet::default())
    }
}
