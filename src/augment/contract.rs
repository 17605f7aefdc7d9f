//! What every augmentation promises: settings that are valid once read, and work on one clip at a time whose draws are a
//! function of seed, place in the pipeline file, utterance and copy.

use thiserror::Error;

use super::Draw;
use super::bank::{Bank, Banks, Source};
use crate::audio::{Hertz, Waveform};
use crate::load::LoadError;
use crate::rejects::rejects;
use crate::transform::SettingError;

use std::sync::Arc;

use super::Augments;

/// The YAML side of an augmentation: settings, valid in themselves once read.
pub trait Augment {
    /// The share of clips that it is applied to.
    fn probability(&self) -> f64;

    /// Checks what depends on the sample rate; none where each file keeps its own.
    ///
    /// # Errors
    ///
    /// A setting that does not fit the rate, or another setting.
    fn check(&self, _rate: Option<Hertz>) -> Result<(), SettingError> {
        Ok(())
    }

    /// The augmentations in it, where it is a combinator.
    fn inner(&self) -> &[Augments] {
        &[]
    }

    /// The recordings that it draws from, where it does.
    fn source(&self) -> Option<Source<'_>> {
        None
    }

    /// The augmentation made ready for one worker.
    fn prepare(&self, setup: &Setup<'_>) -> Box<dyn Apply>;
}

/// An augmentation at work: one a worker, its buffers and plans reused from clip to clip.
pub trait Apply: Send {
    /// Changes a clip, which has a channel and a sample at least, full scale at ±1 (louder is allowed and kept). All its
    /// channels keep one length, which may be another than before; the sample rate stays. What the speaker or the room does is
    /// drawn once for all channels ([`Draw::number`]), what each channel has of its own by channel
    /// ([`Draw::of_channel`]).
    ///
    /// # Errors
    ///
    /// The clip cannot be changed so: the row is a reject.
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError>;
}

/// Where an augmentation stands and what it finds there, when it is made ready.
#[derive(Debug, Clone)]
pub struct Setup<'a> {
    path: String,
    banks: &'a Banks,
}

impl<'a> Setup<'a> {
    /// The augmentation at `path` of the pipeline file (`augment.chain.0`), whose recordings are in `banks`.
    #[must_use]
    pub fn new(path: impl Into<String>, banks: &'a Banks) -> Self {
        Self { path: path.into(), banks }
    }

    /// Its place in the pipeline file.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The recordings that it draws from.
    ///
    /// # Panics
    ///
    /// It has no [`source`](Augment::source).
    #[must_use]
    pub fn bank(&self) -> Arc<Bank> {
        self.banks.at(&self.path)
    }

    /// The augmentation number `index` in this one.
    #[must_use]
    pub fn inner(&self, index: usize) -> Self {
        Self { path: format!("{}.{index}", self.path), banks: self.banks }
    }
}

rejects! {
    /// Why a clip cannot be augmented.
    #[derive(Debug, Error)]
    pub enum AugmentError {
        /// There is less sound than the augmentation needs.
        #[error("{num_samples} samples are too few: {needed} are needed")]
        clip_too_short: TooShort {
            /// What there is.
            num_samples: usize,
            /// What is needed.
            needed: usize,
        },
        /// An augmentation leaves no sample of the clip.
        #[error("no sample is left")]
        nothing_left: NothingLeft,
        /// The clip is, or would become, longer than what may be in memory at once.
        #[error("the clip takes more than {most} bytes, the most that may be augmented at once: cut the recording into utterances")]
        clip_too_long: TooLong {
            /// The most.
            most: usize,
        },
        /// The clip holds a number that is infinite or not a number.
        #[error("the clip holds a value that is not finite")]
        clip_not_finite: NotFinite,
        /// A setting does not suit the file's own sample rate, and the pipeline resamples nothing.
        #[error("it does not suit this file's sample rate: {setting}")]
        augment_setting_does_not_fit: Setting {
            /// What does not fit.
            setting: SettingError,
        },
        /// There is no other utterance to mix with, or none by another speaker.
        #[error("there is no recording to draw for this utterance")]
        nothing_to_draw: NothingToDraw,
        /// Of the recordings that the augmentation draws from, none that it tried can be used.
        #[error("none of {tried} recordings could be used, the last of them `{audio}`")]
        no_recording: NoRecording {
            /// How many were tried.
            tried: usize,
            /// The last of them, as its corpus names it.
            audio: String,
            /// What is wrong with it.
            #[source]
            source: LoadError,
        },
        /// A codec refuses the clip.
        #[error("the codec `{codec}` refuses the clip: {reason}")]
        codec_failed: Codec {
            /// The codec.
            codec: &'static str,
            /// What it said.
            reason: String,
        },
    }
}

impl AugmentError {
    /// Whether the system is at fault and not the recording: the run stops.
    #[must_use]
    pub fn is_world(&self) -> bool {
        matches!(self, Self::NoRecording { source, .. } if source.is_world())
    }
}

impl From<SettingError> for AugmentError {
    fn from(setting: SettingError) -> Self {
        Self::Setting { setting }
    }
}
