//! Which demuxer reads a file, and which decoder its sound: symphonia's, and ours where it has none or a wrong one.

use std::io;
use std::sync::LazyLock;

use symphonia::core::audio::Channels;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_OPUS, CODEC_ID_VORBIS};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::{Hint, Probe, ProbeOptions};
use symphonia::core::formats::well_known::FORMAT_ID_ISOMP4;
use symphonia::core::formats::{FormatId, FormatOptions, FormatReader, Track};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use super::adpcm::AdpcmDecoder;
use super::error::LoadError;
use super::location::Medium;
use super::mp4::Edits;
use super::opus::{self, OpusDecoder};
use super::pcm::{PcmReader, unreadable};
use super::source::Source;
use super::{matroska, ogg, sniff};
use crate::audio::{Hertz, Seconds};

/// Every codec of symphonia, ADPCM by a decoder of ours, and Opus, which it lacks, through libopus.
static CODECS: LazyLock<CodecRegistry> = LazyLock::new(|| {
    let mut codecs = CodecRegistry::new();
    symphonia::default::register_enabled_codecs(&mut codecs);
    codecs.register_audio_decoder::<OpusDecoder>();
    codecs.register_audio_decoder::<AdpcmDecoder>();
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

/// First bytes of formats that are known and not read. Without this they would be "no format that is known", or be taken
/// for MPEG sound.
const UNREAD: [(&[u8], &str); 5] = [
    (b"RIFX", "big-endian WAV (RIFX)"),
    (b"wvpk", "WavPack"),
    (b"#!AMR", "AMR"),
    (b"MAC ", "Monkey's Audio"),
    (b"\x30\x26\xB2\x75\x8E\x66\xCF\x11", "Windows Media (ASF)"),
];

/// A file with its demuxer, and what that leaves unread.
pub(super) struct Demuxed {
    pub(super) format: Box<dyn FormatReader>,
    pub(super) edits: Edits,
    /// Nanoseconds to drop from the last packet.
    pub(super) padding_ns: u64,
    /// The tick at which the sound would end, had the file not broken off in a page.
    pub(super) lost_end: Option<u64>,
}

/// Opens a file, of which at most `bytes` bytes are read in all.
pub(super) fn open(medium: &Medium, bytes: u64) -> Result<Demuxed, LoadError> {
    let mut source = Source::open(medium)?;
    source.allow(bytes);
    if let Some(feature) = unread_format(&mut source).map_err(unreadable)? {
        return Err(LoadError::UnsupportedFormat { feature });
    }
    let layout = sniff::layout(&mut source)?;
    let edits = Edits::read(&mut source).map_err(unreadable)?;
    let padding_ns = matroska::discard_padding(&mut source).map_err(unreadable)?;
    if let Some(error) = ogg::unread(&mut source).map_err(unreadable)? {
        return Err(error);
    }
    let lost_end = ogg::cut_page(&mut source).map_err(unreadable)?;
    io::Seek::rewind(&mut source).map_err(unreadable)?;
    let source = MediaSourceStream::new(Box::new(source), MediaSourceStreamOptions::default());
    let format: Box<dyn FormatReader> = match layout {
        Some(layout) => Box::new(PcmReader::new(source, layout).map_err(unreadable)?),
        None => FORMATS.probe(&Hint::new(), source, FormatOptions::default(), MetadataOptions::default()).map_err(
            |error| match error {
                // The probe found nothing, in contrast to a demuxer that knows its format but not this form of it.
                SymphoniaError::Unsupported(what) if what.starts_with("core (probe)") => LoadError::UnknownFormat,
                error => LoadError::demuxing(error, Seconds::ZERO),
            },
        )?,
    };
    Ok(Demuxed { format, edits, padding_ns, lost_end })
}

/// A decoder that has heard nothing yet.
pub(super) fn decoder_of(params: &AudioCodecParameters) -> Result<Box<dyn AudioDecoder>, LoadError> {
    let channels = params.channels.as_ref().map_or(0, Channels::count);
    // Symphonia 0.6.1 makes noise of 5.1, whose channels libvorbis codes in two groups.
    if params.codec == CODEC_ID_VORBIS && channels > 2 {
        return Err(LoadError::UnsupportedCodec { feature: "Vorbis of more than two channels" });
    }
    let decoder = CODECS.make_audio_decoder(params, &AudioDecoderOptions::default());
    decoder.map_err(|error| LoadError::decoding(error, Seconds::ZERO))
}

/// The channels that a header claims: decoders make room for as many.
pub(super) fn claimed_channels(track: &Track) -> usize {
    match &track.codec_params {
        Some(CodecParameters::Audio(params)) => params.channels.as_ref().map_or(0, Channels::count),
        _ => 0,
    }
}

/// The parameters of a track, of Opus with the rate that it is to be decoded to: `rate` if it can be.
pub(super) fn params_of(
    track: &Track,
    container: FormatId,
    rate: Option<Hertz>,
) -> Result<AudioCodecParameters, LoadError> {
    let Some(CodecParameters::Audio(params)) = &track.codec_params else { return Err(LoadError::NoAudioTrack) };
    let mut params = params.clone();
    if params.codec == CODEC_ID_OPUS {
        let rate = rate.map(Hertz::get).filter(|rate| opus::sample_rate(*rate).is_some());
        params.with_sample_rate(rate.unwrap_or(opus::TICKS_PER_SECOND));
        if container == FORMAT_ID_ISOMP4 {
            params.extra_data = params.extra_data.map(opus::little_endian);
        }
    }
    Ok(params)
}

fn unread_format(source: &mut Source) -> io::Result<Option<&'static str>> {
    let mut head = [0; 8];
    // A file shorter than this is none of them.
    let whole = source.read_at(0, &mut head)?;
    Ok(UNREAD.iter().find(|(magic, _)| whole && head.starts_with(magic)).map(|(_, name)| *name))
}
