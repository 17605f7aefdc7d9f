//! Decoding: a file in, blocks of samples out.
//!
//! What a file is, its content says and never its name. Everything goes through symphonia, Opus through libopus:
//!
//! | container | codecs |
//! |---|---|
//! | WAV, AIFF | PCM of 8 to 64 bits, A-law, µ-law; WAV also MS and IMA ADPCM |
//! | FLAC, MP1, MP2, MP3, ADTS | their own |
//! | Ogg, Matroska (`.webm`) | Vorbis, Opus (mono and stereo), FLAC |
//! | MP4, CAF | AAC-LC, ALAC, PCM |
//!
//! Every sample that a file holds is given or the utterance is a reject: a packet that cannot be decoded, a file that ends
//! before its header says or a cut that is not in it is an error with a code, never silence.
//!
//! ```text
//! Source   bytes in large pieces, sizes of piped WAVs put right
//! Stream   packets of all channels: demuxer and decoder
//! Decoder  one cut, one channel, in blocks
//! ```

mod channels;
mod decoder;
mod error;
mod riff;
mod source;
mod stream;

use std::path::Path;

use schemars::JsonSchema;
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};

use crate::audio::{Seconds, Waveform};

pub use channels::{Channels, Pick};
pub use decoder::{Cut, Decoder, probe};
pub use error::LoadError;
pub use stream::Header;

/// `load:` of the pipeline file: how sound is taken from files. `load: { channels: mix, on_error: reject }`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Load {
    /// Which channels become utterances.
    pub channels: Channels,
    /// What an utterance that cannot be loaded does to the run.
    pub on_error: OnError,
    /// The share of all utterances, 0 to 1, that may be rejected before the run fails.
    #[serde(deserialize_with = "share")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_reject_fraction: f64,
    /// By how much, in seconds, a file may be shorter than its header or its cut claims before it is rejected.
    #[serde(deserialize_with = "time")]
    #[schemars(range(min = 0.0))]
    pub length_tolerance_s: f64,
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
/// let sound = wavemill::load::read(&path)?;
/// assert_eq!(sound.sample_rate.get(), 8_000);
/// assert_eq!(sound.channels, [[0.0, 0.5, -0.5, -1.0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// As [`Decoder`], with the default length tolerance of [`Load`].
pub fn read(path: &Path) -> Result<Waveform, LoadError> {
    let cut = Cut::whole();
    let tolerance = Seconds::new(Load::default().length_tolerance_s).unwrap_or(cut.start);
    let mut decoder = Decoder::open(path, cut, Pick::Mix, tolerance)?;
    let mut channels = vec![Vec::new(); usize::from(decoder.num_channels())];
    while let Some(range) = decoder.advance()? {
        channels::append(&decoder.decoded(), &range, &mut channels);
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
        };
        assert_eq!(written.unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_is_refused_where_it_is_read() {
        for (json, says) in [
            (r#"{"max_reject_fraction": 1.01}"#, "from 0 to 1"),
            (r#"{"length_tolerance_s": -1}"#, "0 or more"),
            (r#"{"on_error": "ignore"}"#, "`reject` or `stop`"),
            (r#"{"chanels": 1}"#, "`channels`"),
        ] {
            let error = row(json).unwrap_err();
            assert!(error.contains(says), "{json}: {error}");
        }
    }
}
