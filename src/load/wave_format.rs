//! The format chunk of WAV and Wave64: which codec, how many channels, which rate.
//!
//! Layout and tags: Microsoft's `WAVEFORMATEX` and `WAVEFORMATEXTENSIBLE` (mmreg.h). Where the bits of a sample are fewer
//! than its bytes hold, the sample is what the bytes hold: the bits are the upper ones. (ffmpeg 5.1 takes the extensible form
//! of 24 bits in 4 bytes for floats of its own and makes noise of it.)

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_ADPCM_IMA_WAV, CODEC_ID_ADPCM_MS, CODEC_ID_PCM_ALAW, CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64LE,
    CODEC_ID_PCM_MULAW, CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S32LE, CODEC_ID_PCM_U8,
};

use super::error::LoadError;
use super::pcm::{Coding, corrupt};

/// The longest part of the chunk that says something: what follows are tables of codecs.
pub(super) const USED_BYTES: usize = 40;

/// The tag that refers to a longer one, of which the first two bytes are a tag and the rest is one of these.
const EXTENSIBLE: u16 = 0xFFFE;
const EXTENSIBLE_TAILS: [[u8; 14]; 2] = [
    [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71],
    // Ambisonics in B-format.
    [0, 0, 0x21, 7, 0xD3, 0x11, 0x86, 0x44, 0xC8, 0xC1, 0xCA, 0, 0, 0],
];

/// Tags of codecs that nothing here decodes (RFC 2361, mmreg.h, and those that ffmpeg reads).
const UNREAD: [(u16, &str); 31] = [
    (0x0010, "OKI ADPCM in WAV"),
    (0x0014, "G.723 ADPCM in WAV"),
    (0x0016, "G.723 ADPCM in WAV"),
    (0x0020, "Yamaha ADPCM in WAV"),
    (0x0022, "TrueSpeech in WAV"),
    (0x0031, "GSM 6.10 in WAV"),
    (0x0040, "G.721 ADPCM in WAV"),
    (0x0041, "G.728 in WAV"),
    (0x0042, "G.723.1 in WAV"),
    (0x0045, "G.726 ADPCM in WAV"),
    (0x0050, "MPEG layer 1 or 2 in WAV"),
    (0x0055, "MP3 in WAV"),
    (0x0057, "AMR-NB in WAV"),
    (0x0058, "AMR-WB in WAV"),
    (0x0064, "G.726 ADPCM in WAV"),
    (0x0065, "G.722 in WAV"),
    (0x0069, "IMA ADPCM of the Xbox in WAV"),
    (0x0083, "G.729 in WAV"),
    (0x00FF, "AAC in WAV"),
    (0x0160, "Windows Media Audio in WAV"),
    (0x0161, "Windows Media Audio in WAV"),
    (0x0162, "Windows Media Audio in WAV"),
    (0x0163, "Windows Media Audio in WAV"),
    (0x0200, "Creative ADPCM in WAV"),
    (0x028F, "G.722 in WAV"),
    (0x1600, "AAC in WAV"),
    (0x2000, "AC-3 in WAV"),
    (0x566F, "Vorbis in WAV"),
    (0x704F, "Opus in WAV"),
    (0xA109, "Speex in WAV"),
    (0xF1AC, "FLAC in WAV"),
];

/// Reads the chunk, or as much of it as [`USED_BYTES`] says.
///
/// # Errors
///
/// The chunk contradicts itself, or nothing decodes its codec.
pub(super) fn read(chunk: &[u8]) -> Result<Coding, LoadError> {
    let Some(&fixed) = chunk.first_chunk::<16>() else { return Err(corrupt("a format chunk of less than 16 bytes")) };
    let [t0, t1, c0, c1, r0, r1, r2, r3, _, _, _, _, a0, a1, b0, b1] = fixed;
    let channels = u32::from(u16::from_le_bytes([c0, c1]));
    let rate = u32::from_le_bytes([r0, r1, r2, r3]);
    let block_bytes = u16::from_le_bytes([a0, a1]);
    let bits = u16::from_le_bytes([b0, b1]);
    if block_bytes == 0 {
        return Err(corrupt("blocks of 0 bytes"));
    }
    match tag(u16::from_le_bytes([t0, t1]), chunk)? {
        0x0001 => {
            check_is_integer(bits, u32::from(block_bytes), channels, chunk)?;
            let (codec, bytes) = integer(bits)?;
            // Where bits fill their bytes, a wrong block size is a common slip, and harmless.
            if !bits.is_multiple_of(8) && u64::from(block_bytes) != bytes * u64::from(channels) {
                return Err(LoadError::UnsupportedCodec { feature: "samples with room between them, in WAV" });
            }
            Coding::pcm(codec, bytes, rate, channels)
        }
        0x0002 => adpcm(CODEC_ID_ADPCM_MS, bits, block_bytes, rate, channels),
        0x0003 => match bits {
            32 => Coding::pcm(CODEC_ID_PCM_F32LE, 4, rate, channels),
            64 => Coding::pcm(CODEC_ID_PCM_F64LE, 8, rate, channels),
            16 | 24 => Err(LoadError::UnsupportedCodec { feature: "floats of 16 or 24 bits in WAV" }),
            _ => Err(corrupt("floats of neither 32 nor 64 bits")),
        },
        0x0006 => Coding::pcm(CODEC_ID_PCM_ALAW, 1, rate, channels),
        0x0007 => Coding::pcm(CODEC_ID_PCM_MULAW, 1, rate, channels),
        0x0011 => adpcm(CODEC_ID_ADPCM_IMA_WAV, bits, block_bytes, rate, channels),
        tag => {
            let name = UNREAD.iter().find(|(unread, _)| *unread == tag).map(|(_, name)| *name);
            Err(LoadError::UnsupportedCodec { feature: name.unwrap_or("a codec that is not known, in WAV") })
        }
    }
}

/// The tag, also where it stands further behind.
fn tag(short: u16, chunk: &[u8]) -> Result<u16, LoadError> {
    if short != EXTENSIBLE {
        return Ok(short);
    }
    let Some([low, high, tail @ ..]) = chunk.get(24..40) else {
        return Err(corrupt("an extensible format chunk of less than 40 bytes"));
    };
    let known = EXTENSIBLE_TAILS.iter().any(|known| known == tail);
    known
        .then_some(u16::from_le_bytes([*low, *high]))
        .ok_or(LoadError::UnsupportedCodec { feature: "a codec that is not known, in extensible WAV" })
}

/// PCM of `bits`, and its bytes a sample.
fn integer(bits: u16) -> Result<(AudioCodecId, u64), LoadError> {
    match bits {
        1..=8 => Ok((CODEC_ID_PCM_U8, 1)),
        9..=16 => Ok((CODEC_ID_PCM_S16LE, 2)),
        17..=24 => Ok((CODEC_ID_PCM_S24LE, 3)),
        25..=32 => Ok((CODEC_ID_PCM_S32LE, 4)),
        33..=64 => Err(LoadError::UnsupportedCodec { feature: "PCM of more than 32 bits" }),
        _ => Err(corrupt("PCM of 0 or more than 64 bits")),
    }
}

/// Refuses what Cool Edit and Adobe Audition write under the tag of PCM, and what would be noise: floats of other scales.
fn check_is_integer(bits: u16, block_bytes: u32, channels: u32, chunk: &[u8]) -> Result<(), LoadError> {
    let in_four_bytes = block_bytes == 4 * channels;
    let type_1 = chunk.get(16..20) == Some(&[2, 0, 1, 0]);
    match bits {
        24 if in_four_bytes => Err(LoadError::UnsupportedCodec { feature: "PCM of 24 bits in 4 bytes" }),
        32 if in_four_bytes && type_1 => Err(LoadError::UnsupportedCodec { feature: "16.8 floats of Adobe Audition" }),
        _ => Ok(()),
    }
}

fn adpcm(codec: AudioCodecId, bits: u16, block_bytes: u16, rate: u32, channels: u32) -> Result<Coding, LoadError> {
    if bits != 4 {
        return Err(LoadError::UnsupportedCodec { feature: "ADPCM of other than 4 bits in WAV" });
    }
    Coding::adpcm(codec, block_bytes, rate, channels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(tag: u16, channels: u16, rate: u32, block: u16, bits: u16) -> Vec<u8> {
        let mut bytes = [tag, channels].map(u16::to_le_bytes).concat();
        bytes.extend([rate, 0].map(u32::to_le_bytes).concat());
        bytes.extend([block, bits].map(u16::to_le_bytes).concat());
        bytes
    }

    fn extensible(guid: [u8; 2], tail: [u8; 14], bits: u16, valid: u16) -> Vec<u8> {
        let mut bytes = chunk(EXTENSIBLE, 2, 16_000, bits / 4, bits);
        bytes.extend([22, valid, 3, 0].map(u16::to_le_bytes).concat());
        bytes.extend([guid.as_slice(), &tail].concat());
        bytes
    }

    #[test]
    fn every_encoding_is_recognised() {
        let cases = [
            (1, 8, CODEC_ID_PCM_U8, 1),
            (1, 12, CODEC_ID_PCM_S16LE, 2),
            (1, 16, CODEC_ID_PCM_S16LE, 2),
            (1, 24, CODEC_ID_PCM_S24LE, 3),
            (1, 32, CODEC_ID_PCM_S32LE, 4),
            (3, 32, CODEC_ID_PCM_F32LE, 4),
            (3, 64, CODEC_ID_PCM_F64LE, 8),
            (6, 8, CODEC_ID_PCM_ALAW, 1),
            (7, 8, CODEC_ID_PCM_MULAW, 1),
        ];
        for (tag, bits, codec, bytes) in cases {
            let expected = Coding::pcm(codec, bytes, 44_100, 3).unwrap();
            assert_eq!(read(&chunk(tag, 3, 44_100, bytes as u16 * 3, bits)).unwrap(), expected, "{tag} {bits}");
        }
        for (tag, codec) in [(2, CODEC_ID_ADPCM_MS), (0x11, CODEC_ID_ADPCM_IMA_WAV)] {
            assert_eq!(read(&chunk(tag, 2, 8_000, 256, 4)).unwrap(), Coding::adpcm(codec, 256, 8_000, 2).unwrap());
        }
    }

    #[test]
    fn an_extensible_format_is_what_its_long_tag_says_in_bytes_that_may_be_wider_than_the_samples() {
        for tail in EXTENSIBLE_TAILS {
            let expected = Coding::pcm(CODEC_ID_PCM_S32LE, 4, 16_000, 2).unwrap();
            assert_eq!(read(&extensible([1, 0], tail, 32, 24)).unwrap(), expected);
        }
        let expected = Coding::pcm(CODEC_ID_PCM_F32LE, 4, 16_000, 2).unwrap();
        assert_eq!(read(&extensible([3, 0], EXTENSIBLE_TAILS[0], 32, 32)).unwrap(), expected);
        assert_eq!(read(&extensible([1, 0], [9; 14], 16, 16)).unwrap_err().code(), "unsupported_codec");
        assert_eq!(read(&extensible([1, 0], EXTENSIBLE_TAILS[0], 16, 16)[..39]).unwrap_err().code(), "corrupt");
    }

    #[test]
    fn a_codec_that_nothing_decodes_is_named() {
        let says = |tag, block, bits| read(&chunk(tag, 1, 8_000, block, bits)).unwrap_err().to_string();
        for (tag, name) in
            [(0x31, "GSM 6.10 in WAV"), (0x55, "MP3 in WAV"), (0x65, "G.722 in WAV"), (0x9999, "not known")]
        {
            assert!(says(tag, 65, 0).contains(name), "{tag:#x}");
        }
        assert!(says(1, 8, 64).contains("more than 32 bits"));
        assert!(says(1, 4, 24).contains("24 bits in 4 bytes"));
        assert!(says(3, 2, 16).contains("floats"));
        assert!(says(2, 256, 3).contains("other than 4 bits"));
        let audition = [chunk(1, 1, 8_000, 4, 32), vec![2, 0, 1, 0]].concat();
        assert!(read(&audition).unwrap_err().to_string().contains("Audition"));
        let tags: std::collections::BTreeSet<_> = UNREAD.iter().map(|(tag, _)| tag).collect();
        assert_eq!(tags.len(), UNREAD.len());
    }

    #[test]
    fn numbers_that_cannot_be_are_corrupt() {
        for bytes in [
            chunk(1, 0, 8_000, 2, 16),
            chunk(1, 1, 0, 2, 16),
            chunk(1, 1, 8_000, 0, 16),
            chunk(1, 1, 8_000, 2, 0),
            chunk(1, 1, 8_000, 2, 65),
            chunk(3, 1, 8_000, 2, 33),
            chunk(2, 1, 8_000, 6, 4),
            chunk(0x11, 2, 8_000, 7, 4),
            chunk(0x11, u16::MAX, 8_000, u16::MAX, 4),
            chunk(1, 1, 8_000, 2, 16)[..15].to_vec(),
        ] {
            assert_eq!(read(&bytes).unwrap_err().code(), "corrupt", "{bytes:?}");
        }
    }
}
