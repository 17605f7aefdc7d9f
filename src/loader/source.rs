//! A dataset as the loader sees it: which rows there are, how long they are, and where their shards stand.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use rayon::prelude::*;
use serde::Deserialize;

use super::error::LoaderError;
use crate::manifest::{DatasetFolder, Manifest, ManifestError, RowChecksums, ShardEntry, Statistics, read_json};
use crate::write::{RowSchema, Write};

/// A dataset that rows are read from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) folder: DatasetFolder,
    /// BLAKE3 of the manifest.
    pub(super) hash: String,
    /// Of all that decides the bytes of the shards.
    plan_hash: String,
    pub(super) format: Write,
    pub(super) schema: RowSchema,
    pub(super) shards: Vec<Shard>,
    /// By feature column, what is left to be done to frames when they are loaded.
    pub(super) at_load: IndexMap<String, Vec<serde_json::Value>>,
    pub(super) statistics: IndexMap<String, Statistics>,
}

/// A shard of a dataset.
#[derive(Debug, Clone)]
pub(super) struct Shard {
    /// Its number in the dataset.
    pub(super) number: usize,
    pub(super) entry: Arc<ShardEntry>,
}

impl Source {
    /// Opens the dataset in `folder` by its manifest.
    pub(super) fn open(folder: &Path) -> Result<Self, LoaderError> {
        let folder = DatasetFolder::new(folder);
        let manifest = Manifest::read(&folder)?;
        let path = folder.manifest();
        let bytes = fs::read(&path).map_err(|source| ManifestError::Unreadable { path: path.clone(), source })?;
        let unknown = |what| LoaderError::Unknown { path: path.clone(), what };
        let format = Write::of(&manifest).ok_or_else(|| unknown("format (`pipeline.write`)"))?;
        let schema = RowSchema::of(&manifest.schema).ok_or_else(|| unknown("`schema`"))?;
        let entries = manifest.shards.into_iter().enumerate();
        let shards = entries.map(|(number, entry)| Shard { number, entry: Arc::new(entry) }).collect();
        let hash = blake3::hash(&bytes).to_hex().to_string();
        let Manifest { at_load, statistics, plan_hash, .. } = manifest;
        Ok(Self { folder, hash, plan_hash, format, schema, shards, at_load, statistics })
    }

    /// Leaves the shards of these parts of the dataset alone.
    pub(super) fn keep_splits(&mut self, splits: &[String]) -> Result<(), LoaderError> {
        let there = |split: &String| self.shards.iter().any(|shard| shard.entry.split.as_ref() == Some(split));
        if let Some(split) = splits.iter().find(|split| !there(split)) {
            let mut parts: Vec<&str> = self.shards.iter().filter_map(|shard| shard.entry.split.as_deref()).collect();
            parts.dedup();
            let parts =
                if parts.is_empty() { "it is not split".to_owned() } else { format!("there are {}", parts.join(", ")) };
            let folder = self.folder.path().display();
            return Err(LoaderError::setting("split", format!("{folder} has no part `{split}`: {parts}")));
        }
        if !splits.is_empty() {
            self.shards.retain(|shard| shard.entry.split.as_ref().is_some_and(|split| splits.contains(split)));
        }
        Ok(())
    }

    /// The rows of each shard, counted from `first` on.
    pub(super) fn rows(&self, first: u32) -> Result<Vec<Range<u32>>, LoaderError> {
        let mut start = first;
        let ranges = self.shards.iter().map(|shard| {
            let end = u32::try_from(shard.entry.rows).ok().and_then(|rows| start.checked_add(rows));
            let end = end.ok_or_else(|| LoaderError::setting("open", "a loader gives up to 4,294,967,295 rows"))?;
            let range = start..end;
            start = end;
            Ok(range)
        });
        ranges.collect()
    }

    /// The record of a shard, as far as `T` reads it.
    fn record<T: OfShard + for<'de> Deserialize<'de>>(&self, shard: &Shard) -> Result<T, LoaderError> {
        let path = self.folder.record(shard.number);
        let record: T = read_json(&path)?;
        match record.differs(shard, &self.plan_hash) {
            Some(reason) => Err(LoaderError::Record { path, reason }),
            None => Ok(record),
        }
    }

    /// The frames of every row in the column `column`, in the order of the rows.
    pub(super) fn frames(&self, column: &str) -> Result<Vec<u32>, LoaderError> {
        let of_shard = |shard: &Shard| {
            let mut record: ForPlan = self.record(shard)?;
            let frames = record.frames.shift_remove(column).unwrap_or_default();
            if frames.len() as u64 != shard.entry.rows {
                let reason = format!("it counts frames of `{column}` in {} rows", frames.len());
                return Err(LoaderError::Record { path: self.folder.record(shard.number), reason });
            }
            Ok(frames)
        };
        let frames: Vec<Vec<u32>> = self.shards.par_iter().map(of_shard).collect::<Result<_, LoaderError>>()?;
        Ok(frames.into_iter().flatten().collect())
    }

    /// The checksums of a shard's rows.
    pub(super) fn checksums(&self, shard: &Shard) -> Result<RowChecksums, LoaderError> {
        Ok(self.record::<ForReading>(shard)?.checksums)
    }

    /// The files of a shard.
    pub(super) fn paths(&self, shard: &Shard) -> Vec<PathBuf> {
        shard.entry.paths(self.folder.path())
    }
}

/// A part of a shard's record that says which shard it is of.
trait OfShard {
    /// What does not agree with the manifest.
    fn differs(&self, shard: &Shard, plan_hash: &str) -> Option<String>;
}

/// What the plan of an epoch needs of a record.
#[derive(Deserialize)]
struct ForPlan {
    plan_hash: String,
    shard: usize,
    rows: u64,
    frames: IndexMap<String, Vec<u32>>,
}

/// What reading a shard needs of its record.
#[derive(Deserialize)]
struct ForReading {
    plan_hash: String,
    shard: usize,
    rows: u64,
    #[serde(default)]
    checksums: RowChecksums,
}

fn differs(number: usize, rows: u64, shard: &Shard) -> Option<String> {
    if number != shard.number {
        return Some(format!("it is that of shard {number}"));
    }
    (rows != shard.entry.rows).then(|| format!("it has {rows} rows, and the manifest says {}", shard.entry.rows))
}

fn other_plan(found: &str, expected: &str) -> Option<String> {
    (found != expected).then(|| "it was made by another plan".to_owned())
}

impl OfShard for ForPlan {
    fn differs(&self, shard: &Shard, plan_hash: &str) -> Option<String> {
        differs(self.shard, self.rows, shard).or_else(|| other_plan(&self.plan_hash, plan_hash))
    }
}

impl OfShard for ForReading {
    fn differs(&self, shard: &Shard, plan_hash: &str) -> Option<String> {
        differs(self.shard, self.rows, shard).or_else(|| other_plan(&self.plan_hash, plan_hash))
    }
}
