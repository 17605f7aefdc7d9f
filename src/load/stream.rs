//! A file's sound as the decoder gives it, packet by packet, all channels: what symphonia does and where it must be kept
//! from doing wrong.

use std::io;
use std::ops::Range;

use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_ALAC, CODEC_ID_FLAC, CODEC_ID_OPUS};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::well_known::{
    FORMAT_ID_CAF, FORMAT_ID_FLAC, FORMAT_ID_ISOMP4, FORMAT_ID_MKV, FORMAT_ID_MP1, FORMAT_ID_MP2, FORMAT_ID_MP3,
    FORMAT_ID_OGG,
};
use symphonia::core::formats::{FormatId, FormatReader, SeekMode, SeekTo, TrackType};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use super::clock::Clock;
use super::demux::{self, Demuxed, claimed_channels, decoder_of, params_of};
use super::error::LoadError;
use super::flac;
use super::history::{Entry, History};
use super::limits::Limits;
use super::location::Medium;
use super::opus::{self, OpusHead};
use super::pcm;
use super::source::Source;
use crate::audio::{Hertz, Seconds};

/// What the header of a file claims. Headers lie: nothing is allocated by these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Samples a second.
    pub sample_rate: Hertz,
    /// The number of channels, at least 1.
    pub num_channels: u16,
    /// Samples per channel; none where the header does not say. An estimate for MP3 without a LAME tag, a packet more than
    /// comes for ALAC in CAF, exact for most others.
    pub num_samples: Option<u64>,
}

/// What a packet gave: which of the decoded samples are sound, and where in the file they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// The sample of the file that the first of them is.
    pub(super) start: u64,
    /// Their place in [`Stream::decoded`]; not empty.
    pub(super) range: Range<usize>,
}

impl Piece {
    /// The sample of the file that follows the last of them.
    pub(super) const fn end(&self) -> u64 {
        self.start.saturating_add(self.range.end as u64 - self.range.start as u64)
    }
}

/// An open file: demuxer and decoder.
pub(super) struct Stream {
    medium: Medium,
    format: Box<dyn FormatReader>,
    container: FormatId,
    decoder: Box<dyn AudioDecoder>,
    /// The decoder of the stretch to come, where one is due.
    successor: Option<Box<dyn AudioDecoder>>,
    params: AudioCodecParameters,
    track: u32,
    clock: Clock,
    history: History,
    entry: Entry,
    stretch: i64,
    num_samples: Option<u64>,
    /// Of these, those that must come.
    promised: Option<u64>,
    /// Whether the file ends within a page of Ogg.
    broke_off: bool,
    /// Whether the header says how many samples the encoder put in front.
    has_delay: bool,
    /// Samples to drop from the last packet, where only the end of the container tells.
    padding: i64,
    /// A packet that was read and is still to be decoded.
    ahead: Option<Packet>,
    /// Where the packet that was read last would be heard.
    at: Seconds,
    /// The sample that the next packet should start with.
    expected: Option<i64>,
    /// The samples of the packet before, the measure of blocks that are all alike.
    block: u64,
    /// The tick at which the last packet ended, as well as ticks can tell.
    coarse_end: Option<i64>,
    /// The sample behind the last one that was sound.
    heard_to: i64,
    /// The sample that the last packet read starts with, decoded or not.
    passed: u64,
    /// Packets that may still come before one that holds sound of the track.
    patience: u32,
    /// Whether the file is over.
    ended: bool,
}

/// Packets in a row without sound of the track: other tracks' and empty ones. A file that holds more, five hours of video
/// before the first sound, is none that is meant to be heard; and a demuxer that makes them up would never end.
const PATIENCE: u32 = 1_000_000;

impl Stream {
    /// Opens a file; Opus is decoded to `rate` if it can be.
    pub(super) fn open(medium: &Medium, rate: Option<Hertz>, limits: &Limits) -> Result<Self, LoadError> {
        let Demuxed { format, edits, padding_ns, lost_end } = demux::open(medium, limits.bytes)?;
        let track = format.default_track(TrackType::Audio).ok_or(LoadError::NoAudioTrack)?;
        limits.check_channels(claimed_channels(track))?;
        let container = format.format_info().format;
        let params = params_of(track, container, rate)?;
        let head = OpusHead::of(&params);
        let edit = edits.of(track.id);
        if edit.is_some_and(|edit| edit.pieces > 1) {
            return Err(LoadError::UnsupportedFormat { feature: "MP4 whose edit list joins several pieces" });
        }
        let pre_skip = head.map_or(0, |head| i64::from(head.pre_skip));
        let clock = Clock::new(params.sample_rate, track.time_base);
        let clock = match container {
            FORMAT_ID_ISOMP4 => {
                let start = edit.map_or(pre_skip, |edit| edit.start.try_into().unwrap_or(i64::MAX));
                clock.skipping_ticks(start).until(edit.and_then(|edit| edit.end))
            }
            FORMAT_ID_OGG => clock.skipping_ticks(pre_skip),
            // Ticks are milliseconds here. Only Opus is known to start before the sound does.
            FORMAT_ID_MKV => clock.skipping(opus::samples(pre_skip as u64, &params)),
            _ => clock,
        };
        let num_ticks = lost_end.or(track.num_frames).map(|ticks| clock.until_end(ticks));
        let num_samples = num_ticks.map(|ticks| clock.length(ticks));
        // A header is exact where it counts the samples, and does not estimate (MP3 without a LAME tag), nor count what is
        // dropped (ALAC in CAF), nor look at the last page that is there (Ogg, unless that broke off).
        let is_exact = match container {
            pcm::FORMAT | FORMAT_ID_FLAC => true,
            FORMAT_ID_ISOMP4 => !edits.is_fragmented,
            FORMAT_ID_MP3 => track.delay.is_some(),
            FORMAT_ID_OGG => lost_end.is_some(),
            _ => false,
        };
        let promised = num_samples.filter(|_| is_exact);
        Ok(Self {
            medium: medium.clone(),
            container,
            decoder: decoder_of(&params)?,
            successor: None,
            track: track.id,
            num_samples,
            promised,
            broke_off: lost_end.is_some(),
            has_delay: track.delay.is_some(),
            padding: if head.is_some() { opus::samples(padding_ns * 6 / 125_000, &params) } else { 0 },
            history: History::of(params.codec),
            params,
            clock,
            entry: Entry::START,
            stretch: 0,
            ahead: None,
            at: Seconds::ZERO,
            expected: None,
            block: 0,
            coarse_end: None,
            heard_to: 0,
            passed: 0,
            patience: PATIENCE,
            ended: false,
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

    /// The rate of the file, whose sound is decoded to `decoded`: Opus has one rate, whatever it is decoded to.
    pub(super) fn native_rate(&self, decoded: Hertz) -> Hertz {
        const OPUS: Hertz = Hertz::new(opus::TICKS_PER_SECOND).unwrap();
        if self.params.codec == CODEC_ID_OPUS { OPUS } else { decoded }
    }

    /// Samples per channel as the header claims, if it does.
    pub(super) const fn num_samples(&self) -> Option<u64> {
        self.num_samples
    }

    /// The number of samples that must come, where the header is exact.
    pub(super) const fn promised_samples(&self) -> Option<u64> {
        self.promised
    }

    /// Whether the file ends in the middle of what it was about to say, so that nobody knows how much is missing.
    pub(super) const fn broke_off(&self) -> bool {
        self.broke_off
    }

    /// Whether more comes than the header counts, which is known and no fault: the last packet of AAC and Opus in MP4 is
    /// longer than the sound.
    pub(super) fn pads_its_end(&self) -> bool {
        self.container == FORMAT_ID_ISOMP4 && self.history != History::Independent
    }

    /// Whether a seek leads to a packet whose first sample is known. Not so in Matroska, where symphonia 0.6.1 lands seconds
    /// late.
    fn can_seek(&self) -> bool {
        self.clock.is_of_ticks()
            && match self.container {
                FORMAT_ID_CAF => self.params.codec == CODEC_ID_ALAC,
                FORMAT_ID_FLAC => self.params.codec == CODEC_ID_FLAC,
                // Symphonia never comes back from seeking in a file of several streams.
                FORMAT_ID_OGG => self.format.tracks().len() == 1,
                // A tag in the middle, where two files were joined, is a frame to its seek and none to its reading.
                FORMAT_ID_MP1 | FORMAT_ID_MP2 | FORMAT_ID_MP3 => self.has_delay,
                pcm::FORMAT | FORMAT_ID_ISOMP4 => true,
                _ => false,
            }
    }

    /// By how many samples a packet may be off the end of the one before; none where it says nothing. Demuxers skip what
    /// they cannot read, and all that follows would be heard too early.
    fn bearable_gap(&self) -> Option<u64> {
        // Ogg counts per page, where a few samples more or less are no loss; what gets lost is a page, of one or more
        // packets, and the usual packet of speech (Opus) is 20 ms. MP3 has no ticks, and those of MP4 made while recording
        // are of a clock (Android).
        const OGG_PER_SECOND: u32 = 100;
        match self.container {
            _ if !self.clock.is_of_ticks() => None,
            FORMAT_ID_OGG => self.params.sample_rate.map(|rate| u64::from(rate / OGG_PER_SECOND)),
            FORMAT_ID_ISOMP4 if self.params.codec != CODEC_ID_ALAC => None,
            _ => self.can_seek().then_some(0),
        }
    }

    /// Goes to where decoding must begin for the sound from sample `target` on, which lies behind what was decoded; where
    /// packets do not tell their samples, that is where the stream stands. False if the way was lost: the file then stands
    /// anywhere.
    pub(super) fn seek(&mut self, target: u64) -> bool {
        let Ok(target) = i64::try_from(target) else { return true };
        let rate = self.clock.rate();
        let entry = self.history.entry(target, rate);
        let Ok(fresh) = decoder_of(&self.params) else { return true };
        if !self.can_seek() {
            // Packets that say how long they are can at least be passed over undecoded, if they are not needed.
            if entry.feed_from > self.passed.cast_signed() && self.counts_undecoded() {
                (self.entry, self.decoder, self.successor, self.expected) = (entry, fresh, None, None);
                self.stretch = self.history.stretch(entry.hear_from, rate);
            }
            return true;
        }
        let from = if self.history == History::Independent { target } else { entry.feed_from };
        if from <= 0 || !self.clock.starts_at_zero() {
            return true;
        }
        // Beyond the end there may be another file in the same one, which numbers its samples anew.
        if self.container == FORMAT_ID_OGG && self.num_samples.is_none_or(|end| target >= end.cast_signed()) {
            return false;
        }
        let to = if self.container == FORMAT_ID_OGG { self.before_last_page(from) } else { from };
        let to = Timestamp::new(self.clock.tick_of(to.max(0)));
        if self.format.seek(SeekMode::Accurate, SeekTo::Timestamp { ts: to, track_id: self.track }).is_err() {
            return false;
        }
        (self.entry, self.decoder, self.successor, self.expected) = (entry, fresh, None, None);
        self.stretch = self.history.stretch(entry.hear_from.max(0), rate);
        self.ahead = self.next_packet().ok().flatten();
        self.ahead.as_ref().is_some_and(|packet| self.clock.start_of(packet) <= from)
    }

    /// The sample to seek to so that it is not on the last page: symphonia dates that page by its end, and how much of the
    /// end is padding is known only to who comes from the page before.
    fn before_last_page(&self, from: i64) -> i64 {
        /// No encoder was seen to fill a page with more.
        const LONGEST_PAGE_S: i64 = 30;
        let end = self.num_samples.and_then(|end| i64::try_from(end).ok()).unwrap_or(i64::MAX);
        from.min(end.saturating_sub(LONGEST_PAGE_S * i64::from(self.clock.rate())))
    }

    /// Whether the samples of a packet are known without decoding it.
    fn counts_undecoded(&self) -> bool {
        self.clock.is_of_ticks() || self.params.codec == CODEC_ID_OPUS
    }

    /// Decodes the next packet that holds sound; none at the end. [`decoded`](Self::decoded) has its samples.
    pub(super) fn advance(&mut self) -> Result<Option<Piece>, LoadError> {
        while let Some(packet) = self.next_packet()? {
            let start = self.clock.start_of(&packet);
            self.at = Seconds::of_samples(start.max(0) as u64, self.clock.hertz());
            if self.clock.is_over(packet.pts.get()) {
                return Ok(None);
            }
            if self.params.codec == CODEC_ID_OPUS {
                let samples = opus::samples(opus::duration(&packet.data), &self.params);
                self.clock.count(samples);
                self.check_pause(&packet, samples)?;
            }
            let start_or_zero = start.max(0) as u64;
            if start_or_zero > self.passed {
                (self.passed, self.patience) = (start_or_zero, PATIENCE);
            }
            if start < self.entry.feed_from {
                continue;
            }
            let Some(frames) = self.decode(&packet, start)? else { continue };
            if let Some(piece) = self.sound(&packet, start, frames)? {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// Decodes a packet and gives the number of its samples; none where they are not to be heard.
    fn decode(&mut self, packet: &Packet, start: i64) -> Result<Option<usize>, LoadError> {
        let rate = self.clock.rate();
        let mut whole = packet.as_packet_ref();
        (whole.trim_start, whole.trim_end) = (Duration::ZERO, Duration::ZERO);
        if start < self.entry.hear_from {
            // What the first of them lack, the later ones no longer miss.
            drop(self.decoder.decode_ref(&whole));
            return Ok(None);
        }
        if self.history.stretch(start, rate) > self.stretch {
            self.stretch = self.history.stretch(start, rate);
            self.decoder = match self.successor.take() {
                Some(successor) => successor,
                None => decoder_of(&self.params)?,
            };
        }
        if self.history.prepares(start, rate) > self.stretch {
            let successor = match &mut self.successor {
                Some(successor) => successor,
                none => none.insert(decoder_of(&self.params)?),
            };
            drop(successor.decode_ref(&whole));
        }
        let mut decoded = self.decoder.decode_ref(&whole).map(|decoded| decoded.frames());
        if let Err(SymphoniaError::DecodeError(what)) = decoded
            && what.contains("signal spec")
        {
            // Another rate or other channels than those before. A new decoder finds out which, and the file is refused.
            self.decoder = decoder_of(&self.params)?;
            decoded = self.decoder.decode_ref(&whole).map(|decoded| decoded.frames());
        }
        match decoded {
            Ok(frames) => Ok(Some(frames)),
            // The last packet may be cut short where the file is. The length tells whether that is a fault.
            Err(SymphoniaError::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let at = self.at;
                match self.next_packet()? {
                    None => Ok(None),
                    Some(_) => Err(LoadError::Corrupt { at, source: SymphoniaError::IoError(error) }),
                }
            }
            Err(error) => Err(LoadError::decoding(error, self.at)),
        }
    }

    /// Which of the `frames` samples of a packet that starts at sample `start` are sound.
    fn sound(&mut self, packet: &Packet, start: i64, frames: usize) -> Result<Option<Piece>, LoadError> {
        if frames == 0 {
            return Ok(None);
        }
        let rate = self.decoder.last_decoded().spec().rate();
        if rate != self.clock.rate() {
            self.clock.distrust(rate);
        }
        if self.params.codec != CODEC_ID_OPUS {
            self.clock.count(frames as i64);
            self.check_pause(packet, frames as i64)?;
        }
        let end = start.saturating_add(frames as i64);
        if self.expected.is_none() && self.lacks_its_start(packet.pts.get()) {
            let source = SymphoniaError::DecodeError("the first frames are missing");
            return Err(LoadError::Corrupt { at: self.at, source });
        }
        if let Some(expected) = self.expected
            && self.bearable_gap().is_some_and(|gap| start.abs_diff(expected) > gap)
        {
            let source = SymphoniaError::DecodeError("packets are missing, or not in order");
            return Err(LoadError::Corrupt { at: self.at, source });
        }
        // Counted on and not anew from each packet, so that many small gaps make a large one.
        self.expected = Some(self.expected.map_or(end, |expected| expected.saturating_add(frames as i64)));
        self.block = frames as u64;
        let mut last = end;
        if self.padding > 0 && self.ahead.is_none() {
            last = end - self.padding;
        } else if self.trusts_padding() {
            last = self.clock.end_of(packet, frames).map_or(end, |valid| valid.min(end));
        }
        let first = start.max(self.clock.base());
        self.heard_to = self.heard_to.max(last);
        Ok((first < last)
            .then(|| Piece { start: first as u64, range: (first - start) as usize..(last - start) as usize }))
    }

    /// Whether the first frame of a FLAC file is not the first of what its header counts: a demuxer passes over frames that
    /// it cannot read. Where a file was cut from a longer one, the header should count nothing.
    fn lacks_its_start(&self, tick: i64) -> bool {
        self.container == FORMAT_ID_FLAC
            && tick > 0
            && self.entry == Entry::START
            && self.passed == 0
            && self.num_samples.is_some_and(|samples| samples > 0)
    }

    /// Samples are counted in Matroska, and its coarse ticks only tell when many are missing: a part of the file, or the time
    /// in which a recorder stood still. All that follows would be heard too early.
    fn check_pause(&mut self, packet: &Packet, samples: i64) -> Result<(), LoadError> {
        let tick = packet.pts.get();
        let pause = self.coarse_end.map_or(0, |end| tick.saturating_sub(end));
        if self.container == FORMAT_ID_MKV && pause > i64::from(self.clock.ticks_per_second()) {
            let source = SymphoniaError::DecodeError("more than a second is missing");
            return Err(LoadError::Corrupt { at: self.at, source });
        }
        self.coarse_end = Some(tick.saturating_add(self.clock.ticks(samples)));
        Ok(())
    }

    /// Whether the demuxer knows which samples at the end the encoder added. Of an MP3 without a LAME tag it guesses the
    /// length from the first frame, and would take a part of the sound for padding.
    fn trusts_padding(&self) -> bool {
        match self.container {
            FORMAT_ID_MP1 | FORMAT_ID_MP2 | FORMAT_ID_MP3 => self.has_delay,
            _ => true,
        }
    }

    /// How much of the file was passed, in samples, without the last packet.
    pub(super) const fn passed(&self) -> u64 {
        self.passed
    }

    /// What the last packet held.
    pub(super) fn decoded(&self) -> GenericAudioBufferRef<'_> {
        self.decoder.last_decoded()
    }

    /// The next packet of the track; none at the end of the file, wherever that is.
    fn next_packet(&mut self) -> Result<Option<Packet>, LoadError> {
        let packet = match self.ahead.take() {
            Some(packet) => Some(packet),
            None => self.read_packet()?,
        };
        if self.padding > 0 {
            // Who must shorten the last one has to know which it is.
            self.ahead = self.read_packet()?;
        }
        Ok(packet)
    }

    fn read_packet(&mut self) -> Result<Option<Packet>, LoadError> {
        while !self.ended {
            self.patience = self.patience.checked_sub(1).ok_or_else(|| {
                let source = SymphoniaError::LimitError("a million packets without sound");
                LoadError::Corrupt { at: self.at, source }
            })?;
            match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track => return Ok(Some(packet)),
                Ok(Some(_)) => {}
                Ok(None) => self.ended = true,
                Err(SymphoniaError::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    if !self.may_end_anywhere() {
                        return Err(LoadError::demuxing(SymphoniaError::IoError(error), self.at));
                    }
                    self.ended = true;
                }
                // Ogg files may follow each other in one file; the next one has a track of its own.
                Err(SymphoniaError::ResetRequired) => self.start_next_file()?,
                Err(error) => return Err(LoadError::demuxing(error, self.at)),
            }
            if self.ended {
                return self.lost_frame();
            }
        }
        Ok(None)
    }

    /// Whether an end in the middle of a packet shows by other means, or is no fault: the length that was promised, a page that
    /// broke off; frames of MPEG have no end of their own, nor have films that browsers record.
    fn may_end_anywhere(&self) -> bool {
        self.container != FORMAT_ID_ISOMP4 || self.promised.is_some()
    }

    fn start_next_file(&mut self) -> Result<(), LoadError> {
        let track = self.format.default_track(TrackType::Audio).ok_or(LoadError::NoAudioTrack)?;
        self.params = params_of(track, self.container, Hertz::new(self.clock.rate()))?;
        self.decoder = decoder_of(&self.params)?;
        self.successor = None;
        self.track = track.id;
        self.history = History::of(self.params.codec);
        let head = OpusHead::of(&self.params);
        let clock = Clock::new(self.params.sample_rate, track.time_base);
        let clock = clock.skipping_ticks(head.map_or(0, |head| head.pre_skip.into()));
        self.clock = clock.following(self.heard_to);
        self.expected = None;
        Ok(())
    }

    /// The last frame of a FLAC file, if the demuxer lost it to what follows it.
    fn lost_frame(&self) -> Result<Option<Packet>, LoadError> {
        let lost = self.num_samples.zip(self.expected.and_then(|expected| u64::try_from(expected).ok()));
        let Some((promised, expected)) = lost.filter(|(promised, expected)| promised > expected) else {
            return Ok(None);
        };
        let missing = promised - expected;
        if self.container != FORMAT_ID_FLAC || missing > self.block || !self.clock.starts_at_zero() {
            return Ok(None);
        }
        let frame = Source::open(&self.medium)?;
        let frame = flac::last_frame(frame, expected, self.block).map_err(|source| LoadError::Unreadable { source })?;
        let pts = Timestamp::new(self.clock.tick_of(expected.cast_signed()));
        Ok(frame.map(|frame| Packet::new(self.track, pts, Duration::new(missing), frame)))
    }
}

#[cfg(test)]
mod tests {
    use symphonia::core::formats::{FormatInfo, MediaInfo, SeekedTo, Track};
    use symphonia::core::io::MediaSourceStream;
    use symphonia::core::meta::Metadata;

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
            let mut stream = Stream::open(&file.path().into(), None, &Load::default().limits()).unwrap();
            let Stream { format: inner, .. } =
                Stream::open(&file.path().into(), None, &Load::default().limits()).unwrap();
            stream.format = Box::new(Circles { inner, track: stream.track + other });
            assert_eq!(stream.advance().unwrap_err().code(), "corrupt");
        }
    }
}
