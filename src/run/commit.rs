//! The records of all shards joined into the manifest.

use crate::durable;
use crate::manifest::{
    DatasetFolder, FORMAT_VERSION, FileEntry, Join, Manifest, ManifestError, ShardRecord, read_json, write_json,
};
use crate::pipeline::Pipeline;
use crate::plan::{PlanFile, PlanFileError, PlanHead};
use crate::write::RowSchema;

use super::RunError;
use super::lock::Lock;

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

/// Joins the shards of a plan, made by several processes, into the manifest.
///
/// # Errors
///
/// A process still works in the folder, a shard is missing, there are too many rejects, or the disk fails; there is no
/// manifest then.
pub fn commit(folder: &DatasetFolder) -> Result<Manifest, RunError> {
    if !folder.plan().exists() {
        return Err(RunError::NoDataset { folder: folder.path().to_owned() });
    }
    let _lock = Lock::take(folder, None)?;
    join(folder)
}

/// Joins the shards of a plan into the manifest; whoever calls holds the folder's lock.
pub(super) fn join(folder: &DatasetFolder) -> Result<Manifest, RunError> {
    let head = head(folder)?;
    let pipeline: Pipeline = serde_json::from_value(head.pipeline.clone())
        .map_err(|source| RunError::PlanFile { path: folder.plan(), source: source.into() })?;

    let mut join = Join::default();
    let mut missing = Vec::new();
    for shard in 0..head.num_shards {
        match committed(folder, &head.plan_hash, shard)? {
            Some(record) => join.add(record),
            None => missing.push(shard),
        }
    }
    if !missing.is_empty() {
        return Err(RunError::Incomplete { folder: folder.path().to_owned(), missing, shards: head.num_shards });
    }
    let totals = join.totals();
    let max_reject_fraction = pipeline.load.max_reject_fraction;
    let faults = join.faults() as usize;
    if faults as f64 > (max_reject_fraction * totals.utterances as f64).floor()
        && let Some(last) = join.rejects().iter().rfind(|reject| reject.is_fault())
    {
        return Err(RunError::TooManyRejects {
            rejects: faults,
            entries: totals.utterances as usize,
            max_reject_fraction,
            last: Box::new(last.clone()),
        });
    }

    let list = folder.rejects();
    durable::write(&list, |mut file| {
        for reject in join.rejects() {
            serde_json::to_writer(&mut file, reject)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    })
    .map_err(|source| RunError::file(&list, source))?;

    let schema = RowSchema::of(&head.schema)
        .ok_or_else(|| RunError::PlanFile { path: folder.plan(), source: PlanFileError::NoPlan })?;
    let data = folder.path().join("data");
    let common = pipeline.write.member().gather(&schema, folder.path(), join.shards());
    let common = common.map_err(|source| RunError::shard(&data, source))?;

    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        wavemill_version: head.wavemill_version,
        engines: head.engines,
        name: pipeline.name,
        pipeline_hash: head.pipeline_hash,
        pipeline: head.pipeline,
        plan_hash: head.plan_hash,
        seed: pipeline.seed,
        schema: head.schema,
        at_load: head.at_load,
        shards: join.shards().to_vec(),
        common,
        totals,
        statistics: join.statistics(),
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
        // A damaged record vouches for nothing: its shard is made again.
        Err(ManifestError::Malformed { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let there = |file: &FileEntry| {
        let data = std::fs::metadata(folder.path().join(&file.path));
        data.is_ok_and(|data| data.len() == file.bytes)
    };
    let whole = !record.entry.files.is_empty() && record.entry.files.iter().all(there);
    Ok((whole && record.shard == shard && record.plan_hash == plan_hash).then_some(record))
}

fn head(folder: &DatasetFolder) -> Result<PlanHead, RunError> {
    let path = folder.plan();
    match PlanFile::open(&path) {
        Ok(Some(file)) => Ok(file.head),
        Ok(None) => Err(RunError::NoDataset { folder: folder.path().to_owned() }),
        Err(source) => Err(RunError::PlanFile { path, source }),
    }
}
