//! What is known of one finished shard.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{Moments, RowChecksums, ShardEntry};

/// `shards/part-00000.json`: written after the shard's data, and what makes the shard count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardRecord {
    /// The plan that the shard belongs to.
    pub plan_hash: String,
    /// The shard's number, from 0.
    pub shard: usize,
    /// The data files, and what they come to.
    #[serde(flatten)]
    pub entry: ShardEntry,
    /// Frames of each row, by feature column.
    pub frames: IndexMap<String, Vec<u32>>,
    /// Checksums of each row; records of wavemill's first versions have none.
    #[serde(default, skip_serializing_if = "RowChecksums::is_empty")]
    pub checksums: RowChecksums,
    /// Moments of each bin, by feature column.
    pub moments: IndexMap<String, Moments>,
    /// Utterances of the plan that the shard stands for, copies counted: each a row or a reject, or several where it is cut.
    pub utterances: u64,
    /// Those of them of which nothing became a row because something is wrong with them: `load.max_reject_fraction` counts
    /// these.
    pub faults: u64,
    /// Utterances of the shard, or segments of them, that became no row, in the order of the plan.
    pub rejects: Vec<Reject>,
    /// What was found wrong with utterances that became rows all the same, in the order of the plan.
    #[serde(default)]
    pub warnings: Vec<Warning>,
}

/// Something that is wrong with a recording, and did not keep it from becoming a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The utterance's id.
    pub id: String,
    /// 0 for the original, 1 and up for augmented copies.
    pub copy: u32,
    /// Its file, as the corpus names it.
    pub audio: String,
    /// What is wrong, as a word that stays the same between versions.
    pub code: String,
    /// What is wrong, for people.
    pub message: String,
}

/// One utterance that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The utterance's id.
    pub id: String,
    /// 0 for the original, 1 and up for augmented copies.
    pub copy: u32,
    /// The segment of the utterance that is left out, from 0; none is the whole of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<u32>,
    /// Its file, as the corpus names it.
    pub audio: String,
    /// The stage at which it failed: a key of the pipeline file.
    pub stage: String,
    /// The reason, as a word that stays the same between versions.
    pub code: String,
    /// The reason, for people.
    pub message: String,
}

impl Reject {
    /// The code of utterances that are sound and not wanted: `keep_if` is not true of them.
    pub const NOT_KEPT: &str = "not_kept";
    /// The code of utterances of which `segment` leaves nothing, and that are not wanted either.
    pub const NO_SEGMENT: &str = "no_segment";

    /// The code of utterances whose sound is that of another one before them, where such are not wanted.
    pub const DUPLICATE: &str = "duplicate";

    /// Whether something is wrong with the utterance, or the segment of it.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        ![Self::NOT_KEPT, Self::NO_SEGMENT, Self::DUPLICATE].contains(&self.code.as_str())
    }
}
