//! A plan carried out: every shard that is missing is made, written and committed, and the manifest last.

mod batch;
mod carry;
mod cell;
mod commit;
mod error;
mod failure;
mod features;
mod keep_if;
mod lock;
mod order;
mod reader;
mod replay;
mod row;
mod shard;
mod share;
mod sound;
mod trial;
mod worker;

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::load::OnError;
use crate::manifest::{DatasetFolder, Reject, Warning};
use crate::plan::{Plan, PlanFile, differences};

pub use commit::{Progress, commit, progress};
pub use error::RunError;
pub use failure::{reject_codes, warning_codes};
pub use replay::{replay, replay_sound};
pub use share::{Share, ShareError};
pub use trial::{Trial, try_out};

use commit::{committed, join};
use failure::WorldFault;
use lock::{Lock, PlanLock};
use order::{End, in_order};
use shard::ShardInWork;
use worker::Worker;

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
    /// An entry of so many planned seconds is done: so many seconds were heard to the end, so many rows came of it.
    fn entry(&self, planned_seconds: f64, heard_seconds: f64, rows: usize);
    /// A row was made of a recording that has something wrong.
    fn warning(&self, warning: &Warning);
    /// An utterance or a segment of one was left out.
    fn reject(&self, reject: &Reject);
    /// A shard was committed.
    fn shard(&self, shard: usize);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Watch for Silent {
    fn start(&self, _: usize, _: f64, _: usize, _: usize) {}
    fn entry(&self, _: f64, _: f64, _: usize) {}
    fn warning(&self, _: &Warning) {}
    fn reject(&self, _: &Reject) {}
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
    /// Entries in those that are that gave no row, because something is wrong with them.
    faults: usize,
}

impl Work {
    fn find(plan: &Plan, folder: &DatasetFolder, share: Share) -> Result<Self, RunError> {
        let mine: Vec<usize> = (0..plan.shards.len()).filter(|shard| share.holds(*shard)).collect();
        let (mut missing, mut faults) = (Vec::new(), 0);
        for shard in &mine {
            match committed(folder, &plan.hash, *shard)? {
                Some(record) => faults += record.faults as usize,
                None => missing.push(*shard),
            }
        }
        Ok(Self { mine, missing, faults })
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
    let here =
        |path: &Path| path.canonicalize().is_ok_and(|path| folder.path().canonicalize().is_ok_and(|out| out == path));
    if plan.table.datasets().any(|(dataset, _)| here(dataset)) {
        return Err(RunError::IsCorpus { folder: folder.path().to_owned() });
    }
    let _lock = PlanLock::wait(folder)?;
    let path = folder.plan();
    // What is no dataset of wavemill is not removed, whatever its folders are called.
    if existing == Existing::Overwrite && (path.exists() || folder.manifest().exists()) {
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
    Work { mine, missing, mut faults }: Work,
    watch: &dyn Watch,
    stop: &AtomicBool,
) -> Result<(), RunError> {
    let chunks: Vec<Range<usize>> = missing.iter().flat_map(|shard| jobs(plan, plan.shards[*shard].clone())).collect();
    let entries_left = chunks.iter().map(ExactSizeIterator::len).sum();
    let planned_seconds = |position: usize| plan.table.duration_s(plan.entry(position).utterance).unwrap_or(0.0);
    // The sum of no floats is −0.0.
    let seconds = chunks.iter().flat_map(Clone::clone).fold(0.0, |sum, position| sum + planned_seconds(position));
    watch.start(entries_left, seconds, mine.len(), mine.len() - missing.len());

    // A worker's shards may hold more than their share of bad files: the fraction is that of the whole plan.
    let entries = plan.num_entries();
    let most_rejects = (plan.pipeline.load.max_reject_fraction * entries as f64).floor() as usize;
    let mut fault = |reject: &Reject| {
        let last = Box::new(reject.clone());
        faults += 1;
        if faults > most_rejects {
            let max_reject_fraction = plan.pipeline.load.max_reject_fraction;
            return Err(RunError::TooManyRejects { rejects: faults, entries, max_reject_fraction, last });
        }
        Ok(())
    };

    let mut left = missing.iter().copied();
    let mut current: Option<ShardInWork<'_>> = None;
    // Once `stop` is set, a job may end before its last entry: nothing behind that is taken.
    let mut cut_short = false;
    let end = in_order(
        pool,
        chunks.len(),
        stop,
        || Worker::new(plan),
        |worker, job| worker.make_all(chunks[job].clone(), stop),
        |job, outcomes| {
            cut_short |= outcomes.len() < chunks[job].len() && outcomes.iter().all(Result::is_ok);
            if cut_short {
                return Ok(());
            }
            for (position, outcome) in chunks[job].clone().zip(outcomes) {
                let mut shard = match current.take() {
                    Some(shard) => shard,
                    None => match left.next() {
                        Some(number) => ShardInWork::start(plan, folder, number)?,
                        None => unreachable!("every position belongs to a missing shard"),
                    },
                };
                let made = match outcome {
                    Ok(made) => made,
                    Err(WorldFault { path, source }) => return Err(RunError::Input { path, source }),
                };
                made.warnings.iter().for_each(|warning| watch.warning(warning));
                made.rejects.iter().for_each(|reject| watch.reject(reject));
                if plan.pipeline.load.on_error == OnError::Stop
                    && let Some(reject) = made.rejects.iter().find(|reject| reject.is_fault())
                {
                    return Err(RunError::Stopped { reject: Box::new(reject.clone()) });
                }
                watch.entry(planned_seconds(position), made.heard_s, made.rows.len());
                if made.is_fault()
                    && let Some(reject) = made.rejects.iter().find(|reject| reject.is_fault())
                {
                    fault(reject)?;
                }
                shard.push(plan.entry(position), made)?;
                if position + 1 == shard.end() {
                    watch.shard(shard.finish()?);
                } else {
                    current = Some(shard);
                }
            }
            Ok(())
        },
    )?;
    match end {
        End::Done if !cut_short => Ok(()),
        End::Done | End::Stopped => {
            debug_assert!(stop.load(Ordering::Relaxed), "only `stop` stops the line");
            Err(RunError::Interrupted { left: left.count() + usize::from(current.is_some()), shards: mine.len() })
        }
    }
}

/// The positions of a shard in jobs: the variants of an utterance together, so that it is decoded once for them, but not so many
/// that their rows fill the memory. Where modules take rows in batches, the utterances whose rows may share one are a job: a
/// function of the plan, like all that decides bytes.
fn jobs(plan: &Plan, shard: Range<usize>) -> Box<dyn Iterator<Item = Range<usize>> + '_> {
    /// Variants of one job.
    const MOST: u64 = 8;
    /// Bytes of the rows of one job, as far as they can be told before.
    const BYTES: u64 = 8 << 20;
    let variants = plan.variants();
    let of_utterance = move |first: usize| {
        let row = plan.estimated_row_bytes(plan.entry(first).utterance).max(1);
        let step = (BYTES / row).clamp(1, MOST) as usize;
        (first..first + variants).step_by(step).map(move |start| start..(start + step).min(first + variants))
    };
    if plan.pipeline.has_modules() {
        return Box::new(batch::windows(plan, shard).into_iter());
    }
    Box::new(shard.step_by(variants).flat_map(of_utterance))
}
