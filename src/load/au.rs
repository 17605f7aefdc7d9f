//! Sun AU, also known as `.snd`: a header of 24 bytes and a comment, all numbers big-endian (`audio.h` of Sun).

use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_PCM_ALAW, CODEC_ID_PCM_F32BE, CODEC_ID_PCM_F64BE, CODEC_ID_PCM_MULAW, CODEC_ID_PCM_S8, CODEC_ID_PCM_S16BE,
    CODEC_ID_PCM_S24BE, CODEC_ID_PCM_S32BE,
};

use super::error::LoadError;
use super::pcm::{Coding, Layout, corrupt, unreadable};
use super::source::Source;

/// Sizes of a writer that could not go back to the header: the one that the format has for it, and the one before any.
const UNKNOWN: [u32; 2] = [u32::MAX, 0];

/// # Errors
///
/// As [`sniff::layout`](super::sniff::layout).
pub(super) fn layout(source: &mut Source) -> Result<Layout, LoadError> {
    let mut head = [0; 24];
    if !source.read_at(0, &mut head).map_err(unreadable)? {
        return Err(corrupt("an AU header of less than 24 bytes"));
    }
    let (words, _) = head.as_chunks::<4>();
    let [_, start, size, encoding, rate, channels] = words else {
        return Err(corrupt("an AU header of less than 24 bytes"));
    };
    let number = |word: &[u8; 4]| u32::from_be_bytes(*word);
    let start = number(start);
    if (start as usize) < head.len() {
        return Err(corrupt("sound that starts within the AU header"));
    }
    let (codec, bytes) = match number(encoding) {
        1 => (CODEC_ID_PCM_MULAW, 1),
        2 => (CODEC_ID_PCM_S8, 1),
        3 => (CODEC_ID_PCM_S16BE, 2),
        4 => (CODEC_ID_PCM_S24BE, 3),
        5 => (CODEC_ID_PCM_S32BE, 4),
        6 => (CODEC_ID_PCM_F32BE, 4),
        7 => (CODEC_ID_PCM_F64BE, 8),
        27 => (CODEC_ID_PCM_ALAW, 1),
        other => return Err(LoadError::UnsupportedCodec { feature: unread(other) }),
    };
    let coding = Coding::pcm(codec, bytes, number(rate), number(channels))?;
    let claimed = Some(number(size)).filter(|size| !UNKNOWN.contains(size)).map(u64::from);
    Ok(Layout::new(coding, u64::from(start), claimed, source.len()))
}

fn unread(encoding: u32) -> &'static str {
    match encoding {
        23 => "G.721 ADPCM in Sun AU",
        24 => "G.722 in Sun AU",
        25 | 26 => "G.723 ADPCM in Sun AU",
        _ => "an encoding that is not known, in Sun AU",
    }
}

#[cfg(test)]
mod tests {
    use super::super::pcm::tests::{found, refused, survives_damage};
    use super::*;

    /// A file with 100 bytes of sound.
    fn file(start: u32, size: u32, encoding: u32, rate: u32, channels: u32) -> Vec<u8> {
        let header = [start, size, encoding, rate, channels].map(u32::to_be_bytes).concat();
        let mut bytes = [b".snd", header.as_slice()].concat();
        bytes.resize((start as usize).max(24), 0);
        bytes.extend([1; 100]);
        bytes
    }

    #[test]
    fn every_encoding_is_recognised() {
        let cases = [
            (1, CODEC_ID_PCM_MULAW, 1),
            (2, CODEC_ID_PCM_S8, 1),
            (3, CODEC_ID_PCM_S16BE, 2),
            (4, CODEC_ID_PCM_S24BE, 3),
            (5, CODEC_ID_PCM_S32BE, 4),
            (6, CODEC_ID_PCM_F32BE, 4),
            (7, CODEC_ID_PCM_F64BE, 8),
            (27, CODEC_ID_PCM_ALAW, 1),
        ];
        for (encoding, codec, bytes) in cases {
            assert_eq!(found(&file(32, 48, encoding, 8_000, 2)), (codec, 32..80, 48 / (2 * bytes)));
        }
        for (encoding, name) in [(23, "G.721"), (24, "G.722"), (26, "G.723"), (0, "not known"), (u32::MAX, "not known")]
        {
            let (code, what) = refused(&file(24, 100, encoding, 8_000, 1));
            assert!(code == "unsupported_codec" && what.contains(name), "{what}");
        }
    }

    #[test]
    fn a_size_that_is_not_known_is_what_the_file_holds_and_one_that_lies_stays() {
        let seen = |size| found(&file(28, size, 3, 8_000, 1));
        for size in UNKNOWN {
            assert_eq!(seen(size), (CODEC_ID_PCM_S16BE, 28..128, 50));
        }
        assert_eq!(seen(20), (CODEC_ID_PCM_S16BE, 28..48, 10));
        assert_eq!(seen(2_000), (CODEC_ID_PCM_S16BE, 28..128, 1_000));
    }

    #[test]
    fn a_header_that_contradicts_itself_is_corrupt_and_none_is_a_panic() {
        for bytes in
            [file(0, 100, 3, 8_000, 1), file(23, 100, 3, 8_000, 1), file(24, 1, 3, 0, 1), file(24, 1, 3, 8_000, 0)]
        {
            assert_eq!(refused(&bytes).0, "corrupt");
        }
        assert_eq!(refused(b".snd").0, "corrupt");
        survives_damage(&file(28, 100, 3, 8_000, 1));
    }
}
