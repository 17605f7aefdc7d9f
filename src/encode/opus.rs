//! Opus (RFC 6716) through libopus, in Ogg (RFC 7845).

use ogg::{PacketWriteEndInfo, PacketWriter};
use opusic_c::{Application, Bitrate, Channels, Encoder, ErrorCode, SampleRate};

use super::contract::{EncodeError, EncodeSound, Intake};
use crate::audio::Hertz;

/// More channels than two would be several streams in one.
pub(super) const MOST_CHANNELS: usize = 2;

/// The rate that time is counted at, whatever the sound's.
const TICKS_PER_SECOND: u32 = 48_000;

/// Frames a second: of 20 ms, libopus' own length.
const FRAMES_PER_SECOND: u32 = 50;

/// The largest packet of one frame (RFC 6716, 3.4: 1275 bytes and the first).
const LARGEST_PACKET: usize = 1_276;

/// Of 0 to 10: the default of `opusenc` and ffmpeg.
const COMPLEXITY: u8 = 10;

/// Which stream of its file it is; any number, and always the same.
const SERIAL: u32 = 1;

/// A page for each second, as `opusenc` has it.
const PACKETS_A_PAGE: u64 = 50;

/// The comment header (RFC 7845, 5.2): who wrote it, without a version so that bytes do not change with it, and no comments.
pub(super) const TAGS: &[u8] = b"OpusTags\x08\0\0\0wavemill\0\0\0\0";

/// The rate as libopus names it; none where it encodes no such rate.
pub(super) const fn sample_rate(rate: Hertz) -> Option<SampleRate> {
    match rate.get() {
        8_000 => Some(SampleRate::Hz8000),
        12_000 => Some(SampleRate::Hz12000),
        16_000 => Some(SampleRate::Hz16000),
        24_000 => Some(SampleRate::Hz24000),
        48_000 => Some(SampleRate::Hz48000),
        _ => None,
    }
}

/// An Ogg Opus file that is being written.
pub(super) struct Opus {
    rate: Hertz,
    channels: usize,
    intake: Intake,
    encoder: Encoder,
    /// Samples by which libopus delays the sound.
    delay: u64,
    /// Samples of one frame, the channels interleaved, that wait for the rest of it.
    frame: Vec<f32>,
    packet: Vec<u8>,
    /// Packets encoded so far.
    packets: u64,
    /// The last packet, which waits until it is known whether it ends the stream.
    waiting: Option<Vec<u8>>,
    writer: PacketWriter<'static, Vec<u8>>,
}

fn failed(error: ErrorCode) -> EncodeError {
    refused(error.message())
}

fn refused(message: &str) -> EncodeError {
    EncodeError::Refused { codec: "opus", message: message.to_owned() }
}

impl Opus {
    /// An encoder of one or two channels.
    pub(super) fn new(rate: Hertz, channels: usize, kbps: f64) -> Result<Self, EncodeError> {
        let known = sample_rate(rate).ok_or_else(|| failed(ErrorCode::BadArg))?;
        let layout = if channels == 2 { Channels::Stereo } else { Channels::Mono };
        let mut encoder = Encoder::new(layout, known, Application::Audio).map_err(failed)?;
        encoder.set_complexity(COMPLEXITY).map_err(failed)?;
        encoder.set_bitrate(Bitrate::Value((kbps * 1_000.0) as u32)).map_err(failed)?;
        let delay = encoder.get_look_ahead().map_err(failed)?.into();
        Ok(Self {
            rate,
            channels,
            intake: Intake::of_channels(channels),
            encoder,
            delay,
            frame: Vec::with_capacity((rate.get() / FRAMES_PER_SECOND) as usize * channels),
            packet: vec![0; LARGEST_PACKET],
            packets: 0,
            waiting: None,
            writer: PacketWriter::new(Vec::new()),
        })
    }

    /// Samples of one channel in a frame.
    fn frame_len(&self) -> usize {
        (self.rate.get() / FRAMES_PER_SECOND) as usize
    }

    /// Ticks that so many samples take: every rate divides that of the ticks.
    fn ticks(&self, samples: u64) -> u64 {
        samples * u64::from(TICKS_PER_SECOND / self.rate.get())
    }

    /// Encodes the frame, which is full.
    fn encode(&mut self) -> Result<(), EncodeError> {
        if self.packets == 0 {
            self.encoder.reset().map_err(failed)?;
            let head = head(self.channels as u8, self.ticks(self.delay) as u16, self.rate);
            self.write(head, PacketWriteEndInfo::EndPage, 0)?;
            self.write(TAGS.to_vec(), PacketWriteEndInfo::EndPage, 0)?;
        }
        let size = self.encoder.encode_float_to_slice(&self.frame, &mut self.packet).map_err(failed)?;
        self.frame.clear();
        let packet = self.packet.get(..size).ok_or_else(|| failed(ErrorCode::BufferTooSmall))?.to_vec();
        if let Some(before) = self.waiting.replace(packet) {
            let end = self.ticks(self.packets * self.frame_len() as u64);
            let full = self.packets.is_multiple_of(PACKETS_A_PAGE);
            let page = if full { PacketWriteEndInfo::EndPage } else { PacketWriteEndInfo::NormalPacket };
            self.write(before, page, end)?;
        }
        self.packets += 1;
        Ok(())
    }

    /// Writes a packet that ends at tick `end`.
    fn write(&mut self, packet: Vec<u8>, page: PacketWriteEndInfo, end: u64) -> Result<(), EncodeError> {
        self.writer.write_packet(packet, SERIAL, page, end).map_err(|error| refused(&error.to_string()))
    }
}

/// The identification header (RFC 7845, 5.1).
fn head(channels: u8, pre_skip: u16, rate: Hertz) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels);
    head.extend(pre_skip.to_le_bytes());
    head.extend(rate.get().to_le_bytes());
    // No gain, and the order of channels of mono and stereo.
    head.extend([0, 0, 0]);
    head
}

impl EncodeSound for Opus {
    fn begin(&mut self) {
        self.intake.begin();
        self.frame.clear();
        self.packets = 0;
        self.waiting = None;
        let mut bytes = std::mem::replace(&mut self.writer, PacketWriter::new(Vec::new())).into_inner();
        bytes.clear();
        self.writer = PacketWriter::new(bytes);
    }

    fn push(&mut self, channels: &[&[f32]]) -> Result<(), EncodeError> {
        self.intake.take(channels)?;
        let len = channels.first().map_or(0, |channel| channel.len());
        let mut at = 0;
        while at < len {
            let taken = (self.frame_len() - self.frame.len() / self.channels).min(len - at);
            for sample in at..at + taken {
                self.frame.extend(channels.iter().map(|channel| channel[sample].clamp(-1.0, 1.0)));
            }
            at += taken;
            if self.frame.len() == self.frame_len() * self.channels {
                self.encode()?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, bytes: &mut Vec<u8>) -> Result<(), EncodeError> {
        let samples = self.intake.samples();
        // Silence pushes the last samples out of the encoder.
        while self.packets * (self.frame_len() as u64) < self.delay + samples {
            self.frame.resize(self.frame_len() * self.channels, 0.0);
            self.encode()?;
        }
        if let Some(last) = self.waiting.take() {
            // The last page says where the sound ends within its packets (RFC 7845, 4.4).
            self.write(last, PacketWriteEndInfo::EndStream, self.ticks(self.delay + samples))?;
        }
        bytes.extend_from_slice(self.writer.inner());
        Ok(())
    }
}
