//! Batches one after the other, made ahead on threads that know what comes.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::assemble::{Assembler, Shared};
use super::batch::Batch;
use super::epoch::EpochPlan;
use super::error::LoaderError;
use super::state::State;

/// The batches of one process, in their order.
///
/// Which they are and what is in them depends neither on the number of threads that make them nor on how many are made ahead.
pub struct Batches {
    shared: Arc<Shared>,
    /// What is to come for this process.
    places: Places,
    /// Where the process stands once it has taken the batch that it was given last.
    next: Place,
    work: Work,
    /// Nothing comes any more: all were given, or one failed.
    ended: bool,
}

/// A batch in the sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) epoch: u32,
    /// Batches of the epoch before it.
    pub(super) batch: usize,
}

/// Who makes the batches.
enum Work {
    /// The thread that asks for them.
    Here(Box<Assembler>),
    /// Threads, each every so-manieth batch; their batches are taken in turn.
    Threads { receivers: Vec<Receiver<Result<Batch, LoaderError>>>, turn: usize, threads: Vec<JoinHandle<()>> },
}

/// The batches of one process: every `world`th.
#[derive(Clone)]
struct Places {
    shared: Arc<Shared>,
    next: Place,
    plan: Option<(u32, Arc<EpochPlan>)>,
}

impl Places {
    fn plan(&mut self, epoch: u32) -> Arc<EpochPlan> {
        match &self.plan {
            Some((number, plan)) if *number == epoch => Arc::clone(plan),
            _ => {
                let plan = self.shared.prepared.epoch(epoch);
                self.plan = Some((epoch, Arc::clone(&plan)));
                plan
            }
        }
    }
}

impl Iterator for Places {
    type Item = (Place, Arc<EpochPlan>);

    fn next(&mut self) -> Option<Self::Item> {
        /// With few rows, all batches of an epoch may be left out as too few for a step, and hardly those of so many.
        const MOST_EMPTY: usize = 16;
        let (rank, world) = (self.shared.settings.rank as usize, self.shared.settings.world as usize);
        let mut empty = 0;
        while self.shared.settings.epochs.is_none_or(|epochs| self.next.epoch < epochs) {
            let plan = self.plan(self.next.epoch);
            // `batch` stands between two rounds of all processes.
            if self.next.batch + rank < plan.num_batches() {
                let place = Place { batch: self.next.batch + rank, ..self.next };
                self.next.batch += world;
                return Some((place, plan));
            }
            // Epochs without a batch would go on for ever.
            empty += usize::from(plan.num_batches() == 0);
            if empty > MOST_EMPTY {
                return None;
            }
            self.next = Place { epoch: self.next.epoch + 1, batch: 0 };
        }
        None
    }
}

impl Batches {
    /// The batches from `start` on.
    pub(super) fn start(shared: Arc<Shared>, start: Place) -> Result<Self, LoaderError> {
        let places = Places { shared: Arc::clone(&shared), next: start, plan: None };
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let count = shared.settings.threads.unwrap_or_else(|| cores().min(4));
        let work = if count == 0 {
            Work::Here(Box::new(Assembler::new(Arc::clone(&shared))?))
        } else {
            let ahead = shared.settings.prefetch.div_ceil(count);
            let (mut receivers, mut threads) = (Vec::new(), Vec::new());
            for number in 0..count {
                let (sender, receiver) = sync_channel(ahead);
                let (places, assembler) = (places.clone(), Assembler::new(Arc::clone(&shared))?);
                receivers.push(receiver);
                threads.push(std::thread::spawn(move || make(assembler, places.skip(number).step_by(count), &sender)));
            }
            Work::Threads { receivers, turn: 0, threads }
        };
        Ok(Self { shared, places, next: start, work, ended: false })
    }

    /// Where the sequence stands: behind the batch that was given last, on every process of the step.
    #[must_use]
    pub fn state(&self) -> State {
        let State { plan, slots, seed, .. } = self.shared.state();
        State { plan, slots, seed, epoch: self.next.epoch, batches: self.next.batch as u64 }
    }

    /// Batches that this process takes in an epoch.
    #[must_use]
    pub fn batches_in_epoch(&self, epoch: u32) -> usize {
        self.shared.prepared.epoch(epoch).num_batches() / self.shared.settings.world as usize
    }

    /// Rows that all processes together read in an epoch.
    #[must_use]
    pub fn rows_in_epoch(&self, epoch: u32) -> usize {
        self.shared.prepared.epoch(epoch).num_rows()
    }

    /// The epoch of the batch that comes next, unless it is the first of another one.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.next.epoch
    }

    fn made(&mut self, place: Place, plan: &EpochPlan) -> Result<Batch, LoaderError> {
        match &mut self.work {
            Work::Here(assembler) => assembler.batch(plan.batch(place.batch)),
            Work::Threads { receivers, turn, .. } => {
                let batch = receivers[*turn].recv();
                *turn = (*turn + 1) % receivers.len();
                batch.unwrap_or(Err(LoaderError::Thread))
            }
        }
    }
}

impl Shared {
    /// The state before the first batch.
    pub(super) fn state(&self) -> State {
        State {
            plan: self.prepared.hash.clone(),
            slots: self.prepared.slots,
            seed: self.settings.seed,
            epoch: 0,
            batches: 0,
        }
    }
}

/// Makes the batches at `places` until nobody takes them any more.
fn make(
    mut assembler: Assembler,
    places: impl Iterator<Item = (Place, Arc<EpochPlan>)>,
    taker: &SyncSender<Result<Batch, LoaderError>>,
) {
    for (place, plan) in places {
        let batch = assembler.batch(plan.batch(place.batch));
        drop(plan);
        let failed = batch.is_err();
        if taker.send(batch).is_err() || failed {
            return;
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, LoaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let Some((place, plan)) = self.places.next() else {
            self.ended = true;
            return None;
        };
        let batch = self.made(place, &plan);
        self.ended = batch.is_err();
        if !self.ended {
            self.next = self.places.next;
        }
        Some(batch)
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        if let Work::Threads { receivers, threads, .. } = &mut self.work {
            // A thread that finds nobody to take its batch ends.
            receivers.clear();
            for thread in threads.drain(..) {
                drop(thread.join());
            }
        }
    }
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").field("next", &self.next).finish_non_exhaustive()
    }
}
