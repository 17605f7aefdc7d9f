//! What everything that makes rows of numbers promises: its column is known before any sound is read, and it takes what
//! comes in blocks of any size.

use std::io;
use std::path::PathBuf;

use serde_json::Value;
use thiserror::Error;

use super::GlobalStatistics;
use crate::audio::{Hertz, Range, Seconds};
use crate::manifest::Dtype;
use crate::rejects::rejects;
use crate::seed::Draws;
use crate::spectrum::{FrameFeatures, Rows, RowsError};
use crate::variables::{VariableError, Variables};

/// What a column's cells look like.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Numbers a frame: cells are `[frames, bins]`; none where a cell is one-dimensional, `[frames]`.
    pub bins: Option<usize>,
    /// What the numbers measure: `ln(energy)`, `dB`, `amplitude`.
    pub unit: String,
    /// The type that the extractor insists on; none leaves it to the writer.
    pub dtype: Option<Dtype>,
    /// The time from one frame to the next, where the sample rate is known.
    pub frame_shift: Option<Seconds>,
}

impl Column {
    /// Cells `[frames, bins]` of numbers in `unit`, in the writer's type.
    #[must_use]
    pub fn of(bins: usize, unit: &str, frame_shift: Option<Seconds>) -> Self {
        Self { bins: Some(bins), unit: unit.to_owned(), dtype: None, frame_shift }
    }
}

/// The YAML side of a transform: settings, valid in themselves once read.
///
/// A transform turns frames into frames. Its `bins` are the numbers of a frame; of a one-dimensional column, one.
pub trait Transform {
    /// What the column holds after it, given what it held before.
    ///
    /// # Errors
    ///
    /// A setting that does not fit the column before.
    fn column(&self, before: &Column) -> Result<Column, SettingError>;

    /// How many frames become of `frames`.
    fn num_frames(&self, frames: u64) -> u64 {
        frames
    }

    /// The transform made ready for frames of the column `before`, whose `frame_shift` is known. `path` is its place in the
    /// pipeline file, under which it draws random numbers.
    ///
    /// # Errors
    ///
    /// A setting that does not fit the column before.
    fn prepare(&self, before: &Column, path: &str) -> Result<Box<dyn Extract>, SettingError>;

    /// What the loader is to know, if this is done when the dataset is loaded and the frames are stored without it: what it
    /// needs is known only once the whole dataset is made, or is kept out of the cells on purpose. None for most transforms.
    fn at_load(&self) -> Option<&dyn AtLoad> {
        None
    }
}

/// A transform that is done when the dataset is loaded.
pub trait AtLoad {
    /// The settings as the manifest hands them to the loader, with all that it needs beside the manifest's statistics.
    ///
    /// # Errors
    ///
    /// A file that the settings name cannot be used for the column `before`.
    fn settings(&self, before: &Column, variables: &Variables) -> Result<Value, AtLoadError>;

    /// The transform made ready for stored frames of the column `before`. `statistics` are those of its settings, or where these
    /// have none, the manifest's; see [`LoadChain`](super::LoadChain).
    ///
    /// # Errors
    ///
    /// Statistics that it needs are missing or of other features, or a setting does not fit.
    fn prepare(&self, before: &Column, statistics: Option<&GlobalStatistics>) -> Result<Box<dyn Extract>, AtLoadError>;
}

/// Why what a transform needs when the dataset is loaded is not there.
#[derive(Debug, Error)]
pub enum AtLoadError {
    /// The file's path holds a variable without a value.
    #[error("the path of the statistics cannot be filled in")]
    Variable(#[from] VariableError),
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not JSON with the statistics of a column.
    #[error("{} does not hold `mean` and `variance`, each a list of numbers", path.display())]
    NoStatistics {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// A variance is below zero.
    #[error("{} holds a variance below zero, of bin {bin}", path.display())]
    NegativeVariance {
        /// The file.
        path: PathBuf,
        /// The bin.
        bin: usize,
    },
    /// The statistics are of other features.
    #[error("{} holds statistics of {found} bins, and the column has {bins}", path.display())]
    OtherBins {
        /// The file.
        path: PathBuf,
        /// Bins in the file.
        found: usize,
        /// Bins of the column.
        bins: usize,
    },
    /// The row has no statistics of its own, and the manifest none of the column.
    #[error("the manifest holds no statistics of this column: name a file with `statistics`")]
    NoneInManifest,
    /// The manifest's statistics are of other numbers than those that the row would be applied to.
    #[error(
        "the manifest's statistics are of the frames as they are stored, and `{row}` changes them first: put this row before it, or \
         name a file with `statistics`"
    )]
    NotOfTheseFrames {
        /// The row before it that changes the numbers.
        row: &'static str,
    },
    /// Statistics in the manifest that are not.
    #[error("its `statistics` in the manifest do not hold `mean` and `variance`, each a list of numbers")]
    NotStatistics(#[source] serde_json::Error),
    /// Statistics in the manifest that are of other features.
    #[error("the statistics are of {found} bins, and the column has {bins}")]
    OtherBinsInManifest {
        /// Bins that the statistics are of.
        found: usize,
        /// Bins of the column.
        bins: usize,
    },
    /// Statistics in the manifest with a variance below zero.
    #[error("the statistics hold a variance below zero, of bin {0}")]
    NegativeVarianceInManifest(usize),
    /// A setting that does not fit the column.
    #[error("{0}")]
    Setting(SettingError),
}

/// An extractor or a transform at work: one a worker, its buffers reused from utterance to utterance.
///
/// An utterance is one `begin`, any number of `push`es and one `finish`; how what comes in is cut into blocks changes no bit.
/// An extractor takes samples, a transform whole frames `[frames, bins]` of the column before it. What they make is appended
/// to `out`, row-major `[frames, bins]`. `out` is one vector from the first `push` to `finish`, and nothing else is appended
/// meanwhile: whoever [needs all frames](Self::needs_all) finds them at the end of it.
pub trait Extract: Send {
    /// Starts an utterance and forgets the one before, finished or not.
    fn begin(&mut self, draws: Draws<'_>);

    /// Takes the next samples (mono, full scale at ±1) or frames, and appends the frames that they complete.
    fn push(&mut self, input: &[f32], out: &mut Vec<f32>);

    /// Whether `finish` changes or reads frames that were appended before. Otherwise frames may be taken from `out` between
    /// pushes, and a long recording need not be in memory.
    fn needs_all(&self) -> bool {
        false
    }

    /// Ends the utterance and appends its last frames.
    ///
    /// # Errors
    ///
    /// The utterance has no valid feature: it is a reject.
    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError>;
}

impl<F: FrameFeatures + Send> Extract for Rows<F> {
    fn begin(&mut self, _: Draws<'_>) {
        Self::begin(self);
    }

    fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        Self::push(self, samples, out);
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        Self::finish(self, out)?;
        Ok(())
    }
}

impl Extract for Box<dyn Extract> {
    fn begin(&mut self, draws: Draws<'_>) {
        self.as_mut().begin(draws);
    }

    fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        self.as_mut().push(input, out);
    }

    fn needs_all(&self) -> bool {
        self.as_ref().needs_all()
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        self.as_mut().finish(out)
    }
}

/// A setting that does not fit the sample rate or another setting.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SettingError {
    /// A frequency is above what the sample rate can carry.
    #[error("{value} Hz is above the Nyquist frequency of {rate}, {nyquist} Hz", nyquist = rate.nyquist())]
    AboveNyquist {
        /// The setting's key.
        key: &'static str,
        /// Its value, in hertz.
        value: f64,
        /// The sample rate.
        rate: Hertz,
    },
    /// The lower edge of a band is not below the upper one.
    #[error("the band from {low} Hz to {high} Hz is empty at {rate}")]
    EmptyBand {
        /// The setting's key.
        key: &'static str,
        /// The lower edge, in hertz.
        low: f64,
        /// The upper edge, in hertz.
        high: f64,
        /// The sample rate.
        rate: Hertz,
    },
    /// A filter lies between two bins of the FFT and would always be silent.
    #[error("{filters} of the {bins} mel filters lie between two FFT bins at {rate} and would hold no energy")]
    EmptyFilters {
        /// The setting's key.
        key: &'static str,
        /// How many are empty.
        filters: usize,
        /// How many there are.
        bins: usize,
        /// The sample rate.
        rate: Hertz,
    },
    /// A window is longer than the FFT that it goes into, or shorter than two samples.
    #[error("a window of {window} samples does not fit an FFT of {n_fft}")]
    Window {
        /// The setting's key.
        key: &'static str,
        /// The window, in samples.
        window: usize,
        /// The FFT, in samples.
        n_fft: usize,
    },
    /// A number is outside of what makes sense.
    #[error("{value} is not between {low} and {high}")]
    OutOfRange {
        /// The setting's key.
        key: &'static str,
        /// Its value, in the setting's unit.
        value: f64,
        /// The lowest value allowed.
        low: f64,
        /// The highest value allowed.
        high: f64,
    },
    /// A hop of no samples.
    #[error("the hop is shorter than one sample at {rate}")]
    NoHop {
        /// The setting's key.
        key: &'static str,
        /// The sample rate.
        rate: Hertz,
    },
    /// The number of bins depends on the sample rate, which is not known.
    #[error(
        "the number of bins depends on the sample rate, and each file keeps its own: the pipeline needs `resample`"
    )]
    NeedsRate {
        /// The setting's key that makes it so.
        key: &'static str,
    },
    /// A recipe that is defined for other sample rates.
    #[error("this is defined for sound at {needed}, not at {rate}")]
    WrongRate {
        /// The setting's key that makes it so; empty where no setting helps.
        key: &'static str,
        /// The sample rate that it is defined for.
        needed: Hertz,
        /// The sample rate.
        rate: Hertz,
    },
    /// A transform after one that is done when the dataset is loaded.
    #[error("the transform before it is done when the dataset is loaded, and must be the last of its column")]
    AfterLoad,
    /// A setting that does not fit another setting or the column before.
    #[error("{reason}")]
    DoesNotFit {
        /// The setting's key.
        key: &'static str,
        /// Why not: a lowercase fragment.
        reason: &'static str,
    },
}

impl SettingError {
    /// `value`, if it lies between `low` and `high`.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn unless_within(key: &'static str, value: f64, low: f64, high: f64) -> Result<f64, Self> {
        if (low..=high).contains(&value) { Ok(value) } else { Err(Self::OutOfRange { key, value, low, high }) }
    }

    /// Checks that every value of a range lies between `low` and `high`.
    ///
    /// # Errors
    ///
    /// One does not.
    pub fn unless_all_within(key: &'static str, range: &Range, low: f64, high: f64) -> Result<(), Self> {
        if range.check().is_err() {
            return Err(Self::DoesNotFit {
                key,
                reason: "a range runs upwards between finite numbers, and a choice has one value at least",
            });
        }
        range.values().iter().try_for_each(|value| Self::unless_within(key, *value, low, high).map(|_| ()))
    }

    /// The key in brackets, where there is one.
    fn told_key(&self) -> String {
        if self.key().is_empty() { String::new() } else { format!(" (`{}`)", self.key()) }
    }

    /// The key in the extractor's row that must change; empty where no setting helps.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::AboveNyquist { key, .. }
            | Self::EmptyBand { key, .. }
            | Self::EmptyFilters { key, .. }
            | Self::Window { key, .. }
            | Self::OutOfRange { key, .. }
            | Self::NoHop { key, .. }
            | Self::NeedsRate { key }
            | Self::WrongRate { key, .. }
            | Self::DoesNotFit { key, .. } => key,
            Self::AfterLoad => "",
        }
    }
}

rejects! {
    /// Why an utterance gives no valid feature.
    #[derive(Debug, Clone, PartialEq, Error)]
    pub enum ExtractError {
        /// There is less sound than one frame needs.
        #[error("{num_samples} samples are too few: one frame needs {needed}")]
        too_short: TooShort {
            /// What there is.
            num_samples: u64,
            /// What the first frame needs.
            needed: u64,
        },
        /// There are fewer frames than a transform needs.
        #[error("{frames} frames are too few: {needed} are needed")]
        too_few_frames: TooFewFrames {
            /// What there is.
            frames: u64,
            /// What is needed.
            needed: u64,
        },
        /// The sound or a feature of it is infinite or not a number.
        #[error("frame {frame} holds a value that is not finite")]
        not_finite: NotFinite {
            /// The first such frame.
            frame: u64,
        },
        /// The file's own sample rate does not suit the extractor, and the pipeline resamples nothing.
        #[error("the column does not suit this file's sample rate: {setting}{}", setting.told_key())]
        setting_does_not_fit: Setting {
            /// What does not fit.
            setting: SettingError,
        },
        /// The features of one utterance are more than a cell can hold.
        #[error("the features take more than {most} bytes, the most that a cell can hold: cut the recording into utterances")]
        too_long: TooLong {
            /// The most that a cell can hold.
            most: usize,
        },
        /// A number is too large for the type that the column is stored in.
        #[error("frame {frame} holds {value}, which is too large for {}: choose another `dtype`", dtype.name())]
        out_of_range: OutOfRange {
            /// The first such frame.
            frame: u64,
            /// The number.
            value: f32,
            /// The type.
            dtype: Dtype,
        },
        /// The module of `torchscript` raised an exception for this utterance, or gave it another shape than others.
        #[error("the module failed: {message}")]
        module_failed: Module {
            /// What it said, in one line.
            message: String,
        },
    }
}

impl From<RowsError> for ExtractError {
    fn from(error: RowsError) -> Self {
        match error {
            RowsError::TooShort(short) => Self::TooShort { num_samples: short.num_samples, needed: short.needed },
            RowsError::NotFinite { frame } => Self::NotFinite { frame },
        }
    }
}
