//! What a loader is asked for.

use serde::{Deserialize, Serialize};

use super::epoch::LastStep;
use crate::manifest::Dtype;
use crate::transform::Transforms;
use crate::variables::Variables;

/// When what is read is held against the checksums of what was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// Each row the first time that it is read.
    #[default]
    FirstRead,
    /// Never.
    Never,
    /// Each row whenever it is read.
    Always,
}

/// What becomes of rows that are damaged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDamage {
    /// The loader gives an error.
    #[default]
    Stop,
    /// They are left out of their batch, which says so; no other row moves. Every process does the same, for the damage is in the data.
    /// A disk that gives an error may give the data the next time: it always stops the loader.
    Skip,
}

/// The order of the rows of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowOrder {
    /// As they were drawn.
    #[default]
    Drawn,
    /// The longest first, as `pack_padded_sequence` of PyTorch wants them.
    LongestFirst,
    /// The shortest first.
    ShortestFirst,
}

/// Everything that a loader is asked for.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) splits: Vec<String>,
    pub(super) filter: Option<String>,
    pub(super) columns: Option<Vec<String>>,
    pub(super) seed: Option<u64>,
    pub(super) block: usize,
    pub(super) buckets: usize,
    pub(super) length_of: Option<String>,
    pub(super) max_frames: Option<u64>,
    pub(super) batch_size: Option<u32>,
    /// None is one for each process, or what a state that is resumed from had.
    pub(super) slots: Option<u32>,
    pub(super) last: LastStep,
    pub(super) rank: u32,
    pub(super) world: u32,
    pub(super) epochs: Option<u32>,
    pub(super) row_order: RowOrder,
    pub(super) threads: Option<usize>,
    pub(super) prefetch: usize,
    pub(super) verify: Verify,
    pub(super) on_damage: OnDamage,
    pub(super) dtype: Option<Dtype>,
    pub(super) pad_value: f32,
    pub(super) pad_to_multiple: usize,
    pub(super) transforms: Vec<(String, Vec<Transforms>)>,
    pub(super) variables: Variables,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            splits: Vec::new(),
            filter: None,
            columns: None,
            seed: None,
            block: 16,
            buckets: 1,
            length_of: None,
            max_frames: None,
            batch_size: None,
            slots: None,
            last: LastStep::default(),
            rank: 0,
            world: 1,
            epochs: Some(1),
            row_order: RowOrder::default(),
            threads: None,
            prefetch: 8,
            verify: Verify::default(),
            on_damage: OnDamage::default(),
            dtype: None,
            pad_value: 0.0,
            pad_to_multiple: 1,
            transforms: Vec::new(),
            variables: Variables::default(),
        }
    }
}
