//! AIFF and AIFF-C where their sound is PCM ("Audio Interchange File Format", Apple, 1989 and 1991); all numbers big-endian
//! unless the codec says otherwise.

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_PCM_ALAW, CODEC_ID_PCM_F32BE, CODEC_ID_PCM_F64BE, CODEC_ID_PCM_MULAW, CODEC_ID_PCM_S8, CODEC_ID_PCM_S16BE,
    CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S24BE, CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S32BE, CODEC_ID_PCM_S32LE,
    CODEC_ID_PCM_U8,
};

use super::error::LoadError;
use super::pcm::{Coding, Layout, corrupt, unreadable};
use super::source::Source;

/// Chunks looked at before the search for sound is given up: real files have fewer than ten.
const MAX_CHUNKS: usize = 256;

/// The offset and the block size in front of the sound.
const SOUND_HEAD: u64 = 8;

/// # Errors
///
/// As [`sniff::layout`](super::sniff::layout).
pub(super) fn layout(source: &mut Source) -> Result<Layout, LoadError> {
    let mut form = [0; 12];
    if !source.read_at(0, &mut form).map_err(unreadable)? {
        return Err(corrupt("an AIFF header of less than 12 bytes"));
    }
    let is_compressed = &form[8..] == b"AIFC";
    let (mut common, mut sound) = (None, None);
    let mut at = 12;
    for _ in 0..MAX_CHUNKS {
        let mut head = [0; 8];
        if !source.read_at(at, &mut head).map_err(unreadable)? {
            break;
        }
        let size = u64::from(big_endian(&head[4..]));
        at += head.len() as u64;
        match &head[..4] {
            b"COMM" if common.is_none() => common = Some(read_common(source, at, is_compressed)?),
            b"SSND" if sound.is_none() => sound = Some((at, size)),
            _ => {}
        }
        if common.is_some() && sound.is_some() {
            break;
        }
        // Chunks begin at even places.
        at += size.next_multiple_of(2);
    }
    let (coding, frames) = common.ok_or_else(|| corrupt("no description of the sound in the AIFF"))?;
    let (at, size) = match sound {
        Some(sound) => sound,
        // A file without sound need not have a place for it.
        None if frames == 0 => return Err(LoadError::NoSamples),
        None => return Err(corrupt("no sound in the AIFF")),
    };
    let mut offset = [0; 4];
    if !source.read_at(at, &mut offset).map_err(unreadable)? {
        return Err(corrupt("a place for sound in the AIFF that breaks off"));
    }
    let start = at + SOUND_HEAD + u64::from(big_endian(&offset));
    // The number of samples counts, and where a writer could not go back to it, all that is there.
    let claimed = coding.bytes_of(frames);
    let is_unknown = frames == 0 && size > SOUND_HEAD;
    Ok(Layout::new(coding, start, (!is_unknown).then_some(claimed), source.len()))
}

/// The coding and the number of samples per channel.
fn read_common(source: &mut Source, at: u64, is_compressed: bool) -> Result<(Coding, u64), LoadError> {
    let mut bytes = [0; 22];
    let used = if is_compressed { 22 } else { 18 };
    if !source.read_at(at, &mut bytes[..used]).map_err(unreadable)? {
        return Err(corrupt("a description in the AIFF that breaks off"));
    }
    let short = |at: usize| u32::from(bytes[at]) << 8 | u32::from(bytes[at + 1]);
    let (channels, frames, bits) = (short(0), big_endian(&bytes[2..6]), short(6));
    let compression = if is_compressed { &bytes[18..22] } else { b"NONE" };
    let (codec, sample_bytes) = match compression {
        b"NONE" | b"twos" => {
            linear(bits, [CODEC_ID_PCM_S8, CODEC_ID_PCM_S16BE, CODEC_ID_PCM_S24BE, CODEC_ID_PCM_S32BE])?
        }
        b"sowt" => linear(bits, [CODEC_ID_PCM_S8, CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S32LE])?,
        b"raw " => (CODEC_ID_PCM_U8, 1),
        b"in24" => (CODEC_ID_PCM_S24BE, 3),
        b"in32" => (CODEC_ID_PCM_S32BE, 4),
        b"fl32" | b"FL32" => (CODEC_ID_PCM_F32BE, 4),
        b"fl64" | b"FL64" => (CODEC_ID_PCM_F64BE, 8),
        b"alaw" | b"ALAW" => (CODEC_ID_PCM_ALAW, 1),
        b"ulaw" | b"ULAW" => (CODEC_ID_PCM_MULAW, 1),
        b"ima4" => return Err(LoadError::UnsupportedCodec { feature: "QuickTime's IMA ADPCM" }),
        b"GSM " => return Err(LoadError::UnsupportedCodec { feature: "GSM 6.10 in AIFF-C" }),
        b"QDM2" | b"QDMC" | b"Qclp" => {
            return Err(LoadError::UnsupportedCodec { feature: "QDesign or Qualcomm in AIFF-C" });
        }
        b"MAC3" | b"MAC6" => return Err(LoadError::UnsupportedCodec { feature: "MACE in AIFF-C" }),
        _ => return Err(LoadError::UnsupportedCodec { feature: "a compression that is not known, in AIFF-C" }),
    };
    let rate = extended(&bytes[8..18]).ok_or_else(|| corrupt("a sample rate in the AIFF that cannot be"))?;
    Ok((Coding::pcm(codec, sample_bytes, rate, channels)?, u64::from(frames)))
}

/// The codec for whole numbers of so many bits, which are the upper ones of their bytes.
fn linear(bits: u32, by_bytes: [AudioCodecId; 4]) -> Result<(AudioCodecId, u64), LoadError> {
    match bits {
        1..=32 => {
            let bytes = bits.div_ceil(8);
            Ok((by_bytes[bytes as usize - 1], u64::from(bytes)))
        }
        _ => Err(corrupt("samples in the AIFF of no bits, or of more than 32")),
    }
}

/// The whole number that ten bytes of an extended float (IEEE 754, 80 bits) are nearest to, if it is above 0 and fits.
fn extended(bytes: &[u8]) -> Option<u32> {
    let exponent = i32::from(bytes[0]) << 8 | i32::from(bytes[1]);
    let mantissa = bytes[2..10].iter().fold(0_u64, |mantissa, byte| mantissa << 8 | u64::from(*byte));
    // The highest bit of the mantissa is worth 1 where the exponent is 16,383; negative numbers have a larger one than all.
    let shift = 63 - (exponent - 16_383);
    let value = (32..=63).contains(&shift).then(|| (mantissa >> (shift - 1)).div_ceil(2))?;
    u32::try_from(value).ok().filter(|value| *value > 0)
}

fn big_endian(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::super::pcm::tests::{found, refused, survives_damage};
    use super::*;

    /// 44,100 and 16,000 as extended floats.
    const CD: [u8; 10] = [0x40, 0x0E, 0xAC, 0x44, 0, 0, 0, 0, 0, 0];
    const SPEECH: [u8; 10] = [0x40, 0x0C, 0xFA, 0, 0, 0, 0, 0, 0, 0];

    /// A file with 100 bytes of sound, of which `frames` samples are claimed.
    fn file(compression: Option<&[u8]>, rate: [u8; 10], channels: u16, bits: u16, frames: u32) -> Vec<u8> {
        let kind: &[u8] = if compression.is_some() { b"AIFC" } else { b"AIFF" };
        let mut common =
            [channels.to_be_bytes().as_slice(), &frames.to_be_bytes(), &bits.to_be_bytes(), &rate].concat();
        common.extend(compression.unwrap_or_default());
        let mut bytes =
            [b"FORM\0\0\0\0", kind, b"FVER\0\0\0\x03abc\0COMM", &(common.len() as u32).to_be_bytes()].concat();
        bytes.extend(common);
        bytes.extend(b"SSND\0\0\0\x6C\0\0\0\0\0\0\0\0");
        bytes.extend([1; 100]);
        bytes
    }

    #[test]
    fn every_encoding_is_recognised() {
        let cases: [(Option<&[u8]>, u16, AudioCodecId, u32); 12] = [
            (None, 8, CODEC_ID_PCM_S8, 1),
            (None, 12, CODEC_ID_PCM_S16BE, 2),
            (None, 24, CODEC_ID_PCM_S24BE, 3),
            (Some(b"NONE"), 32, CODEC_ID_PCM_S32BE, 4),
            (Some(b"sowt"), 16, CODEC_ID_PCM_S16LE, 2),
            (Some(b"sowt"), 24, CODEC_ID_PCM_S24LE, 3),
            (Some(b"in24"), 24, CODEC_ID_PCM_S24BE, 3),
            (Some(b"fl32"), 32, CODEC_ID_PCM_F32BE, 4),
            (Some(b"FL64"), 64, CODEC_ID_PCM_F64BE, 8),
            (Some(b"alaw"), 16, CODEC_ID_PCM_ALAW, 1),
            (Some(b"ulaw"), 16, CODEC_ID_PCM_MULAW, 1),
            (Some(b"raw "), 8, CODEC_ID_PCM_U8, 1),
        ];
        for (compression, bits, codec, bytes) in cases {
            let (found, data, samples) = found(&file(compression, CD, 2, bits, 100 / (2 * bytes)));
            assert_eq!((found, samples), (codec, u64::from(100 / (2 * bytes))), "{compression:?} of {bits} bits");
            assert!(data.end - data.start <= 100);
        }
    }

    #[test]
    fn the_number_of_samples_counts_and_none_means_all() {
        assert_eq!(found(&file(None, SPEECH, 1, 16, 20)).2, 20);
        assert_eq!(found(&file(None, SPEECH, 1, 16, 5_000)).2, 5_000, "that file is truncated");
        assert_eq!(found(&file(None, SPEECH, 1, 16, 0)).2, 50, "its writer could not go back");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let mut negative = SPEECH;
        negative[0] |= 0x80;
        for (bytes, code) in [
            (file(None, [0; 10], 1, 16, 50), "corrupt"),
            (file(None, [0xFF; 10], 1, 16, 50), "corrupt"),
            (file(None, negative, 1, 16, 50), "corrupt"),
            (file(None, SPEECH, 0, 16, 50), "corrupt"),
            (file(None, SPEECH, 1, 0, 50), "corrupt"),
            (file(None, SPEECH, 1, 33, 50), "corrupt"),
            (file(Some(b"ima4"), SPEECH, 1, 16, 50), "unsupported_codec"),
            (file(Some(b"what"), SPEECH, 1, 16, 50), "unsupported_codec"),
        ] {
            assert_eq!(refused(&bytes).0, code);
        }
    }

    #[test]
    fn rates_are_whole_numbers_of_eighty_bits() {
        assert_eq!((extended(&CD), extended(&SPEECH)), (Some(44_100), Some(16_000)));
        assert_eq!(extended(&[0x3F, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0]), Some(1));
        assert_eq!(extended(&[0x40, 0x0C, 0xFA, 0, 0x80, 0, 0, 0, 0, 0]), Some(16_000), "a fraction");
        assert_eq!(extended(&[0x40, 0x1E, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]), Some(u32::MAX));
        assert_eq!(extended(&[0x40, 0x1F, 0x80, 0, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn damage_is_an_error_or_a_layout() {
        survives_damage(&file(Some(b"sowt"), CD, 2, 16, 25));
    }
}
