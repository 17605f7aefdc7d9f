//! WAV (RIFF/WAVE), and its forms for more than 4 GiB: RF64 (EBU Tech 3306) and BW64 (ITU-R BS.2088).
//!
//! The sizes in the header are right, unknown or wrong. A writer that cannot go back to the header (a pipe) leaves a mark
//! where the size of the sound should be, and the outer size is wrong in many an old corpus. A reader that believes them
//! would take the one for a corrupt file and the other for an empty one or one of 37 hours.

use super::error::LoadError;
use super::pcm::{Coding, Layout, corrupt, unreadable};
use super::source::Source;
use super::wave_format;

/// Sizes that stand for "not known": what writers leave in the `data` chunk when their output is a pipe.
const UNKNOWN: [u64; 7] = [
    UNKNOWN_32,  // ffmpeg, mpg123
    0xFFFF_FFDB, // 2³² − 1 less the header of 36 bytes
    0x7FFF_F000, // sox, espeak-ng
    0x7FFF_FFFF, // 2³¹ − 1: writers with signed sizes
    0x8000_0000, // arecord (ALSA), its limit for a file
    0x7FFF_FF00, // arecord, no limit given
    u64::MAX,    // the same as the first where sizes have 64 bits
];

/// In RF64 and BW64 it refers to the `ds64` chunk.
const UNKNOWN_32: u64 = 0xFFFF_FFFF;

/// Chunks looked at before the search for sound is given up: real files have fewer than ten.
const MAX_CHUNKS: usize = 256;

/// Where the sound is: the first `data` chunk, coded as the first `fmt ` chunk says, whichever comes first.
///
/// A `data` chunk that claims more than the file holds is truncated, unless its size is a mark.
///
/// # Errors
///
/// As [`sniff::layout`](super::sniff::layout).
pub(super) fn layout(source: &mut Source) -> Result<Layout, LoadError> {
    let mut head = [0; 12];
    if !source.read_at(0, &mut head).map_err(unreadable)? || !head.ends_with(b"WAVE") {
        return Err(corrupt("a RIFF header without WAVE"));
    }
    let outer = little_endian(&head[4..8]);
    let mut long = None;
    let mut coding = None;
    let mut data = None;
    let mut at = head.len() as u64;
    let mut chunk = [0; 8];
    for _ in 0..MAX_CHUNKS {
        if !source.read_at(at, &mut chunk).map_err(unreadable)? {
            break;
        }
        at += chunk.len() as u64;
        let (id, size) = chunk.split_at(4);
        let mut size = little_endian(size);
        match id {
            b"ds64" if !head.starts_with(b"RIFF") => long = Some(read_long(source, at, size)?),
            b"fmt " if coding.is_none() => coding = Some(read_format(source, at, size)?),
            b"data" if data.is_none() => {
                size = long.filter(|_| size == UNKNOWN_32).map_or(size, |long| long.data);
                data = Some((at, size));
            }
            _ => {}
        }
        if coding.is_some() && data.is_some() {
            break;
        }
        // Chunks begin at even places.
        let Some(next) = size.checked_next_multiple_of(2).and_then(|size| at.checked_add(size)) else { break };
        at = next;
    }
    let coding = coding.ok_or_else(|| corrupt("no format chunk"))?;
    let (start, size) = data.ok_or_else(|| corrupt("no data chunk"))?;
    let outer = long.filter(|_| outer == UNKNOWN_32).map_or(outer, |long| long.outer);
    let claimed = (!is_unknown(outer, size, start, source.len(), coding.block_bytes())).then_some(size);
    Ok(Layout::new(coding, start, claimed, source.len()))
}

/// Sizes of 64 bits.
#[derive(Clone, Copy)]
struct Long {
    outer: u64,
    data: u64,
}

fn read_long(source: &mut Source, at: u64, size: u64) -> Result<Long, LoadError> {
    let mut sizes = [0; 16];
    if size < sizes.len() as u64 || !source.read_at(at, &mut sizes).map_err(unreadable)? {
        return Err(corrupt("a ds64 chunk without the size of the sound"));
    }
    let (outer, data) = sizes.split_at(8);
    Ok(Long { outer: little_endian(outer), data: little_endian(data) })
}

/// The coding that a format chunk of `size` bytes at `at` describes.
pub(super) fn read_format(source: &mut Source, at: u64, size: u64) -> Result<Coding, LoadError> {
    let mut bytes = [0; wave_format::USED_BYTES];
    let used = bytes.len().min(usize::try_from(size).unwrap_or(usize::MAX));
    let bytes = &mut bytes[..used];
    if !source.read_at(at, bytes).map_err(unreadable)? {
        return Err(corrupt("the file ends within the format chunk"));
    }
    wave_format::read(bytes)
}

/// Whether the sound is all that follows, in a file of `len` bytes where it starts at `start`.
fn is_unknown(outer: u64, size: u64, start: u64, len: u64, block: u64) -> bool {
    // sox rounds its mark down to a whole number of samples.
    let is_mark = UNKNOWN.iter().any(|mark| size <= *mark && *mark - size < block);
    let fits = size <= len.saturating_sub(start);
    let outer_is_right = outer.checked_add(8) == Some(len);
    let outer_is_unknown = outer == UNKNOWN_32 || outer == u64::MAX;
    // A file of more than 4 GiB whose sizes were counted in 32 bits all the same.
    if len > UNKNOWN_32 && size == len.saturating_sub(start) & UNKNOWN_32 {
        return true;
    }
    if size == 0 { !outer_is_right } else { !fits && (is_mark || outer_is_unknown) }
}

pub(super) fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use symphonia::core::codecs::audio::well_known::{CODEC_ID_PCM_S16LE, CODEC_ID_PCM_U8};

    use super::super::pcm::tests::{found, layout_of, refused, survives_damage};
    use super::super::sniff::layout as sniffed;
    use super::*;

    fn chunk(id: &[u8], claimed: u32, content: &[u8]) -> Vec<u8> {
        [id, &claimed.to_le_bytes(), content].concat()
    }

    /// 8 bits, mono.
    fn format() -> Vec<u8> {
        chunk(b"fmt ", 16, b"\x01\0\x01\0\x40\x1F\0\0\x40\x1F\0\0\x01\0\x08\0")
    }

    fn file(form: &[u8], outer: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
        [form, &outer.to_le_bytes(), b"WAVE", &chunks.concat()].concat()
    }

    /// The bytes of sound that are read and those that are claimed of a WAV with 100 bytes, these two sizes and this tail.
    fn seen(outer: u32, data: u32, tail: &[u8]) -> (u64, u64) {
        let chunks = [format(), chunk(b"LIST", 3, b"abc\0"), chunk(b"data", data, &[7; 100]), tail.to_vec()];
        let (codec, data, claimed) = found(&file(b"RIFF", outer, &chunks));
        assert_eq!((codec, data.start), (CODEC_ID_PCM_U8, 56));
        (data.end - data.start, claimed)
    }

    #[test]
    fn a_mark_or_a_size_never_filled_in_becomes_what_the_file_holds() {
        for mark in UNKNOWN.into_iter().filter_map(|mark| u32::try_from(mark).ok()) {
            assert_eq!(seen(mark, mark, &[]), (100, 100));
        }
        assert_eq!(seen(0, 0, &[]), (100, 100));
        assert_eq!(seen(u32::MAX, 5_000, &[]), (100, 100));
    }

    #[test]
    fn a_size_that_holds_or_lies_stays() {
        assert_eq!(seen(148, 100, &[]), (100, 100));
        assert_eq!(seen(148, 50, &[]), (50, 50));
        assert_eq!(seen(0, 100, b"LIST\0\0\0\0"), (100, 100));
        assert_eq!(seen(0x0FFF_0024, 0x0FFF_0000, &[]), (100, 0x0FFF_0000));
        // No sound, though chunks follow: the outer size says that the writer finished.
        assert_eq!(seen(148, 0, &[]), (0, 0));
    }

    #[test]
    fn the_format_may_come_after_the_sound() {
        let chunks = [chunk(b"data", 3, &[1, 2, 3, 0]), format()];
        assert_eq!(found(&file(b"RIFF", 0, &chunks)), (CODEC_ID_PCM_U8, 20..23, 3));
    }

    fn long(outer: u64, data: u64) -> Vec<u8> {
        let sizes = [outer, data, 0].map(u64::to_le_bytes).concat();
        chunk(b"ds64", 28, &[sizes.as_slice(), &[0; 4]].concat())
    }

    #[test]
    fn sizes_of_64_bits_count_where_the_short_ones_refer_to_them() {
        for form in [b"RF64", b"BW64"] {
            let of = |long, size| found(&file(form, u32::MAX, &[long, format(), chunk(b"data", size, &[7; 50])]));
            assert_eq!(of(long(122, 40), u32::MAX), (CODEC_ID_PCM_U8, 80..120, 40));
            assert_eq!(of(long(122, 40), 30), (CODEC_ID_PCM_U8, 80..110, 30), "a short size that is one");
            assert_eq!(of(long(122, 1 << 40), u32::MAX), (CODEC_ID_PCM_U8, 80..130, 1 << 40), "truncated");
            assert_eq!(of(long(0, 0), u32::MAX), (CODEC_ID_PCM_U8, 80..130, 50), "never filled in");
            assert_eq!(of(long(u64::MAX, u64::MAX), u32::MAX), (CODEC_ID_PCM_U8, 80..130, 50));
        }
        let plain = file(b"RIFF", u32::MAX, &[long(0, 40), format(), chunk(b"data", u32::MAX, &[7; 50])]);
        assert_eq!(found(&plain).1, 80..130, "RIFF has no such chunk");
    }

    #[test]
    fn sound_of_more_than_4_gib_is_found_to_its_end() {
        const SIZE: u64 = 5 << 30;
        let file = tempfile::NamedTempFile::new().unwrap();
        let head = file_of_size(SIZE);
        std::fs::write(file.path(), &head).unwrap();
        file.as_file().set_len(head.len() as u64 + SIZE).unwrap();
        let layout = sniffed(&mut Source::open(&file.path().into()).unwrap()).unwrap().unwrap();
        let format = wave_format::read(&format()[8..]).unwrap();
        assert_eq!(layout, Layout::new(format, 80, Some(SIZE), 80 + SIZE));
    }

    /// The header of an RF64 with sound of `size` bytes.
    fn file_of_size(size: u64) -> Vec<u8> {
        file(b"RF64", u32::MAX, &[long(size + 72, size), format(), chunk(b"data", u32::MAX, &[])])
    }

    #[test]
    fn a_file_without_a_part_that_it_needs_is_corrupt() {
        let data = chunk(b"data", 4, &[0; 4]);
        for (bytes, says) in [
            (b"RIFF\0\0\0\0WAVE".to_vec(), "no format chunk"),
            (file(b"RIFF", 0, &[format()]), "no data chunk"),
            (file(b"RIFF", 0, std::slice::from_ref(&data)), "no format chunk"),
            (file(b"RF64", 0, &[chunk(b"ds64", 8, &[0; 8]), format(), data.clone()]), "a ds64 chunk"),
            (file(b"RIFF", 0, &[chunk(b"fmt ", 16, b"\x01\0\x01\0")]), "the file ends within"),
            (b"RF64\0\0\0\0".to_vec(), "without WAVE"),
        ] {
            let (code, what) = refused(&bytes);
            assert!(code == "corrupt" && what.contains(says), "{what}");
        }
        let many = vec![chunk(b"junk", 0, &[]); MAX_CHUNKS];
        assert_eq!(refused(&file(b"RIFF", 0, &[many.concat(), format(), data])).0, "corrupt");
        assert_eq!(layout_of(b"RIFF\0\0\0\0AVI LIST").unwrap(), None);
    }

    #[test]
    fn no_damage_to_a_header_is_a_panic() {
        let sound = chunk(b"data", 11, &[1; 12]);
        survives_damage(&file(b"RIFF", 60, &[chunk(b"LIST", 3, b"abc\0"), format(), sound.clone()]));
        survives_damage(&file(b"RF64", u32::MAX, &[long(80, 11), format(), sound]));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_read_beyond_the_file(
            tail in proptest::collection::vec(proptest::sample::select(b"datfm \x00\x01\x08\x10\xFF".to_vec()), 0..200),
        ) {
            let bytes = file(b"RIFF", 0, &[format(), tail]);
            if let Ok(Some(_)) = layout_of(&bytes) {
                proptest::prop_assert!(found(&bytes).1.end <= bytes.len() as u64);
            }
        }
    }

    #[test]
    fn what_is_no_whole_frame_at_the_end_of_a_pipe_is_left_out() {
        let format = chunk(b"fmt ", 16, b"\x01\0\x02\0\x40\x1F\0\0\0\x7D\0\0\x04\0\x10\0");
        let bytes = file(b"RIFF", u32::MAX, &[format, chunk(b"data", u32::MAX, &[0; 43])]);
        assert_eq!(found(&bytes), (CODEC_ID_PCM_S16LE, 44..84, 10));
    }
}
