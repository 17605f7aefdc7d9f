//! Sony Wave64: WAV with sizes of 64 bits, and 16 bytes for the name of a chunk.

use super::error::LoadError;
use super::pcm::{Layout, corrupt, unreadable};
use super::riff::{little_endian, read_format};
use super::source::Source;

/// The name of the file's outer chunk: its first 16 bytes.
pub(super) const RIFF: &[u8] = b"riff\x2E\x91\xCF\x11\xA5\xD6\x28\xDB\x04\xC1\0\0";

/// How the names of all chunks within end.
const TAIL: &[u8] = b"\xF3\xAC\xD3\x11\x8C\xD1\0\xC0\x4F\x8E\xDB\x8A";

/// Bytes of a chunk's name and size, which the size counts too.
const CHUNK_HEAD: u64 = 24;

/// Sizes from here on mean that it is not known: writers leave 2⁶³ − 1 or 2⁶⁴ − 1, with or without the head of the chunk.
const UNKNOWN: u64 = i64::MAX as u64 - CHUNK_HEAD;

/// Chunks looked at before the search for sound is given up: real files have fewer than ten.
const MAX_CHUNKS: usize = 256;

/// # Errors
///
/// As [`sniff::layout`](super::sniff::layout).
pub(super) fn layout(source: &mut Source) -> Result<Layout, LoadError> {
    let mut head = [0; 40];
    if !source.read_at(0, &mut head).map_err(unreadable)? || !head[24..].starts_with(b"wave") {
        return Err(corrupt("a Wave64 header without wave"));
    }
    let outer = little_endian(&head[16..24]);
    let (mut coding, mut data) = (None, None);
    let mut at = head.len() as u64;
    let mut chunk = [0; CHUNK_HEAD as usize];
    for _ in 0..MAX_CHUNKS {
        if !source.read_at(at, &mut chunk).map_err(unreadable)? {
            break;
        }
        let (name, size) = chunk.split_at(16);
        let whole = little_endian(size);
        let start = at + CHUNK_HEAD;
        let size = whole.checked_sub(CHUNK_HEAD).filter(|_| whole < UNKNOWN);
        match (name.strip_suffix(TAIL), size) {
            (Some(b"fmt "), Some(size)) if coding.is_none() => coding = Some(read_format(source, start, size)?),
            // A size of nothing is right where the outer one is, too.
            (Some(b"data"), size) if data.is_none() => {
                data = Some((start, size.filter(|size| *size > 0 || outer == source.len())));
            }
            _ => {}
        }
        if coding.is_some() && data.is_some() {
            break;
        }
        // Chunks begin at places that 8 divides. One of no size would be met again and again.
        let next = size.and(whole.checked_next_multiple_of(8)).and_then(|whole| at.checked_add(whole));
        let Some(next) = next else { break };
        at = next;
    }
    let coding = coding.ok_or_else(|| corrupt("no format chunk"))?;
    let (start, claimed) = data.ok_or_else(|| corrupt("no data chunk"))?;
    Ok(Layout::new(coding, start, claimed, source.len()))
}

#[cfg(test)]
mod tests {
    use symphonia::core::codecs::audio::well_known::CODEC_ID_PCM_U8;

    use super::super::pcm::tests::{found, refused, survives_damage};
    use super::*;

    fn chunk(name: &[u8], size: u64, content: &[u8]) -> Vec<u8> {
        [name, TAIL, &size.to_le_bytes(), content].concat()
    }

    /// 8 bits, mono; 100 bytes of sound from byte 136 on.
    fn file(outer: u64, data: u64) -> Vec<u8> {
        let format = b"\x01\0\x01\0\x40\x1F\0\0\x40\x1F\0\0\x01\0\x08\0";
        let chunks = [chunk(b"fact", 25, &[0; 8]), chunk(b"fmt ", 40, format), chunk(b"data", data, &[7; 100])];
        [RIFF, &outer.to_le_bytes(), b"wave", TAIL, &chunks.concat()].concat()
    }

    #[test]
    fn sizes_count_the_head_of_a_chunk_and_chunks_begin_at_places_that_8_divides() {
        assert_eq!(found(&file(236, 24 + 60)), (CODEC_ID_PCM_U8, 136..196, 60));
        assert_eq!(found(&file(236, 24 + 5_000)), (CODEC_ID_PCM_U8, 136..236, 5_000), "truncated");
        assert_eq!(found(&file(236, 24)), (CODEC_ID_PCM_U8, 136..136, 0), "no sound");
    }

    #[test]
    fn a_size_that_is_not_known_is_what_the_file_holds() {
        for (outer, size) in [(0, 0), (0, 24), (0, 23), (u64::MAX, i64::MAX as u64), (u64::MAX, u64::MAX)] {
            assert_eq!(found(&file(outer, size)), (CODEC_ID_PCM_U8, 136..236, 100), "{size:#x}");
        }
    }

    #[test]
    fn no_damage_to_a_header_is_a_panic() {
        assert_eq!(refused(RIFF).0, "corrupt");
        assert_eq!(refused(&[RIFF, &[0; 40]].concat()).0, "corrupt");
        survives_damage(&file(236, 124));
    }
}
