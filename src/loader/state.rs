//! Where a loader stands, in a few words: all that a checkpoint needs to go on with the very next batch.

use serde::{Deserialize, Serialize};

/// A place in the sequence of batches, the same on every process of a step.
///
/// It holds no data and no buffers: whoever resumes from it makes the plan of the epoch again, in less than a second for a million
/// rows, and goes to its place. Number of processes, threads and prefetched batches may be other ones than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// BLAKE3 of the manifests, and of all settings that decide which rows are in which batch.
    pub plan: String,
    /// Batches in a step. The number of processes must divide it.
    pub slots: u32,
    /// The seed of the order and of what is drawn for rows; none where rows come as they are stored.
    pub seed: Option<u64>,
    /// The epoch, from 0.
    pub epoch: u32,
    /// Batches of this epoch that all processes together have taken.
    pub batches: u64,
}
