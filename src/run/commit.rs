//! The records of all shards joined into the manifest.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use crate::durable;
use crate::engines::ENGINES;
use crate::manifest::{
    DatasetFolder, FORMAT_VERSION, Manifest, ManifestError, Moments, Reject, ShardRecord, Statistics, Totals,
    read_json, write_json,
};
use crate::pipeline::Pipeline;
use crate::plan::{PlanFile, PlanHead};

use super::RunError;

/// How far a dataset is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// The plan that it follows.
    pub head: PlanHead,
    /// The shards that are committed.
    pub done: Vec<usize>,
    /// The shards that are not.
    pub missing: Vec<usize>,
}

/// How far the dataset in `folder` is.
///
/// # Errors
///
/// The folder holds no plan, or a record in it is damaged.
pub fn progress(folder: &DatasetFolder) -> Result<Progress, RunError> {
    let head = head(folder)?;
    let (mut done, mut missing) = (Vec::new(), Vec::new());
    for shard in 0..head.num_shards {
        let list = if committed(folder, &head.plan_hash, shard)?.is_some() { &mut done } else { &mut missing };
        list.push(shard);
    }
    Ok(Progress { head, done, missing })
}

/// Joins the shards of a plan, made by one process or several, into the manifest.
///
/// # Errors
///
/// A shard is missing, there are too many rejects, or the disk fails; there is no manifest then.
pub fn commit(folder: &DatasetFolder) -> Result<Manifest, RunError> {
    let head = head(folder)?;
    let plan_path = folder.plan();
    let pipeline: Pipeline = serde_json::from_value(head.pipeline.clone())
        .map_err(|source| RunError::PlanFile { path: plan_path, source: source.into() })?;

    let mut totals = Totals::default();
    let mut shards = Vec::with_capacity(head.num_shards);
    let mut moments: IndexMap<String, Moments> = IndexMap::new();
    let mut rejects: Vec<Reject> = Vec::new();
    let mut missing = Vec::new();
    for shard in 0..head.num_shards {
        let Some(record) = committed(folder, &head.plan_hash, shard)? else {
            missing.push(shard);
            continue;
        };
        totals.rows += record.entry.rows;
        totals.bytes += record.entry.bytes;
        totals.hours += record.entry.audio_s / 3600.0;
        for (column, part) in record.moments {
            match moments.entry(column) {
                indexmap::map::Entry::Occupied(mut sum) => sum.get_mut().merge(&part),
                indexmap::map::Entry::Vacant(free) => {
                    free.insert(part);
                }
            }
        }
        rejects.extend(record.rejects);
        shards.push(record.entry);
    }
    if !missing.is_empty() {
        return Err(RunError::Incomplete { folder: folder.path().to_owned(), missing, shards: head.num_shards });
    }
    totals.rejects = rejects.len() as u64;
    totals.utterances = totals.rows + totals.rejects;
    totals.rejects_by_code = count_by_code(&rejects);
    if let Some(last) = rejects.last()
        && totals.rejects as f64 > (pipeline.load.max_reject_fraction * totals.utterances as f64).floor()
    {
        return Err(RunError::TooManyRejects {
            rejects: rejects.len(),
            entries: totals.utterances as usize,
            max_reject_fraction: pipeline.load.max_reject_fraction,
            last: Box::new(last.clone()),
        });
    }

    let list = folder.rejects();
    durable::write(&list, |mut file| {
        for reject in &rejects {
            serde_json::to_writer(&mut file, reject)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    })
    .map_err(|source| RunError::file(&list, source))?;

    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        wavemill_version: head.wavemill_version,
        engines: ENGINES.map(|(name, version)| (name.to_owned(), version.to_owned())).into(),
        name: pipeline.name.clone(),
        pipeline_hash: pipeline.hash(),
        pipeline: head.pipeline,
        plan_hash: head.plan_hash,
        seed: pipeline.seed,
        schema: head.schema,
        shards,
        totals,
        statistics: moments.into_iter().map(|(column, moments)| (column, Statistics::from(moments))).collect(),
    };
    let place = folder.manifest();
    write_json(&place, &manifest).map_err(|source| RunError::file(&place, source))?;
    Ok(manifest)
}

/// The record of `shard`, if it was committed under this plan and its data is there.
pub(super) fn committed(
    folder: &DatasetFolder,
    plan_hash: &str,
    shard: usize,
) -> Result<Option<ShardRecord>, RunError> {
    let record: ShardRecord = match read_json(&folder.record(shard)) {
        Ok(record) => record,
        Err(ManifestError::Unreadable { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let data = std::fs::metadata(folder.path().join(&record.entry.path));
    let whole = data.is_ok_and(|data| data.len() == record.entry.bytes);
    Ok((whole && record.shard == shard && record.plan_hash == plan_hash).then_some(record))
}

fn head(folder: &DatasetFolder) -> Result<PlanHead, RunError> {
    let path = folder.plan();
    match PlanFile::open(&path) {
        Ok(Some(file)) => Ok(file.head),
        Ok(None) => Err(RunError::NoPlan { folder: folder.path().to_owned() }),
        Err(source) => Err(RunError::PlanFile { path, source }),
    }
}

/// How many rejects there are of each code.
fn count_by_code(rejects: &[Reject]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for reject in rejects {
        *counts.entry(reject.code.clone()).or_default() += 1;
    }
    counts
}
