//! Why a file gives no sound.

use std::io;

use symphonia::core::errors::Error as SymphoniaError;
use thiserror::Error;

use crate::audio::{Hertz, Seconds};
use crate::rejects::rejects;

rejects! {
    /// Why a file gives no sound. Messages name neither file nor stage: the layer that knows them adds them.
    #[derive(Debug, Error)]
    pub enum LoadError {
        /// There is no such file.
        #[error("there is no such file")]
        not_found: NotFound,
        /// The path leads to a directory, a pipe or a device.
        #[error("not a regular file")]
        not_a_file: NotAFile,
        /// The operating system could not open or read the file.
        #[error("cannot be read")]
        unreadable: Unreadable {
            /// What the operating system said.
            #[source]
            source: io::Error,
        },
        /// The bytes named by `#offset=…&length=…` are not, or not all, in the file.
        #[error("the bytes from {offset} on, {length} of them, are not in a file of {file} bytes")]
        not_in_file: NotInFile {
            /// The first byte.
            offset: u64,
            /// How many.
            length: u64,
            /// The bytes of the file.
            file: u64,
        },
        /// The page of a Parquet file that holds the sound is damaged, or of a form that is not read.
        #[error("{reason}")]
        damaged_page: DamagedPage {
            /// What is wrong with it.
            reason: String,
        },
        /// The row of the corpus holds no sound: its value is null.
        #[error("the value is null: there is no sound")]
        no_sound: NoSound,
        /// The command that should write the sound could not be run, or ended with an error.
        #[error("the command failed: {reason}")]
        command_failed: CommandFailed {
            /// Its status, and what it complained of.
            reason: String,
        },
        /// The file holds no byte.
        #[error("the file is empty")]
        empty_file: EmptyFile,
        /// The content is no audio format that is known.
        #[error("the content is no audio format that is known")]
        unknown_format: UnknownFormat,
        /// The format is known, but this form of it cannot be read.
        #[error("unsupported: {feature}")]
        unsupported_format: UnsupportedFormat {
            /// What is not supported.
            feature: &'static str,
        },
        /// There is no decoder for the codec, or the decoder lacks this form of it.
        #[error("there is no decoder: {feature}")]
        unsupported_codec: UnsupportedCodec {
            /// What the codec registry or the decoder lacks.
            feature: &'static str,
        },
        /// The file holds video, pictures or text, but no sound.
        #[error("the file has no audio track")]
        no_audio_track: NoAudioTrack,
        /// The data breaks the rules of its format.
        #[error("the data is corrupt at {:.3} s", at.get())]
        corrupt: Corrupt {
            /// Where the part that cannot be decoded would have been heard.
            at: Seconds,
            /// What the demuxer or decoder said.
            #[source]
            source: SymphoniaError,
        },
        /// The file ends before the length that its header claims.
        #[error("truncated: the header claims {:.3} s, the file holds {:.3} s", claimed.get(), decoded.get())]
        truncated: Truncated {
            /// The length that the header claims.
            claimed: Seconds,
            /// The length that was decoded.
            decoded: Seconds,
        },
        /// The file goes on beyond the length that its header claims.
        #[error("longer than claimed: the header claims {:.3} s, the file holds {:.3} s", claimed.get(), decoded.get())]
        longer_than_claimed: LongerThanClaimed {
            /// The length that the header claims.
            claimed: Seconds,
            /// The length that was decoded.
            decoded: Seconds,
        },
        /// The sample rate or the number of channels changes within the file.
        #[error("the format changes at {:.3} s to {channels} channels at {rate}", at.get())]
        format_changes: FormatChanges {
            /// Where the new format begins.
            at: Seconds,
            /// The new rate.
            rate: Hertz,
            /// The new number of channels.
            channels: u16,
        },
        /// The channel asked for is not in the file.
        #[error("there is no channel {channel}: the file has {channels}, counted from 0")]
        no_such_channel: NoSuchChannel {
            /// The channel asked for, from 0.
            channel: u16,
            /// How many there are.
            channels: u16,
        },
        /// The stretch asked for is not, or not all, in the file.
        #[error(
            "the cut from {:.3} s{} is not in a file of {:.3} s",
            start.get(), end.map_or(String::new(), |end| format!(" to {:.3} s", end.get())), length.get()
        )]
        cut_out_of_range: CutOutOfRange {
            /// Where the cut starts.
            start: Seconds,
            /// Where it ends; none where it runs to the end of the file.
            end: Option<Seconds>,
            /// The length of the file.
            length: Seconds,
        },
        /// The file or the stretch asked for holds not one sample.
        #[error("there is not one sample")]
        no_samples: NoSamples,
        /// The utterance is longer than `max_duration_s`.
        #[error("longer than {} s, the most that `max_duration_s` allows: cut the recording into utterances", most.get())]
        too_long: TooLong {
            /// The longest that may be.
            most: Seconds,
        },
        /// The file has more channels than `max_channels`.
        #[error("{channels} channels, and `max_channels` is {most}")]
        too_many_channels: TooManyChannels {
            /// The channels of the file.
            channels: usize,
            /// The most that may be.
            most: u16,
        },
        /// The sample rate is not between `min_rate_hz` and `max_rate_hz`.
        #[error("{rate} is not between `min_rate_hz` ({least}) and `max_rate_hz` ({most})")]
        rate_out_of_range: RateOutOfRange {
            /// The rate of the file.
            rate: Hertz,
            /// The lowest that may be.
            least: Hertz,
            /// The highest that may be.
            most: Hertz,
        },
        /// The sound holds a sample that is infinite or not a number, and `nan` is `reject`.
        #[error("the sample at {:.3} s is not finite", at.get())]
        not_finite: NotFinite {
            /// Where the first such sample is heard, from the start of the utterance.
            at: Seconds,
        },
        /// The sound is digital silence, every sample of one value, and `silence` is `reject`.
        #[error("digital silence: every sample is {value}")]
        silent: Silent {
            /// The value; of several channels, that of the first.
            value: f32,
        },
        /// Reading the utterance takes more bytes of its file than `max_read_mib`.
        #[error("more than {mib} MiB would have to be read, the most that `max_read_mib` allows")]
        too_much_data: TooMuchData {
            /// The most that may be read, in MiB.
            mib: u64,
        },
    }
}

rejects! {
    /// What is wrong with a file that gives its sound all the same: it is counted, and the utterance becomes a row.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
    pub enum LoadWarning {
        /// The header of the whole file claims another length than was decoded, within `length_tolerance_s`.
        #[error("the header claims {claimed} samples a channel, and {decoded} came")]
        length_differs: LengthDiffers {
            /// Samples per channel as the header claims.
            claimed: u64,
            /// Samples per channel as decoded.
            decoded: u64,
        },
    }
}

impl LoadError {
    /// Whether the fault lies with the machine and not with this one file: out of memory or file handles, a disk or
    /// network that fails. Another utterance would fare no better, and this one may do well when run again.
    #[must_use]
    pub fn is_world(&self) -> bool {
        use io::ErrorKind;
        let Self::Unreadable { source } = self else { return false };
        // A link that leads to itself; its kind has no stable name yet.
        if source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            return false;
        }
        !matches!(
            source.kind(),
            ErrorKind::PermissionDenied
                | ErrorKind::InvalidInput
                | ErrorKind::InvalidFilename
                | ErrorKind::NotADirectory
                | ErrorKind::IsADirectory
        )
    }

    /// The error of opening a file or asking for its length.
    pub(super) fn opening(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            _ => Self::Unreadable { source },
        }
    }

    /// The error of a decoder at `at`.
    pub(super) fn decoding(source: SymphoniaError, at: Seconds) -> Self {
        match source {
            SymphoniaError::Unsupported(feature) => Self::UnsupportedCodec { feature },
            source => Self::Corrupt { at, source },
        }
    }

    /// The error of a demuxer at `at`: what the operating system refused, or data that breaks the rules.
    pub(super) fn demuxing(source: SymphoniaError, at: Seconds) -> Self {
        match source {
            SymphoniaError::IoError(source) if ReadTooMuch::known(&source).is_some() => {
                ReadTooMuch::known(&source).unwrap_or(Self::Unreadable { source })
            }
            // Only the operating system's errors bear a number; parsers make their own without one.
            SymphoniaError::IoError(source) if source.raw_os_error().is_some() => Self::Unreadable { source },
            // Symphonia calls a file unsupported that lacks a part which every file of its format must have.
            SymphoniaError::Unsupported(lack) if lack.contains("missing") => {
                Self::Corrupt { at, source: SymphoniaError::DecodeError(lack) }
            }
            SymphoniaError::Unsupported(feature) => Self::UnsupportedFormat { feature },
            source => Self::Corrupt { at, source },
        }
    }
}

/// More was read of a file than it may cost. It passes through demuxers as an error of the disk, and is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("more than {bytes} bytes were read")]
pub(super) struct ReadTooMuch {
    /// What may be read.
    pub(super) bytes: u64,
}

impl ReadTooMuch {
    /// What was read too much, if that is what `error` says.
    pub(super) fn known(error: &io::Error) -> Option<LoadError> {
        let spent = error.get_ref()?.downcast_ref::<Self>()?;
        Some(LoadError::TooMuchData { mib: spent.bytes / (1 << 20) })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_words_with_a_meaning() {
        let words: BTreeSet<_> = LoadError::CODES.iter().map(|(code, _)| code).collect();
        assert_eq!(words.len(), LoadError::CODES.len());
        assert!(LoadError::CODES.iter().all(|(_, meaning)| meaning.ends_with('.')));
        assert_eq!(LoadError::EmptyFile.code(), "empty_file");
        assert!(LoadError::CODES.contains(&("empty_file", "The file holds no byte.")));
    }

    #[test]
    fn a_full_table_of_files_is_the_worlds_fault_and_a_missing_file_is_not() {
        let of = |number| LoadError::opening(io::Error::from_raw_os_error(number));
        let (enoent, eio, enomem, eacces, emfile) = (2, 5, 12, 13, 24);
        for number in [eio, enomem, emfile] {
            assert!(of(number).is_world(), "{number}");
        }
        for number in [enoent, eacces] {
            assert!(!of(number).is_world(), "{number}");
        }
        assert_eq!(of(enoent).code(), "not_found");
    }

    #[test]
    fn messages_hold_the_numbers() {
        let time = |seconds| Seconds::new(seconds).unwrap();
        let cut = LoadError::CutOutOfRange { start: time(1.5), end: Some(time(3.0)), length: time(2.0) };
        assert_eq!(cut.to_string(), "the cut from 1.500 s to 3.000 s is not in a file of 2.000 s");
        let truncated = LoadError::Truncated { claimed: time(2.0), decoded: time(1.0) };
        assert_eq!(truncated.to_string(), "truncated: the header claims 2.000 s, the file holds 1.000 s");
    }

    #[test]
    fn a_spent_budget_is_known_again_behind_an_error_of_the_disk() {
        let error = io::Error::other(ReadTooMuch { bytes: 3 << 20 });
        assert_eq!(
            ReadTooMuch::known(&error).unwrap().to_string(),
            "more than 3 MiB would have to be read, the most that `max_read_mib` allows"
        );
        assert!(ReadTooMuch::known(&io::Error::other("a fire")).is_none());
        assert!(ReadTooMuch::known(&io::Error::from_raw_os_error(5)).is_none());
    }
}
