//! The last frame of a FLAC file behind which something else stands: a tag, or the rest of a download.
//!
//! A demuxer finds the end of a frame at the start of the next one. Behind the last, symphonia 0.6.1 takes all that
//! follows for a part of it, finds the checksum wrong and drops the frame.

use std::io;

use super::source::Source;

/// How much of a file's end is searched. A tag is 128 bytes, and frames of common settings are below 32 KiB.
const TAIL: u64 = 256 * 1024;

/// The last frame of the file, with all that follows it, if it starts with sample `first`; `block` is the size of blocks
/// where all but the last are alike.
pub(super) fn last_frame(mut source: Source, first: u64, block: u64) -> io::Result<Option<Vec<u8>>> {
    let start = source.len().saturating_sub(TAIL);
    let mut tail = vec![0; (source.len() - start) as usize];
    if !source.read_at(start, &mut tail)? {
        return Ok(None);
    }
    let starts_here = |at: &usize| {
        first_sample(&tail[*at..]).is_some_and(|(fixed, number)| {
            let sample = if fixed { number.checked_mul(block) } else { Some(number) };
            sample == Some(first)
        })
    };
    let at = (0..tail.len()).rev().find(starts_here);
    Ok(at.map(|at| tail.split_off(at)))
}

/// What the frame header at the start of `bytes` counts by, blocks of fixed size or samples, and its number; none where
/// no valid header stands there (RFC 9639, 9.1).
fn first_sample(bytes: &[u8]) -> Option<(bool, u64)> {
    let [0xFF, sync @ (0xF8 | 0xF9), sizes, channels, lead, ..] = *bytes else { return None };
    if channels & 1 != 0 {
        return None;
    }
    // The number is written like a character of UTF-8, of up to seven bytes.
    let len = match lead.leading_ones() as usize {
        0 => 1,
        ones @ 2..=7 => ones,
        _ => return None,
    };
    let mut number = if len == 1 { u64::from(lead) } else { u64::from(lead) & (0x7F >> len) };
    for byte in bytes.get(5..4 + len)? {
        number = number << 6 | u64::from(byte & 0x3F);
    }
    let block_size = match sizes >> 4 {
        6 => 1,
        7 => 2,
        _ => 0,
    };
    let rate = match sizes & 0x0F {
        12 => 1,
        13 | 14 => 2,
        _ => 0,
    };
    let end = 4 + len + block_size + rate;
    let crc = bytes.get(..end)?.iter().fold(0_u8, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x07 })
    });
    (*bytes.get(end)? == crc).then_some((sync == 0xF8, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_counts_blocks_or_samples_and_its_checksum_must_hold() {
        // Block 5, and sample 69,120, of 16-bit mono.
        assert_eq!(first_sample(&[0xFF, 0xF8, 0xC9, 0x08, 0x05, 0x8E, 0, 0]), Some((true, 5)));
        let long = [0xFF, 0xF9, 0xC9, 0x08, 0xF0, 0x90, 0xB8, 0x80, 0x72];
        assert_eq!(first_sample(&long), Some((false, 69_120)));
        assert_eq!(first_sample(&[0xFF, 0xF8, 0xC9, 0x08, 0x06, 0x8E, 0, 0]), None);
        assert!((0..9).all(|len| first_sample(&long[..len]).is_none()));
        assert_eq!(first_sample(&[0xFF, 0xF9, 0xC9]), None);
    }
}
