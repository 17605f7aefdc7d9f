//! Which channels of a file become utterances, and how several become one.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use symphonia::core::audio::conv::IntoSample;
use symphonia::core::audio::sample::Sample;
use symphonia::core::audio::{Audio, AudioBuffer, GenericAudioBufferRef};

/// `channels:` of the pipeline file: `mix`, `first`, `each`, `keep` or the number of a channel from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channels {
    /// One utterance: the mean of all channels.
    #[default]
    Mix,
    /// One utterance: channel 0.
    First,
    /// One utterance a channel: the two sides of a telephone call.
    Each,
    /// One utterance of all channels: cells are `[channels, frames, bins]`.
    Keep,
    /// One utterance: this channel, from 0.
    Index(u16),
}

/// Which channel of the file one utterance takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pick {
    /// The mean of all channels, each with gain `1/n`: never louder than the loudest, so that it cannot clip.
    Mix,
    /// One channel, from 0.
    Channel(u16),
}

impl Channels {
    /// What an utterance takes for which the plan names no channel; with `each`, it names one for all that it could open.
    #[must_use]
    pub const fn pick(self) -> Pick {
        match self {
            // All of them, when read by channels.
            Self::Mix | Self::Keep => Pick::Mix,
            Self::First | Self::Each => Pick::Channel(0),
            Self::Index(channel) => Pick::Channel(channel),
        }
    }

    /// The words of the pipeline file.
    const WORDS: [(&'static str, Self); 4] =
        [("mix", Self::Mix), ("first", Self::First), ("each", Self::Each), ("keep", Self::Keep)];
    /// What may be written, for error messages and the schema.
    const FORMS: &'static str = "`mix`, `first`, `each`, `keep` or the number of a channel, counted from 0";
}

impl fmt::Display for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, Self::WORDS.iter().find(|(_, channels)| channels == self)) {
            (Self::Index(channel), _) => write!(f, "{channel}"),
            (_, word) => f.write_str(word.map_or("", |(word, _)| *word)),
        }
    }
}

impl Serialize for Channels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self, Self::WORDS.iter().find(|(_, channels)| channels == self)) {
            (_, Some((word, _))) => serializer.serialize_str(word),
            (Self::Index(channel), None) => serializer.serialize_u16(*channel),
            (_, None) => Err(serde::ser::Error::custom("a form of `channels` without a word")),
        }
    }
}

impl<'de> Deserialize<'de> for Channels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ChannelsVisitor)
    }
}

/// Reads a word or a number by hand: serde's `untagged` would forget where in the file a mistake stands.
struct ChannelsVisitor;

impl Visitor<'_> for ChannelsVisitor {
    type Value = Channels;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Channels::FORMS)
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Channels, E> {
        let known = Channels::WORDS.iter().find(|(known, _)| *known == word);
        known.map(|(_, channels)| *channels).ok_or_else(|| E::invalid_value(Unexpected::Str(word), &self))
    }

    fn visit_u64<E: serde::de::Error>(self, channel: u64) -> Result<Channels, E> {
        let fits = u16::try_from(channel);
        fits.map(Channels::Index).map_err(|_| E::invalid_value(Unexpected::Unsigned(channel), &self))
    }

    fn visit_i64<E: serde::de::Error>(self, channel: i64) -> Result<Channels, E> {
        let fits = u16::try_from(channel);
        fits.map(Channels::Index).map_err(|_| E::invalid_value(Unexpected::Signed(channel), &self))
    }
}

impl JsonSchema for Channels {
    fn schema_name() -> Cow<'static, str> {
        "Channels".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": Self::FORMS,
            "anyOf": [
                { "enum": Self::WORDS.map(|(word, _)| word) },
                { "type": "integer", "minimum": 0, "maximum": u16::MAX }
            ]
        })
    }
}

/// Runs `$body` with the typed buffer behind a decoder's output.
macro_rules! typed {
    ($decoded:expr, $buffer:ident => $body:expr) => {
        match $decoded {
            GenericAudioBufferRef::U8($buffer) => $body,
            GenericAudioBufferRef::U16($buffer) => $body,
            GenericAudioBufferRef::U24($buffer) => $body,
            GenericAudioBufferRef::U32($buffer) => $body,
            GenericAudioBufferRef::S8($buffer) => $body,
            GenericAudioBufferRef::S16($buffer) => $body,
            GenericAudioBufferRef::S24($buffer) => $body,
            GenericAudioBufferRef::S32($buffer) => $body,
            GenericAudioBufferRef::F32($buffer) => $body,
            GenericAudioBufferRef::F64($buffer) => $body,
        }
    };
}

/// Appends the samples `range` of what the decoder made, reduced to one channel, to `block`. A channel that is not there
/// gives nothing.
pub(super) fn reduce(decoded: &GenericAudioBufferRef<'_>, range: Range<usize>, pick: Pick, block: &mut Vec<f32>) {
    typed!(decoded, buffer => reduce_typed(buffer, range, pick, block));
}

/// Appends the samples `range` of what the decoder made to `channels`, `[channels][samples]`.
pub(super) fn append(decoded: &GenericAudioBufferRef<'_>, range: &Range<usize>, channels: &mut [Vec<f32>]) {
    for (channel, samples) in channels.iter_mut().enumerate() {
        typed!(decoded, buffer => append_plane(buffer, range.clone(), channel, samples));
    }
}

fn reduce_typed<S: Sample + IntoSample<f32>>(
    buffer: &AudioBuffer<S>,
    range: Range<usize>,
    pick: Pick,
    block: &mut Vec<f32>,
) {
    match pick {
        Pick::Channel(channel) => append_plane(buffer, range, usize::from(channel), block),
        Pick::Mix => {
            let mixed = block.len();
            append_plane(buffer, range.clone(), 0, block);
            for plane in buffer.iter_planes().skip(1) {
                for (sum, sample) in block[mixed..].iter_mut().zip(&plane[range.clone()]) {
                    *sum += (*sample).into_sample();
                }
            }
            if buffer.num_planes() > 1 {
                let planes = buffer.num_planes() as f32;
                block[mixed..].iter_mut().for_each(|sum| *sum /= planes);
            }
        }
    }
}

fn append_plane<S: Sample + IntoSample<f32>>(
    buffer: &AudioBuffer<S>,
    range: Range<usize>,
    channel: usize,
    samples: &mut Vec<f32>,
) {
    if let Some(plane) = buffer.plane(channel) {
        samples.extend(plane[range].iter().map(|sample| (*sample).into_sample()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Channels, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn words_and_numbers_are_read_and_written_back() {
        let forms = [
            (r#""mix""#, Channels::Mix),
            (r#""first""#, Channels::First),
            (r#""each""#, Channels::Each),
            (r#""keep""#, Channels::Keep),
            ("0", Channels::Index(0)),
            ("7", Channels::Index(7)),
        ];
        for (json, channels) in forms {
            assert_eq!(read(json).unwrap(), channels);
            assert_eq!(serde_json::to_string(&channels).unwrap(), json);
        }
    }

    #[test]
    fn what_is_no_channel_is_answered_with_what_is() {
        for json in [r#""left""#, "-1", "65536", "1.5", "true", "[0]"] {
            let error = read(json).unwrap_err();
            assert!(error.contains("counted from 0"), "{json}: {error}");
        }
    }

    #[test]
    fn each_form_picks_its_channel_and_is_shown_as_written() {
        let forms = [Channels::Mix, Channels::First, Channels::Each, Channels::Index(5)];
        assert_eq!(forms.map(Channels::pick), [Pick::Mix, Pick::Channel(0), Pick::Channel(0), Pick::Channel(5)]);
        assert_eq!(forms.map(|channels| channels.to_string()), ["mix", "first", "each", "5"]);
    }
}
