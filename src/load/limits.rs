//! What a file may ask for: how long, how many channels, at which rates, how many bytes.
//!
//! Headers lie, so nothing is allocated by what they claim; what counts is what was decoded and read. Every limit ends one
//! utterance with a code of its own, and none of them ends a run.

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer};

use super::Load;
use super::error::LoadError;
use crate::audio::{Hertz, Seconds};

/// The limits of one `load:`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The longest utterance.
    pub duration: Seconds,
    /// The most channels of a file.
    pub channels: u16,
    /// The lowest sample rate.
    pub min_rate: Hertz,
    /// The highest sample rate.
    pub max_rate: Hertz,
    /// The most bytes that are read of a file for one utterance.
    pub bytes: u64,
}

const MIB: u64 = 1 << 20;

/// The longest time that `max_duration_s` can be set to: a year, which is no limit.
const YEAR_S: f64 = 366.0 * 86_400.0;

/// The most that `max_read_mib` can be set to: a tebibyte, which is no limit.
const TEBIBYTE_MIB: u64 = 1 << 20;

impl Load {
    /// The longest utterance by default: a day. Nothing that is trained on is as long; and the features of a day, 80 a
    /// frame, would be more than twice what a cell can hold. What is longer are bombs: FLAC packs a day of silence into
    /// half a megabyte.
    pub const MAX_DURATION_S: f64 = 86_400.0;
    /// Largest microphone arrays that recordings were found of have 64 channels (Eigenmike em64).
    pub(super) const MAX_CHANNELS: u16 = 64;
    /// Speech is understood from 3 kHz on; below 1 kHz a header lies.
    pub(super) const MIN_RATE_HZ: u32 = 1_000;
    /// The highest rate that recorders offer.
    pub(super) const MAX_RATE_HZ: u32 = 768_000;
    /// Four times what WAV can hold, so that it only ends readers that go in circles.
    pub(super) const MAX_READ_MIB: u64 = 16_384;

    /// The limits that are set.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            duration: Seconds::new(self.max_duration_s).unwrap_or(Seconds::ZERO),
            channels: self.max_channels.get(),
            min_rate: self.min_rate_hz,
            max_rate: self.max_rate_hz,
            bytes: self.max_read_mib.saturating_mul(MIB),
        }
    }
}

impl Limits {
    /// Checks the number of channels, as claimed or as decoded.
    pub(super) fn check_channels(&self, channels: usize) -> Result<(), LoadError> {
        let most = self.channels;
        if channels > usize::from(most) { Err(LoadError::TooManyChannels { channels, most }) } else { Ok(()) }
    }

    /// Checks what the first packet turned out to be.
    ///
    /// # Errors
    ///
    /// The rate or the number of channels is out of bounds.
    pub fn check_format(&self, rate: Hertz, channels: u16) -> Result<(), LoadError> {
        let (least, most) = (self.min_rate, self.max_rate);
        if !(least..=most).contains(&rate) {
            return Err(LoadError::RateOutOfRange { rate, least, most });
        }
        self.check_channels(usize::from(channels))
    }

    /// Checks the samples of an utterance so far.
    pub(super) fn check_length(&self, samples: u64, rate: Hertz) -> Result<(), LoadError> {
        let most = self.duration;
        if samples > most.samples(rate) { Err(LoadError::TooLong { most }) } else { Ok(()) }
    }
}

/// Reads `max_duration_s`.
pub(super) fn max_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    let valid = value > 0.0 && value <= YEAR_S;
    valid
        .then_some(value)
        .ok_or_else(|| D::Error::invalid_value(Unexpected::Float(value), &"a time above 0 and up to 31622400 seconds"))
}

/// Reads `max_read_mib`.
pub(super) fn max_read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = u64::deserialize(deserializer)?;
    let valid = (1..=TEBIBYTE_MIB).contains(&value);
    valid
        .then_some(value)
        .ok_or_else(|| D::Error::invalid_value(Unexpected::Unsigned(value), &"a size of 1 to 1048576 MiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hertz(rate: u32) -> Hertz {
        Hertz::new(rate).unwrap()
    }

    fn code(checked: Result<(), LoadError>) -> Option<&'static str> {
        checked.err().map(|error| error.code())
    }

    #[test]
    fn defaults_let_every_real_recording_pass() {
        let limits = Load::default().limits();
        for (rate, channels) in [(1_000, 1), (8_000, 2), (44_100, 2), (192_000, 64), (768_000, 1)] {
            assert_eq!(code(limits.check_format(hertz(rate), channels)), None, "{rate} Hz, {channels} channels");
        }
        for (rate, channels, expected) in [
            (999, 1, "rate_out_of_range"),
            (768_001, 1, "rate_out_of_range"),
            (u32::MAX, 1, "rate_out_of_range"),
            (16_000, 65, "too_many_channels"),
            (16_000, u16::MAX, "too_many_channels"),
        ] {
            assert_eq!(code(limits.check_format(hertz(rate), channels)), Some(expected), "{rate} Hz, {channels}");
        }
    }

    #[test]
    fn a_length_is_too_long_from_the_first_sample_beyond() {
        let limits = Load { max_duration_s: 0.5, ..Load::default() }.limits();
        assert_eq!(code(limits.check_length(4_000, hertz(8_000))), None);
        let error = limits.check_length(4_001, hertz(8_000)).unwrap_err();
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            ("too_long", "longer than 0.5 s, the most that `max_duration_s` allows: cut the recording into utterances")
        );
    }
}
