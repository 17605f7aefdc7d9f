//! What every encoder promises.

use thiserror::Error;

use crate::audio::Hertz;
use crate::rejects::rejects;

/// An encoder at work on one utterance after the other, its buffers reused. What an utterance becomes depends on its samples
/// alone: not on the blocks that they come in, nor on what was encoded before.
pub trait EncodeSound {
    /// Forgets what has been pushed: the next block is the first of an utterance. After an error, too.
    fn begin(&mut self);

    /// Takes the next block: the samples of each channel, all of one length, full scale at ±1.
    ///
    /// # Errors
    ///
    /// The block has another shape than the encoder was made for, or holds a sample that is not finite; or there are more samples
    /// than a file can hold.
    fn push(&mut self, channels: &[&[f32]]) -> Result<(), EncodeError>;

    /// Ends the utterance and appends its file to `bytes`; those are of no use after an error.
    ///
    /// # Errors
    ///
    /// The codec refuses the sound.
    fn finish(&mut self, bytes: &mut Vec<u8>) -> Result<(), EncodeError>;
}

/// A setting that an encoder cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum EncodeSettingError {
    /// A setting of another codec.
    #[error("`{key}` does not go with `codec: {codec}`")]
    Stray {
        /// The setting's key.
        key: &'static str,
        /// The codec.
        codec: &'static str,
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
    /// Floats in FLAC.
    #[error("flac holds integers of 16 or 24 bits; only wav holds floats")]
    NoFloats,
    /// A sample rate that the codec does not have.
    #[error("{codec} has {rates}, not {rate}")]
    WrongRate {
        /// The codec.
        codec: &'static str,
        /// The sample rate.
        rate: Hertz,
        /// Which rates it has.
        rates: &'static str,
    },
}

impl EncodeSettingError {
    /// The key of the setting that is at fault.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Stray { key, .. } | Self::OutOfRange { key, .. } => key,
            Self::NoFloats => "bits",
            Self::WrongRate { .. } => "codec",
        }
    }
}

rejects! {
    /// Why sound cannot be encoded.
    #[derive(Debug, Clone, PartialEq, Eq, Error)]
    pub enum EncodeError {
        /// The codec does not have the sample rate of the sound.
        #[error("{codec} has {rates}, not {rate}")]
        unsupported_rate: UnsupportedRate {
            /// The codec.
            codec: &'static str,
            /// The sample rate.
            rate: Hertz,
            /// Which rates it has.
            rates: &'static str,
        },
        /// The codec does not have as many channels as the sound.
        #[error("{codec} has 1 to {most} channels, not {channels}")]
        unsupported_channels: UnsupportedChannels {
            /// The codec.
            codec: &'static str,
            /// Channels of the sound.
            channels: usize,
            /// The most that the codec has.
            most: usize,
        },
        /// A sample is infinite or not a number.
        #[error("sample {sample} of channel {channel} is infinite or not a number")]
        not_finite: NotFinite {
            /// The channel, from 0.
            channel: usize,
            /// The sample, from 0 at the start of the utterance.
            sample: u64,
        },
        /// A block whose channels are not those of the sound, or not of one length.
        #[error("a block has {channels} channels or channels of different lengths; {expected} channels of one length were expected")]
        uneven_block: UnevenBlock {
            /// Channels of the block.
            channels: usize,
            /// Channels of the sound.
            expected: usize,
        },
        /// The sound is longer than a file of the codec can be.
        #[error("the sound does not fit in one file: {codec} holds at most {most} {unit}")]
        file_too_large: FileTooLarge {
            /// The codec.
            codec: &'static str,
            /// The most that a file holds.
            most: u64,
            /// What is counted: samples or bytes.
            unit: &'static str,
        },
        /// The library of the codec refuses the sound.
        #[error("{codec} cannot encode the sound: {message}")]
        encoder_failed: Refused {
            /// The codec.
            codec: &'static str,
            /// What it said.
            message: String,
        },
    }
}

/// What has come so far of an utterance: blocks are checked against it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Intake {
    channels: usize,
    /// Samples taken, of each channel.
    samples: u64,
}

impl Intake {
    pub(super) const fn of_channels(channels: usize) -> Self {
        Self { channels, samples: 0 }
    }

    pub(super) const fn begin(&mut self) {
        self.samples = 0;
    }

    /// Samples taken so far, of each channel.
    pub(super) const fn samples(&self) -> u64 {
        self.samples
    }

    /// Counts a block, if it may be taken.
    pub(super) fn take(&mut self, block: &[&[f32]]) -> Result<(), EncodeError> {
        let len = block.first().map_or(0, |channel| channel.len());
        if block.len() != self.channels || block.iter().any(|channel| channel.len() != len) {
            return Err(EncodeError::UnevenBlock { channels: block.len(), expected: self.channels });
        }
        for (channel, samples) in block.iter().enumerate() {
            // The whole block first: without a way out the loop is one of vectors.
            if samples.iter().fold(false, |found, sample| found | !sample.is_finite()) {
                let at = samples.iter().position(|sample| !sample.is_finite()).unwrap_or(0);
                return Err(EncodeError::NotFinite { channel, sample: self.samples + at as u64 });
            }
        }
        self.samples += len as u64;
        Ok(())
    }
}
