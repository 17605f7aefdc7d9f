//! The record of a finished run: what a dataset holds, how it was made, and what was left out of it.
//!
//! Architecture invariant: nothing in these files tells when, where or by whom they were made, so that the same pipeline
//! over the same corpus gives the same bytes.

mod checksums;
mod join;
mod record;
mod schema;
mod statistics;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::durable;

pub use checksums::{Checksums, RowChecksums};
pub use join::Join;
pub use record::{Reject, ShardRecord, Warning};
pub use schema::{ColumnSchema, Dtype};
pub use statistics::{Moments, Statistics};

/// The version of the dataset's layout on disk.
pub const FORMAT_VERSION: u32 = 1;

/// Where the parts of a dataset stand in its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetFolder(PathBuf);

impl DatasetFolder {
    /// The dataset in the folder `path`, made or to be made.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// `manifest.json`: written last; readers trust nothing else.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.0.join("manifest.json")
    }

    /// `plan.parquet`: which utterance goes where.
    #[must_use]
    pub fn plan(&self) -> PathBuf {
        self.0.join("plan.parquet")
    }

    /// `rejects.jsonl`: what was left out, and why.
    #[must_use]
    pub fn rejects(&self) -> PathBuf {
        self.0.join("rejects.jsonl")
    }

    /// `shards/part-00000.json`: the record that makes a shard count.
    #[must_use]
    pub fn record(&self, shard: usize) -> PathBuf {
        self.0.join(format!("shards/part-{shard:05}.json"))
    }
}

/// `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The layout on disk: [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The version of wavemill that made the dataset.
    pub wavemill_version: String,
    /// The libraries whose version decides the bytes: decoders, resampler, FFT.
    pub engines: BTreeMap<String, String>,
    /// The pipeline's name.
    pub name: String,
    /// The pipeline with all defaults filled in; `${…}` stand as written.
    pub pipeline: Value,
    /// BLAKE3 of the resolved pipeline.
    pub pipeline_hash: String,
    /// BLAKE3 of everything that decides the bytes of the shards.
    pub plan_hash: String,
    /// The seed of every draw.
    pub seed: u64,
    /// The columns of every row.
    pub schema: Vec<ColumnSchema>,
    /// By feature column, the transforms that are left to whoever loads it, in their order: each by its name, with its
    /// settings. `cmvn` without statistics of its own takes those of this manifest.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub at_load: IndexMap<String, Vec<Value>>,
    /// The shards, in order.
    pub shards: Vec<ShardEntry>,
    /// Files that all shards have in common: lists of all rows, for example.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub common: Vec<FileEntry>,
    /// Sums over the shards.
    pub totals: Totals,
    /// By feature column: count, mean and variance of each bin.
    pub statistics: IndexMap<String, Statistics>,
}

/// A shard as the manifest lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardEntry {
    /// Which part of the dataset it belongs to, where `write.split` cuts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// Rows in it.
    pub rows: u64,
    /// Seconds of sound behind its rows.
    pub audio_s: f64,
    /// Its data files.
    pub files: Vec<FileEntry>,
}

impl ShardEntry {
    /// The size of its files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Its files in the dataset in `folder`.
    #[must_use]
    pub fn paths(&self, folder: &Path) -> Vec<PathBuf> {
        self.files.iter().map(|file| folder.join(&file.path)).collect()
    }
}

/// A data file as the manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Relative to the dataset's folder.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// `blake3:` and 64 hexadecimal digits, over the whole file.
    pub checksum: String,
}

/// Sums over a dataset.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Utterances planned, copies counted: rows and rejects together, unless the pipeline cuts them into segments.
    pub utterances: u64,
    /// Rows written.
    pub rows: u64,
    /// Utterances, or segments of them, left out.
    pub rejects: u64,
    /// Utterances left out, by the reason's code.
    pub rejects_by_code: BTreeMap<String, u64>,
    /// Rows whose recording has something wrong, by what it is: see the shards' records.
    #[serde(default)]
    pub warnings: BTreeMap<String, u64>,
    /// Size of all shards.
    pub bytes: u64,
    /// Hours of sound behind the rows.
    pub hours: f64,
}

/// Why a file of a dataset cannot be used.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// The file is missing or unreadable.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not what its name says.
    #[error("{} is damaged", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// The manifest names a file outside of its dataset.
    #[error("{}: `{file}` is no file in the dataset", path.display())]
    Outside {
        /// The manifest.
        path: PathBuf,
        /// The file as it is named.
        file: String,
    },
    /// The dataset was made by a later version.
    #[error("{} has format version {found}, and this wavemill reads up to {FORMAT_VERSION}: use a newer wavemill", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

impl Manifest {
    /// Reads a dataset's manifest.
    ///
    /// # Errors
    ///
    /// There is none, it is damaged, it was made by a later version, or it names files that are not the dataset's.
    pub fn read(folder: &DatasetFolder) -> Result<Self, ManifestError> {
        /// All that can be asked of a layout that is not known.
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let path = folder.manifest();
        let Version { format_version: found } = read_json(&path)?;
        if found > FORMAT_VERSION {
            return Err(ManifestError::Newer { path, found });
        }
        let manifest: Self = read_json(&path)?;
        let inside = |path: &str| Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        let mut files = manifest.shards.iter().flat_map(|shard| &shard.files).chain(&manifest.common);
        match files.find(|file| !inside(&file.path)) {
            Some(file) => Err(ManifestError::Outside { path, file: file.path.clone() }),
            None => Ok(manifest),
        }
    }
}

/// Reads one JSON file of a dataset.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, ManifestError> {
    let text = fs::read(path).map_err(|source| ManifestError::Unreadable { path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|source| ManifestError::Malformed { path: path.to_owned(), source })
}

/// Writes one JSON file of a dataset, whole or not at all.
///
/// # Errors
///
/// The disk is full or gone.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    durable::write(path, |mut file| {
        serde_json::to_writer_pretty(&mut file, value)?;
        file.write_all(b"\n")
    })
}
