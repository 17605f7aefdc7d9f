//! Decoding: a file in, blocks of samples out.
//!
//! What a file is, its content says and never its name. Containers of plain samples have readers of ours, everything else
//! goes through symphonia, Opus through libopus:
//!
//! | container | codecs |
//! |---|---|
//! | WAV (also RF64, BW64), Wave64 | PCM of 8 to 32 bits, floats of 32 and 64, A-law, µ-law, MS and IMA ADPCM |
//! | AIFF, Sun AU, CAF, NIST SPHERE | PCM of 8 to 32 bits, A-law, µ-law; all but SPHERE also floats |
//! | FLAC, MP1, MP2, MP3, ADTS | their own |
//! | Ogg, Matroska (`.webm`) | Vorbis (mono and stereo), Opus of up to eight channels, FLAC |
//! | MP4, CAF | AAC-LC (mono and stereo), ALAC, Opus, FLAC |
//!
//! What encoders put in front of the sound is dropped, and what they put behind it where the file says how much; sample 0 is
//! the first of the recording. Lengths and samples are ffmpeg's (`docs/codecs.md` has every case), and a cut is exactly
//! what the whole file has there, bit by bit: `history.rs` says how.
//!
//! A packet that cannot be decoded or is missing, a file that ends before its header says and a cut that is not in it are
//! errors with a code, never silence. Four losses leave no trace that is looked for: frames of an MP3 within the length
//! tolerance, the end of an Ogg file between two pages, that of MP4 in fragments or of Matroska of unknown size, and bits within
//! a packet without a checksum.
//!
//! ```text
//! Location which bytes: a file, a part of one, what a command writes
//! Source   bytes in large pieces
//! demux    which demuxer and which decoder: symphonia's, or ours where it has none or a wrong one
//! Stream   packets of all channels: where each stands (Clock), what it needs of those before (History)
//! Decoder  one cut, one channel, in blocks
//! ```

mod adpcm;
mod aiff;
mod au;
mod caf;
mod channels;
mod clock;
mod decoder;
mod demux;
mod error;
mod flac;
mod history;
mod limits;
mod location;
mod matroska;
mod mp4;
mod ogg;
mod opus;
pub(crate) mod parquet_page;
mod pcm;
mod quality;
mod riff;
mod sniff;
mod source;
mod sphere;
mod stream;
mod w64;
mod wave_format;

use std::num::NonZeroU16;
use std::path::Path;

use schemars::JsonSchema;
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};

use crate::audio::{Hertz, Seconds, Waveform};
use crate::family::Member;

pub use channels::{Channels, Pick};
pub use decoder::{Cut, Decoder, Take, probe, probe_within};
pub use error::{LoadError, LoadWarning};
pub use limits::Limits;
pub use location::{Commands, FetchSound, Location, content_hash, content_length};
pub use quality::{Listener, Nan, Quality, QualityColumns, Silence};
pub use stream::Header;

/// How sound is taken from files, and what becomes of files that give none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Load {
    /// Which channels become utterances: `mix` is one utterance, the mean of all (each with gain 1/n, so never louder than the
    /// loudest); `first` or a number is one, that channel; `each` is one a channel; `keep` is one whose cells hold all channels.
    pub channels: Channels,
    /// What an utterance that cannot be loaded does to the run.
    pub on_error: OnError,
    /// The share of all utterances, 0 to 1, that may be rejected before the run fails. One that is cut into segments counts where
    /// none of them becomes a row.
    #[serde(deserialize_with = "share")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_reject_fraction: f64,
    /// By how much, in seconds, a file may be shorter than its header or its cut claims before it is rejected; 0.5. Within
    /// it, a length that is not the header's is a warning that is counted.
    #[serde(deserialize_with = "time")]
    #[schemars(range(min = 0.0))]
    pub length_tolerance_s: f64,
    /// The longest utterance in seconds, up to a year; 86400, a day. A longer one is rejected where the limit is passed.
    #[serde(deserialize_with = "limits::max_duration")]
    #[schemars(range(min = 0.001, max = 31_622_400.0))]
    pub max_duration_s: f64,
    /// The most channels that a file may have, 1 to 65535; 64.
    pub max_channels: NonZeroU16,
    /// The lowest sample rate that a file may have, in hertz; 1000.
    pub min_rate_hz: Hertz,
    /// The highest sample rate that a file may have, in hertz; 768000.
    pub max_rate_hz: Hertz,
    /// The most that is read of a file for one utterance, in MiB, 1 to 1048576; 16384. What is read twice counts twice, so
    /// that a reader that a file sends in circles comes to an end; an utterance cut from a long file costs only its part
    /// where seeking is exact.
    #[serde(deserialize_with = "limits::max_read")]
    #[schemars(range(min = 1, max = 1_048_576))]
    pub max_read_mib: u64,
    /// What becomes of samples that are infinite or not a number.
    pub nan: Nan,
    /// What becomes of digital silence, whose every sample has one value.
    pub silence: Silence,
    /// Whether every row says how good its sound is, as decoded (at the file's own rate, Opus at that of `resample`): `peak`, `rms_db`, `dc_offset`,
    /// `clipped_fraction`, `silence_fraction`, `snr_db`. `keep_if` can ask for them either way.
    pub quality: QualityColumns,
}

impl Member for Load {
    const EXAMPLE: &'static str = "load: { channels: mix, on_error: reject }";
}

/// What an utterance that cannot be loaded does to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// It is left out and listed with its reason; the run goes on.
    #[default]
    Reject,
    /// It stops the run.
    Stop,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            channels: Channels::Mix,
            on_error: OnError::Reject,
            // Real corpora have a few broken files in a thousand; one in twenty means that something else is wrong.
            max_reject_fraction: 0.05,
            // Headers of lossy formats round to packets, which are at most 0.12 s (Opus).
            length_tolerance_s: 0.5,
            max_duration_s: Self::MAX_DURATION_S,
            max_channels: const { NonZeroU16::new(Self::MAX_CHANNELS).expect("more than none") },
            min_rate_hz: const { Hertz::new(Self::MIN_RATE_HZ).expect("more than none") },
            max_rate_hz: const { Hertz::new(Self::MAX_RATE_HZ).expect("more than none") },
            max_read_mib: Self::MAX_READ_MIB,
            nan: Nan::Reject,
            silence: Silence::Keep,
            quality: QualityColumns::None,
        }
    }
}

/// Decodes a whole file, all its channels.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("four.wav");
/// // A WAV of four samples, 16-bit mono at 8 kHz.
/// let mut wav = b"RIFF\x2C\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1F\0\0\x80\x3E\0\0\x02\0\x10\0data\x08\0\0\0".to_vec();
/// wav.extend([0_i16, 16_384, -16_384, -32_768].map(i16::to_le_bytes).concat());
/// std::fs::write(&path, wav)?;
///
/// let sound = wavemill::load(&path)?;
/// assert_eq!(sound.sample_rate.get(), 8_000);
/// assert_eq!(sound.channels, [[0.0, 0.5, -0.5, -1.0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// As [`Decoder`], with the default length tolerance of [`Load`].
pub fn load(path: &Path) -> Result<Waveform, LoadError> {
    let mut decoder = Decoder::open(path, Take::whole(), &Load::default())?;
    let mut channels = vec![Vec::new(); usize::from(decoder.num_channels())];
    let mut blocks = channels.clone();
    while decoder.read_channels(&mut blocks)? {
        for (channel, block) in channels.iter_mut().zip(&blocks) {
            channel.extend_from_slice(block);
        }
    }
    Ok(Waveform { sample_rate: decoder.sample_rate(), channels })
}

fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    let valid = (0.0..=1.0).contains(&value);
    valid.then_some(value).ok_or_else(|| D::Error::invalid_value(Unexpected::Float(value), &"a fraction from 0 to 1"))
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    let valid = Seconds::new(value).is_some();
    valid
        .then_some(value)
        .ok_or_else(|| D::Error::invalid_value(Unexpected::Float(value), &"a time of 0 or more seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Result<Load, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_row_is_read_with_its_defaults() {
        assert_eq!(row("{}").unwrap(), Load::default());
        let written = row(r#"{"channels": 1, "on_error": "stop", "max_reject_fraction": 0, "length_tolerance_s": 2}"#);
        let expected = Load {
            channels: Channels::Index(1),
            on_error: OnError::Stop,
            max_reject_fraction: 0.0,
            length_tolerance_s: 2.0,
            ..Load::default()
        };
        assert_eq!(written.unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_is_refused_where_it_is_read() {
        for (json, says) in [
            (r#"{"max_reject_fraction": 1.01}"#, "from 0 to 1"),
            (r#"{"length_tolerance_s": -1}"#, "0 or more"),
            (r#"{"max_duration_s": 0}"#, "above 0"),
            (r#"{"max_channels": 0}"#, "nonzero"),
            (r#"{"min_rate_hz": 0}"#, "nonzero"),
            (r#"{"max_read_mib": 0}"#, "1 to 1048576"),
            (r#"{"on_error": "ignore"}"#, "`reject` or `stop`"),
            (r#"{"chanels": 1}"#, "`channels`"),
        ] {
            let error = row(json).unwrap_err();
            assert!(error.contains(says), "{json}: {error}");
        }
    }

    #[test]
    fn the_schema_says_what_a_channel_may_be() {
        let schema = schemars::schema_for!(Load).to_value().to_string();
        assert!(schema.contains("counted from 0"), "{schema}");
    }

    #[test]
    fn a_worker_may_hold_a_decoder() {
        fn sendable<T: Send>() {}
        sendable::<Decoder>();
        sendable::<LoadError>();
    }

    /// A FLAC stream at 8 kHz of frames of 192 equal samples, each of the value and under the number given.
    fn flac(claimed: u64, frames: impl IntoIterator<Item = u8>) -> Vec<u8> {
        let crc = |bytes: &[u8], bits: u32, polynomial: u32| {
            let top = 1 << (bits - 1);
            bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| u32::from(byte >> bit & 1))).fold(0, |crc, bit| {
                let carry = u32::from(crc & top != 0) ^ bit;
                ((crc << 1) ^ (carry * polynomial)) & (top | (top - 1))
            })
        };
        let mut stream = b"fLaC\x80\0\0\x22\0\xC0\0\xC0\0\0\0\0\0\0".to_vec();
        stream.extend((8_000 << 44 | 15 << 36 | claimed).to_be_bytes());
        stream.extend([0; 16]);
        for number in frames {
            let mut frame = vec![0xFF, 0xF8, 0x14, 0x08, number];
            frame.push(crc(&frame, 8, 0x07) as u8);
            frame.extend([0, 0, number]);
            frame.extend((crc(&frame, 16, 0x8005) as u16).to_be_bytes());
            stream.extend(frame);
        }
        stream
    }

    /// The samples of a cut, in 16-bit steps.
    fn decode(flac: &[u8], start: f64, duration: Option<f64>) -> Result<Vec<u8>, LoadError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), flac).unwrap();
        let seconds = |time| Seconds::new(time).unwrap();
        let cut = Cut { start: seconds(start), duration: duration.map(seconds) };
        let load = Load { length_tolerance_s: 0.1, ..Load::default() };
        let mut decoder = Decoder::open(file.path(), Take { cut, ..Take::whole() }, &load)?;
        let (mut block, mut all) = (Vec::new(), Vec::new());
        while decoder.read(&mut block)? {
            all.extend(block.iter().map(|sample| (sample * 32_768.0) as u8));
        }
        Ok(all)
    }

    #[test]
    fn a_cut_from_a_flac_is_the_same_whether_reached_by_seeking_or_not() {
        let samples: Vec<u8> = (0..120).flat_map(|number| [number; 192]).collect();
        let whole = flac(120 * 192, 0..120);
        assert_eq!(decode(&whole, 0.0, None).unwrap(), samples);
        for start in [1, 191, 192, 193, 12_345, 23_039] {
            let cut = decode(&whole, start as f64 / 8_000.0, Some(0.001)).unwrap();
            assert_eq!(cut, samples[start..samples.len().min(start + 8)], "from sample {start}");
        }
        // Cut from a longer file: its frames go on counting.
        let late = flac(0, 20..120);
        assert_eq!(decode(&late, 0.0, None).unwrap(), samples[20 * 192..]);
        assert_eq!(decode(&late, 1.0, Some(0.001)).unwrap(), samples[20 * 192 + 8_000..20 * 192 + 8_008]);
    }

    #[test]
    fn a_lost_frame_is_found_though_the_length_would_be_tolerated() {
        let gap = flac(40 * 192, (0..40).filter(|number| *number != 7));
        let error = decode(&gap, 0.0, None).unwrap_err();
        assert_eq!(error.to_string(), "the data is corrupt at 0.192 s");
        assert_eq!(decode(&gap, 0.0, Some(0.1)).unwrap().len(), 800, "what lies before it is good");
        let short = flac(40 * 192, 0..30);
        assert_eq!(decode(&short, 0.0, None).unwrap_err().code(), "truncated");
    }
}
