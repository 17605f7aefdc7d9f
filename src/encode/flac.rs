//! FLAC (RFC 9639) through libFLAC, at its level 5, the one of `flac` and libsndfile.
//!
//! libFLAC goes back to the stream's header once it knows the sound, and its wrapper cannot: the header is completed here, with
//! the number of samples, the lengths of the shortest and the longest frame and the MD5 of all samples. The wrapper cannot move
//! between threads either: samples wait as integers for the end of the utterance, and all are encoded there.

use std::io;

use flac_bound::{FlacEncoder, WriteWrapper};

use super::contract::{EncodeError, EncodeSound, Intake};
use super::{Bits, pcm};
use crate::audio::Hertz;

/// The highest rate that a frame can say of itself, in tens of hertz (RFC 9639, 9.1.2).
pub(super) const HIGHEST_RATE: u32 = 655_350;

/// A frame names its channels by 3 bits (RFC 9639, 9.1.3).
pub(super) const MOST_CHANNELS: usize = 8;

/// The header counts samples by 36 bits (RFC 9639, 8.2).
const MOST_SAMPLES: u64 = (1 << 36) - 1;

/// From here on a frame can only name rates of whole tens of hertz.
const RATES_OF_16_BITS: u32 = 1 << 16;

/// libFLAC's default of 0 to 8.
const LEVEL: u32 = 5;

/// Samples in a frame, libFLAC's own number at this level.
const FRAME: usize = 4_096;

/// A FLAC that is being written.
pub(super) struct Flac {
    rate: Hertz,
    channels: usize,
    bits: Bits,
    intake: Intake,
    /// The samples as integers, as their MD5 is defined (RFC 9639, 8.2).
    pcm: Vec<u8>,
    /// The samples of one frame, by channel.
    frame: Vec<Vec<i32>>,
}

impl Flac {
    /// An encoder of up to [`MOST_CHANNELS`] and [`HIGHEST_RATE`], of integers.
    pub(super) fn new(rate: Hertz, channels: usize, bits: Bits) -> Self {
        let intake = Intake::of_channels(channels);
        Self { rate, channels, bits, intake, pcm: Vec::new(), frame: vec![Vec::with_capacity(FRAME); channels] }
    }

    /// Has libFLAC write the whole stream.
    fn encode(&mut self, sink: &mut Sink<'_>) -> Result<(), &'static str> {
        let width = self.bits.width();
        let mut wrapper = WriteWrapper(sink);
        let encoder = FlacEncoder::new().ok_or("no memory is left")?;
        let mut encoder = encoder
            .channels(self.channels as u32)
            .bits_per_sample(8 * width as u32)
            .sample_rate(self.rate.get())
            .compression_level(LEVEL)
            .blocksize(FRAME as u32)
            .streamable_subset(self.rate.get() < RATES_OF_16_BITS || self.rate.get().is_multiple_of(10))
            .init_write(&mut wrapper)
            .map_err(|_| "libFLAC refuses to start")?;
        for samples in self.pcm.chunks(FRAME * self.channels * width) {
            for (channel, frame) in self.frame.iter_mut().enumerate() {
                frame.clear();
                let of_channel = samples[channel * width..].chunks(self.channels * width);
                match self.bits {
                    Bits::Integer16 => frame.extend(
                        of_channel.filter_map(<[u8]>::first_chunk).map(|bytes| i32::from(i16::from_le_bytes(*bytes))),
                    ),
                    _ => frame.extend(
                        of_channel
                            .filter_map(<[u8]>::first_chunk)
                            .map(|[low, middle, high]| i32::from_le_bytes([0, *low, *middle, *high]) >> 8),
                    ),
                }
            }
            let mut frame: [&[i32]; MOST_CHANNELS] = [&[]; MOST_CHANNELS];
            for (channel, samples) in frame.iter_mut().zip(&self.frame) {
                *channel = samples;
            }
            encoder.process(&frame[..self.channels]).map_err(|()| "libFLAC fails")?;
        }
        encoder.finish().map(|_| ()).map_err(|_| "libFLAC fails at the end")
    }
}

impl EncodeSound for Flac {
    fn begin(&mut self) {
        self.intake.begin();
        self.pcm.clear();
    }

    fn push(&mut self, channels: &[&[f32]]) -> Result<(), EncodeError> {
        self.intake.take(channels)?;
        if self.intake.samples() > MOST_SAMPLES {
            return Err(EncodeError::FileTooLarge { codec: "flac", most: MOST_SAMPLES, unit: "samples" });
        }
        pcm::append(channels, self.bits, &mut self.pcm);
        Ok(())
    }

    fn finish(&mut self, bytes: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut sink = Sink::behind(bytes);
        self.encode(&mut sink)
            .and_then(|()| sink.complete(self.intake.samples(), md5::compute(&self.pcm).0))
            .map_err(|message| EncodeError::Refused { codec: "flac", message: message.to_owned() })
    }
}

/// Where libFLAC writes: the marker in one call, then each metadata block in one, then each frame in one.
struct Sink<'a> {
    bytes: &'a mut Vec<u8>,
    /// Where the stream begins.
    start: usize,
    in_frames: bool,
    /// The lengths of the shortest and the longest frame, in bytes.
    frames: Option<(usize, usize)>,
}

/// What every FLAC begins with (RFC 9639, 8): the marker, and the head of a block of metadata of type 0 and 34 bytes.
const MARKER: &[u8] = b"fLaC";
const STREAMINFO: &[u8] = &[0, 0, 0, 34];

impl<'a> Sink<'a> {
    fn behind(bytes: &'a mut Vec<u8>) -> Self {
        Self { start: bytes.len(), bytes, in_frames: false, frames: None }
    }

    /// Writes what only the end knows to the header.
    fn complete(&mut self, samples: u64, md5: [u8; 16]) -> Result<(), &'static str> {
        let at = self.start + MARKER.len() + STREAMINFO.len();
        if self.bytes.get(self.start..at) != Some(&[MARKER, STREAMINFO].concat()) {
            return Err("libFLAC wrote no header");
        }
        let info = self.bytes.get_mut(at..at + 34).ok_or("libFLAC wrote a header that is cut off")?;
        // Lengths of frames by 24 bits each; 0 says that they are unknown. Then rate, channels and bits of a sample by 28, the
        // number of samples by 36, the MD5.
        let (shortest, longest) = self.frames.unwrap_or_default();
        for (at, length) in [(4, shortest), (7, longest)] {
            let length = u32::try_from(length).ok().filter(|length| *length < 1 << 24).unwrap_or(0);
            info[at..at + 3].copy_from_slice(&length.to_be_bytes()[1..]);
        }
        info[13] = info[13] & 0xF0 | (samples >> 32) as u8;
        info[14..18].copy_from_slice(&(samples as u32).to_be_bytes());
        info[18..34].copy_from_slice(&md5);
        Ok(())
    }
}

impl io::Write for Sink<'_> {
    fn write(&mut self, written: &[u8]) -> io::Result<usize> {
        const LAST_BLOCK: u8 = 0x80;
        if self.in_frames {
            let (shortest, longest) = self.frames.unwrap_or((usize::MAX, 0));
            self.frames = Some((shortest.min(written.len()), longest.max(written.len())));
        } else if self.bytes.len() > self.start {
            self.in_frames = written.first().is_some_and(|first| first & LAST_BLOCK != 0);
        }
        self.bytes.extend_from_slice(written);
        Ok(written.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
