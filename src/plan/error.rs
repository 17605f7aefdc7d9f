//! Why there is no plan.

use std::path::PathBuf;

use thiserror::Error;

use crate::corpus::{CorpusError, SelectError};
use crate::variables::VariableError;

/// Why a pipeline over a corpus makes no plan.
#[derive(Debug, Error)]
pub enum PlanError {
    /// The corpus cannot be read.
    #[error("the corpus cannot be read")]
    Corpus(#[from] CorpusError),
    /// The selection does not fit the corpus.
    #[error("`select` does not fit the corpus")]
    Select(#[from] SelectError),
    /// `select` holds a variable without a value.
    #[error("`select` cannot be filled in")]
    Variable(#[from] VariableError),
    /// With `channels: each`, two utterances would have one id.
    #[error("`load.channels: each` makes a second utterance `{id}`")]
    ChannelId {
        /// The id.
        id: String,
    },
    /// No utterance is left.
    #[error("no utterance is left: `select` takes none of the corpus's rows")]
    NothingSelected,
    /// A plan's file cannot be read or written.
    #[error("{} failed", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: super::file::PlanFileError,
    },
}
