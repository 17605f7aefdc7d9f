//! Opus through libopus: mono and stereo, and several streams in one (RFC 7845, channel mapping families 0, 1 and 255), at
//! any rate that the codec can decode to.

use std::sync::Mutex;

use opusic_c::{Channels, Decoder, SampleRate};
use symphonia::core::audio::{AsGenericAudioBufferRef, Audio, AudioBuffer, AudioMut, AudioSpec, GenericAudioBufferRef};
use symphonia::core::codecs::CodecInfo;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions, FinalizeResult};
use symphonia::core::codecs::registry::{RegisterableAudioDecoder, SupportedAudioCodec};
use symphonia::core::errors::{Result, decode_error, unsupported_error};
use symphonia::core::packet::PacketRef;
use symphonia::core::support_audio_codec;

/// The rate of an Opus stream's time stamps, whatever it is decoded to.
pub(super) const TICKS_PER_SECOND: u32 = 48_000;

/// The longest packet, in seconds: 120 ms.
const LONGEST_PACKET: f64 = 0.12;

/// What the identification header says (RFC 7845, 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpusHead {
    pub(super) channels: u8,
    /// Samples at 48 kHz to drop at the start.
    pub(super) pre_skip: u16,
    /// By how much to change the level of what is decoded, in 1/256 dB.
    gain: i16,
    streams: u8,
    coupled: u8,
    /// For each channel the place in the streams that it is found at, in the order of a WAV.
    mapping: [u8; MOST_CHANNELS],
}

/// The place of a channel that no stream holds.
const SILENT: u8 = 255;

/// Channel orders are defined for one to eight channels.
const MOST_CHANNELS: usize = 8;

/// For each channel of a WAV, in its order, which one it is in the order of Vorbis, by the number of channels (RFC 7845,
/// 5.1.1.2; left, right, centre, low frequencies, and then the rear before the sides).
const VORBIS_TO_WAV: [&[usize]; MOST_CHANNELS] = [
    &[0],
    &[0, 1],
    &[0, 2, 1],
    &[0, 1, 2, 3],
    &[0, 2, 1, 3, 4],
    &[0, 2, 1, 5, 3, 4],
    &[0, 2, 1, 6, 5, 3, 4],
    &[0, 2, 1, 7, 5, 6, 3, 4],
];

impl OpusHead {
    /// The header of mono or stereo that starts with the sound.
    fn of_channels(channels: usize) -> Option<Self> {
        let channels = u8::try_from(channels).ok().filter(|channels| (1..=2).contains(channels))?;
        let mapping = [0, 1, 0, 0, 0, 0, 0, 0];
        Some(Self { channels, pre_skip: 0, gain: 0, streams: 1, coupled: channels - 1, mapping })
    }

    /// The header of a track; none where it is of another codec or has no valid one.
    pub(super) fn of(params: &AudioCodecParameters) -> Option<Self> {
        params.extra_data.as_deref().filter(|_| params.codec == CODEC_ID_OPUS).and_then(Self::read)
    }

    /// Reads the header as Ogg and Matroska keep it.
    fn read(bytes: &[u8]) -> Option<Self> {
        let fixed = bytes.strip_prefix(b"OpusHead")?;
        let channels = *fixed.get(1)?;
        let pre_skip = u16::from_le_bytes([*fixed.get(2)?, *fixed.get(3)?]);
        let gain = i16::from_le_bytes([*fixed.get(8)?, *fixed.get(9)?]);
        if *fixed.get(10)? == 0 {
            return Self::of_channels(channels.into()).map(|head| Self { pre_skip, gain, ..head });
        }
        let mut mapping = [0; MOST_CHANNELS];
        let table = fixed.get(13..13 + usize::from(channels))?;
        let order = VORBIS_TO_WAV.get(table.len().checked_sub(1)?)?;
        for (channel, at) in mapping.iter_mut().zip(0..table.len()) {
            *channel = table[if *fixed.get(10)? == 1 { order[at] } else { at }];
        }
        Some(Self { channels, pre_skip, gain, streams: *fixed.get(11)?, coupled: *fixed.get(12)?, mapping })
    }
}

/// A decoder whose output is never trimmed: every packet gives as many samples as it stands for.
pub(super) struct OpusDecoder {
    params: AudioCodecParameters,
    /// One for each stream in a packet. A mutex that is never locked: libopus may change threads, but not be shared.
    streams: Vec<Mutex<Stream>>,
    mapping: [u8; MOST_CHANNELS],
    coupled: u8,
    buffer: AudioBuffer<f32>,
}

/// One stream of one or two channels.
struct Stream {
    decoder: Decoder,
    channels: usize,
    interleaved: Vec<f32>,
}

impl OpusDecoder {
    fn new(params: &AudioCodecParameters) -> Result<Self> {
        let Some(channels) = params.channels.clone() else {
            return unsupported_error("opus: the number of channels is missing");
        };
        let head = match params.extra_data.as_deref() {
            Some(bytes) => OpusHead::read(bytes),
            // CAF has none.
            None => OpusHead::of_channels(channels.count()),
        };
        let Some(head) = head else { return decode_error("opus: the identification header is damaged") };
        if usize::from(head.channels) != channels.count() || head.coupled > head.streams || head.streams == 0 {
            return decode_error("opus: the identification header contradicts itself or the container");
        }
        let last = u16::from(head.streams) + u16::from(head.coupled);
        if head.mapping[..channels.count()].iter().any(|at| *at != SILENT && u16::from(*at) >= last) {
            return decode_error("opus: a channel of a stream that is not there");
        }
        let rate = params.sample_rate.unwrap_or(TICKS_PER_SECOND);
        let Some(known) = sample_rate(rate) else {
            return unsupported_error("opus: decodes to 8, 12, 16, 24 and 48 kHz");
        };
        let longest = (f64::from(rate) * LONGEST_PACKET) as usize;
        let stream = |stream| {
            let (layout, channels) = if stream < head.coupled { (Channels::Stereo, 2) } else { (Channels::Mono, 1) };
            let mut decoder = Decoder::new(layout, known).ok()?;
            decoder.set_gain(head.gain.into()).ok()?;
            Some(Mutex::new(Stream { decoder, channels, interleaved: vec![0.0; longest * channels] }))
        };
        let Some(streams) = (0..head.streams).map(stream).collect() else {
            return decode_error("opus: libopus refuses to start");
        };
        let buffer = AudioBuffer::new(AudioSpec::new(rate, channels), longest);
        Ok(Self { params: params.clone(), streams, mapping: head.mapping, coupled: head.coupled, buffer })
    }

    /// Decodes every stream of a packet and gives the number of samples that each has.
    fn decode_streams(&mut self, packet: &[u8]) -> Option<usize> {
        let mut rest = packet;
        let mut own = Vec::new();
        let mut frames = None;
        let last = self.streams.len() - 1;
        for (index, stream) in self.streams.iter_mut().enumerate() {
            let data = if index == last { rest } else { undelimited(&mut rest, &mut own)? };
            // libopus would take an empty packet for a lost one and make one up.
            if data.is_empty() {
                return None;
            }
            let stream = stream.get_mut().ok()?;
            let decoded = stream.decoder.decode_float_to_slice(data, &mut stream.interleaved, false).ok()?;
            if *frames.get_or_insert(decoded) != decoded {
                return None;
            }
        }
        frames
    }

    /// The channel of the decoded streams that output channel `channel` is: which stream, and which of its channels.
    fn origin(&self, channel: usize) -> Option<(usize, usize)> {
        let at = self.mapping[channel];
        match at {
            SILENT => None,
            at if at < 2 * self.coupled => Some((usize::from(at / 2), usize::from(at % 2))),
            at => Some((usize::from(at - self.coupled), 0)),
        }
    }
}

/// Takes one self-delimited packet (RFC 6716, appendix B) from the front of `rest` and gives it in the usual form, built in
/// `own`: the length of its last frame, which is usually what is left, taken out.
fn undelimited<'a>(rest: &mut &[u8], own: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    /// A frame's length, of one or two bytes (RFC 6716, 3.2.1).
    fn length(bytes: &[u8], at: &mut usize) -> Option<usize> {
        let first = usize::from(*bytes.get(*at)?);
        *at += 1;
        if first < 252 {
            return Some(first);
        }
        let second = usize::from(*bytes.get(*at)?);
        *at += 1;
        Some(second * 4 + first)
    }
    let bytes = *rest;
    let mut at = 1;
    // Bytes of all frames but the last, and how many frames are as long as the last.
    let (mut others, mut alike, mut padding) = (0, 1, 0);
    match bytes.first()? & 3 {
        0 => {}
        1 => alike = 2,
        2 => others = length(bytes, &mut at)?,
        _ => {
            let count = *bytes.get(at)?;
            at += 1;
            if count & 0x40 != 0 {
                while let more @ 255 = *bytes.get(at)? {
                    at += 1;
                    padding += usize::from(more) - 1;
                }
                padding += usize::from(*bytes.get(at)?);
                at += 1;
            }
            let frames = usize::from(count & 0x3F);
            if count & 0x80 == 0 {
                alike = frames;
            } else {
                for _ in 1..frames {
                    others += length(bytes, &mut at)?;
                }
            }
        }
    }
    own.clear();
    own.extend_from_slice(bytes.get(..at)?);
    let last = length(bytes, &mut at)?;
    let end = at + others + last * alike + padding;
    own.extend_from_slice(bytes.get(at..end)?);
    *rest = &bytes[end..];
    Some(own)
}

/// Samples at the rate of decoding of a length, which is counted at 48 kHz.
pub(super) fn samples(length: u64, params: &AudioCodecParameters) -> i64 {
    let rate = params.sample_rate.unwrap_or(TICKS_PER_SECOND);
    i64::try_from(length.saturating_mul(rate.into()) / u64::from(TICKS_PER_SECOND)).unwrap_or(i64::MAX)
}

/// The identification header as Ogg has it, of one whose numbers are big-endian (`dOps` of MP4).
pub(super) fn little_endian(mut header: Box<[u8]>) -> Box<[u8]> {
    // Behind the magic, the version and the number of channels: pre-skip, rate, gain.
    for number in [10..12, 12..16, 16..18] {
        if let Some(number) = header.get_mut(number) {
            number.reverse();
        }
    }
    header
}

/// Samples at 48 kHz that a packet stands for (RFC 6716, 3.1 and 3.2); 0 where it is damaged.
pub(super) fn duration(packet: &[u8]) -> u64 {
    let Some(first) = packet.first() else { return 0 };
    let frame = match first >> 3 {
        config @ 0..12 => [480, 960, 1_920, 2_880][usize::from(config % 4)],
        config @ 12..16 => [480, 960][usize::from(config % 2)],
        config => [120, 240, 480, 960][usize::from(config % 4)],
    };
    let frames = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => packet.get(1).map_or(0, |count| u64::from(count & 0x3F)),
    };
    frame * frames
}

/// The rate as libopus names it; none where it decodes to no such rate.
pub(super) const fn sample_rate(rate: u32) -> Option<SampleRate> {
    match rate {
        8_000 => Some(SampleRate::Hz8000),
        12_000 => Some(SampleRate::Hz12000),
        16_000 => Some(SampleRate::Hz16000),
        24_000 => Some(SampleRate::Hz24000),
        48_000 => Some(SampleRate::Hz48000),
        _ => None,
    }
}

impl AudioDecoder for OpusDecoder {
    fn codec_info(&self) -> &CodecInfo {
        &Self::supported_codecs()[0].info
    }

    fn reset(&mut self) {
        for stream in &mut self.streams {
            let done = stream.get_mut().map(|stream| stream.decoder.reset());
            debug_assert!(matches!(done, Ok(Ok(()))), "libopus resets every state that it made");
        }
    }

    fn codec_params(&self) -> &AudioCodecParameters {
        &self.params
    }

    fn decode_ref(&mut self, packet: &PacketRef<'_>) -> Result<GenericAudioBufferRef<'_>> {
        self.buffer.clear();
        let Some(frames) = self.decode_streams(packet.data) else { return decode_error("opus: the packet is damaged") };
        self.buffer.render_uninit(Some(frames));
        for channel in 0..self.buffer.num_planes() {
            let Some((stream, of)) = self.origin(channel) else { continue };
            let (Ok(stream), Some(plane)) = (self.streams[stream].get_mut(), self.buffer.plane_mut(channel)) else {
                continue;
            };
            let samples = stream.interleaved[of..].iter().step_by(stream.channels);
            for (out, sample) in plane.iter_mut().zip(samples) {
                *out = *sample;
            }
        }
        Ok(self.buffer.as_generic_audio_buffer_ref())
    }

    fn finalize(&mut self) -> FinalizeResult {
        FinalizeResult::default()
    }

    fn last_decoded(&self) -> GenericAudioBufferRef<'_> {
        self.buffer.as_generic_audio_buffer_ref()
    }
}

impl RegisterableAudioDecoder for OpusDecoder {
    fn try_registry_new(params: &AudioCodecParameters, _: &AudioDecoderOptions) -> Result<Box<dyn AudioDecoder>> {
        Ok(Box::new(Self::new(params)?))
    }

    fn supported_codecs() -> &'static [SupportedAudioCodec] {
        &[support_audio_codec!(CODEC_ID_OPUS, "opus", "Opus")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_mp4_says_the_same_with_its_bytes_reversed() {
        let head = |pre_skip: [u8; 2], gain: [u8; 2]| {
            [b"OpusHead\x01\x02".as_slice(), &pre_skip, &[0; 4], &gain, &[0]].concat().into_boxed_slice()
        };
        let read = OpusHead::read(&head([0x38, 0x01], [0x00, 0xEC])).unwrap();
        assert_eq!((read.channels, read.pre_skip, read.gain, read.coupled), (2, 312, -5_120, 1));
        assert_eq!(OpusHead::read(&little_endian(head([0x01, 0x38], [0xEC, 0x00]))), Some(read));
        assert_eq!(OpusHead::read(&little_endian(b"OpusHead".as_slice().into())), None);
    }

    #[test]
    fn channels_of_several_streams_come_in_the_order_of_a_wav() {
        let mut head = b"OpusHead\x01\x06".to_vec();
        head.extend([0; 8]);
        head.extend([1, 4, 2, 0, 4, 1, 2, 3, 5]);
        let read = OpusHead::read(&head).unwrap();
        assert_eq!((read.streams, read.coupled, &read.mapping[..6]), (4, 2, [0, 1, 4, 5, 2, 3].as_slice()));
        assert!((0..head.len()).all(|len| OpusHead::read(&head[..len]).is_none()));
    }

    #[test]
    fn a_self_delimited_packet_gives_back_the_usual_one_and_what_follows_it() {
        let cases: [(&[u8], &[u8]); 5] = [
            (&[0x08, 2, 7, 8, 99], &[0x08, 7, 8]),
            (&[0x09, 2, 1, 2, 3, 4, 99], &[0x09, 1, 2, 3, 4]),
            (&[0x0A, 1, 2, 5, 6, 7, 99], &[0x0A, 1, 5, 6, 7]),
            (&[0x0B, 0x03, 1, 5, 6, 7, 99], &[0x0B, 0x03, 5, 6, 7]),
            (&[0x0B, 0xC2, 2, 1, 1, 5, 6, 0, 0, 99], &[0x0B, 0xC2, 2, 1, 5, 6, 0, 0]),
        ];
        let mut own = Vec::new();
        for (delimited, usual) in cases {
            let mut rest = delimited;
            assert_eq!(undelimited(&mut rest, &mut own).unwrap(), usual);
            assert_eq!(rest, [99]);
            for len in 0..delimited.len() - 1 {
                assert_eq!(undelimited(&mut &delimited[..len], &mut own), None, "{len} bytes of {delimited:?}");
            }
        }
    }

    #[test]
    fn packets_say_how_long_they_are() {
        assert_eq!(duration(&[0x08]), 960, "SILK, 20 ms");
        assert_eq!(duration(&[0x1B, 2]), 2 * 2_880, "SILK, twice 60 ms");
        assert_eq!(duration(&[0x80]), 120, "CELT, 2.5 ms");
        assert_eq!((duration(&[]), duration(&[0x03])), (0, 0));
    }
}
