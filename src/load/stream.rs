//! A file's sound as the decoder gives it, packet by packet, all channels: what symphonia does and where it must be kept
//! from doing wrong.

use std::io;
use std::path::Path;
use std::sync::LazyLock;

use symphonia::core::audio::{Channels, GenericAudioBufferRef};
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_ALAC, CODEC_ID_FLAC, CODEC_ID_PCM_MULAW, CODEC_ID_PCM_S32LE,
};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::{Hint, Probe, ProbeOptions};
use symphonia::core::formats::well_known::{
    FORMAT_ID_AIFF, FORMAT_ID_CAF, FORMAT_ID_FLAC, FORMAT_ID_ISOMP4, FORMAT_ID_MP3, FORMAT_ID_OGG, FORMAT_ID_WAVE,
};
use symphonia::core::formats::{FormatOptions, FormatReader, SeekMode, SeekTo, Track, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;
use symphonia::core::units::{TimeBase, Timestamp};

use super::error::LoadError;
use super::limits::Limits;
use super::opus::OpusDecoder;
use super::riff;
use super::source::Source;
use crate::audio::{Hertz, Seconds};

/// Every codec of symphonia, and Opus, which it lacks, through libopus.
static CODECS: LazyLock<CodecRegistry> = LazyLock::new(|| {
    let mut codecs = CodecRegistry::new();
    symphonia::default::register_enabled_codecs(&mut codecs);
    codecs.register_audio_decoder::<OpusDecoder>();
    codecs
});

/// Every container of symphonia.
static FORMATS: LazyLock<Probe> = LazyLock::new(|| {
    // Symphonia would search a whole megabyte for something that looks like an MPEG frame, and in a megabyte of anything
    // there is one. MPEG sound that was cut from a stream begins within its first frame, at most 2,881 bytes in.
    let options = ProbeOptions { max_probe_depth: 32 * 1024, ..ProbeOptions::default() };
    let mut formats = Probe::new_with_options(&options);
    symphonia::default::register_enabled_formats(&mut formats);
    formats
});

/// First bytes of formats that are known and not read. Without this some are taken for MPEG sound (NIST SPHERE), and the
/// rest would be "no format that is known".
const UNREAD: [(&[u8], &str); 9] = [
    (b"NIST_1A", "NIST SPHERE"),
    (b"RF64", "WAV of more than 4 GiB (RF64)"),
    (b"BW64", "Broadcast Wave of more than 4 GiB (BW64)"),
    (b"riff\x2E\x91\xCF\x11", "Sony Wave64"),
    (b".snd", "Sun AU"),
    (b"wvpk", "WavPack"),
    (b"#!AMR", "AMR"),
    (b"MAC ", "Monkey's Audio"),
    (b"\x30\x26\xB2\x75\x8E\x66\xCF\x11", "Windows Media (ASF)"),
];

/// What the header of a file claims. Headers lie: nothing is allocated by these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Samples a second.
    pub sample_rate: Hertz,
    /// The number of channels, at least 1.
    pub num_channels: u16,
    /// Samples per channel; none where the header does not say. An estimate for MP3 without a LAME tag, a packet more than
    /// comes for Opus and ALAC in CAF, exact for most others.
    pub num_samples: Option<u64>,
}

/// An open file: demuxer and decoder.
pub(super) struct Stream {
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    time_base: Option<TimeBase>,
    num_samples: Option<u64>,
    /// Whether the header says how many samples the encoder put in front.
    has_delay: bool,
    /// Where the packet that was read last would be heard.
    at: Seconds,
    order: Order,
    /// Packets that may still come before one that holds sound of the track.
    patience: u32,
}

/// Packets in a row without sound of the track: other tracks' and empty ones. A file that holds more, five hours of video
/// before the first sound, is none that is meant to be heard; and a demuxer that makes them up would never end.
const PATIENCE: u32 = 1_000_000;

/// What is known of the tick that the next packet should bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Nothing: it is the first.
    First,
    /// Nothing: the one before was the first, whose start the decoder may have cut off.
    Second,
    /// This tick, where ticks count samples.
    Follows(i64),
}

impl Stream {
    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Self, LoadError> {
        let mut source = Source::open(path)?;
        source.allow(limits.bytes);
        let zero = Seconds::of_samples(0, ANY_RATE);
        let unreadable = |source| LoadError::Unreadable { source };
        if let Some(feature) = unread_format(&mut source).map_err(unreadable)? {
            return Err(LoadError::UnsupportedFormat { feature });
        }
        let patches = riff::patches(&mut source).map_err(unreadable)?;
        source.patch(patches);
        io::Seek::rewind(&mut source).map_err(unreadable)?;
        let source = MediaSourceStream::new(Box::new(source), MediaSourceStreamOptions::default());
        let format = FORMATS
            .probe(&Hint::new(), source, FormatOptions::default(), MetadataOptions::default())
            .map_err(|error| match error {
                // The probe found nothing, in contrast to a demuxer that knows its format but not this form of it.
                SymphoniaError::Unsupported(what) if what.starts_with("core (probe)") => LoadError::UnknownFormat,
                error => LoadError::demuxing(error, zero),
            })?;
        let track = format.default_track(TrackType::Audio).ok_or(LoadError::NoAudioTrack)?;
        limits.check_channels(claimed_channels(track))?;
        Ok(Self {
            decoder: decoder_of(track)?,
            track: track.id,
            time_base: track.time_base,
            num_samples: track.num_frames,
            has_delay: track.delay.is_some(),
            at: zero,
            order: Order::First,
            patience: PATIENCE,
            format,
        })
    }

    /// What the header claims; none where it leaves out the rate or the channels, which the first packet then tells.
    pub(super) fn header(&self) -> Option<Header> {
        let params = self.decoder.codec_params();
        let sample_rate = params.sample_rate.and_then(Hertz::new)?;
        let num_channels = params.channels.as_ref().and_then(|channels| u16::try_from(channels.count()).ok())?;
        (num_channels > 0).then_some(Header { sample_rate, num_channels, num_samples: self.num_samples })
    }

    /// Samples per channel as the header claims, if it does.
    pub(super) const fn num_samples(&self) -> Option<u64> {
        self.num_samples
    }

    /// The number of samples that must come, where the header is exact: it counts them, and does not estimate (MP3 without
    /// a LAME tag), nor count what is dropped (Opus, ALAC in CAF), nor look at the last page that is there (Ogg).
    pub(super) fn promised_samples(&self) -> Option<u64> {
        let exact = match self.format.format_info().format {
            FORMAT_ID_WAVE | FORMAT_ID_AIFF | FORMAT_ID_FLAC | FORMAT_ID_ISOMP4 => true,
            FORMAT_ID_CAF => self.is_pcm(),
            FORMAT_ID_MP3 => self.has_delay,
            _ => false,
        };
        self.num_samples.filter(|_| exact)
    }

    /// Whether more comes than the header counts, which is known and no fault: AAC in MP4 ends with its encoder's padding.
    pub(super) fn pads_its_end(&self) -> bool {
        self.format.format_info().format == FORMAT_ID_ISOMP4 && !self.counts_samples()
    }

    /// Whether packets bear the number of their first sample, and a decode after a seek was measured to be the same, bit
    /// by bit, as a decode from the start. Not so for ADPCM, which symphonia 0.6.1 sends beyond the end of the file, nor for
    /// Matroska, where it lands seconds late, nor for codecs whose packets need the ones before them.
    pub(super) fn counts_samples(&self) -> bool {
        let params = self.decoder.codec_params();
        self.ticks_are_samples()
            && match self.format.format_info().format {
                FORMAT_ID_WAVE | FORMAT_ID_AIFF => self.is_pcm(),
                FORMAT_ID_CAF => self.is_pcm() || params.codec == CODEC_ID_ALAC,
                FORMAT_ID_FLAC => params.codec == CODEC_ID_FLAC,
                FORMAT_ID_ISOMP4 => params.codec == CODEC_ID_ALAC,
                _ => false,
            }
    }

    fn ticks_are_samples(&self) -> bool {
        let rate = self.decoder.codec_params().sample_rate;
        self.time_base.is_some_and(|base| base.numer.get() == 1 && Some(base.denom.get()) == rate)
    }

    /// By how many ticks a packet may be off the end of the one before; none where it says nothing. Demuxers skip what they
    /// cannot read, and all that follows would be heard too early.
    fn bearable_gap(&self) -> Option<u64> {
        // Ogg counts per page, where a few samples more or less are no loss; what gets lost is a page, of one or more
        // packets, and the usual packet of speech (Opus) is 20 ms. MP3 has no ticks, and those of MP4 made while recording
        // are of a clock (Android).
        const OGG_PER_SECOND: u32 = 100;
        match self.time_base {
            Some(base) if self.format.format_info().format == FORMAT_ID_OGG && self.ticks_are_samples() => {
                Some(u64::from(base.denom.get() / OGG_PER_SECOND))
            }
            _ => self.counts_samples().then_some(0),
        }
    }

    fn is_pcm(&self) -> bool {
        (CODEC_ID_PCM_S32LE..=CODEC_ID_PCM_MULAW).contains(&self.decoder.codec_params().codec)
    }

    /// Goes to the packet that holds sample `to`, or one before it; only where [`counts_samples`](Self::counts_samples).
    /// False where that failed: the file then stands anywhere.
    pub(super) fn seek(&mut self, to: u64) -> bool {
        let Ok(to) = i64::try_from(to) else { return false };
        let to = SeekTo::Timestamp { ts: Timestamp::new(to), track_id: self.track };
        self.decoder.reset();
        self.order = Order::First;
        self.format.seek(SeekMode::Accurate, to).is_ok()
    }

    /// Decodes the next packet that holds samples and says at which tick of the track it starts; none at the end.
    /// [`decoded`](Self::decoded) has the samples.
    pub(super) fn advance(&mut self) -> Result<Option<i64>, LoadError> {
        self.patience = PATIENCE;
        loop {
            let Some(packet) = self.next_packet()? else { return Ok(None) };
            let frames = match self.decoder.decode(&packet) {
                Ok(decoded) => decoded.frames(),
                // The last packet may be cut short where the file is. The length tells whether that is a fault.
                Err(SymphoniaError::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    let at = self.at;
                    return match self.next_packet()? {
                        None => Ok(None),
                        Some(_) => Err(LoadError::Corrupt { at, source: SymphoniaError::IoError(error) }),
                    };
                }
                Err(error) => return Err(decoding(self.at)(error)),
            };
            if frames > 0 {
                let tick = packet.pts.get();
                self.check_order(tick, frames)?;
                return Ok(Some(tick));
            }
        }
    }

    /// Whether a packet at `tick` continues the one before.
    fn check_order(&mut self, tick: i64, frames: usize) -> Result<(), LoadError> {
        if let Order::Follows(expected) = self.order
            && self.bearable_gap().is_some_and(|gap| tick.abs_diff(expected) > gap)
        {
            let source = SymphoniaError::DecodeError("packets are missing, or not in order");
            return Err(LoadError::Corrupt { at: self.at, source });
        }
        let after = |tick: i64| Order::Follows(tick.saturating_add(i64::try_from(frames).unwrap_or(i64::MAX)));
        self.order = match self.order {
            Order::First if !self.counts_samples() => Order::Second,
            Order::First | Order::Second => after(tick),
            // Counted on and not anew from each packet, so that many small gaps make a large one.
            Order::Follows(expected) => after(expected),
        };
        Ok(())
    }

    /// What the last packet held.
    pub(super) fn decoded(&self) -> GenericAudioBufferRef<'_> {
        self.decoder.last_decoded()
    }

    /// The next packet of the track; none at the end of the file, wherever that is.
    fn next_packet(&mut self) -> Result<Option<Packet>, LoadError> {
        loop {
            self.patience = self.patience.checked_sub(1).ok_or_else(|| {
                let source = SymphoniaError::LimitError("a million packets without sound");
                LoadError::Corrupt { at: self.at, source }
            })?;
            match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track => {
                    let time = self.time_base.and_then(|base| base.calc_time(packet.pts));
                    self.at = time.and_then(|time| Seconds::new(time.as_secs_f64())).unwrap_or(self.at);
                    return Ok(Some(packet));
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(SymphoniaError::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                // Ogg files may follow each other in one file; the next one has a track of its own.
                Err(SymphoniaError::ResetRequired) => {
                    let track = self.format.default_track(TrackType::Audio).ok_or(LoadError::NoAudioTrack)?;
                    self.decoder = decoder_of(track)?;
                    self.track = track.id;
                    self.time_base = track.time_base;
                    self.order = Order::First;
                }
                Err(error) => return Err(LoadError::demuxing(error, self.at)),
            }
        }
    }
}

/// The channels that a header claims: decoders make room for as many.
fn claimed_channels(track: &Track) -> usize {
    match &track.codec_params {
        Some(CodecParameters::Audio(params)) => params.channels.as_ref().map_or(0, Channels::count),
        _ => 0,
    }
}

/// For a time of zero, which is the same at every rate.
const ANY_RATE: Hertz = Hertz::new(1).unwrap();

fn decoder_of(track: &Track) -> Result<Box<dyn AudioDecoder>, LoadError> {
    let params: &AudioCodecParameters = match &track.codec_params {
        Some(CodecParameters::Audio(params)) => params,
        _ => return Err(LoadError::NoAudioTrack),
    };
    CODECS
        .make_audio_decoder(params, &AudioDecoderOptions::default())
        .map_err(decoding(Seconds::of_samples(0, ANY_RATE)))
}

/// The error of a decoder at `at`.
fn decoding(at: Seconds) -> impl FnOnce(SymphoniaError) -> LoadError {
    move |error| match error {
        SymphoniaError::Unsupported(feature) => LoadError::UnsupportedCodec { feature },
        source => LoadError::Corrupt { at, source },
    }
}

fn unread_format(source: &mut Source) -> io::Result<Option<&'static str>> {
    let mut head = [0; 8];
    // A file shorter than this is none of them.
    let whole = source.read_at(0, &mut head)?;
    Ok(UNREAD.iter().find(|(magic, _)| whole && head.starts_with(magic)).map(|(_, name)| *name))
}

#[cfg(test)]
mod tests {
    use symphonia::core::formats::{FormatInfo, MediaInfo, SeekedTo};
    use symphonia::core::meta::Metadata;
    use symphonia::core::units::Duration;

    use super::*;
    use crate::load::Load;

    type Outcome<T> = Result<T, SymphoniaError>;

    /// A demuxer that a file sends in circles: a packet without sound, again and again.
    struct Circles {
        inner: Box<dyn FormatReader>,
        track: u32,
    }

    impl FormatReader for Circles {
        fn format_info(&self) -> &FormatInfo {
            self.inner.format_info()
        }

        fn media_info(&self) -> &MediaInfo {
            self.inner.media_info()
        }

        fn metadata(&mut self) -> Metadata<'_> {
            self.inner.metadata()
        }

        fn seek(&mut self, mode: SeekMode, to: SeekTo) -> Outcome<SeekedTo> {
            self.inner.seek(mode, to)
        }

        fn tracks(&self) -> &[Track] {
            self.inner.tracks()
        }

        fn next_packet(&mut self) -> Outcome<Option<Packet>> {
            Ok(Some(Packet::new(self.track, Timestamp::new(0), Duration::new(0), Vec::new())))
        }

        fn into_inner<'s>(self: Box<Self>) -> MediaSourceStream<'s>
        where
            Self: 's,
        {
            self.inner.into_inner()
        }
    }

    #[test]
    fn packets_without_sound_come_to_an_end() {
        let mut wav =
            b"RIFF\x2C\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1F\0\0\x80\x3E\0\0\x02\0\x10\0data\x08\0\0\0".to_vec();
        wav.extend([7; 8]);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), wav).unwrap();
        // Empty packets of the track itself, and packets of another one.
        for other in [0, 1] {
            let mut stream = Stream::open(file.path(), &Load::default().limits()).unwrap();
            let Stream { format: inner, .. } = Stream::open(file.path(), &Load::default().limits()).unwrap();
            stream.format = Box::new(Circles { inner, track: stream.track + other });
            assert_eq!(stream.advance().unwrap_err().code(), "corrupt");
        }
    }
}
