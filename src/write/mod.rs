//! Shard formats: what rows are written into.

mod contract;
mod numbers;
mod parquet;
mod shard_file;

use crate::family::family;

pub use contract::{
    Batches, Cell, CellChannels, FeatureColumn, FormatError, NUM_CHANNELS, Number, ROW_COLUMNS, Row, RowSchema,
    SoundColumn, WriteError, WriteRows, WriteShards,
};
pub use numbers::{decode, encode};
pub use shard_file::ShardFile;

family! {
    /// Shard formats: what the rows are written into.
    pub enum Format: WriteShards = "write" {
        parquet: Parquet,
    }
}

impl Default for Format {
    fn default() -> Self {
        Self::Parquet(Parquet::default())
    }
}
