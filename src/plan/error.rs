//! Why there is no plan.

use std::path::PathBuf;

use thiserror::Error;

use crate::augment::OpenError;
use crate::corpus::{CorpusError, SelectError};
use crate::featurize::ModuleError;
use crate::load::LoadError;
use crate::transform::AtLoadError;
use crate::variables::VariableError;
use crate::write::FormatError;

/// Why a pipeline over a corpus makes no plan.
#[derive(Debug, Error)]
pub enum PlanError {
    /// The corpus cannot be read.
    #[error("the corpus cannot be read")]
    Corpus(#[from] CorpusError),
    /// The selection does not fit the corpus.
    #[error("`select` does not fit the corpus")]
    Select(#[from] SelectError),
    /// `select` reads what is only known of decoded sound.
    #[error(
        "`select` reads `{column}`, which is measured in the sound: write that part of the condition under `keep_if`"
    )]
    SelectMeasure {
        /// The column.
        column: String,
    },
    /// `select` holds a variable without a value.
    #[error("`select` cannot be filled in")]
    Variable(#[from] VariableError),
    /// The condition of `keep_if` does not fit the corpus.
    #[error("`keep_if` does not fit the corpus")]
    KeepIf(#[source] SelectError),
    /// `keep_if` holds a variable without a value.
    #[error("`keep_if` cannot be filled in")]
    KeepIfVariable(#[source] VariableError),
    /// What a transform needs when the dataset is loaded is not there.
    #[error("`featurize.{column}` cannot be prepared for loading")]
    AtLoad {
        /// The column.
        column: String,
        /// What is missing.
        #[source]
        source: AtLoadError,
    },
    /// The module of a column cannot be used.
    #[error("`featurize.{column}` cannot be made: {help}", help = source.help())]
    Module {
        /// The column.
        column: String,
        /// Why not.
        #[source]
        source: ModuleError,
    },
    /// A column that `keep_if` reads is both in the corpus and measured.
    #[error("`keep_if` reads `{column}`, which is measured, and which the corpus has a column of too: rename that one")]
    MeasureInCorpus {
        /// The column.
        column: String,
    },
    /// With `channels: each`, two utterances would have one id.
    #[error("`load.channels: each` makes a second utterance `{id}`")]
    ChannelId {
        /// The id.
        id: String,
    },
    /// Without `featurize`, there is nothing to write but the rows of another dataset.
    #[error(
        "without `featurize` the rows of another dataset go on as they are, and the corpus is no dataset, or not all of it"
    )]
    NothingToCarry,
    /// A dataset holds no sound, and features are to be made of it.
    #[error(
        "`{audio}`: the dataset has no column of encoded sound to make features of, or several: name one with `audio:`, make one with `encode`, or leave `featurize` out"
    )]
    NoSound {
        /// A row, as the corpus names it.
        audio: String,
    },
    /// The format cannot hold the columns.
    #[error("`write` does not fit the columns")]
    Format(#[from] FormatError),
    /// The column that `write.split` goes by is not in the corpus.
    #[error("`write.split` goes by `{column}`, and the corpus has no such column{}", nearest.as_ref().map(|word| format!(" (did you mean `{word}`?)")).unwrap_or_default())]
    SplitColumn {
        /// The column as the pipeline file names it.
        column: String,
        /// The column that was probably meant.
        nearest: Option<String>,
    },
    /// An utterance has no value by which it could go to a part.
    #[error(
        "`write.split` goes by `{column}`, and `{id}` has none: leave such utterances out with `select`, or split by `id`"
    )]
    SplitNull {
        /// The column.
        column: String,
        /// The utterance.
        id: String,
    },
    /// No utterance is left.
    #[error("no utterance is left: `exclude` and `select` leave none of the corpus's rows")]
    NothingSelected,
    /// A recording's header could not be read for reasons that are not its own: the plan would depend on them.
    #[error("{} cannot be read now", path.display())]
    Unreadable {
        /// The recording.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: LoadError,
    },
    /// A column of the corpus and one of what is found in the sound have one name.
    #[error(
        "the corpus has a column `{column}`, and so have the rows of their own: rename that of the corpus, or set {setting}"
    )]
    SoundColumnTwice {
        /// The name.
        column: String,
        /// The setting that leaves the column out.
        setting: &'static str,
    },
    /// What an augmentation draws from is not there.
    #[error("`augment` cannot be prepared")]
    Augment(#[from] OpenError),
    /// An id looks like the key of another utterance's copy.
    #[error(
        "the copies of `{key}` would have the keys of other utterances, whose ids end in `~` and a number: rename those"
    )]
    KeyTwice {
        /// The id.
        key: String,
    },
    /// More rows than can be planned.
    #[error("{utterances} utterances in {variants} variants each are more than {most} rows")]
    TooManyEntries {
        /// Utterances.
        utterances: usize,
        /// Rows of each.
        variants: usize,
        /// The most rows.
        most: usize,
    },
    /// A column of the corpus and one of the features have one name.
    #[error(
        "the corpus has a column `{column}`, and so have the features: give the column under `featurize` another name"
    )]
    ColumnTwice {
        /// The name.
        column: String,
    },
}
