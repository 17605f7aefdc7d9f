//! What keeps an utterance from becoming rows, before it knows its utterance.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::augment::AugmentError;
use crate::encode::EncodeError;
use crate::error::chain;
use crate::load::{LoadError, LoadWarning};
use crate::manifest::Reject;
use crate::plan::{Entry, Plan};
use crate::rejects::rejects;
use crate::resample::ResampleError;
use crate::transform::ExtractError;
use crate::write::FeatureColumn;

use super::keep_if::KeepError;

/// A fault before it knows its utterance.
pub(super) enum Failure {
    Corpus(CorpusFault),
    World { path: Option<PathBuf>, source: io::Error },
    Load(LoadError),
    Resample(ResampleError),
    Segment(SegmentError),
    Augment(AugmentError),
    Extract { column: String, error: ExtractError },
    Encode { column: String, error: EncodeError },
    Keep { error: KeepError, seconds: f64 },
    Panic { stage: &'static str, error: Panic },
}

/// The system is at fault, not an utterance: the run stops.
#[derive(Debug)]
pub(super) struct WorldFault {
    /// The file at which it showed.
    pub(super) path: PathBuf,
    /// What the system said.
    pub(super) source: io::Error,
}

impl Failure {
    /// The reject of an entry, or of one segment of it, and the seconds that were heard to the end all the same.
    pub(super) fn of(self, plan: &Plan, entry: Entry, segment: Option<usize>) -> Result<(Reject, f64), WorldFault> {
        let table = &plan.table;
        let seconds = if let Self::Keep { seconds, .. } = &self { *seconds } else { 0.0 };
        let (stage, code, message) = match self {
            Self::World { path, source } => {
                return Err(WorldFault {
                    path: path.unwrap_or_else(|| table.location(entry.utterance).to_string().into()),
                    source,
                });
            }
            Self::Corpus(error) => ("deduplicate".to_owned(), error.code(), chain(&error)),
            Self::Load(error) => ("load".to_owned(), error.code(), chain(&error)),
            Self::Resample(error) => ("resample".to_owned(), error.code(), chain(&error)),
            Self::Segment(error) => ("segment".to_owned(), error.code(), chain(&error)),
            Self::Augment(error) => ("augment".to_owned(), error.code(), chain(&error)),
            Self::Extract { column, error } => (format!("featurize.{column}"), error.code(), chain(&error)),
            Self::Encode { column, error } => (format!("featurize.{column}"), error.code(), chain(&error)),
            Self::Keep { error, .. } => ("keep_if".to_owned(), error.code(), chain(&error)),
            Self::Panic { stage, error } => (stage.to_owned(), error.code(), error.to_string()),
        };
        let reject = Reject {
            id: table.id(entry.utterance).to_owned(),
            copy: entry.copy,
            segment: segment.map(|segment| segment as u32),
            audio: table.audio(entry.utterance).to_owned(),
            stage,
            code: code.to_owned(),
            message,
        };
        Ok((reject, seconds))
    }

    /// Whether every variant of the utterance fails so: it is that of loading it, and not of what is done to it.
    pub(super) fn is_of_all_variants(&self) -> bool {
        matches!(self, Self::Corpus(_) | Self::Load(_) | Self::Resample(_) | Self::Keep { .. })
            || matches!(self, Self::Segment(SegmentError::Nothing | SegmentError::TooMany { .. }))
    }
}

impl From<SegmentError> for Failure {
    fn from(error: SegmentError) -> Self {
        Self::Segment(error)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let world = error.is_world();
        match error {
            LoadError::Unreadable { source } if world => Self::World { path: None, source },
            error => Self::Load(error),
        }
    }
}

impl From<AugmentError> for Failure {
    fn from(error: AugmentError) -> Self {
        let world = error.is_world();
        match error {
            AugmentError::NoRecording { audio, source: LoadError::Unreadable { source }, .. } if world => {
                Self::World { path: Some(PathBuf::from(audio)), source }
            }
            error => Self::Augment(error),
        }
    }
}

/// The failure of a column's extractor.
pub(super) fn in_column(column: &FeatureColumn) -> impl Fn(ExtractError) -> Failure {
    |error| Failure::Extract { column: column.name.clone(), error }
}

rejects! {
    /// Why an utterance is not loaded at all.
    #[derive(Debug, Error)]
    pub(super) enum CorpusFault {
        /// The recording is that of another utterance before it, byte by byte. Such rejects are wanted: `load.max_reject_fraction` and `load.on_error` do not count them.
        #[error("the same sound as `{original}`")]
        duplicate: Duplicate {
            /// The other utterance's id.
            original: String,
        },
    }
}

rejects! {
    /// Why an utterance has no segments.
    #[derive(Debug, Error)]
    pub(super) enum SegmentError {
        /// `segment` leaves nothing of the utterance. Such rejects are wanted: `load.max_reject_fraction` and `load.on_error` do not count them.
        #[error("no part of it is kept")]
        no_segment: Nothing,
        /// The segments of the recording are together more than what may be in memory at once: windows overlap too much.
        #[error("its segments take more than {most} bytes, the most that may be made of one recording: let them overlap less")]
        too_many_segments: TooMany {
            /// The most.
            most: usize,
        },
        /// The recording is longer than what may be in memory at once to be cut or augmented.
        #[error("the sound takes more than {most} bytes, the most that may be cut or augmented at once")]
        too_long_to_cut: TooLong {
            /// The most.
            most: usize,
        },
    }
}

rejects! {
    /// A bug that one utterance brought to light.
    #[derive(Debug, Error)]
    pub(super) enum Panic {
        /// A decoder or wavemill itself has a bug that this utterance brought to light.
        #[error("a bug, please report it: {text}")]
        panicked: Panicked {
            /// What the panic said.
            text: String,
        },
    }
}

/// Every reason for which an utterance can be left out: the stage, and its codes with what they mean.
#[must_use]
pub fn reject_codes() -> [(&'static str, &'static [(&'static str, &'static str)]); 9] {
    [
        ("deduplicate", CorpusFault::CODES),
        ("load", LoadError::CODES),
        ("resample", ResampleError::CODES),
        ("segment", SegmentError::CODES),
        ("augment", AugmentError::CODES),
        ("featurize.COLUMN", ExtractError::CODES),
        ("featurize.COLUMN (encode)", EncodeError::CODES),
        ("keep_if", KeepError::CODES),
        ("load, keep_if, segment, augment or featurize", Panic::CODES),
    ]
}

/// Everything that can be wrong with an utterance that becomes a row: its code with what it means.
#[must_use]
pub fn warning_codes() -> Vec<(&'static str, &'static str)> {
    let unusable = "An augmentation drew a recording that could not be used, and then another one. `audio` names it.";
    LoadWarning::CODES.iter().copied().chain([(UNUSABLE, unusable)]).collect()
}

/// The warning's code for a recording that an augmentation drew in vain.
pub(super) const UNUSABLE: &str = "recording_unusable";
