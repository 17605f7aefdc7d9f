//! Why a run ended before its dataset was whole.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::manifest::{ManifestError, Reject};
use crate::plan::{Difference, PlanFileError};
use crate::write::WriteError;

/// Why a run ended early. Whatever was committed stays.
#[derive(Debug, Error)]
pub enum RunError {
    /// Another run works in the folder.
    #[error("{holder} works in this folder: {} is locked", path.display())]
    Locked {
        /// The lock's file.
        path: PathBuf,
        /// Who holds it, as it wrote.
        holder: String,
    },
    /// The folder holds a dataset of another plan.
    #[error("{} holds a dataset of another plan", folder.display())]
    OtherPlan {
        /// The folder.
        folder: PathBuf,
        /// What differs.
        differences: Vec<Difference>,
    },
    /// There is no plan to follow in the folder.
    #[error("{} holds no plan of a dataset", folder.display())]
    NoDataset {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder for one row holds a dataset.
    #[error("{} holds a dataset, or a part of one: write the row into another folder", folder.display())]
    HoldsDataset {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder is the corpus of the run.
    #[error("{} is the dataset that is read: write into another folder", folder.display())]
    IsCorpus {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder holds data without the plan that it was made by.
    #[error("{} holds data without a plan", folder.display())]
    NoPlan {
        /// The folder.
        folder: PathBuf,
    },
    /// The plan's file cannot be used.
    #[error("{} cannot be used", path.display())]
    PlanFile {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: PlanFileError,
    },
    /// More utterances were left out than the pipeline allows.
    #[error(
        "{rejects} of {entries} utterances cannot be used, more than the {max_reject_fraction} that `load.max_reject_fraction` allows"
    )]
    TooManyRejects {
        /// Rejects so far.
        rejects: usize,
        /// Utterances in all.
        entries: usize,
        /// The fraction allowed.
        max_reject_fraction: f64,
        /// The last of them.
        last: Box<Reject>,
    },
    /// An utterance was wrong, and the pipeline says `on_error: stop`.
    #[error("{}: {}: {}", reject.audio, reject.stage, reject.message)]
    Stopped {
        /// What was wrong.
        reject: Box<Reject>,
    },
    /// There is no such row in the plan.
    #[error("the plan has no row `{key}`")]
    NoRow {
        /// The key.
        key: String,
    },
    /// The run was asked to stop.
    #[error("interrupted with {left} of {shards} shards to go")]
    Interrupted {
        /// Shards that are not made.
        left: usize,
        /// Shards that the run is to make.
        shards: usize,
    },
    /// Shards of the plan are missing.
    #[error("{} of {shards} shards are missing in {}", missing.len(), folder.display())]
    Incomplete {
        /// The folder.
        folder: PathBuf,
        /// The missing shards.
        missing: Vec<usize>,
        /// Shards in all.
        shards: usize,
    },
    /// A recording could not be read for reasons that are not its own.
    #[error("{} cannot be read now", path.display())]
    Input {
        /// The recording.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file of the dataset failed.
    #[error("{} failed", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A shard could not be written.
    #[error("{} cannot be written", path.display())]
    Shard {
        /// The shard's file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: WriteError,
    },
    /// The system gives no threads.
    #[error("the threads cannot be started")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// A record of the dataset cannot be used.
    #[error(transparent)]
    Record(#[from] ManifestError),
}

impl RunError {
    pub(super) fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }

    pub(super) fn shard(path: &Path, source: WriteError) -> Self {
        Self::Shard { path: path.to_owned(), source }
    }
}
