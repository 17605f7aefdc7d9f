//! How much of the sound before it a packet needs, and so where decoding has to begin for a stretch in the middle of a file
//! to be, bit by bit, what a decode of the whole file has there.

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3, CODEC_ID_OPUS, CODEC_ID_VORBIS,
};

/// What a codec remembers from packet to packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum History {
    /// Nothing: PCM, ADPCM by blocks, FLAC, ALAC.
    Independent,
    /// The packets shortly before, and nothing else: the overlap of Vorbis, the filter bank and bit reservoir of MPEG layers.
    Fading,
    /// Everything: Opus predicts and filters recursively, and the noise that AAC fills bands with comes from a generator that
    /// runs on. So they are decoded in stretches, each with a decoder of its own that starts a little earlier,
    /// whether the file is read from its start or not.
    Endless {
        /// How long one decoder is used, in milliseconds. A cut in the middle of a file costs half of it on average.
        stretch_ms: u32,
        /// How much earlier the next one starts. The whole file costs this share of a stretch more.
        preroll_ms: u32,
    },
}

/// Milliseconds of preroll where history fades. The bit reservoir of MP3 reaches back 511 bytes, or 23 frames at the lowest rate.
const FADING_MS: u32 = 1_000;

/// No packet has more samples (half a block of Vorbis); a second holds the longest of the others (0.144 s).
const LONGEST_PACKET: i64 = 8_192;

/// Which packets to decode and which to hear, by the sample that they start at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Packets before this sample are not decoded.
    pub(super) feed_from: i64,
    /// Packets before this sample only prepare the decoder.
    pub(super) hear_from: i64,
}

impl Entry {
    /// The start of the file.
    pub(super) const START: Self = Self { feed_from: i64::MIN, hear_from: i64::MIN };
}

impl History {
    pub(super) fn of(codec: AudioCodecId) -> Self {
        match codec {
            CODEC_ID_MP1 | CODEC_ID_MP2 | CODEC_ID_MP3 | CODEC_ID_VORBIS => Self::Fading,
            // Only the overlap with the packet before has to be right; the generator starts anew. Utterances are one stretch
            // and so have the very noise that other decoders give them.
            CODEC_ID_AAC => Self::Endless { stretch_ms: 30_000, preroll_ms: 300 },
            // 80 ms are the least (RFC 7845, 4.6); after a second the difference is one of rounding (2e-7).
            CODEC_ID_OPUS => Self::Endless { stretch_ms: 10_000, preroll_ms: 1_000 },
            _ => Self::Independent,
        }
    }

    /// Where to begin for the sound from sample `target` on, at `rate` samples a second.
    pub(super) fn entry(self, target: i64, rate: u32) -> Entry {
        let samples = |ms: u32| i64::from(rate) * i64::from(ms) / 1_000;
        match self {
            Self::Independent => Entry::START,
            Self::Fading => {
                let hear_from = target - LONGEST_PACKET;
                Entry { feed_from: hear_from - samples(FADING_MS), hear_from }
            }
            Self::Endless { stretch_ms, preroll_ms } => match self.stretch(target - LONGEST_PACKET, rate) {
                0 => Entry::START,
                stretch => {
                    let hear_from = stretch * samples(stretch_ms);
                    Entry { feed_from: hear_from - samples(preroll_ms), hear_from }
                }
            },
        }
    }

    /// The stretch that a packet starting at sample `start` belongs to; all are one where decoders need not be changed.
    pub(super) fn stretch(self, start: i64, rate: u32) -> i64 {
        match self {
            Self::Independent | Self::Fading => 0,
            Self::Endless { stretch_ms, .. } => start.max(0) / (i64::from(rate) * i64::from(stretch_ms) / 1_000).max(1),
        }
    }

    /// The stretch whose decoder a packet starting at sample `start` prepares.
    pub(super) fn prepares(self, start: i64, rate: u32) -> i64 {
        match self {
            Self::Independent | Self::Fading => 0,
            Self::Endless { preroll_ms, .. } => {
                self.stretch(start + i64::from(rate) * i64::from(preroll_ms) / 1_000, rate)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use symphonia::core::codecs::audio::well_known::CODEC_ID_FLAC;

    use super::*;

    #[test]
    fn a_cut_begins_with_the_decoder_that_the_whole_file_would_have_there() {
        let opus = History::of(CODEC_ID_OPUS);
        assert_eq!(opus.entry(479_999, 48_000), Entry::START);
        // A packet that reaches over the border belongs to the stretch before.
        assert_eq!(opus.entry(481_000, 48_000), Entry::START);
        let second = Entry { feed_from: 432_000, hear_from: 480_000 };
        assert_eq!(opus.entry(500_000, 48_000), second);
        assert_eq!((opus.stretch(479_999, 48_000), opus.prepares(479_999, 48_000)), (0, 1));
        assert_eq!((opus.stretch(431_999, 48_000), opus.prepares(431_999, 48_000)), (0, 0));
        assert_eq!(opus.stretch(-312, 48_000), 0);
    }

    #[test]
    fn codecs_without_memory_are_decoded_where_they_are_cut() {
        assert_eq!(History::of(CODEC_ID_FLAC).entry(1 << 40, 16_000), Entry::START);
        let mp3 = History::of(CODEC_ID_MP3).entry(100_000, 16_000);
        assert_eq!(mp3, Entry { feed_from: 75_808, hear_from: 91_808 });
    }
}
