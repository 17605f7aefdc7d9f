//! FLAC (RFC 9639), as small as libFLAC makes it at its level 5, and in the same bytes on every processor.
//!
//! A frame has 4096 samples of each channel. Each channel is predicted from its own past, by a fixed polynomial of order 0 to 4 or
//! by linear prediction of order 1 to 8 (found by autocorrelation under a Tukey window), and what the prediction misses is
//! Rice-coded in up to 32 partitions: what libFLAC 1.5 tries at level 5. Of two channels, their mean and difference are tried too.

mod bits;
mod predict;
mod subframe;

use super::contract::{EncodeError, EncodeSound, Intake};
use super::{Bits, pcm};
use crate::audio::Hertz;

use bits::{BitWriter, crc8, crc16};
use subframe::Analysis;

/// The highest rate that a frame can say of itself, in tens of hertz (RFC 9639, 9.1.2).
pub(super) const HIGHEST_RATE: u32 = 655_350;

/// A frame names its channels by 3 bits (RFC 9639, 9.1.3).
pub(super) const MOST_CHANNELS: usize = 8;

/// A frame has a number of 31 bits (RFC 9639, 9.1.5), and the header counts samples by 36.
const MOST_SAMPLES: u64 = (1 << 31) * FRAME as u64;

/// Samples in a frame, of each channel: libFLAC's own number at level 5.
const FRAME: usize = 4_096;

/// A FLAC that is being written.
pub(super) struct Flac {
    rate: Hertz,
    bits: Bits,
    intake: Intake,
    md5: md5::Context,
    /// The samples of the frame that is not full yet, by channel.
    frame: Vec<Vec<i32>>,
    /// The mean of two channels and their difference.
    mid: Vec<i32>,
    side: Vec<i32>,
    /// What was found for each channel; of two also for their mean and their difference.
    analyses: Vec<Analysis>,
    /// The samples of a block as bytes, for the MD5.
    pcm: Vec<u8>,
    writer: BitWriter,
    /// Frames written so far, and the lengths of the shortest and the longest, in bytes.
    frames: u64,
    shortest: usize,
    longest: usize,
}

impl Flac {
    /// An encoder of up to [`MOST_CHANNELS`] and [`HIGHEST_RATE`], of integers.
    pub(super) fn new(rate: Hertz, channels: usize, bits: Bits) -> Self {
        let analyses = if channels == 2 { 4 } else { channels };
        Self {
            rate,
            bits,
            intake: Intake::of_channels(channels),
            md5: md5::Context::new(),
            frame: vec![Vec::with_capacity(FRAME); channels],
            mid: Vec::new(),
            side: Vec::new(),
            analyses: (0..analyses).map(|_| Analysis::default()).collect(),
            pcm: Vec::new(),
            writer: BitWriter::default(),
            frames: 0,
            shortest: 0,
            longest: 0,
        }
    }

    /// Samples of the frame that is not full yet.
    fn filled(&self) -> usize {
        self.frame.first().map_or(0, Vec::len)
    }

    /// Writes the frame.
    fn write_frame(&mut self) {
        pcm::append_levels(&self.frame, self.bits.width(), &mut self.pcm);
        self.md5.consume(&self.pcm);
        self.pcm.clear();
        let depth = 8 * self.bits.width() as u32;
        for (analysis, channel) in self.analyses.iter_mut().zip(&self.frame) {
            analysis.of(channel, depth);
        }
        let assignment = self.assign(depth);
        let start = self.writer.len();
        self.write_head(assignment);
        let kept: &[usize] = match assignment {
            LEFT_SIDE => &[0, 3],
            SIDE_RIGHT => &[3, 1],
            MID_SIDE => &[2, 3],
            _ => &[0, 1, 2, 3, 4, 5, 6, 7][..self.frame.len()],
        };
        for channel in kept {
            self.analyses[*channel].write(&mut self.writer);
        }
        self.writer.align();
        let check = crc16(self.writer.since(start));
        self.writer.put(check.into(), 16);
        let length = self.writer.len() - start;
        self.shortest = if self.frames == 0 { length } else { self.shortest.min(length) };
        self.longest = self.longest.max(length);
        self.frames += 1;
        self.frame.iter_mut().for_each(Vec::clear);
    }

    /// How the channels are best kept, as the frame's header says it (RFC 9639, 9.1.3).
    fn assign(&mut self, depth: u32) -> u64 {
        let ([left, right], [of_left, of_right, of_mid, of_side]) = (&*self.frame, &mut *self.analyses) else {
            return self.frame.len() as u64 - 1;
        };
        self.mid.clear();
        self.mid.extend(left.iter().zip(right).map(|(left, right)| (left + right) >> 1));
        self.side.clear();
        self.side.extend(left.iter().zip(right).map(|(left, right)| left - right));
        of_mid.of(&self.mid, depth);
        of_side.of(&self.side, depth + 1);
        let size = |one: &Analysis, other: &Analysis| one.size() + other.size();
        let choices = [
            (size(of_left, of_right), 1),
            (size(of_left, of_side), LEFT_SIDE),
            (size(of_side, of_right), SIDE_RIGHT),
            (size(of_mid, of_side), MID_SIDE),
        ];
        choices.into_iter().min().map_or(1, |(_, assignment)| assignment)
    }

    /// The header of a frame (RFC 9639, 9.1), of blocks that are all of one size but the last.
    fn write_head(&mut self, assignment: u64) {
        let start = self.writer.len();
        let (samples, rate) = (self.filled() as u64, self.rate.get());
        let (size, size_bits) = match samples {
            4_096 => (12, 0),
            1..=256 => (6, 8),
            _ => (7, 16),
        };
        let (rate_code, rate_number, rate_bits) = rate_code(rate);
        let depth = if self.bits == Bits::Integer16 { 4 } else { 6 };
        let writer = &mut self.writer;
        writer.put(0xFFF8, 16);
        writer.put(size << 12 | rate_code << 8 | assignment << 4 | depth << 1, 16);
        put_number(writer, self.frames);
        writer.put(if size_bits == 0 { 0 } else { samples - 1 }, size_bits);
        writer.put(rate_number, rate_bits);
        let check = crc8(writer.since(start));
        writer.put(check.into(), 8);
    }

    /// What a file begins with: the marker and one block of metadata, the last (RFC 9639, 8.1 and 8.2).
    fn header(&self) -> Vec<u8> {
        let width = self.bits.width() as u64;
        let mut header = b"fLaC\x80\0\0\x22".to_vec();
        header.extend([(FRAME as u16).to_be_bytes(); 2].concat());
        for length in [self.shortest, self.longest] {
            // 0 says that it is unknown.
            let length = u32::try_from(length).ok().filter(|length| *length < 1 << 24).unwrap_or(0);
            header.extend_from_slice(&length.to_be_bytes()[1..]);
        }
        let channels = self.frame.len() as u64 - 1;
        let numbers = u64::from(self.rate.get()) << 44 | channels << 41 | (8 * width - 1) << 36 | self.intake.samples();
        header.extend(numbers.to_be_bytes());
        header.extend(self.md5.clone().finalize().0);
        header
    }
}

/// Two channels as the left one and what it has more than the right one.
const LEFT_SIDE: u64 = 8;
/// What the left channel has more than the right one, and the right one.
const SIDE_RIGHT: u64 = 9;
/// The mean of both channels, and what the left one has more than the right one.
const MID_SIDE: u64 = 10;

/// How a frame names its rate (RFC 9639, 9.1.2): a code, and a number of so many bits.
fn rate_code(rate: u32) -> (u64, u64, u32) {
    const KNOWN: [u32; 11] = [88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];
    if let Some(at) = KNOWN.iter().position(|known| *known == rate) {
        return (at as u64 + 1, 0, 0);
    }
    match rate {
        rate if rate.is_multiple_of(1_000) && rate < 256_000 => (12, u64::from(rate / 1_000), 8),
        rate if rate < 1 << 16 => (13, rate.into(), 16),
        rate if rate.is_multiple_of(10) => (14, u64::from(rate / 10), 16),
        // The file's header says it.
        _ => (0, 0, 0),
    }
}

/// The number of a frame, of up to 36 bits, in the manner of UTF-8 (RFC 9639, 9.1.5).
fn put_number(writer: &mut BitWriter, number: u64) {
    if number < 0x80 {
        return writer.put(number, 8);
    }
    // Bytes after the first, of 6 bits each; the first has one bit less for each of them.
    let mut more = 1;
    while number >> (6 * more + 6 - more) != 0 {
        more += 1;
    }
    let marks = 0xFF << (7 - more) & 0xFF;
    writer.put(marks | number >> (6 * more), 8);
    for byte in (0..more).rev() {
        writer.put(0x80 | number >> (6 * byte) & 0x3F, 8);
    }
}

impl EncodeSound for Flac {
    fn begin(&mut self) {
        self.intake.begin();
        self.md5 = md5::Context::new();
        self.frame.iter_mut().for_each(Vec::clear);
        self.writer.clear();
        (self.frames, self.shortest, self.longest) = (0, 0, 0);
    }

    fn push(&mut self, channels: &[&[f32]]) -> Result<(), EncodeError> {
        self.intake.take(channels)?;
        if self.intake.samples() > MOST_SAMPLES {
            return Err(EncodeError::FileTooLarge { codec: "flac", most: MOST_SAMPLES, unit: "samples" });
        }
        let len = channels.first().map_or(0, |channel| channel.len());
        let mut at = 0;
        while at < len {
            let filled = self.filled();
            let taken = (FRAME - filled).min(len - at);
            for (frame, channel) in self.frame.iter_mut().zip(channels) {
                frame.resize(filled + taken, 0);
                pcm::to_levels(&channel[at..at + taken], self.bits.width(), &mut frame[filled..]);
            }
            at += taken;
            if filled + taken == FRAME {
                self.write_frame();
            }
        }
        Ok(())
    }

    fn finish(&mut self, bytes: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.filled() > 0 {
            self.write_frame();
        }
        bytes.extend(self.header());
        bytes.extend_from_slice(self.writer.since(0));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_frames_are_written_like_characters() {
        for number in [0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x1_0000, 0x10_FFFF] {
            let mut writer = BitWriter::default();
            put_number(&mut writer, number);
            let Some(character) = char::from_u32(number as u32) else { continue };
            assert_eq!(writer.since(0), character.to_string().as_bytes());
        }
        for (number, expected) in
            [(0x3FF_FFFF, &[0xFB, 0xBF, 0xBF, 0xBF, 0xBF][..]), (0x7FFF_FFFF, &[0xFD, 0xBF, 0xBF, 0xBF, 0xBF, 0xBF])]
        {
            let mut writer = BitWriter::default();
            put_number(&mut writer, number);
            assert_eq!(writer.since(0), expected);
        }
    }
}
