//! One epoch as steps of batches: a pure function of the rows in their order, so that every process that asks has the same.
//!
//! Architecture invariant: the batches of a step and their order do not depend on how many processes take them. A step has a
//! fixed number of slots, each a batch; of `W` processes, process `r` takes slots `r`, `r + W`, … of every step.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::buckets::Buckets;
use super::order::{generator, shuffle};
use crate::seed::Generator;

/// A row of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// The row, counted through all datasets.
    pub(super) row: u32,
    /// Which time it is read: the epoch, or of a mix how often its dataset was gone through before.
    pub(super) pass: u32,
}

/// How large a batch may be; the first limit that would be passed ends it. A row that is longer than all is a batch by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchLimit {
    /// Rows.
    pub(super) rows: u32,
    /// Frames, padding counted: rows times the frames of the longest.
    pub(super) frames: u64,
    /// What the frames of a batch are made a multiple of.
    pub(super) multiple_of: u64,
}

impl BatchLimit {
    fn allows(self, rows: usize, longest: u32) -> bool {
        let frames = u64::from(longest).next_multiple_of(self.multiple_of);
        rows == 1 || (rows <= self.rows as usize && rows as u64 * frames <= self.frames)
    }
}

/// What becomes of the last batches of an epoch, which are too few for a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastStep {
    /// They are cut into smaller ones until there is one for each slot: every row exactly once. Where there are fewer rows than
    /// slots, batches without rows fill the step.
    #[default]
    Spread,
    /// Batches are left out, in each epoch others: the rest are as large as they may be.
    Drop,
    /// The epoch's first batches fill the step once more: every row at least once.
    Repeat,
}

/// What an epoch is cut by.
#[derive(Debug, Clone)]
pub(super) struct Cut<'a> {
    pub(super) buckets: &'a Buckets,
    pub(super) limit: BatchLimit,
    /// Batches in a step.
    pub(super) slots: u32,
    pub(super) last: LastStep,
    /// Draws what becomes of the last steps, where rows are shuffled: the seed and the epoch.
    pub(super) shuffled: Option<(u64, u32)>,
}

/// The batches of an epoch: as many as steps times slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EpochPlan(Run);

/// Batches one behind the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Run {
    rows: Vec<Entry>,
    /// Where each batch ends in `rows`.
    ends: Vec<u32>,
}

impl Run {
    fn end_batch(&mut self) {
        self.ends.push(self.rows.len() as u32);
    }

    /// Takes over the batches of `other`, which has none then.
    fn append(&mut self, other: &mut Self) {
        let before = self.rows.len() as u32;
        self.rows.append(&mut other.rows);
        self.ends.extend(other.ends.drain(..).map(|end| before + end));
    }

    fn batch(&self, number: usize) -> &[Entry] {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.rows[start..self.ends[number] as usize]
    }
}

/// A bucket while rows fall into it: whole batches of a step to come, and one that grows.
#[derive(Debug, Clone, Default)]
struct Bucket {
    whole: Run,
    open: Vec<Entry>,
    longest: u32,
}

impl Bucket {
    fn push(&mut self, entry: Entry, length: u32, limit: BatchLimit) {
        let longest = self.longest.max(length);
        if self.open.is_empty() || limit.allows(self.open.len() + 1, longest) {
            self.longest = longest;
        } else {
            self.whole.rows.append(&mut self.open);
            self.whole.end_batch();
            self.longest = length;
        }
        self.open.push(entry);
    }
}

impl EpochPlan {
    /// Cuts rows, in their order, into batches and steps. `length` gives the frames of a row.
    pub(super) fn of(entries: impl Iterator<Item = Entry>, length: impl Fn(u32) -> u32, cut: &Cut<'_>) -> Self {
        let slots = cut.slots.max(1) as usize;
        let mut steps = Run::default();
        steps.rows.reserve(entries.size_hint().0);
        let mut buckets = vec![Bucket::default(); cut.buckets.len()];
        for entry in entries {
            let length = length(entry.row);
            let bucket = &mut buckets[cut.buckets.of_length(length)];
            bucket.push(entry, length, cut.limit);
            if bucket.whole.ends.len() == slots {
                steps.append(&mut bucket.whole);
            }
        }
        // Bucket by bucket, so that rows of like length stay together, each in the order in which its rows were drawn.
        let mut rest: Vec<Entry> = Vec::new();
        for mut bucket in buckets {
            rest.append(&mut bucket.whole.rows);
            rest.append(&mut bucket.open);
        }
        let mut last = recut(&rest, length, cut.limit);
        let mut draws = cut.shuffled.map(|(seed, epoch)| generator(seed, "last steps", epoch, None));
        complete(&mut last, &steps, slots, cut.last, draws.as_mut());
        if let Some(draws) = &mut draws {
            let batches: Vec<usize> = (0..last.ends.len()).collect();
            let mut steps: Vec<&[usize]> = batches.chunks(slots).collect();
            shuffle(&mut steps, draws);
            let mut shuffled = Run::default();
            for step in steps {
                let mut step = step.to_vec();
                shuffle(&mut step, draws);
                for number in step {
                    shuffled.rows.extend_from_slice(last.batch(number));
                    shuffled.end_batch();
                }
            }
            last = shuffled;
        }
        steps.append(&mut last);
        Self(steps)
    }

    /// How many batches there are: a whole number of steps.
    pub(super) fn num_batches(&self) -> usize {
        self.0.ends.len()
    }

    /// How many rows are read, repeats counted.
    pub(super) fn num_rows(&self) -> usize {
        self.0.rows.len()
    }

    /// The rows of batch `number`, counted through all steps.
    pub(super) fn batch(&self, number: usize) -> &[Entry] {
        self.0.batch(number)
    }
}

/// Rows cut into batches in their order.
fn recut(rows: &[Entry], length: impl Fn(u32) -> u32, limit: BatchLimit) -> Run {
    let mut bucket = Bucket::default();
    for entry in rows {
        bucket.push(*entry, length(entry.row), limit);
    }
    if !bucket.open.is_empty() {
        bucket.whole.rows.append(&mut bucket.open);
        bucket.whole.end_batch();
    }
    bucket.whole
}

/// Makes whole steps of the last batches.
fn complete(last: &mut Run, steps: &Run, slots: usize, policy: LastStep, draws: Option<&mut Generator>) {
    let over = last.ends.len() % slots;
    if over == 0 {
        return;
    }
    let missing = slots - over;
    match policy {
        LastStep::Drop => {
            let mut kept: Vec<usize> = (0..last.ends.len()).collect();
            if let Some(draws) = draws {
                shuffle(&mut kept, draws);
            }
            kept.truncate(last.ends.len() - over);
            kept.sort_unstable();
            let mut rest = Run::default();
            for number in kept {
                rest.rows.extend_from_slice(last.batch(number));
                rest.end_batch();
            }
            *last = rest;
        }
        LastStep::Repeat => {
            let first = if steps.ends.is_empty() { last.clone() } else { steps.clone() };
            for number in (0..first.ends.len()).cycle().take(missing) {
                last.rows.extend_from_slice(first.batch(number));
                last.end_batch();
            }
        }
        LastStep::Spread => {
            let (mut ends, mut sizes) = (BTreeSet::new(), BTreeSet::new());
            let mut start = 0;
            for end in &last.ends {
                ends.insert(*end);
                sizes.insert((*end - start, Reverse(start)));
                start = *end;
            }
            for _ in 0..missing {
                match sizes.pop_last() {
                    // The largest, and of like ones the first, is cut in two.
                    Some((size, Reverse(start))) if size > 1 => {
                        let half = size.div_ceil(2);
                        ends.insert(start + half);
                        sizes.insert((half, Reverse(start)));
                        sizes.insert((size - half, Reverse(start + half)));
                    }
                    _ => break,
                }
            }
            last.ends = ends.into_iter().collect();
            last.ends.resize(last.ends.len().next_multiple_of(slots), last.rows.len() as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::order::{Order, rows_in_order};
    use super::*;

    /// An epoch over shards of 50 rows of these lengths.
    fn plan(
        lengths: &[u32],
        seed: u64,
        epoch: u32,
        buckets: usize,
        limit: BatchLimit,
        slots: u32,
        last: LastStep,
    ) -> EpochPlan {
        let all = lengths.len() as u32;
        let shards: Vec<_> = (0..all).step_by(50).map(|start| start..(start + 50).min(all)).collect();
        let rows = rows_in_order(Order::Shuffled { seed, block: 4 }, "x", epoch, &shards, |_| true);
        let buckets = Buckets::of(lengths.to_vec(), buckets);
        let cut = Cut { buckets: &buckets, limit, slots, last, shuffled: Some((seed, epoch)) };
        let entries = rows.into_iter().map(|row| Entry { row, pass: epoch });
        EpochPlan::of(entries, |row| lengths[row as usize], &cut)
    }

    fn batches(plan: &EpochPlan) -> Vec<Vec<u32>> {
        (0..plan.num_batches()).map(|number| plan.batch(number).iter().map(|entry| entry.row).collect()).collect()
    }

    /// Lengths as those of a large corpus of speech: log-normal, between 0.3 and 35 s of frames.
    fn log_normal(count: usize) -> Vec<u32> {
        let mut generator = generator(5, "lengths", 0, None);
        let length = |normal: f64| (6.6 + 0.6 * normal).exp().clamp(30.0, 3500.0) as u32;
        (0..count).map(|_| length(generator.normal_pair().0)).collect()
    }

    proptest! {
        #[test]
        fn every_row_is_in_the_epoch_exactly_once(
            lengths in prop::collection::vec(1_u32..400, 0..700),
            seed in any::<u64>(),
            buckets in 1_usize..12,
            slots in 1_u32..9,
            rows in 1_u32..40,
            frames in 1_u64..5000,
        ) {
            let limit = BatchLimit { rows, frames, multiple_of: 3 };
            let make = |epoch, last| batches(&plan(&lengths, seed, epoch, buckets, limit, slots, last));
            let spread = make(0, LastStep::Spread);
            prop_assert_eq!(&spread, &make(0, LastStep::Spread), "the same words give the same epoch");
            let mut seen: Vec<u32> = spread.iter().flatten().copied().collect();
            seen.sort_unstable();
            prop_assert!(seen.iter().copied().eq(0..lengths.len() as u32));
            for last in [LastStep::Spread, LastStep::Drop, LastStep::Repeat] {
                let batches = make(3, last);
                prop_assert_eq!(batches.len() % slots as usize, 0, "every process makes the same number of steps");
                for batch in &batches {
                    let longest = batch.iter().map(|row| lengths[*row as usize]).max().unwrap_or(0);
                    prop_assert!(batch.is_empty() || limit.allows(batch.len(), longest));
                }
                let mut seen: Vec<u32> = batches.into_iter().flatten().collect();
                let total = seen.len();
                seen.sort_unstable();
                seen.dedup();
                match last {
                    LastStep::Drop => prop_assert_eq!(seen.len(), total),
                    LastStep::Spread | LastStep::Repeat => prop_assert_eq!(seen.len(), lengths.len()),
                }
            }
        }
    }

    #[test]
    fn little_is_padding_and_another_epoch_or_seed_has_another_order() {
        let lengths = log_normal(40_000);
        let limit = BatchLimit { rows: u32::MAX, frames: 20_000, multiple_of: 1 };
        let make = |seed, epoch| plan(&lengths, seed, epoch, 30, limit, 8, LastStep::Spread);
        let first = make(17, 0);
        let (mut frames, mut padded) = (0_u64, 0_u64);
        for batch in batches(&first) {
            let batch: Vec<u64> = batch.into_iter().map(|row| lengths[row as usize].into()).collect();
            frames += batch.iter().sum::<u64>();
            padded += batch.len() as u64 * batch.iter().max().unwrap_or(&0);
        }
        let waste = 1.0 - frames as f64 / padded as f64;
        assert!((0.0..=0.05).contains(&waste), "{waste}");
        assert_ne!(first, make(17, 1));
        assert_ne!(first, make(18, 0));
    }

    #[test]
    fn few_rows_meet_others_in_every_epoch_too() {
        // Fewer than one step for each bucket.
        let lengths: Vec<u32> = (0..300).map(|row| 100 + row * 7919 % 900).collect();
        let limit = BatchLimit { rows: 10, frames: u64::MAX, multiple_of: 1 };
        for last in [LastStep::Spread, LastStep::Drop] {
            let made: Vec<_> = (0..20).map(|epoch| batches(&plan(&lengths, 1, epoch, 8, limit, 8, last))).collect();
            let mut first = made[0][0].clone();
            first.sort_unstable();
            let again = made[1..].iter().flatten().filter(|batch| {
                let mut batch = (*batch).clone();
                batch.sort_unstable();
                batch == first
            });
            assert!(again.count() < 3, "the same rows make a batch in every epoch");
            let mut seen: Vec<u32> = made.iter().flatten().flatten().copied().collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 300, "no row is left out for good");
            let first_is_shortest = made.iter().filter(|epoch| {
                let mean = |batch: &Vec<u32>| batch.iter().map(|row| lengths[*row as usize]).sum::<u32>() / 10;
                epoch.iter().all(|batch| mean(&epoch[0]) <= mean(batch))
            });
            assert!(first_is_shortest.count() < 10);
        }
    }

    #[test]
    fn a_last_step_is_spread_dropped_or_filled_again() {
        let limit = BatchLimit { rows: 4, frames: u64::MAX, multiple_of: 1 };
        let sizes = |rows: usize, last| {
            let batches = batches(&plan(&vec![7; rows], 1, 0, 1, limit, 3, last));
            batches.iter().map(Vec::len).collect::<Vec<_>>()
        };
        let sorted = |rows, last| {
            let mut sizes = sizes(rows, last);
            sizes.sort_unstable();
            sizes
        };
        assert_eq!(sorted(14, LastStep::Spread), [0, 1, 1, 4, 4, 4]);
        assert_eq!(sorted(18, LastStep::Spread), [2, 2, 2, 4, 4, 4]);
        assert_eq!(sorted(18, LastStep::Drop), [4, 4, 4]);
        assert_eq!(sorted(18, LastStep::Repeat), [2, 4, 4, 4, 4, 4]);
        assert_eq!(sizes(2, LastStep::Repeat), [2, 2, 2]);
        assert_eq!(sizes(0, LastStep::Repeat), [0; 0]);
    }
}
