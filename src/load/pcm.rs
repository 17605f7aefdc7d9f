//! Containers whose sound lies in one piece, in blocks of one size: WAV, AIFF, Sun AU, CAF, NIST SPHERE, Wave64. A reader of ours
//! for all of them: symphonia has one for WAV, which seeks wrongly in ADPCM and refuses RF64, those of AIFF and CAF overflow on
//! damaged headers, and the latter refuses sound of 8 bits and of unknown length.
//!
//! Each format has a file that turns a header into a [`Layout`]; from there on they are the same. [`sniff`](super::sniff) finds
//! out which.

use std::io::{self, Seek, SeekFrom};
use std::ops::Range;

use symphonia::core::audio::Channels;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};
use symphonia::core::common::FourCc;
use symphonia::core::errors::{Error as SymphoniaError, Result as SymphoniaResult, SeekErrorKind, seek_error};
use symphonia::core::formats::{FormatId, FormatInfo, FormatReader, MediaInfo, SeekMode, SeekTo, SeekedTo, Track};
use symphonia::core::io::{MediaSourceStream, ReadBytes};
use symphonia::core::meta::{Metadata, MetadataLog};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use super::adpcm;
use super::error::LoadError;
use super::source::Source;
use crate::audio::{Hertz, Seconds};

/// What [`PcmReader`] calls itself, whichever of its formats it reads.
pub(super) const FORMAT: FormatId = FormatId::new(FourCc::new(*b"pcm "));

const FORMAT_INFO: FormatInfo =
    FormatInfo { format: FORMAT, short_name: "pcm", long_name: "sound in blocks of one size" };

/// The most bytes of a packet that holds more than one block. Measured: whole files take the same time with 4 to 64 KiB,
/// short cuts take longer the larger packets are, because they decode more than they need.
const PACKET_BYTES: u64 = 8 * 1024;

/// How the sound is coded. The sizes are never 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Coding {
    codec: AudioCodecId,
    sample_rate: Hertz,
    channels: u16,
    /// Bytes of the least piece that can be decoded alone: one sample of every channel, or a block of ADPCM.
    block_bytes: u64,
    /// Samples per channel in that piece.
    block_samples: u64,
}

impl Coding {
    /// A codec of `sample_bytes` a sample.
    pub(super) fn pcm(
        codec: AudioCodecId,
        sample_bytes: u64,
        sample_rate: u32,
        channels: u32,
    ) -> Result<Self, LoadError> {
        let (sample_rate, channels) = rate_and_channels(sample_rate, channels)?;
        Ok(Self { codec, sample_rate, channels, block_bytes: sample_bytes * u64::from(channels), block_samples: 1 })
    }

    /// A form of ADPCM in blocks of `block_bytes`.
    pub(super) fn adpcm(
        codec: AudioCodecId,
        block_bytes: u16,
        sample_rate: u32,
        channels: u32,
    ) -> Result<Self, LoadError> {
        let (sample_rate, channels) = rate_and_channels(sample_rate, channels)?;
        let block_bytes = u64::from(block_bytes);
        let block_samples = adpcm::samples_in(codec, channels, block_bytes);
        if block_samples == 0 {
            return Err(corrupt("a block of ADPCM too small for its head"));
        }
        Ok(Self { codec, sample_rate, channels, block_bytes, block_samples })
    }

    /// Samples per channel in so many bytes from the start of a block. Of ADPCM a short last block counts too: the encoder
    /// of ffmpeg may leave one, and a file may break off in one.
    fn samples_in(&self, bytes: u64) -> u64 {
        let whole = (bytes / self.block_bytes).saturating_mul(self.block_samples);
        whole.saturating_add(adpcm::samples_in(self.codec, self.channels, bytes % self.block_bytes))
    }

    /// Bytes of the least piece that can be decoded alone.
    pub(super) const fn block_bytes(&self) -> u64 {
        self.block_bytes
    }

    /// Bytes of so many samples per channel of PCM.
    pub(super) const fn bytes_of(&self, samples: u64) -> u64 {
        samples.saturating_mul(self.block_bytes)
    }
}

fn rate_and_channels(sample_rate: u32, channels: u32) -> Result<(Hertz, u16), LoadError> {
    let sample_rate = Hertz::new(sample_rate).ok_or_else(|| corrupt("a sample rate of 0"))?;
    match u16::try_from(channels) {
        Ok(0) => Err(corrupt("a sound of no channels")),
        Ok(channels) => Ok((sample_rate, channels)),
        Err(_) => Err(corrupt("more than 65,535 channels")),
    }
}

/// Where the sound lies in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    coding: Coding,
    /// The bytes of the sound that are there: never more than the file holds.
    data: Range<u64>,
    /// Samples per channel that the header claims.
    num_samples: u64,
}

impl Layout {
    /// Sound from byte `start` of a file of `len` bytes on: as many as the header claims, or all that follow.
    pub(super) fn new(coding: Coding, start: u64, claimed: Option<u64>, len: u64) -> Self {
        let there = len.saturating_sub(start);
        let claimed = claimed.unwrap_or(there);
        let held = claimed.min(there);
        // What is left over is less than one sample.
        let rest = held % coding.block_bytes;
        let usable = if adpcm::samples_in(coding.codec, coding.channels, rest) > 0 { held } else { held - rest };
        let num_samples = coding.samples_in(claimed);
        Self { data: start..start.saturating_add(usable), num_samples, coding }
    }

    fn track(&self) -> Track {
        let Coding { codec, sample_rate, channels, block_bytes, block_samples } = self.coding;
        let held = self.data.end - self.data.start;
        let mut params = AudioCodecParameters::new();
        params
            .for_codec(codec)
            .with_sample_rate(sample_rate.get())
            // Which speaker a channel is for, nothing here asks.
            .with_channels(Channels::Discrete(channels))
            .with_max_frames_per_packet(self.coding.samples_in(self.packet_bytes().min(held)))
            .with_frames_per_block(block_samples)
            .with_extra_data(adpcm::extra_data(block_bytes));
        let mut track = Track::new(TRACK);
        track
            .with_codec_params(CodecParameters::Audio(params))
            .with_num_frames(self.num_samples)
            .with_duration(Duration::from(self.num_samples));
        track
    }

    /// Bytes of a packet that is not the last: a whole number of blocks.
    fn packet_bytes(&self) -> u64 {
        (PACKET_BYTES / self.coding.block_bytes).max(1) * self.coding.block_bytes
    }
}

/// The first bytes of the file, as many as it has of those asked for.
pub(super) fn head<'a>(source: &mut Source, bytes: &'a mut [u8]) -> Result<&'a [u8], LoadError> {
    let held = usize::try_from(source.len()).unwrap_or(usize::MAX);
    let most = bytes.len().min(held);
    let bytes = &mut bytes[..most];
    source.read_at(0, bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// A header that breaks the rules of its format.
pub(super) fn corrupt(what: &'static str) -> LoadError {
    LoadError::Corrupt { at: Seconds::ZERO, source: SymphoniaError::DecodeError(what) }
}

/// The error of reading a header: the operating system's, or that too much was read.
pub(super) fn unreadable(source: io::Error) -> LoadError {
    LoadError::demuxing(SymphoniaError::IoError(source), Seconds::ZERO)
}

/// There is one track, and it has this number.
const TRACK: u32 = 0;

/// Gives the sound of a [`Layout`] in packets of whole blocks. Every packet can be decoded by itself, so that a seek leads to
/// the very block that holds the sample.
pub(super) struct PcmReader {
    reader: MediaSourceStream<'static>,
    layout: Layout,
    /// Where the next packet begins: always the start of a block.
    at: u64,
    tracks: [Track; 1],
    media_info: MediaInfo,
    metadata: MetadataLog,
}

impl PcmReader {
    /// # Errors
    ///
    /// The source cannot go to the sound.
    pub(super) fn new(mut reader: MediaSourceStream<'static>, layout: Layout) -> io::Result<Self> {
        let at = reader.seek(SeekFrom::Start(layout.data.start))?;
        let track = layout.track();
        let media_info = MediaInfo::from_track(&track);
        Ok(Self { reader, at, layout, tracks: [track], media_info, metadata: MetadataLog::default() })
    }

    /// The number of the first sample of the block at `at`.
    fn sample_at(&self, at: u64) -> u64 {
        self.layout.coding.samples_in(at - self.layout.data.start)
    }
}

impl FormatReader for PcmReader {
    fn format_info(&self) -> &FormatInfo {
        &FORMAT_INFO
    }

    fn media_info(&self) -> &MediaInfo {
        &self.media_info
    }

    fn metadata(&mut self) -> Metadata<'_> {
        self.metadata.metadata()
    }

    fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    fn seek(&mut self, _: SeekMode, to: SeekTo) -> SymphoniaResult<SeekedTo> {
        let required_ts = match to {
            SeekTo::Timestamp { ts, .. } => Some(ts),
            SeekTo::Time { time, .. } => self.media_info.time_base.and_then(|base| base.calc_timestamp(time)),
        };
        let Some((required_ts, sample)) = required_ts.and_then(|ts| Some((ts, u64::try_from(ts.get()).ok()?))) else {
            return seek_error(SeekErrorKind::OutOfRange);
        };
        let Coding { block_bytes, block_samples, .. } = self.layout.coding;
        let block = sample / block_samples;
        let Range { start, end } = self.layout.data;
        let at = block.checked_mul(block_bytes).and_then(|offset| offset.checked_add(start));
        let (Some(at), Ok(actual_ts)) = (at.filter(|at| *at < end), Timestamp::try_from(block * block_samples)) else {
            return seek_error(SeekErrorKind::OutOfRange);
        };
        self.at = self.reader.seek(SeekFrom::Start(at))?;
        Ok(SeekedTo { track_id: TRACK, required_ts, actual_ts })
    }

    fn next_packet(&mut self) -> SymphoniaResult<Option<Packet>> {
        let left = self.layout.data.end.saturating_sub(self.at);
        let bytes = left.min(self.layout.packet_bytes());
        let Some(pts) = i64::try_from(self.sample_at(self.at)).ok().filter(|_| bytes > 0) else { return Ok(None) };
        let data = self.reader.read_boxed_slice_exact(bytes as usize)?;
        self.at += bytes;
        let samples = self.layout.coding.samples_in(bytes);
        Ok(Some(Packet::new(TRACK, Timestamp::new(pts), Duration::from(samples), data)))
    }

    fn into_inner<'s>(self: Box<Self>) -> MediaSourceStream<'s>
    where
        Self: 's,
    {
        self.reader
    }
}

#[cfg(test)]
pub(super) mod tests {
    use symphonia::core::codecs::audio::well_known::{CODEC_ID_ADPCM_IMA_WAV, CODEC_ID_PCM_S16LE};
    use symphonia::core::io::MediaSourceStreamOptions;

    use super::super::sniff;
    use super::*;

    /// What is found in a file of these bytes.
    pub(in crate::load) fn layout_of(bytes: &[u8]) -> Result<Option<Layout>, LoadError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        sniff::layout(&mut Source::open(&file.path().into())?)
    }

    /// The codec, the bytes of the sound and the samples that the header claims.
    pub(in crate::load) fn found(bytes: &[u8]) -> (AudioCodecId, Range<u64>, u64) {
        let layout = layout_of(bytes).unwrap().unwrap();
        (layout.coding.codec, layout.data, layout.num_samples)
    }

    /// The code and the words of the error that these bytes are.
    pub(in crate::load) fn refused(bytes: &[u8]) -> (&'static str, String) {
        let error = layout_of(bytes).unwrap_err();
        let what = match &error {
            LoadError::Corrupt { source, .. } => source.to_string(),
            LoadError::UnsupportedCodec { feature } => (*feature).to_owned(),
            other => other.to_string(),
        };
        (error.code(), what)
    }

    /// Cuts a file everywhere, and puts wrong bytes everywhere: no answer may be a panic or reach beyond the file.
    pub(in crate::load) fn survives_damage(bytes: &[u8]) {
        let check = |bytes: &[u8]| {
            if let Ok(Some(layout)) = layout_of(bytes) {
                let Range { start, end } = layout.data;
                assert!(start <= end && (start == end || end <= bytes.len() as u64), "{layout:?}");
                let samples = packets_of(bytes, layout.clone()).iter().map(|(_, samples, _)| samples).sum::<u64>();
                assert_eq!(samples, layout.coding.samples_in(end - start));
            }
        };
        for len in 1..bytes.len() {
            check(&bytes[..len]);
        }
        for at in 0..bytes.len() {
            for wrong in [0, 1, 0x7F, 0x80, 0xFF, b'9', b'\n'] {
                let mut bytes = bytes.to_vec();
                bytes[at] = wrong;
                check(&bytes);
            }
        }
    }

    fn reader(bytes: &[u8], layout: Layout) -> PcmReader {
        let source = Box::new(io::Cursor::new(bytes.to_vec()));
        PcmReader::new(MediaSourceStream::new(source, MediaSourceStreamOptions::default()), layout).unwrap()
    }

    /// The first sample, the number of samples and the bytes of each packet.
    fn packets_of(bytes: &[u8], layout: Layout) -> Vec<(i64, u64, usize)> {
        let mut reader = reader(bytes, layout);
        std::iter::from_fn(|| reader.next_packet().unwrap())
            .map(|packet| (packet.pts.get(), packet.dur.get(), packet.data.len()))
            .collect()
    }

    fn stereo() -> Coding {
        Coding::pcm(CODEC_ID_PCM_S16LE, 2, 8_000, 2).unwrap()
    }

    /// Blocks of 36 bytes and 65 samples.
    fn ima() -> Coding {
        Coding::adpcm(CODEC_ID_ADPCM_IMA_WAV, 36, 8_000, 1).unwrap()
    }

    #[test]
    fn packets_are_whole_blocks_and_bear_the_number_of_their_first_sample() {
        let bytes = vec![0; 20_000];
        let packets = packets_of(&bytes, Layout::new(stereo(), 101, None, 20_000));
        assert_eq!(packets, [(0, 2_048, 8_192), (2_048, 2_048, 8_192), (4_096, 878, 3_512)]);
        let packets = packets_of(&bytes, Layout::new(ima(), 0, Some(8_172 + 36 + 12), 20_000));
        assert_eq!(packets, [(0, 14_755, 8_172), (14_755, 65 + 17, 48)], "a short block has its samples");
    }

    #[test]
    fn what_is_less_than_a_sample_is_left_out_and_what_is_not_there_stays_claimed() {
        let layout = |claimed, len| {
            let layout = Layout::new(stereo(), 44, claimed, len);
            (layout.data, layout.num_samples)
        };
        assert_eq!(layout(Some(403), 1_000), (44..444, 100));
        assert_eq!(layout(Some(400), 143), (44..140, 100));
        assert_eq!(layout(Some(400), 20), (44..44, 100));
        assert_eq!(layout(None, 144), (44..144, 25));
        assert_eq!(layout(Some(u64::MAX), 144), (44..144, u64::MAX / 4));
        let ima = Layout::new(ima(), 0, Some(36 * 3 + 3), 1_000);
        assert_eq!((ima.data, ima.num_samples), (0..36 * 3, 65 * 3), "3 bytes are no head of a block");
    }

    #[test]
    fn a_seek_leads_to_the_block_that_holds_the_sample() {
        let bytes: Vec<u8> = (0..5_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut pcm = reader(&bytes, Layout::new(stereo(), 8, None, bytes.len() as u64));
        let mut adpcm = reader(&bytes, Layout::new(ima(), 8, None, bytes.len() as u64));
        let seek = |reader: &mut PcmReader, sample: i64| {
            let to = SeekTo::Timestamp { ts: Timestamp::new(sample), track_id: TRACK };
            let actual = reader.seek(SeekMode::Accurate, to).ok()?.actual_ts.get();
            let packet = reader.next_packet().unwrap().unwrap();
            assert_eq!(packet.pts.get(), actual);
            Some((actual, packet.data[..4].to_vec()))
        };
        for sample in [4_997, 0, 17, 2_048, 4_096] {
            let expected = (sample as u32 + 2).to_le_bytes().to_vec();
            assert_eq!(seek(&mut pcm, sample), Some((sample, expected)));
        }
        for (sample, block) in [(64, 0), (65, 1), (35_000, 538)] {
            assert_eq!(seek(&mut adpcm, sample), Some((block * 65, (block as u32 * 9 + 2).to_le_bytes().to_vec())));
        }
        for sample in [-1, 4_998, i64::MAX] {
            assert_eq!(seek(&mut pcm, sample), None);
        }
    }

    #[test]
    fn a_rate_or_channels_that_cannot_be_are_corrupt() {
        let code = |rate, channels| Coding::pcm(CODEC_ID_PCM_S16LE, 2, rate, channels).err().map(|error| error.code());
        for (rate, channels) in [(0, 1), (8_000, 0), (8_000, 65_536), (8_000, u32::MAX)] {
            assert_eq!(code(rate, channels), Some("corrupt"));
        }
        assert_eq!(code(u32::MAX, 65_535), None);
        assert!(Coding::adpcm(CODEC_ID_ADPCM_IMA_WAV, 3, 8_000, 1).is_err());
    }
}
