//! Encoding: the sound of an utterance in, the bytes of a file out.
//!
//! The counterpart of `load`: what is written here is read there, with as many samples as went in, the first of them first. No
//! clock, random number or name of a machine reaches the bytes, and how the sound is cut into blocks changes none of them.
//!
//! | codec | file | samples |
//! |---|---|---|
//! | `flac` | native FLAC, as `flac -5` writes it | integers of 16 or 24 bits, exactly |
//! | `wav` | RIFF WAVE | integers of 16 or 24 bits or floats of 32, exactly |
//! | `opus` | Ogg, one stream | lossy |
//! | `vorbis` | Ogg, one stream | lossy |

mod contract;
mod flac;
mod opus;
mod pcm;
#[cfg(test)]
mod tests;
mod vorbis;
mod wav;

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::audio::Hertz;
use crate::family::Member;

pub use contract::{EncodeError, EncodeSettingError, EncodeSound};

/// The sound of each utterance as the bytes of a file.
///
/// - `{ codec: flac }`: lossless, of 16 or 24 `bits`, as small as `flac -5` makes it. 1 to 655350 Hz, up to 8 channels.
/// - `{ codec: wav }`: not compressed, `bits: 16`, `24` or `32f`. Any rate, up to 4 GiB.
/// - `{ codec: opus, bitrate_kbps: 32 }`: libopus in frames of 20 ms at a variable bitrate, tuned to sound as close to the
///   original as can be (`audio`), complexity 10, as `opusenc` and ffmpeg have it. 8, 12, 16, 24 and 48 kHz; one or two
///   channels.
/// - `{ codec: vorbis, quality: 0.4 }`: libvorbis as tuned by aoTuV, at a variable bitrate. Up to 200 kHz and 255 channels.
///
/// Integers are the samples times 2^(bits − 1), rounded to the nearest, halves to the even one; what lies beyond full scale is
/// clipped there, and at ±1 before a lossy codec. Floats stay as they are. A sample that is infinite or not a number is an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Encode {
    /// What the file is encoded with.
    pub codec: AudioCodec,
    /// What a sample is in `flac` (16 or 24) and `wav` (16, 24 or 32f); 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<Bits>,
    /// The bitrate of `opus` in kbit/s, all channels together, 6 to 510; 32 for one channel, 64 for two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 6, max = 510))]
    pub bitrate_kbps: Option<f64>,
    /// The quality of `vorbis`, -0.1 to 1; 0.4, as in libsndfile. At 44.1 kHz stereo 0 is about 64 kbit/s and 0.5 about 160.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -0.1, max = 1.0))]
    pub quality: Option<f64>,
}

/// What a file is encoded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AudioCodec {
    /// Lossless and compressed.
    Flac,
    /// Plain samples.
    Wav,
    /// The codec of calls over the internet.
    Opus,
    /// The codec of Ogg files.
    Vorbis,
}

impl AudioCodec {
    /// Every codec.
    pub const ALL: [Self; 4] = [Self::Flac, Self::Wav, Self::Opus, Self::Vorbis];

    /// Its word in the pipeline file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flac => "flac",
            Self::Wav => "wav",
            Self::Opus => "opus",
            Self::Vorbis => "vorbis",
        }
    }

    /// How the name of such a file ends, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Flac => "flac",
            Self::Wav => "wav",
            Self::Opus => "opus",
            Self::Vorbis => "ogg",
        }
    }
}

/// What one sample of a lossless file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Bits {
    /// An integer of 16 bits: `16`.
    #[default]
    Integer16,
    /// An integer of 24 bits: `24`.
    Integer24,
    /// A float of 32 bits: `32f`.
    Float32,
}

impl Bits {
    /// Bytes of one sample.
    const fn width(self) -> usize {
        match self {
            Self::Integer16 => 2,
            Self::Integer24 => 3,
            Self::Float32 => 4,
        }
    }
}

impl Serialize for Bits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer16 => serializer.serialize_u64(16),
            Self::Integer24 => serializer.serialize_u64(24),
            Self::Float32 => serializer.serialize_str("32f"),
        }
    }
}

impl<'de> Deserialize<'de> for Bits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;
        impl Visitor<'_> for Word {
            type Value = Bits;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`16`, `24` or `32f`")
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Bits, E> {
                match value {
                    16 => Ok(Bits::Integer16),
                    24 => Ok(Bits::Integer24),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(value), &self)),
                }
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Bits, E> {
                u64::try_from(value)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
                    .and_then(|value| self.visit_u64(value))
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Bits, E> {
                match value {
                    "16" => Ok(Bits::Integer16),
                    "24" => Ok(Bits::Integer24),
                    "32f" => Ok(Bits::Float32),
                    _ => Err(E::invalid_value(Unexpected::Str(value), &self)),
                }
            }
        }
        deserializer.deserialize_any(Word)
    }
}

impl JsonSchema for Bits {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bits".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": [16, 24, "32f"], "description": "What one sample of a lossless file is." })
    }
}

/// The bitrate of Opus for each channel where none is given, in kbit/s.
const OPUS_KBPS_A_CHANNEL: f64 = 32.0;

/// The quality of Vorbis where none is given: libsndfile's.
const VORBIS_QUALITY: f64 = 0.4;

impl Member for Encode {
    const EXAMPLE: &'static str = "encode: { codec: flac }";
}

impl Encode {
    /// The bytes that so many samples a channel will take, to estimate sizes only.
    #[must_use]
    pub fn estimated_bytes(&self, num_samples: u64, rate: Hertz, channels: u64) -> u64 {
        /// FLAC leaves somewhat more than half of speech.
        const FLAC: f64 = 0.55;
        /// What Vorbis takes of a sample, at middle qualities.
        const VORBIS: f64 = 0.4;
        let samples = (num_samples.saturating_mul(channels)) as f64;
        let width = self.bits.unwrap_or_default().width() as f64;
        let bytes = match self.codec {
            AudioCodec::Flac => samples * width * FLAC,
            AudioCodec::Wav => samples * width,
            AudioCodec::Opus => {
                let kbps = self.bitrate_kbps.unwrap_or(OPUS_KBPS_A_CHANNEL * channels as f64);
                num_samples as f64 / f64::from(rate.get()) * kbps * 125.0
            }
            AudioCodec::Vorbis => samples * VORBIS,
        };
        bytes as u64
    }

    /// An encoder with its defaults.
    #[must_use]
    pub const fn new(codec: AudioCodec) -> Self {
        Self { codec, bits: None, bitrate_kbps: None, quality: None }
    }

    /// How the name of such a file ends, without the dot.
    #[must_use]
    pub const fn extension(&self) -> &'static str {
        self.codec.extension()
    }

    /// Checks the settings, and the rate where it is known.
    ///
    /// # Errors
    ///
    /// A setting that does not go with the codec or is out of its range, and a rate that the codec does not have.
    pub fn check(&self, rate: Option<Hertz>) -> Result<(), EncodeSettingError> {
        let codec = self.codec;
        let stray = |key, given: bool, goes: bool| {
            if given && !goes { Err(EncodeSettingError::Stray { key, codec: codec.name() }) } else { Ok(()) }
        };
        stray("bits", self.bits.is_some(), matches!(codec, AudioCodec::Flac | AudioCodec::Wav))?;
        stray("bitrate_kbps", self.bitrate_kbps.is_some(), codec == AudioCodec::Opus)?;
        stray("quality", self.quality.is_some(), codec == AudioCodec::Vorbis)?;
        let within = |key, value: Option<f64>, low, high| match value {
            Some(value) if !(low..=high).contains(&value) => {
                Err(EncodeSettingError::OutOfRange { key, value, low, high })
            }
            _ => Ok(()),
        };
        within("bitrate_kbps", self.bitrate_kbps, 6.0, 510.0)?;
        within("quality", self.quality, -0.1, 1.0)?;
        if codec == AudioCodec::Flac && self.bits == Some(Bits::Float32) {
            return Err(EncodeSettingError::NoFloats);
        }
        let Some(rate) = rate else { return Ok(()) };
        let (has, rates) = match codec {
            AudioCodec::Flac => (rate.get() <= flac::HIGHEST_RATE, "up to 655350 Hz"),
            AudioCodec::Wav => (true, "any rate"),
            AudioCodec::Opus => (opus::sample_rate(rate).is_some(), "8, 12, 16, 24 and 48 kHz"),
            AudioCodec::Vorbis => (rate.get() <= vorbis::HIGHEST_RATE, "up to 200 kHz"),
        };
        if has { Ok(()) } else { Err(EncodeSettingError::WrongRate { codec: codec.name(), rate, rates }) }
    }

    /// An encoder for sound of one rate and number of channels: one a worker, used again for each utterance.
    ///
    /// # Errors
    ///
    /// The codec does not have the rate or so many channels, or the settings do not pass [`check`](Self::check).
    pub fn encoder(&self, rate: Hertz, channels: usize) -> Result<Box<dyn EncodeSound + Send>, EncodeError> {
        let codec = self.codec.name();
        self.check(Some(rate)).map_err(|error| match error {
            EncodeSettingError::WrongRate { codec, rate, rates } => EncodeError::UnsupportedRate { codec, rate, rates },
            error => EncodeError::Refused { codec, message: error.to_string() },
        })?;
        let bits = self.bits.unwrap_or_default();
        let most = match self.codec {
            AudioCodec::Flac => flac::MOST_CHANNELS,
            AudioCodec::Wav => wav::most_channels(rate, bits),
            AudioCodec::Opus => opus::MOST_CHANNELS,
            AudioCodec::Vorbis => vorbis::MOST_CHANNELS,
        };
        if channels == 0 || channels > most {
            return Err(EncodeError::UnsupportedChannels { codec, channels, most });
        }
        Ok(match self.codec {
            AudioCodec::Flac => Box::new(flac::Flac::new(rate, channels, bits)),
            AudioCodec::Wav => Box::new(wav::Wav::new(rate, channels, bits)),
            AudioCodec::Opus => {
                let kbps = self.bitrate_kbps.unwrap_or(OPUS_KBPS_A_CHANNEL * channels as f64);
                Box::new(opus::Opus::new(rate, channels, kbps)?)
            }
            AudioCodec::Vorbis => Box::new(vorbis::Vorbis::new(rate, channels, self.quality.unwrap_or(VORBIS_QUALITY))),
        })
    }
}
