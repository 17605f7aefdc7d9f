//! The padding at the end of an Opus track in Matroska and WebM, which symphonia 0.6.1 reads and drops.

use std::io;

use super::source::Source;

/// How much of a file's end is searched: the last block, behind which an index of up to five bytes a second may follow.
const TAIL: u64 = 128 * 1024;

const EBML: [u8; 4] = [0x1A, 0x45, 0xDF, 0xA3];
const BLOCK_GROUP: u8 = 0xA0;
const BLOCK: u32 = 0xA1;
const DISCARD_PADDING: u32 = 0x75A2;

/// Nanoseconds to drop from the last block (`DiscardPadding`, RFC 9559); 0 where the file is no Matroska or has none.
pub(super) fn discard_padding(source: &mut Source) -> io::Result<u64> {
    let mut head = [0; 4];
    if !source.read_at(0, &mut head)? || head != EBML {
        return Ok(0);
    }
    let start = source.len().saturating_sub(TAIL);
    let mut tail = vec![0; (source.len() - start) as usize];
    if !source.read_at(start, &mut tail)? {
        return Ok(0);
    }
    // There is no way from the end of a file to its last block. But bytes that happen to be a group of elements which
    // fill it exactly, a block and a padding among them, do not come about by chance.
    let mut groups = (0..tail.len()).rev().filter(|at| tail[*at] == BLOCK_GROUP);
    Ok(groups.find_map(|at| padding_of_group(&tail[at..])).unwrap_or(0))
}

/// The padding in the group that `bytes` begin with.
fn padding_of_group(bytes: &[u8]) -> Option<u64> {
    let (_, content, _) = element(bytes)?;
    let mut rest = content;
    let (mut block, mut padding) = (false, None);
    while !rest.is_empty() {
        let (id, content, after) = element(rest)?;
        match id {
            BLOCK => block = true,
            DISCARD_PADDING if (1..=8).contains(&content.len()) => {
                let sign = if content[0] & 0x80 == 0 { 0 } else { -1 };
                padding = Some(content.iter().fold(sign, |number: i64, byte| number << 8 | i64::from(*byte)));
            }
            _ => {}
        }
        rest = after;
    }
    // A negative padding is one at the start of the block, and no block is as long as a second.
    padding.filter(|_| block).and_then(|padding| u64::try_from(padding).ok()).filter(|padding| *padding < 1_000_000_000)
}

/// The element that `bytes` begin with: its id, its content and what follows it.
fn element(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let id_len = bytes.first()?.leading_zeros() as usize + 1;
    let id = bytes.get(..id_len.min(4))?.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
    let bytes = bytes.get(id_len..)?;
    let size_len = bytes.first()?.leading_zeros() as usize + 1;
    let size = bytes.get(..size_len.min(8))?.iter().fold(0_u64, |size, byte| size << 8 | u64::from(*byte));
    let size = usize::try_from(size & !(1 << (7 * size_len.min(8)))).ok()?;
    let bytes = bytes.get(size_len..)?;
    (size <= bytes.len()).then(|| (id, &bytes[..size], &bytes[size..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(tail: &[u8]) -> u64 {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [&EBML, tail].concat()).unwrap();
        discard_padding(&mut Source::open(&file.path().into()).unwrap()).unwrap()
    }

    #[test]
    fn the_padding_of_the_last_block_is_found_and_chance_is_not() {
        let group = b"\xA0\x8D\xA1\x86\x81\0\0\0abcd\x75\xA2"; // cut short
        assert_eq!(found(group), 0);
        let group = b"\xA0\x8E\xA1\x86\x81\0\0\0ab\x75\xA2\x83\x65\x5D\x40";
        assert_eq!(found(&[b"\xA0xx", group.as_slice(), b"\x1C\x53\xBB\x6B\x80"].concat()), 6_643_008);
        assert_eq!(found(b"\xA0\x84\x75\xA2\x81\x05"), 0, "a padding without a block");
        assert_eq!(found(b"\xA0\x8C\xA1\x86\x81\0\0\0ab\x75\xA2\x81\xFF"), 0, "a negative one");
        let absurd = b"\xA0\x93\xA1\x86\x81\0\0\0ab\x75\xA2\x88\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF";
        assert_eq!(found(absurd), 0, "292 years");
        assert_eq!(found(&[0xA0; 300]), 0);
    }
}
