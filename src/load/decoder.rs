//! One utterance: a stretch of a file, one channel of it, in blocks.

use std::ops::Range;

use symphonia::core::errors::Error as SymphoniaError;

use super::Load;
use super::channels::{self, Pick};
use super::error::{LoadError, LoadWarning};
use super::limits::Limits;
use super::location::{Location, Medium};
use super::stream::{Header, Piece, Stream};
use crate::audio::{Hertz, Seconds};

/// Which stretch of the file. It becomes whole samples at the file's own rate, each time rounded on its own:
/// `round(start · rate)` and `round(duration · rate)` samples from there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// Where the stretch begins.
    pub start: Seconds,
    /// How long it is; none for all that follows.
    pub duration: Option<Seconds>,
}

/// What one utterance takes of its file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Take {
    /// Which stretch.
    pub cut: Cut,
    /// Which channels.
    pub pick: Pick,
    /// The rate that the sound will be brought to, where that is known: a codec that can decode straight to it does (Opus).
    pub rate: Option<Hertz>,
}

impl Take {
    /// The whole file, its channels mixed, at its own rate.
    #[must_use]
    pub fn whole() -> Self {
        Self { cut: Cut::whole(), pick: Pick::Mix, rate: None }
    }
}

impl Cut {
    /// The whole file.
    #[must_use]
    pub fn whole() -> Self {
        const ANY_RATE: Hertz = Hertz::new(1).unwrap();
        Self { start: Seconds::of_samples(0, ANY_RATE), duration: None }
    }
}

/// The sound of one utterance, block by block; memory does not grow with the length of the file.
pub struct Decoder {
    stream: Stream,
    pick: Pick,
    rate: Hertz,
    channels: u16,
    /// The cut in samples; its end is `u64::MAX` where it has none.
    cut: Range<u64>,
    /// The most that may be missing at the end, in samples.
    tolerance: u64,
    limits: Limits,
    /// The sample of the file that follows the last one decoded.
    position: u64,
    /// What is decoded and not yet given.
    pending: Option<Piece>,
    finished: bool,
    /// Whether the end of the file was reached and is where it may be.
    ended: bool,
}

impl Decoder {
    /// Opens a file and decodes the first packet, which tells the true rate and channels, then goes to where decoding has
    /// to begin for the cut to be exactly what a decode of the whole file has there.
    ///
    /// `load` sets how much of the claimed length may be missing.
    ///
    /// # Errors
    ///
    /// The file cannot be read or decoded, is shorter than the cut's start, or lacks the channel.
    pub fn open(location: impl Into<Location>, take: Take, load: &Load) -> Result<Self, LoadError> {
        let Take { cut, pick, rate } = take;
        let limits = load.limits();
        let medium = location.into().resolve(limits.bytes)?;
        let (mut stream, first) = open_first(&medium, rate, &limits)?;
        let (rate, num_channels) = format_of(&stream)?;
        limits.check_format(stream.native_rate(rate), num_channels)?;
        if let Pick::Channel(channel) = pick
            && channel >= num_channels
        {
            return Err(LoadError::NoSuchChannel { channel, channels: num_channels });
        }
        let start = cut.start.samples(rate);
        let end = cut.duration.map_or(u64::MAX, |duration| start.saturating_add(duration.samples(rate)));
        if start == end {
            return Err(LoadError::NoSamples);
        }
        let mut pending = Some(first);
        if start >= pending.as_ref().map_or(0, Piece::end) {
            pending = None;
            if !stream.seek(start) {
                // Beyond the end, or lost on the way: from the start it is known for certain.
                stream = Stream::open(&medium, take.rate, &limits)?;
            }
        }
        let tolerance = Seconds::new(load.length_tolerance_s).unwrap_or(Seconds::ZERO).samples(rate);
        Ok(Self {
            pick,
            rate,
            channels: num_channels,
            cut: start..end,
            tolerance,
            limits,
            position: 0,
            stream,
            pending,
            finished: false,
            ended: false,
        })
    }

    /// The rate of the file, in which the blocks are.
    #[must_use]
    pub const fn sample_rate(&self) -> Hertz {
        self.rate
    }

    /// Replaces `block` by the next samples, mono, full scale at ±1 (files of floats may exceed it): as many as one packet
    /// of the file holds. False, and no samples, at the end of the cut.
    ///
    /// # Errors
    ///
    /// The data is corrupt, the file ends too early, or it cannot be read any more. No samples come after an error.
    pub fn read(&mut self, block: &mut Vec<f32>) -> Result<bool, LoadError> {
        block.clear();
        let Some(range) = self.advance()? else { return Ok(false) };
        channels::reduce(&self.stream.decoded(), range, self.pick, block);
        Ok(true)
    }

    /// Replaces `blocks`, one for each channel of the file, by the next samples of every channel, whatever the utterance was
    /// to take. False, and no samples, at the end of the cut.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_channels(&mut self, blocks: &mut [Vec<f32>]) -> Result<bool, LoadError> {
        blocks.iter_mut().for_each(Vec::clear);
        let Some(range) = self.advance()? else { return Ok(false) };
        channels::append(&self.stream.decoded(), &range, blocks);
        Ok(true)
    }

    /// What was found wrong with a file that was decoded from its start, once its end is reached.
    #[must_use]
    pub fn warning(&self) -> Option<LoadWarning> {
        let whole = self.ended && self.cut.start == 0;
        let claimed = self.stream.promised_samples().filter(|claimed| whole && *claimed != self.position)?;
        if self.position > claimed && self.stream.pads_its_end() {
            return None;
        }
        Some(LoadWarning::LengthDiffers { claimed, decoded: self.position })
    }

    /// The number of channels of the file.
    #[must_use]
    pub const fn num_channels(&self) -> u16 {
        self.channels
    }

    /// Goes to the next packet that has samples of the cut and says which of its samples those are; none at the end.
    fn advance(&mut self) -> Result<Option<Range<usize>>, LoadError> {
        while !self.finished {
            // Whatever fails, nothing comes after it.
            self.finished = true;
            let piece = match self.pending.take() {
                Some(piece) => Some(piece),
                None => self.stream.advance()?,
            };
            let Some(piece) = piece else {
                self.check_end()?;
                self.ended = true;
                return Ok(None);
            };
            self.check_format(piece.start)?;
            let within = |sample: u64| {
                piece.range.start + sample.saturating_sub(piece.start).min(piece.range.len() as u64) as usize
            };
            let range = within(self.cut.start)..within(self.cut.end);
            self.position = piece.end();
            let heard = self.position.min(self.cut.end).saturating_sub(self.cut.start);
            self.limits.check_length(heard, self.rate)?;
            self.finished = self.position >= self.cut.end;
            if !range.is_empty() {
                return Ok(Some(range));
            }
        }
        Ok(None)
    }

    /// A packet must have the rate and channels of the first.
    fn check_format(&self, at: u64) -> Result<(), LoadError> {
        let (rate, channels) = format_of(&self.stream)?;
        if (rate, channels) != (self.rate, self.channels) {
            return Err(LoadError::FormatChanges { at: Seconds::of_samples(at, self.rate), rate, channels });
        }
        Ok(())
    }

    /// Judges an end of the file that came before the end of the cut.
    fn check_end(&self) -> Result<(), LoadError> {
        let time = |samples| Seconds::of_samples(samples, self.rate);
        // Nothing was given where the cut begins behind the end.
        let position = self.position.max(self.stream.passed());
        let enough = position.saturating_add(self.tolerance);
        if let Some(claimed) = self.stream.promised_samples()
            && (claimed > enough || self.stream.broke_off())
        {
            return Err(LoadError::Truncated { claimed: time(claimed), decoded: time(position) });
        }
        // What lies behind the length that was claimed may have been taken for an encoder's padding.
        if let Some(claimed) = self.stream.promised_samples()
            && position > claimed.saturating_add(self.tolerance)
        {
            return Err(LoadError::LongerThanClaimed { claimed: time(claimed), decoded: time(position) });
        }
        let end = (self.cut.end != u64::MAX).then_some(self.cut.end);
        if self.cut.start >= self.position || end.is_some_and(|end| end > enough) {
            let (start, length) = (time(self.cut.start), time(position));
            return Err(LoadError::CutOutOfRange { start, end: end.map(time), length });
        }
        Ok(())
    }
}

/// What the header of a file claims, read without decoding where the header is complete.
///
/// # Errors
///
/// The file cannot be read, or it is no sound that could be decoded.
pub fn probe(location: impl Into<Location>) -> Result<Header, LoadError> {
    probe_within(location, &Load::default().limits())
}

/// As [`probe`], within limits of one's own.
///
/// # Errors
///
/// As [`probe`], or the header claims what the limits do not allow.
pub fn probe_within(location: impl Into<Location>, limits: &Limits) -> Result<Header, LoadError> {
    let mut stream = Stream::open(&location.into().resolve(limits.bytes)?, None, limits)?;
    if let Some(header) = stream.header() {
        return Ok(header);
    }
    if stream.advance()?.is_none() {
        return Err(LoadError::NoSamples);
    }
    let (sample_rate, num_channels) = format_of(&stream)?;
    Ok(Header { sample_rate, num_channels, num_samples: stream.num_samples() })
}

/// A stream whose first packet is decoded.
fn open_first(medium: &Medium, rate: Option<Hertz>, limits: &Limits) -> Result<(Stream, Piece), LoadError> {
    let mut stream = Stream::open(medium, rate, limits)?;
    if let Some(piece) = stream.advance()? {
        return Ok((stream, piece));
    }
    // Not one packet. The header, if it promised some, was wrong.
    match (stream.header(), stream.promised_samples()) {
        (Some(Header { sample_rate, .. }), Some(claimed @ 1..)) => Err(LoadError::Truncated {
            claimed: Seconds::of_samples(claimed, sample_rate),
            decoded: Seconds::of_samples(0, sample_rate),
        }),
        _ => Err(LoadError::NoSamples),
    }
}

/// The rate and channels of the packet at hand. What was decoded counts, not what the header said.
fn format_of(stream: &Stream) -> Result<(Hertz, u16), LoadError> {
    let decoded = stream.decoded();
    let rate = Hertz::new(decoded.spec().rate());
    let channels = u16::try_from(decoded.num_planes()).ok().filter(|channels| *channels > 0);
    rate.zip(channels).ok_or_else(|| {
        let source = SymphoniaError::DecodeError("a sample rate or a number of channels that cannot be");
        LoadError::Corrupt { at: Cut::whole().start, source }
    })
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    /// A file in a folder of its own.
    struct Saved {
        _folder: tempfile::TempDir,
        path: PathBuf,
    }

    fn saved(bytes: &[u8]) -> Saved {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made.wav");
        std::fs::write(&path, bytes).unwrap();
        Saved { _folder: folder, path }
    }

    /// A 16-bit WAV at 8 kHz of interleaved samples.
    fn wav(channels: u16, samples: &[i16]) -> Vec<u8> {
        let size = samples.len() as u32 * 2;
        let mut bytes = b"RIFF".to_vec();
        bytes.extend((size + 36).to_le_bytes());
        bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0");
        bytes.extend(channels.to_le_bytes());
        bytes.extend(8_000_u32.to_le_bytes());
        bytes.extend((16_000 * u32::from(channels)).to_le_bytes());
        bytes.extend((2 * channels).to_le_bytes());
        bytes.extend(b"\x10\0data");
        bytes.extend(size.to_le_bytes());
        bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        bytes
    }

    /// 1, 2, 3, …: each sample says where it stood.
    fn counting(len: i16) -> Vec<i16> {
        (1..=len).collect()
    }

    fn seconds(seconds: f64) -> Seconds {
        Seconds::new(seconds).unwrap()
    }

    fn decode(path: &Path, cut: Cut, pick: Pick, tolerance: f64) -> Result<Vec<i16>, LoadError> {
        let load = Load { length_tolerance_s: tolerance, ..Load::default() };
        let mut decoder = Decoder::open(path, Take { cut, pick, rate: None }, &load)?;
        let (mut block, mut all) = (Vec::new(), Vec::new());
        while decoder.read(&mut block)? {
            assert!(!block.is_empty());
            all.extend(block.iter().map(|sample| (sample * 32_768.0) as i16));
        }
        assert!(!decoder.read(&mut block)? && block.is_empty(), "the end is the end");
        Ok(all)
    }

    #[test]
    fn a_length_within_the_tolerance_is_told_with_both_numbers() {
        let mut bytes = wav(1, &counting(16_000));
        bytes.truncate(44 + 2 * 12_000);
        let file = saved(&bytes);
        let load = Load::default();
        let warning = |cut: Cut| {
            let mut decoder = Decoder::open(&file.path, Take { cut, ..Take::whole() }, &load).unwrap();
            let mut block = Vec::new();
            assert_eq!(decoder.warning(), None, "the end is not known yet");
            while decoder.read(&mut block).unwrap() {}
            decoder.warning()
        };
        assert_eq!(warning(Cut::whole()), Some(LoadWarning::LengthDiffers { claimed: 16_000, decoded: 12_000 }));
        let longer = LoadWarning::LengthDiffers { claimed: 16_000, decoded: 12_000 };
        assert_eq!(warning(cut(0.0, 2.0)), Some(longer), "a corpus may give the length that the header claims");
        assert_eq!(warning(cut(0.0, 0.5)), None, "a cut has not seen the end");
        assert_eq!(warning(cut(1.0, 1.0)), None, "what lies before the cut was not decoded");
    }

    fn cut(start: f64, duration: f64) -> Cut {
        Cut { start: seconds(start), duration: Some(seconds(duration)) }
    }

    #[test]
    fn a_cut_is_the_samples_that_its_times_round_to() {
        let file = saved(&wav(1, &counting(20_000)));
        let from = |start| Cut { start: seconds(start), duration: None };
        let cases = [
            (Cut::whole(), 1..=20_000),
            (cut(0.0, 0.5), 1..=4_000),
            (cut(1.0, 0.25), 8_001..=10_000),
            (cut(1.000_06, 0.000_13), 8_001..=8_001),
            (cut(1.000_07, 0.000_13), 8_002..=8_002),
            (cut(0.143_9, 0.000_25), 1_152..=1_153),
            (from(2.4), 19_201..=20_000),
            (from(2.499_875), 20_000..=20_000),
        ];
        for (cut, expected) in cases {
            let samples = decode(&file.path, cut, Pick::Mix, 0.0).unwrap();
            assert_eq!(samples, expected.collect::<Vec<i16>>(), "{cut:?}");
        }
    }

    #[test]
    fn a_cut_beyond_the_end_is_refused_unless_the_tolerance_covers_it() {
        let file = saved(&wav(1, &counting(8_000)));
        let code = |cut, tolerance| decode(&file.path, cut, Pick::Mix, tolerance).err().map(|error| error.code());
        for (cut, tolerance) in [(cut(1.0, 0.1), 9.0), (cut(30.0, 0.1), 9.0), (cut(0.5, 0.7), 0.1)] {
            assert_eq!(code(cut, tolerance), Some("cut_out_of_range"), "{cut:?}");
        }
        assert_eq!(decode(&file.path, cut(0.5, 0.7), Pick::Mix, 0.3).unwrap().len(), 4_000);
        assert_eq!(code(cut(0.5, 0.0), 0.3), Some("no_samples"));
        let error = decode(&file.path, cut(0.5, 0.7), Pick::Mix, 0.1).unwrap_err();
        assert_eq!(error.to_string(), "the cut from 0.500 s to 1.200 s is not in a file of 1.000 s");
    }

    #[test]
    fn channels_are_mixed_or_picked() {
        let sides: Vec<i16> = (0..3_000).flat_map(|i| [i, 100 - i]).collect();
        let file = saved(&wav(2, &sides));
        assert_eq!(decode(&file.path, Cut::whole(), Pick::Mix, 0.0).unwrap(), [50; 3_000]);
        let left: Vec<i16> = (0..3_000).collect();
        assert_eq!(decode(&file.path, Cut::whole(), Pick::Channel(0), 0.0).unwrap(), left);
        assert_eq!(decode(&file.path, cut(0.25, 0.000_125), Pick::Channel(1), 0.0).unwrap(), [-1_900]);
        let error = decode(&file.path, Cut::whole(), Pick::Channel(2), 0.0).unwrap_err();
        assert_eq!(error.to_string(), "there is no channel 2: the file has 2, counted from 0");
    }

    #[test]
    fn a_file_shorter_than_its_header_claims_is_truncated() {
        let mut bytes = wav(1, &counting(16_000));
        bytes.truncate(44 + 2 * 12_000 + 1);
        let file = saved(&bytes);
        let error = decode(&file.path, Cut::whole(), Pick::Mix, 0.4).unwrap_err();
        assert_eq!(error.to_string(), "truncated: the header claims 2.000 s, the file holds 1.500 s");
        assert_eq!(decode(&file.path, Cut::whole(), Pick::Mix, 0.5).unwrap(), counting(12_000));
        assert_eq!(
            decode(&file.path, cut(0.0, 1.0), Pick::Mix, 0.0).unwrap(),
            counting(8_000),
            "what is there is good"
        );
        assert_eq!(decode(&file.path, cut(1.9, 0.1), Pick::Mix, 0.1).unwrap_err().code(), "truncated");
    }

    #[test]
    fn a_wav_from_a_pipe_loads_whole_and_one_that_lies_does_not() {
        let sized = |outer: u32, data: u32| {
            let mut bytes = wav(1, &counting(5_000));
            bytes[4..8].copy_from_slice(&outer.to_le_bytes());
            bytes[40..44].copy_from_slice(&data.to_le_bytes());
            saved(&bytes)
        };
        for (outer, data) in [(u32::MAX, u32::MAX), (0x7FFF_F024, 0x7FFF_F000), (0, 0), (36, 0), (0, 10_000)] {
            let file = sized(outer, data);
            assert_eq!(decode(&file.path, Cut::whole(), Pick::Mix, 0.0).unwrap(), counting(5_000), "{outer} {data}");
            assert_eq!(probe(&file.path).unwrap().num_samples, Some(5_000));
        }
        let file = sized(0xFFFF_0024, 0xFFFF_0000);
        assert_eq!(decode(&file.path, Cut::whole(), Pick::Mix, 0.5).unwrap_err().code(), "truncated");
    }

    #[test]
    fn what_is_no_sound_is_named() {
        let cases: [(&[u8], &str); 8] = [
            (b"", "empty_file"),
            (b"He said: this is a transcript, not a recording. ", "unknown_format"),
            (&[0; 5_000], "unknown_format"),
            (b"RIFF", "unknown_format"),
            (b"NIST_1A\n   1024\nchannel_count -i 1\n", "corrupt"),
            (b"RF64\xFF\xFF\xFF\xFFWAVEds64", "corrupt"),
            (&wav(1, &[]), "no_samples"),
            (&wav(0, &[1, 2]), "corrupt"),
        ];
        for (bytes, code) in cases {
            let file = saved(bytes);
            let error = decode(&file.path, Cut::whole(), Pick::Mix, 0.5).unwrap_err();
            assert_eq!(error.code(), code, "{error:?}");
        }
    }

    #[test]
    fn every_beginning_of_a_file_is_an_answer_and_never_a_panic() {
        let bytes = wav(2, &counting(40));
        for len in 0..bytes.len() {
            let file = saved(&bytes[..len]);
            let whole = decode(&file.path, Cut::whole(), Pick::Mix, 0.0);
            assert!(whole.is_err(), "{len} bytes of {}", bytes.len());
            drop(probe(&file.path));
        }
    }

    #[test]
    fn the_header_is_read_without_decoding() {
        let file = saved(&wav(2, &counting(600)));
        let header = probe(&file.path).unwrap();
        assert_eq!((header.sample_rate.get(), header.num_channels, header.num_samples), (8_000, 2, Some(300)));
    }
}
