//! Apple's Core Audio Format where its sound is PCM (Core Audio Format Specification 1.0); all numbers big-endian. Symphonia
//! reads the other codecs in it.

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_PCM_ALAW, CODEC_ID_PCM_F32BE, CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64BE, CODEC_ID_PCM_F64LE,
    CODEC_ID_PCM_MULAW, CODEC_ID_PCM_S8, CODEC_ID_PCM_S16BE, CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S24BE,
    CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S32BE, CODEC_ID_PCM_S32LE,
};

use super::error::LoadError;
use super::pcm::{Coding, Layout, corrupt, unreadable};
use super::source::Source;

/// Chunks looked at before the search for sound is given up: real files have fewer than ten.
const MAX_CHUNKS: usize = 256;

/// The edit count in front of the sound.
const EDIT_COUNT: u64 = 4;

/// None where the sound is no PCM.
///
/// # Errors
///
/// As [`sniff::layout`](super::sniff::layout).
pub(super) fn layout(source: &mut Source) -> Result<Option<Layout>, LoadError> {
    let (mut coding, mut data) = (None, None);
    let mut at = 8;
    for _ in 0..MAX_CHUNKS {
        let mut head = [0; 12];
        if !source.read_at(at, &mut head).map_err(unreadable)? {
            break;
        }
        at += head.len() as u64;
        // A size of −1 is that of sound whose writer could not go back: it lasts to the end of the file.
        let size = u64::try_from(i64::from_be_bytes(head[4..].try_into().unwrap_or_default())).ok();
        match &head[..4] {
            b"desc" => {
                let Some(described) = read_description(source, at)? else { return Ok(None) };
                coding = Some(described);
            }
            b"data" => data = Some((at.saturating_add(EDIT_COUNT), size.map(|size| size.saturating_sub(EDIT_COUNT)))),
            _ => {}
        }
        if coding.is_some() && data.is_some() {
            break;
        }
        let Some(next) = size.and_then(|size| at.checked_add(size)) else { break };
        at = next;
    }
    let coding = coding.ok_or_else(|| corrupt("no description of the sound in the CAF"))?;
    let (start, claimed) = data.ok_or_else(|| corrupt("no sound in the CAF"))?;
    Ok(Some(Layout::new(coding, start, claimed, source.len())))
}

fn read_description(source: &mut Source, at: u64) -> Result<Option<Coding>, LoadError> {
    let mut bytes = [0; 32];
    if !source.read_at(at, &mut bytes).map_err(unreadable)? {
        return Err(corrupt("a description in the CAF that breaks off"));
    }
    let number = |at: usize| bytes[at..at + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
    let (flags, packet, channels, bits) = (number(12), number(16), number(24), number(28));
    let (codec, sample_bytes) = match &bytes[8..12] {
        b"lpcm" => match linear(bits, flags & 1 != 0, flags & 2 != 0) {
            Some(found) => found,
            None => return Err(LoadError::UnsupportedCodec { feature: "samples of an unusual size, in CAF" }),
        },
        b"alaw" => (CODEC_ID_PCM_ALAW, 1),
        b"ulaw" => (CODEC_ID_PCM_MULAW, 1),
        b"ima4" => return Err(LoadError::UnsupportedCodec { feature: "QuickTime's IMA ADPCM" }),
        _ => return Ok(None),
    };
    let rate = f64::from_be_bytes(bytes[..8].try_into().unwrap_or_default());
    if rate.fract() != 0.0 || !(1.0..=f64::from(u32::MAX)).contains(&rate) {
        return Err(corrupt("a sample rate in the CAF that is no whole number above 0"));
    }
    let coding = Coding::pcm(codec, sample_bytes, rate as u32, channels)?;
    match u64::from(packet) {
        0 => Err(corrupt("samples of no bytes in the CAF")),
        packet if packet == coding.block_bytes() => Ok(Some(coding)),
        _ => Err(LoadError::UnsupportedCodec { feature: "samples with room between them, in CAF" }),
    }
}

/// The codec of linear PCM and the bytes of a sample.
fn linear(bits: u32, is_float: bool, is_little_endian: bool) -> Option<(AudioCodecId, u64)> {
    Some(match (bits, is_float, is_little_endian) {
        (8, false, _) => (CODEC_ID_PCM_S8, 1),
        (16, false, false) => (CODEC_ID_PCM_S16BE, 2),
        (16, false, true) => (CODEC_ID_PCM_S16LE, 2),
        (24, false, false) => (CODEC_ID_PCM_S24BE, 3),
        (24, false, true) => (CODEC_ID_PCM_S24LE, 3),
        (32, false, false) => (CODEC_ID_PCM_S32BE, 4),
        (32, false, true) => (CODEC_ID_PCM_S32LE, 4),
        (32, true, false) => (CODEC_ID_PCM_F32BE, 4),
        (32, true, true) => (CODEC_ID_PCM_F32LE, 4),
        (64, true, false) => (CODEC_ID_PCM_F64BE, 8),
        (64, true, true) => (CODEC_ID_PCM_F64LE, 8),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::pcm::tests::{found, refused, survives_damage};
    use super::*;

    /// A file with 100 bytes of sound.
    fn file(rate: f64, format: &[u8], flags: u32, packet: u32, channels: u32, bits: u32, size: i64) -> Vec<u8> {
        let numbers = [flags, packet, 1, channels, bits].map(u32::to_be_bytes).concat();
        let description = [rate.to_be_bytes().as_slice(), format, &numbers].concat();
        let mut bytes = [b"caff\0\x01\0\0desc", 32_i64.to_be_bytes().as_slice(), &description].concat();
        bytes.extend([b"free", 3_i64.to_be_bytes().as_slice(), b"abc", b"data", &size.to_be_bytes(), &[0; 4]].concat());
        bytes.extend([1; 100]);
        bytes
    }

    #[test]
    fn every_encoding_is_recognised() {
        let cases: [(&[u8], _, _, _); 8] = [
            (b"lpcm", 0, 8, CODEC_ID_PCM_S8),
            (b"lpcm", 0, 16, CODEC_ID_PCM_S16BE),
            (b"lpcm", 2, 16, CODEC_ID_PCM_S16LE),
            (b"lpcm", 2, 24, CODEC_ID_PCM_S24LE),
            (b"lpcm", 3, 32, CODEC_ID_PCM_F32LE),
            (b"lpcm", 1, 64, CODEC_ID_PCM_F64BE),
            (b"alaw", 0, 8, CODEC_ID_PCM_ALAW),
            (b"ulaw", 0, 8, CODEC_ID_PCM_MULAW),
        ];
        for (format, flags, bits, codec) in cases {
            let bytes = file(48_000.0, format, flags, bits / 8, 1, bits, 104);
            let (found, _, samples) = found(&bytes);
            assert_eq!((found, samples), (codec, 100 / u64::from(bits / 8)), "{format:?} of {bits} bits");
        }
    }

    #[test]
    fn sound_of_unknown_length_lasts_to_the_end() {
        assert_eq!(found(&file(8_000.0, b"lpcm", 2, 4, 2, 16, -1)).2, 25);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (bytes, code) in [
            (file(0.0, b"lpcm", 2, 2, 1, 16, 104), "corrupt"),
            (file(f64::NAN, b"lpcm", 2, 2, 1, 16, 104), "corrupt"),
            (file(8_000.0, b"lpcm", 2, 0, 0, 16, 104), "corrupt"),
            (file(8_000.0, b"lpcm", 2, 4, 1, 16, 104), "unsupported_codec"),
            (file(8_000.0, b"lpcm", 2, 2, 1, 12, 104), "unsupported_codec"),
            (file(8_000.0, b"ima4", 0, 34, 1, 0, 104), "unsupported_codec"),
        ] {
            assert_eq!(refused(&bytes).0, code);
        }
    }

    #[test]
    fn damage_is_an_error_or_a_layout() {
        survives_damage(&file(8_000.0, b"lpcm", 2, 2, 1, 16, 104));
    }
}
