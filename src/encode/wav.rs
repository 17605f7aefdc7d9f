//! RIFF WAVE: a header and the samples.
//!
//! Integers have the 44 bytes of header that every reader knows; floats also the size of an extension, of none, and the number of
//! samples (`fact`), which the format asks for where it is no PCM (Microsoft, *Multimedia Data Standards Update*, 1994).

use super::contract::{EncodeError, EncodeSound, Intake};
use super::{Bits, pcm};
use crate::audio::Hertz;

/// The format tag of integers, and that of floats.
const PCM: u16 = 1;
const IEEE_FLOAT: u16 = 3;

/// The most channels whose frames and bytes a second fit in their fields.
pub(super) fn most_channels(rate: Hertz, bits: Bits) -> usize {
    let by_frame = usize::from(u16::MAX) / bits.width();
    by_frame.min(u32::MAX as usize / bits.width() / rate.get() as usize)
}

/// A WAV that is being written.
pub(super) struct Wav {
    rate: Hertz,
    channels: usize,
    bits: Bits,
    intake: Intake,
    data: Vec<u8>,
}

impl Wav {
    /// An encoder of at most [`most_channels`].
    pub(super) fn new(rate: Hertz, channels: usize, bits: Bits) -> Self {
        Self { rate, channels, bits, intake: Intake::of_channels(channels), data: Vec::new() }
    }
}

/// The header of `data` bytes of samples and a byte of padding where they are odd; none where they are too many.
fn header(rate: Hertz, channels: usize, bits: Bits, data: u64) -> Option<Vec<u8>> {
    let frame = channels * bits.width();
    let (tag, extension): (u16, &[u8]) = if bits == Bits::Float32 { (IEEE_FLOAT, &[0, 0]) } else { (PCM, &[]) };
    let mut chunks = Vec::with_capacity(58);
    chunks.extend_from_slice(b"WAVEfmt ");
    chunks.extend((16 + extension.len() as u32).to_le_bytes());
    chunks.extend(tag.to_le_bytes());
    chunks.extend(u16::try_from(channels).ok()?.to_le_bytes());
    chunks.extend(rate.get().to_le_bytes());
    chunks.extend(rate.get().checked_mul(u32::try_from(frame).ok()?)?.to_le_bytes());
    chunks.extend(u16::try_from(frame).ok()?.to_le_bytes());
    chunks.extend((8 * bits.width() as u16).to_le_bytes());
    chunks.extend_from_slice(extension);
    if bits == Bits::Float32 {
        chunks.extend_from_slice(b"fact\x04\0\0\0");
        chunks.extend(u32::try_from(data / frame as u64).ok()?.to_le_bytes());
    }
    chunks.extend_from_slice(b"data");
    chunks.extend(u32::try_from(data).ok()?.to_le_bytes());
    let riff = u32::try_from(chunks.len() as u64 + data + data % 2).ok()?;
    Some([b"RIFF".as_slice(), &riff.to_le_bytes(), &chunks].concat())
}

/// A file that is longer than its own size can say.
const TOO_LARGE: EncodeError = EncodeError::FileTooLarge { codec: "wav", most: u32::MAX as u64, unit: "bytes" };

impl EncodeSound for Wav {
    fn begin(&mut self) {
        self.intake.begin();
        self.data.clear();
    }

    fn push(&mut self, channels: &[&[f32]]) -> Result<(), EncodeError> {
        self.intake.take(channels)?;
        // Found here, so that no memory is filled with what cannot be written.
        if self.intake.samples().saturating_mul((self.channels * self.bits.width()) as u64) > u64::from(u32::MAX) {
            return Err(TOO_LARGE);
        }
        pcm::append(channels, self.bits, &mut self.data);
        Ok(())
    }

    fn finish(&mut self, bytes: &mut Vec<u8>) -> Result<(), EncodeError> {
        let header = header(self.rate, self.channels, self.bits, self.data.len() as u64).ok_or(TOO_LARGE)?;
        bytes.reserve(header.len() + self.data.len() + 1);
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&self.data);
        bytes.resize(bytes.len() + self.data.len() % 2, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_the_format() {
        let rate = Hertz::new(16_000).unwrap();
        let integers = header(rate, 1, Bits::Integer16, 8).unwrap();
        let expected = b"RIFF\x2C\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3E\0\0\0\x7D\0\0\x02\0\x10\0data\x08\0\0\0";
        assert_eq!(integers, expected);
        let odd = header(rate, 1, Bits::Integer24, 3).unwrap();
        assert_eq!((odd.len(), odd[4]), (44, 36 + 3 + 1));
        let floats = header(rate, 2, Bits::Float32, 16).unwrap();
        let expected = b"RIFF\x42\0\0\0WAVEfmt \x12\0\0\0\x03\0\x02\0\x80\x3E\0\0\0\xF4\x01\0\x08\0\x20\0\0\0fact\x04\0\0\0\x02\0\0\0data\x10\0\0\0";
        assert_eq!(floats, expected);
    }

    #[test]
    fn four_gibibytes_are_too_many() {
        let rate = Hertz::new(16_000).unwrap();
        let most = u64::from(u32::MAX) - 36;
        assert!(header(rate, 1, Bits::Integer16, most - 1).is_some());
        assert!(header(rate, 1, Bits::Integer16, most + 1).is_none());
        assert!(header(rate, 1, Bits::Integer16, 1 << 33).is_none());
        assert_eq!(most_channels(Hertz::new(768_000).unwrap(), Bits::Float32), 1_398);
        assert_eq!(most_channels(rate, Bits::Integer16), 32_767);
    }
}
