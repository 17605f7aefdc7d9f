//! A plan carried out: every shard that is missing is made, written and committed, and the manifest last.

mod cell;
mod commit;
mod error;
mod keep_if;
mod lock;
mod order;
mod row;
mod shard;
mod share;
mod trial;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::load::OnError;
use crate::manifest::{DatasetFolder, Reject, Warning};
use crate::plan::{Plan, PlanFile, differences};

pub use commit::{Progress, commit, progress};
pub use error::RunError;
pub use row::{reject_codes, warning_codes};
pub use share::{Share, ShareError};
pub use trial::{Trial, try_out};

use commit::{committed, join};
use lock::{Lock, PlanLock};
use order::{End, in_order};
use row::{Fault, Worker};
use shard::ShardInWork;

/// How a plan is carried out. Nothing here changes a byte of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Threads that decode and compute; one more writes.
    pub threads: usize,
    /// The part of the shards that this process makes; all of them if none.
    pub share: Option<Share>,
    /// What becomes of a dataset in the folder. One of the same plan is completed, unless it is to be overwritten.
    pub existing: Existing,
}

/// What becomes of a dataset in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// The run refuses and says what differs.
    Keep,
    /// It is removed, and the run starts anew; a run with a share never does this.
    Overwrite,
}

/// What a run tells while it goes on.
pub trait Watch: Sync {
    /// The run starts: `entries` rows are to be made, of `seconds` of sound as far as that is known; other shards are
    /// already done.
    fn start(&self, entries: usize, seconds: f64, shards: usize, shards_done: usize);
    /// A row was made of `seconds` of sound.
    fn row(&self, seconds: f64);
    /// A row was made of a recording that has something wrong.
    fn warning(&self, warning: &Warning);
    /// An utterance of so many planned seconds was left out, after so many were heard to the end.
    fn reject(&self, reject: &Reject, planned_seconds: f64, heard_seconds: f64);
    /// A shard was committed.
    fn shard(&self, shard: usize);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Watch for Silent {
    fn start(&self, _: usize, _: f64, _: usize, _: usize) {}
    fn row(&self, _: f64) {}
    fn warning(&self, _: &Warning) {}
    fn reject(&self, _: &Reject, _: f64, _: f64) {}
    fn shard(&self, _: usize) {}
}

/// Carries out `plan` in `folder`. With a share, the manifest is left to [`commit`].
///
/// # Errors
///
/// The folder is in use or holds another plan, there are too many rejects, the disk fails, or `stop` was set: whatever
/// was committed stays, and the same run goes on from there.
pub fn run(
    plan: &Plan,
    folder: &DatasetFolder,
    options: Options,
    watch: &dyn Watch,
    stop: &AtomicBool,
) -> Result<(), RunError> {
    fs::create_dir_all(folder.path()).map_err(|source| RunError::file(folder.path(), source))?;
    let _lock = Lock::take(folder, options.share)?;
    // Only who has the folder for itself may remove what is in it.
    settle(plan, folder, if options.share.is_none() { options.existing } else { Existing::Keep })?;
    let work = Work::find(plan, folder, options.share.unwrap_or(Share::WHOLE))?;
    if !work.missing.is_empty() {
        // What is made again may differ from what was there: until it is whole, there is no dataset.
        remove_file(&folder.manifest())?;
    }
    make_shards(plan, folder, &pool(options.threads)?, work, watch, stop)?;
    if options.share.is_none() {
        join(folder)?;
    }
    Ok(())
}

/// The threads that make rows.
pub(crate) fn pool(threads: usize) -> Result<ThreadPool, RunError> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(|index| format!("worker-{index}"));
    Ok(pool.build()?)
}

/// What a run has to do.
struct Work {
    /// The shards that are this run's.
    mine: Vec<usize>,
    /// Those of them that are not committed.
    missing: Vec<usize>,
    /// Rejects in those that are, as far as something is wrong with them.
    rejects: usize,
}

impl Work {
    fn find(plan: &Plan, folder: &DatasetFolder, share: Share) -> Result<Self, RunError> {
        let mine: Vec<usize> = (0..plan.shards.len()).filter(|shard| share.holds(*shard)).collect();
        let (mut missing, mut rejects) = (Vec::new(), 0);
        for shard in &mine {
            match committed(folder, &plan.hash, *shard)? {
                Some(record) => rejects += record.rejects.iter().filter(|reject| reject.is_fault()).count(),
                None => missing.push(*shard),
            }
        }
        Ok(Self { mine, missing, rejects })
    }
}

/// Writes the plan of a run into its folder, for workers to follow; no sound is read.
///
/// # Errors
///
/// The folder is in use or holds another plan, or the disk fails.
pub fn place_plan(plan: &Plan, folder: &DatasetFolder, existing: Existing) -> Result<(), RunError> {
    fs::create_dir_all(folder.path()).map_err(|source| RunError::file(folder.path(), source))?;
    let _lock = Lock::take(folder, None)?;
    settle(plan, folder, existing)
}

/// Sees to it that the folder holds this plan and nothing of another.
fn settle(plan: &Plan, folder: &DatasetFolder, existing: Existing) -> Result<(), RunError> {
    let _lock = PlanLock::wait(folder)?;
    let path = folder.plan();
    if existing == Existing::Overwrite {
        remove_dataset(folder)?;
    }
    match PlanFile::open(&path).map(|file| file.map(|file| file.head)) {
        Ok(Some(head)) if head.plan_hash == plan.hash => return Ok(()),
        Ok(Some(head)) => {
            let differences = differences(&head, &plan.head());
            return Err(RunError::OtherPlan { folder: folder.path().to_owned(), differences });
        }
        // Data without a plan is what an interrupted --overwrite or somebody else left: it is not touched unasked.
        Ok(None) if folder.manifest().exists() || folder.path().join("data").exists() => {
            return Err(RunError::NoPlan { folder: folder.path().to_owned() });
        }
        Ok(None) => {}
        Err(source) => return Err(RunError::PlanFile { path, source }),
    }
    plan.write(&path).map_err(|source| RunError::PlanFile { path, source })
}

/// Removes what makes up a dataset, and nothing else that may stand in the folder. The manifest goes first: without it
/// no dataset exists. The plan goes last: with it, an interrupted removal is still known for what it is.
fn remove_dataset(folder: &DatasetFolder) -> Result<(), RunError> {
    remove_file(&folder.manifest())?;
    for part in ["shards", "data"].map(|part| folder.path().join(part)) {
        match fs::remove_dir_all(&part) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(RunError::file(&part, source)),
            _ => {}
        }
    }
    remove_file(&folder.rejects())?;
    remove_file(&folder.plan())
}

/// Removes a file that may be there.
fn remove_file(path: &Path) -> Result<(), RunError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(RunError::file(path, source)),
        _ => Ok(()),
    }
}

/// Makes the missing shards, one after the other in order, their rows on all threads.
fn make_shards(
    plan: &Plan,
    folder: &DatasetFolder,
    pool: &ThreadPool,
    Work { mine, missing, mut rejects }: Work,
    watch: &dyn Watch,
    stop: &AtomicBool,
) -> Result<(), RunError> {
    let positions: Vec<usize> = missing.iter().flat_map(|shard| plan.shards[*shard].clone()).collect();
    let planned_seconds = |position: usize| plan.table.duration_s(plan.entry(position).utterance).unwrap_or(0.0);
    // The sum of no floats is −0.0.
    let seconds = positions.iter().fold(0.0, |sum, position| sum + planned_seconds(*position));
    watch.start(positions.len(), seconds, mine.len(), mine.len() - missing.len());

    // A worker's shards may hold more than their share of bad files: the fraction is that of the whole plan.
    let entries = plan.num_entries();
    let most_rejects = (plan.pipeline.load.max_reject_fraction * entries as f64).floor() as usize;
    let too_many = |rejects: usize, last: Box<Reject>| RunError::TooManyRejects {
        rejects,
        entries,
        max_reject_fraction: plan.pipeline.load.max_reject_fraction,
        last,
    };

    let mut left = missing.iter().copied();
    let mut current: Option<ShardInWork<'_>> = None;
    let end = in_order(
        pool,
        positions.len(),
        stop,
        || Worker::new(plan),
        |worker, job| worker.make(plan.entry(positions[job])),
        |job, outcome| {
            let mut shard = match current.take() {
                Some(shard) => shard,
                None => match left.next() {
                    Some(number) => ShardInWork::start(plan, folder, number)?,
                    None => unreachable!("every position belongs to a missing shard"),
                },
            };
            match outcome {
                Ok(row) => {
                    watch.row(row.seconds());
                    if let Some(warning) = &row.warning {
                        watch.warning(warning);
                    }
                    shard.push(plan.entry(positions[job]), row)?;
                }
                Err(Fault::World { path, source }) => return Err(RunError::Input { path, source }),
                Err(Fault::Utterance { reject, seconds }) => {
                    watch.reject(&reject, planned_seconds(positions[job]), seconds);
                    if reject.is_fault() && plan.pipeline.load.on_error == OnError::Stop {
                        return Err(RunError::Stopped { reject });
                    }
                    rejects += usize::from(reject.is_fault());
                    if rejects > most_rejects {
                        return Err(too_many(rejects, reject));
                    }
                    shard.reject(*reject);
                }
            }
            if positions[job] + 1 == shard.end() {
                watch.shard(shard.finish()?);
            } else {
                current = Some(shard);
            }
            Ok(())
        },
    )?;
    match end {
        End::Done => Ok(()),
        End::Stopped => {
            debug_assert!(stop.load(Ordering::Relaxed), "only `stop` stops the line");
            Err(RunError::Interrupted { left: left.count() + usize::from(current.is_some()), shards: mine.len() })
        }
    }
}
