//! Rows where they lie: which shard each is in, opened once for all threads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::columns::Columns;
use super::epoch::Entry;
use super::error::{Damage, LoaderError};
use super::prepared::Prepared;
use super::settings::Verify;
use super::shard::OpenShard;

/// A row of a batch, where it lies.
#[derive(Debug, Clone)]
pub(super) struct Located {
    pub(super) shard: Arc<OpenShard>,
    /// The row in the shard.
    pub(super) row: usize,
    /// Its dataset.
    pub(super) dataset: usize,
    /// The row, counted through all datasets.
    pub(super) number: u32,
    /// Which time it is read.
    pub(super) pass: u32,
}

/// The shards that are open, and the rows that were verified.
#[derive(Debug)]
pub(super) struct Rows {
    open: Mutex<Open>,
    /// Shards that are kept open.
    most: usize,
    verify: Verify,
    /// A bit for each row.
    verified: Vec<AtomicU64>,
}

/// A shard, or room for it while one thread opens it.
type Slot = Arc<Mutex<Option<Result<Arc<OpenShard>, Arc<Damage>>>>>;

#[derive(Debug, Default)]
struct Open {
    /// By dataset and shard, with the time of its last use.
    shards: HashMap<(usize, usize), (u64, Slot)>,
    clock: u64,
}

impl Rows {
    pub(super) fn new(prepared: &Prepared, block: usize, verify: Verify) -> Result<Self, LoaderError> {
        /// Rows of buckets that fill slowly come from blocks before; and there is always some room.
        const ROOM: usize = 16;
        /// A process may have some 1,000 files open.
        const MOST_SHARDS: usize = 256;
        let mixed = block.saturating_mul(prepared.parts.len());
        if mixed > MOST_SHARDS {
            let reason = format!("rows of {mixed} shards would be mixed at a time, {MOST_SHARDS} is the most");
            return Err(LoaderError::setting("block", reason));
        }
        let words = if verify == Verify::FirstRead { prepared.num_rows().div_ceil(64) } else { 0 };
        let most = 2 * mixed + ROOM;
        Ok(Self { open: Mutex::default(), most, verify, verified: (0..words).map(|_| AtomicU64::new(0)).collect() })
    }

    /// Where a row lies; its shard is opened if it is not.
    pub(super) fn locate(&self, prepared: &Prepared, columns: &Columns, entry: Entry) -> Result<Located, LoaderError> {
        let (dataset, shard, row) = prepared.place(entry.row);
        let slot = self.slot(dataset, shard);
        let mut held = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            let source = &prepared.parts[dataset].source;
            *held = match OpenShard::open(source, &source.shards[shard], &columns.wanted[dataset]) {
                Ok(open) => Some(Ok(Arc::new(open))),
                // What is wrong with the data stays wrong.
                Err(LoaderError::Damaged(damage)) if damage.is_of_data() => Some(Err(damage)),
                Err(error) => return Err(error),
            };
        }
        let open = match held.as_ref() {
            Some(Ok(open)) => Arc::clone(open),
            Some(Err(damage)) => return Err(Arc::clone(damage).into()),
            None => return Err(LoaderError::Thread),
        };
        Ok(Located { shard: open, row, dataset, number: entry.row, pass: entry.pass })
    }

    fn slot(&self, dataset: usize, shard: usize) -> Slot {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.clock += 1;
        let now = open.clock;
        if let Some((used, slot)) = open.shards.get_mut(&(dataset, shard)) {
            *used = now;
            return Arc::clone(slot);
        }
        if open.shards.len() >= self.most {
            let oldest = open.shards.iter().min_by_key(|(_, (used, _))| *used).map(|(place, _)| *place);
            if let Some(oldest) = oldest {
                open.shards.remove(&oldest);
            }
        }
        let slot = Slot::default();
        open.shards.insert((dataset, shard), (now, Arc::clone(&slot)));
        slot
    }

    /// Whether a row is to be held against its checksums.
    pub(super) fn must_verify(&self, row: u32) -> bool {
        match self.verify {
            Verify::Never => false,
            Verify::Always => true,
            Verify::FirstRead => {
                let (word, bit) = (row as usize / 64, row % 64);
                self.verified[word].load(Ordering::Relaxed) & (1 << bit) == 0
            }
        }
    }

    /// Notes that a row has its checksums.
    pub(super) fn is_verified(&self, row: u32) {
        if self.verify == Verify::FirstRead {
            self.verified[row as usize / 64].fetch_or(1 << (row % 64), Ordering::Relaxed);
        }
    }
}
