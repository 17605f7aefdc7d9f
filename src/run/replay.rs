//! One row made again, from the plan alone.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::audio::Waveform;
use crate::manifest::DatasetFolder;
use crate::plan::{Entry, Plan, row_key, segment_id};
use crate::write::{ShardFile, ShardName};

use super::failure::WorldFault;
use super::row::Made;
use super::shard::{open, with_row};
use super::worker::Worker;
use super::{RunError, jobs};

/// Makes the row `key` of a plan again and writes it, alone, into a shard in `folder`; gives the shard's files.
///
/// # Errors
///
/// The plan has no such row, the row is a reject, or the disk fails.
pub fn replay(plan: &Plan, key: &str, folder: &Path) -> Result<Vec<PathBuf>, RunError> {
    let dataset = DatasetFolder::new(folder);
    if [dataset.manifest(), dataset.plan(), folder.join("data")].iter().any(|part| part.exists()) {
        return Err(RunError::HoldsDataset { folder: folder.to_owned() });
    }
    let (entry, segment) = find(plan, key)?;
    let made = make(plan, entry)?;
    let Some(row) = made.rows.iter().find(|row| row.segment == segment) else {
        let reject = made.rejects.into_iter().next().ok_or_else(|| RunError::NoRow { key: key.to_owned() })?;
        return Err(RunError::Stopped { reject: Box::new(reject) });
    };
    let mut writer = open(plan, folder, &ShardName { split: None, number: 0, count: 1 })?;
    let written = with_row(plan, entry, row, |row| writer.push(row)).and_then(|()| writer.finish());
    let files = written.map_err(|source| RunError::shard(folder, source))?;
    let commit = |file: ShardFile| {
        let place = folder.join(file.path());
        file.commit().map_err(|source| RunError::file(&place, source))?;
        Ok(place)
    };
    files.into_iter().map(commit).collect()
}

/// What became of an entry. Modules round otherwise in other batches: where a pipeline has some, all of the entry's job are made.
fn make(plan: &Plan, entry: Entry) -> Result<Made, RunError> {
    let position = plan.position(entry);
    let job = if plan.pipeline.has_modules() {
        let shard = plan.shards.iter().find(|shard| shard.contains(&position));
        shard.and_then(|shard| jobs(plan, shard.clone()).find(|job| job.contains(&position)))
    } else {
        None
    };
    let job = job.unwrap_or(position..position + 1);
    let outcomes = Worker::new(plan).make_all(job.clone(), &AtomicBool::new(false));
    let outcomes = outcomes.into_iter().collect::<Result<Vec<_>, _>>();
    let outcomes = outcomes.map_err(|WorldFault { path, source }| RunError::Input { path, source })?;
    Ok(outcomes.into_iter().nth(position - job.start).unwrap_or_default())
}

/// The sound of the row `key`, as its features are made from it.
///
/// # Errors
///
/// The plan has no such row, or the row is a reject.
pub fn replay_sound(plan: &Plan, key: &str) -> Result<Waveform, RunError> {
    let (entry, segment) = find(plan, key)?;
    Worker::new(plan).clip(entry, segment).map_err(|failure| match failure.of(plan, entry, segment) {
        Ok((reject, _)) => RunError::Stopped { reject: Box::new(reject) },
        Err(WorldFault { path, source }) => RunError::Input { path, source },
    })
}

/// Which entry of the plan has the key, and which segment of it. Ids may look like keys: what the plan has decides.
fn find(plan: &Plan, key: &str) -> Result<(Entry, Option<usize>), RunError> {
    let numbered = |text: &str, mark: char| {
        let (rest, number) = text.rsplit_once(mark)?;
        Some((rest.to_owned(), number.parse::<usize>().ok()?))
    };
    let copies = [Some((key.to_owned(), 0)), numbered(key, '~')];
    for (id, copy) in copies.into_iter().flatten() {
        let Ok(copy) = u32::try_from(copy) else { continue };
        if !plan.pipeline.copies().contains(&copy) {
            continue;
        }
        let (id, segment) = match (plan.pipeline.segment.is_empty(), numbered(&id, '@')) {
            (true, _) => (id, None),
            (false, Some((id, number))) => (id, Some(number)),
            (false, None) => continue,
        };
        if let Some(utterance) = (0..plan.table.len()).find(|row| plan.table.id(*row) == id) {
            let found = segment.map_or_else(|| id.clone(), |number| segment_id(&id, number));
            debug_assert_eq!(row_key(&found, copy), key);
            return Ok((Entry { utterance, copy }, segment));
        }
    }
    Err(RunError::NoRow { key: key.to_owned() })
}
