//! The records of all shards, joined.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use indexmap::map::Entry;

use super::{Moments, Reject, ShardEntry, ShardRecord, Statistics, Totals};

/// What the shards of a dataset come to, gathered record by record in their order.
#[derive(Debug, Clone, Default)]
pub struct Join {
    shards: Vec<ShardEntry>,
    utterances: u64,
    faults: u64,
    rejects: Vec<Reject>,
    warnings: BTreeMap<String, u64>,
    moments: IndexMap<String, Moments>,
}

impl Join {
    /// Adds the next shard.
    pub fn add(&mut self, record: ShardRecord) {
        for (column, part) in record.moments {
            match self.moments.entry(column) {
                Entry::Occupied(mut sum) => sum.get_mut().merge(&part),
                Entry::Vacant(free) => {
                    free.insert(part);
                }
            }
        }
        for warning in record.warnings {
            *self.warnings.entry(warning.code).or_default() += 1;
        }
        self.utterances += record.utterances;
        self.faults += record.faults;
        self.rejects.extend(record.rejects);
        self.shards.push(record.entry);
    }

    /// The shards as the manifest lists them.
    #[must_use]
    pub fn shards(&self) -> &[ShardEntry] {
        &self.shards
    }

    /// What was left out, in the order of the plan.
    #[must_use]
    pub fn rejects(&self) -> &[Reject] {
        &self.rejects
    }

    /// Utterances of which nothing became a row because something is wrong with them.
    #[must_use]
    pub const fn faults(&self) -> u64 {
        self.faults
    }

    /// Sums over the shards.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let (rejects, warnings) = (self.rejects.len() as u64, self.warnings.clone());
        let mut totals = Totals { rejects, warnings, ..Totals::default() };
        for shard in &self.shards {
            totals.rows += shard.rows;
            totals.bytes += shard.bytes();
            totals.hours += shard.audio_s / 3600.0;
        }
        for reject in &self.rejects {
            *totals.rejects_by_code.entry(reject.code.clone()).or_default() += 1;
        }
        totals.utterances = self.utterances;
        totals
    }

    /// Count, mean and variance of each bin, by feature column.
    #[must_use]
    pub fn statistics(&self) -> IndexMap<String, Statistics> {
        self.moments.iter().map(|(column, moments)| (column.clone(), Statistics::from(moments.clone()))).collect()
    }
}
