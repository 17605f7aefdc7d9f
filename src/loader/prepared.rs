//! A loader made ready: the rows that there are, and the plan of any epoch.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::buckets::Buckets;
use super::columns::Columns;
use super::epoch::{BatchLimit, Cut, Entry, EpochPlan};
use super::error::LoaderError;
use super::order::{Order, rows_in_order};
use super::scan::{counts, rows_that_hold};
use super::settings::Settings;
use super::source::Source;
use crate::transform::LoadChain;

/// The way in which epochs are planned. Another way gets another number, so that no state is resumed from under it.
const PLAN_VERSION: u32 = 1;

/// A dataset of a mix, and its share of an epoch's rows.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) source: Source,
    /// Tells it from the others of the mix.
    name: String,
    /// The rows of each of its shards, counted through all datasets.
    shards: Vec<Range<u32>>,
    /// Rows of it that there are, those that the filter leaves out not counted.
    rows: u64,
    /// Rows of it in an epoch.
    in_epoch: u64,
    /// What is done to the frames that are the length of a row.
    chain: Option<LoadChain>,
}

/// What is known before the first epoch.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) parts: Vec<Part>,
    /// The column whose frames are the lengths, where it is loaded.
    pub(super) frames_of: Option<String>,
    /// Frames of each row, as they are once they are loaded.
    lengths: Vec<u32>,
    /// Which rows there are; nothing where all are.
    kept: Option<Vec<bool>>,
    buckets: Buckets,
    limit: BatchLimit,
    /// Batches in a step.
    pub(super) slots: u32,
    settings: Settings,
    /// Of all that decides which rows are in which batch.
    pub(super) hash: String,
    /// The epochs planned last.
    plans: Mutex<Vec<(u32, Arc<EpochPlan>)>>,
}

impl Prepared {
    pub(super) fn new(
        sources: &[(Source, f64)],
        settings: &Settings,
        columns: &Columns,
        slots: u32,
    ) -> Result<Self, LoaderError> {
        let length_of = settings.length_of.as_ref().or(columns.features.as_ref());
        let length_of = length_of.map_or("num_samples", String::as_str);
        let counted = columns.padded.iter().find(|column| column.name == *length_of);
        let mut parts: Vec<Part> = Vec::new();
        let mut lengths = Vec::new();
        let mut kept = settings.filter.is_some().then(Vec::new);
        for (number, (source, _)) in sources.iter().enumerate() {
            let mut source = source.clone();
            source.keep_splits(&settings.splits)?;
            let shards = source.rows(lengths.len() as u32)?;
            let chain = counted.and_then(|column| column.stored[number].1.clone());
            let mut part = Part { source, name: format!("dataset {number}"), shards, rows: 0, in_epoch: 0, chain };
            let is_frames = part.source.schema.features.iter().any(|column| column.name == *length_of);
            if is_frames {
                let stored = part.source.frames(length_of)?;
                lengths.extend(stored.into_iter().map(|frames| part.loaded_frames(frames.into())));
            } else {
                lengths.extend(counts(&part.source, length_of, settings)?);
            }
            let (first, last) = (part.shards.first(), part.shards.last());
            part.rows = last.zip(first).map_or(0, |(last, first)| u64::from(last.end - first.start));
            if let (Some(kept), Some(sql)) = (&mut kept, &settings.filter) {
                let answers = rows_that_hold(&part.source, sql, settings)?;
                part.rows = answers.iter().filter(|answer| **answer).count() as u64;
                kept.extend(answers);
            }
            part.in_epoch = part.rows;
            parts.push(part);
        }
        share_rows(&mut parts, sources)?;
        let is_kept = |row: usize| kept.as_ref().is_none_or(|kept| kept[row]);
        let of_kept = (0..lengths.len()).filter(|row| is_kept(*row)).map(|row| lengths[row]);
        let buckets = Buckets::of(of_kept.collect(), settings.buckets);
        let limit = BatchLimit {
            rows: settings.batch_size.unwrap_or(if settings.max_frames.is_some() { u32::MAX } else { 32 }),
            frames: settings.max_frames.unwrap_or(u64::MAX),
            multiple_of: settings.pad_to_multiple as u64,
        };
        let hash = plan_hash(sources, settings, slots, &lengths, kept.as_deref());
        let frames_of = counted.map(|column| column.name.clone());
        let settings = settings.clone();
        Ok(Self { parts, frames_of, lengths, kept, buckets, limit, slots, settings, hash, plans: Mutex::default() })
    }

    /// The batches of an epoch.
    pub(super) fn epoch(&self, epoch: u32) -> Arc<EpochPlan> {
        /// Threads may be in the midst of one epoch while others begin the next.
        const KEPT: usize = 2;
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, plan)) = plans.iter().find(|(number, _)| *number == epoch) {
            return Arc::clone(plan);
        }
        let plan = Arc::new(self.plan(epoch));
        if plans.len() == KEPT {
            plans.remove(0);
        }
        plans.push((epoch, Arc::clone(&plan)));
        plan
    }

    fn plan(&self, epoch: u32) -> EpochPlan {
        let Settings { seed, block, last, .. } = self.settings;
        let order = seed.map_or(Order::Stored, |seed| Order::Shuffled { seed, block });
        let kept = |row: u32| self.kept.as_ref().is_none_or(|kept| kept[row as usize]);
        let streams: Vec<Vec<Entry>> = self.parts.iter().map(|part| part.entries(epoch, order, kept)).collect();
        let cut = Cut {
            buckets: &self.buckets,
            limit: self.limit,
            slots: self.slots,
            last,
            shuffled: seed.map(|seed| (seed, epoch)),
        };
        EpochPlan::of(interleaved(&streams), |row| self.lengths[row as usize], &cut)
    }

    /// Rows in all datasets, those among them that no epoch has.
    pub(super) fn num_rows(&self) -> usize {
        self.lengths.len()
    }

    /// Frames of a row.
    pub(super) fn length(&self, row: u32) -> u32 {
        self.lengths[row as usize]
    }

    /// The dataset of a row, the place of its shard in it, and the row in the shard.
    pub(super) fn place(&self, row: u32) -> (usize, usize, usize) {
        let first = |part: &Part| part.shards.first().map_or(u32::MAX, |shard| shard.start);
        let part = self.parts.partition_point(|part| first(part) <= row || part.shards.is_empty()).saturating_sub(1);
        let part = (0..=part).rev().find(|part| !self.parts[*part].shards.is_empty()).unwrap_or(0);
        let shards = &self.parts[part].shards;
        let shard = shards.partition_point(|shard| shard.end <= row);
        (part, shard, (row - shards[shard].start) as usize)
    }
}

impl Part {
    /// How many frames become of those that are stored, when they are loaded.
    pub(super) fn loaded_frames(&self, frames: u64) -> u32 {
        let frames = self.chain.as_ref().map_or(frames, |chain| chain.num_frames(frames));
        u32::try_from(frames).unwrap_or(u32::MAX)
    }

    /// Its rows of an epoch: the next ones of the endless line of its passes.
    fn entries(&self, epoch: u32, order: Order, kept: impl Fn(u32) -> bool) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(self.in_epoch as usize);
        if self.rows == 0 {
            return entries;
        }
        let mut at = u64::from(epoch) * self.in_epoch;
        let end = at + self.in_epoch;
        while at < end {
            let pass = (at / self.rows) as u32;
            let start = at % self.rows;
            let rows = rows_in_order(order, &self.name, pass, &self.shards, &kept);
            let taken = rows[start as usize..].iter().take((end - at) as usize);
            entries.extend(taken.map(|row| Entry { row: *row, pass }));
            at += (self.rows - start).min(end - at);
        }
        entries
    }
}

/// How many rows of each dataset are in an epoch: as many in all as there are, by the weights.
fn share_rows(parts: &mut [Part], sources: &[(Source, f64)]) -> Result<(), LoaderError> {
    if parts.len() < 2 {
        return Ok(());
    }
    let total: u64 = parts.iter().map(|part| part.rows).sum();
    let weights: f64 = sources.iter().map(|(_, weight)| weight).sum();
    let mut before = 0.0;
    let mut given = 0;
    for (part, (source, weight)) in parts.iter_mut().zip(sources) {
        if part.rows == 0 && *weight > 0.0 {
            let folder = source.folder.path().display();
            return Err(LoaderError::setting("mix", format!("no row of {folder} is left")));
        }
        before += weight;
        // Sums are rounded, so that the parts make the whole.
        let until = (before / weights * total as f64).round() as u64;
        part.in_epoch = until - given;
        given = until;
        if part.in_epoch == 0 {
            let folder = source.folder.path().display();
            let reason = format!("a weight of {weight} gives {folder} no row of the {total} of an epoch");
            return Err(LoaderError::setting("mix", reason));
        }
    }
    Ok(())
}

/// The streams as one, each spread evenly over it.
fn interleaved(streams: &[Vec<Entry>]) -> impl Iterator<Item = Entry> {
    let total: usize = streams.iter().map(Vec::len).sum();
    let mut taken = vec![0_usize; streams.len()];
    (0..total).map(move |place| {
        // The stream that is furthest behind its share.
        let behind = |stream: &usize| (streams[*stream].len() * (place + 1)) as i128 - (taken[*stream] * total) as i128;
        let left = (0..streams.len()).filter(|stream| taken[*stream] < streams[*stream].len());
        let next = left.max_by_key(|stream| (behind(stream), std::cmp::Reverse(*stream))).unwrap_or(0);
        taken[next] += 1;
        streams[next][taken[next] - 1]
    })
}

/// The column that a loader takes for the features: `features`, or else the only matrix, or else the first that is asked for.
pub(super) fn features_column<'s>(source: &'s Source, columns: Option<&[String]>) -> Option<&'s str> {
    let features = &source.schema.features;
    let asked = |name: &String| columns.is_none_or(|columns| columns.contains(name));
    let matrix = source.schema.matrix().map(|place| &features[place]).filter(|column| asked(&column.name));
    let column = matrix.or_else(|| features.iter().find(|column| asked(&column.name)));
    column.map(|column| column.name.as_str())
}

/// A hash of all that decides which rows are in which batch.
fn plan_hash(
    sources: &[(Source, f64)],
    settings: &Settings,
    slots: u32,
    lengths: &[u32],
    kept: Option<&[bool]>,
) -> String {
    let Settings { splits, filter, seed, block, buckets, max_frames, batch_size, pad_to_multiple, last, .. } = settings;
    let datasets: Vec<_> = sources.iter().map(|(source, weight)| (&source.hash, weight)).collect();
    let words = serde_json::json!({
        "version": PLAN_VERSION, "datasets": datasets, "splits": splits, "filter": filter, "seed": seed, "block": block,
        "buckets": buckets, "max_frames": max_frames, "batch_size": batch_size, "pad_to_multiple": pad_to_multiple,
        "slots": slots, "last": last,
    });
    let mut hasher = blake3::Hasher::new();
    hasher.update(words.to_string().as_bytes());
    for length in lengths {
        hasher.update(&length.to_le_bytes());
    }
    for kept in kept.into_iter().flatten() {
        hasher.update(&[u8::from(*kept)]);
    }
    hasher.finalize().to_hex().to_string()
}
