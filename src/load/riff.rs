//! The sizes in a WAV header: right, unknown or wrong.
//!
//! A writer that cannot go back to the header (a pipe) leaves a mark where the size of the sound should be, and the outer
//! RIFF size is wrong in many an old corpus. Readers would take the one for a corrupt file and the other for an empty one
//! or one of 37 hours. This looks at the chunks before the demuxer does and lets it see sizes that hold.

use std::io;

use super::source::{Patch, Source};

/// Sizes that stand for "not known": what writers leave in the `data` chunk when their output is a pipe.
const UNKNOWN: [u32; 6] = [
    0xFFFF_FFFF, // ffmpeg, mpg123
    0xFFFF_FFDB, // 2³² − 1 less the header of 36 bytes
    0x7FFF_F000, // sox, espeak-ng
    0x7FFF_FFFF, // 2³¹ − 1: writers with signed sizes
    0x8000_0000, // arecord (ALSA), its limit for a file
    0x7FFF_FF00, // arecord, no limit given
];

/// Chunks looked at before the search for `data` is given up: real files have fewer than ten.
const MAX_CHUNKS: usize = 256;

/// The sizes that the demuxer of a WAV file should see instead of those in the file; none where the file is no WAV or its
/// sizes can stay.
///
/// A `data` chunk that claims more than the file holds is left as it is unless its size is a mark: that file is truncated.
pub(super) fn patches(source: &mut Source) -> io::Result<Vec<Patch>> {
    let mut start = [0; 12];
    if !source.read_at(0, &mut start)? || !start.starts_with(b"RIFF") || !start.ends_with(b"WAVE") {
        return Ok(Vec::new());
    }
    let outer = little_endian(&start[4..8]);
    // 2³² − 1 tells the demuxer to ignore the outer size: chunks may then reach beyond it.
    let mut patches = vec![(4, u32::MAX.to_le_bytes())];
    if let Some((at, size)) = find_data(source)? {
        let held = source.len().saturating_sub(at);
        let outer_is_right = u64::from(outer) + 8 == source.len();
        let fits = u64::from(size) <= held;
        let unknown = if size == 0 { !outer_is_right } else { !fits && (UNKNOWN.contains(&size) || outer == u32::MAX) };
        if unknown {
            patches.push((at - 4, u32::try_from(held).unwrap_or(u32::MAX).to_le_bytes()));
        }
    }
    Ok(patches)
}

/// Where the sound begins, in bytes, and the size that its chunk claims.
fn find_data(source: &mut Source) -> io::Result<Option<(u64, u32)>> {
    let mut at = 12;
    let mut chunk = [0; 8];
    for _ in 0..MAX_CHUNKS {
        if !source.read_at(at, &mut chunk)? {
            break;
        }
        let size = little_endian(&chunk[4..]);
        at += 8;
        if chunk.starts_with(b"data") {
            return Ok(Some((at, size)));
        }
        // Chunks begin at even places.
        at += u64::from(size) + u64::from(size % 2);
    }
    Ok(None)
}

fn little_endian(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `data` size that a demuxer sees of a WAV with 100 bytes of sound, these two sizes and this tail.
    fn seen(outer: u32, data: u32, tail: &[u8]) -> u32 {
        let mut bytes = b"RIFF....WAVEfmt \x04\0\0\0\0\0\0\0LIST\x03\0\0\0abc\0data....".to_vec();
        bytes[4..8].copy_from_slice(&outer.to_le_bytes());
        let at = bytes.len();
        bytes[at - 4..].copy_from_slice(&data.to_le_bytes());
        bytes.extend([7; 100]);
        bytes.extend(tail);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        let mut source = Source::open(file.path()).unwrap();
        let patches = patches(&mut source).unwrap();
        source.patch(patches);
        let mut size = [0; 4];
        assert!(source.read_at(at as u64 - 4, &mut size).unwrap());
        u32::from_le_bytes(size)
    }

    #[test]
    fn a_mark_or_a_size_never_filled_in_becomes_what_the_file_holds() {
        for mark in UNKNOWN {
            assert_eq!(seen(mark, mark, &[]), 100);
        }
        assert_eq!(seen(0, 0, &[]), 100);
    }

    #[test]
    fn a_size_that_holds_or_lies_stays() {
        assert_eq!(seen(136, 100, &[]), 100);
        assert_eq!(seen(136, 50, &[]), 50);
        assert_eq!(seen(0, 100, b"LIST\0\0\0\0"), 100);
        assert_eq!(seen(0x0FFF_0024, 0x0FFF_0000, &[]), 0x0FFF_0000);
        // No sound, though chunks follow: the outer size says that the writer finished.
        assert_eq!(seen(136, 0, &[]), 0);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_patch_beyond_the_file(
            tail in proptest::collection::vec(proptest::sample::select(b"data\x00\x01\x08\xFF".to_vec()), 0..200),
        ) {
            let file = tempfile::NamedTempFile::new().unwrap();
            let bytes = [b"RIFF\0\0\0\0WAVE", tail.as_slice()].concat();
            std::fs::write(file.path(), &bytes).unwrap();
            let mut source = Source::open(file.path()).unwrap();
            for (at, _) in patches(&mut source).unwrap() {
                proptest::prop_assert!(at + 4 <= bytes.len() as u64);
            }
        }
    }
}
