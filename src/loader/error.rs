//! What can be wrong with a dataset, or with what is asked of it.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::error::ArrowError;
use thiserror::Error;

use crate::corpus::SelectError;
use crate::manifest::ManifestError;
use crate::transform::{ExtractError, LoadChainError};
use crate::write::WriteError;

/// Why there are no batches.
#[derive(Debug, Error)]
pub enum LoaderError {
    /// A file of the dataset that is not a shard cannot be used.
    #[error("the dataset cannot be opened")]
    Manifest(#[from] ManifestError),
    /// The manifest says what this version does not know.
    #[error("{}: its {what} is none of this version of wavemill", path.display())]
    Unknown {
        /// The manifest.
        path: PathBuf,
        /// What is not known.
        what: &'static str,
    },
    /// The record of a shard does not belong to the manifest.
    #[error("{} is not the record of a shard of this dataset: {reason}", path.display())]
    Record {
        /// The record.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// What was asked for does not go with the dataset, or with something else that was asked for.
    #[error("{setting}: {reason}")]
    Setting {
        /// The method of the loader.
        setting: &'static str,
        /// What does not fit, and what to do.
        reason: String,
    },
    /// What is done to frames when they are loaded does not go with their column.
    #[error("transform")]
    Transform(#[source] Box<LoadChainError>),
    /// The condition over the rows cannot be used.
    #[error("filter")]
    Filter(#[from] SelectError),
    /// The state is of other work.
    #[error("the state cannot be resumed from: {reason}")]
    State {
        /// What differs.
        reason: String,
    },
    /// A shard, or a row of it, is damaged or missing.
    #[error(transparent)]
    Damaged(#[from] Arc<Damage>),
    /// The temporary file for the cells of a shard failed.
    #[error("the temporary file for the cells of {} failed, in {}", shard.display(), std::env::temp_dir().display())]
    Spool {
        /// The shard's first file.
        shard: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A thread of the loader ended before its work was done.
    #[error("a thread of the loader broke down: this is a bug")]
    Thread,
}

impl From<LoadChainError> for LoaderError {
    fn from(error: LoadChainError) -> Self {
        Self::Transform(Box::new(error))
    }
}

impl LoaderError {
    pub(super) fn setting(setting: &'static str, reason: impl Into<String>) -> Self {
        Self::Setting { setting, reason: reason.into() }
    }
}

/// A shard or a row that cannot be given, and why.
#[derive(Debug, Error)]
#[error("{}", self.told())]
pub struct Damage {
    /// The file of the shard.
    pub path: PathBuf,
    /// The shard, from 0.
    pub shard: usize,
    /// The row in it and its key, where one alone is damaged.
    pub row: Option<Box<DamagedRow>>,
    /// What is wrong.
    #[source]
    pub source: Box<DamageKind>,
}

/// A row that is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedRow {
    /// Its number in the shard, from 0.
    pub number: u64,
    /// The row group (Parquet) or record batch (Arrow) that it is in, where the format has such.
    pub group: Option<usize>,
    /// Its key, where that could be read.
    pub key: Option<String>,
}

/// What is wrong with a shard or a row.
#[derive(Debug, Error)]
pub enum DamageKind {
    /// A file is not there, or cannot be read.
    #[error("the file cannot be read")]
    Unreadable(#[source] io::Error),
    /// A file has another size.
    #[error("the file has {found} bytes, and the manifest says {expected}")]
    Size {
        /// Bytes that there are.
        found: u64,
        /// Bytes that there should be.
        expected: u64,
    },
    /// The format cannot read it.
    #[error("its shard cannot be read")]
    Format(#[source] WriteError),
    /// What was read is not what was written.
    #[error("what stands in `{column}` does not have the checksum of what was written")]
    Checksum {
        /// The column; `*` for the texts and numbers of a row.
        column: String,
    },
    /// What is done to the row's frames when they are loaded gives no valid frames.
    #[error("what is done to `{column}` when it is loaded fails")]
    Transform {
        /// The column.
        column: String,
        /// Why.
        #[source]
        source: ExtractError,
    },
    /// The row cannot be what its column says.
    #[error("`{column}`: {reason}")]
    Cell {
        /// The column.
        column: String,
        /// What is wrong.
        reason: String,
    },
}

impl Damage {
    fn told(&self) -> String {
        let mut told = match (&self.row, self.source.as_ref()) {
            (_, DamageKind::Transform { .. }) => "a row cannot be given: ".to_owned(),
            (Some(_), _) => "a row is damaged: ".to_owned(),
            (None, _) => "a shard is damaged: ".to_owned(),
        };
        // A string takes every text.
        let _ = write!(told, "{} (shard {}", self.path.display(), self.shard);
        if let Some(row) = &self.row {
            let group = row.group.map(|group| format!(", row group {group}")).unwrap_or_default();
            let key = row.key.as_ref().map(|key| format!(", key `{key}`")).unwrap_or_default();
            let _ = write!(told, "{group}, row {}{key}", row.number);
        }
        told.push(')');
        told
    }

    /// Whether the data is at fault, so that every process finds the same; a disk or a network that fails may work again.
    pub(super) fn is_of_data(&self) -> bool {
        use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self.source.as_ref());
        while let Some(error) = cause {
            let system = match error.downcast_ref::<ArrowError>() {
                Some(ArrowError::IoError(_, source)) => Some(source),
                _ => error.downcast_ref::<io::Error>(),
            };
            if let Some(system) = system {
                return matches!(system.kind(), NotFound | UnexpectedEof | InvalidData);
            }
            cause = error.source();
        }
        true
    }
}

impl From<Damage> for LoaderError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(Arc::new(damage))
    }
}

#[cfg(test)]
mod tests {
    use parquet::errors::ParquetError;

    use super::*;

    #[test]
    fn a_disk_that_fails_is_told_from_data_that_is_wrong() {
        let damage = |source| Damage { path: "a".into(), shard: 0, row: None, source: Box::new(source) };
        let failed = || io::Error::other("the disk is gone");
        let external = ParquetError::External(Box::new(failed()));
        for source in [
            DamageKind::Unreadable(failed()),
            DamageKind::Format(WriteError::File(failed())),
            DamageKind::Format(WriteError::Parquet(external)),
            DamageKind::Format(WriteError::Arrow(ArrowError::IoError("a".to_owned(), failed()))),
        ] {
            assert!(!damage(source).is_of_data());
        }
        for source in [
            DamageKind::Unreadable(io::ErrorKind::UnexpectedEof.into()),
            DamageKind::Format(WriteError::Parquet(ParquetError::EOF("the end".to_owned()))),
            DamageKind::Size { found: 1, expected: 2 },
        ] {
            assert!(damage(source).is_of_data());
        }
    }
}
