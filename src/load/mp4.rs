//! Edit lists of MP4: which part of a track is to be heard. Encoders of AAC put 1,024 to 2,112 samples in front of the
//! sound, and the file says so in `elst` (ISO 14496-12, 8.6.6) or, made by Apple's, in a tag named `iTunSMPB`.
//!
//! Symphonia 0.6.1 reads neither.

use std::io;
use std::ops::Range;

use super::source::Source;

/// The part of a track that is to be heard, in ticks of the track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edit {
    track: u32,
    /// Where it begins.
    pub(super) start: u64,
    /// Where it ends; none where the file does not say.
    pub(super) end: Option<u64>,
    /// How many pieces of the track the list joins; only the first is told of here.
    pub(super) pieces: usize,
}

/// What the edit lists of a file leave of its tracks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Edits {
    tracks: Vec<Edit>,
    /// Whether the sound comes in fragments, whose number the header does not know.
    pub(super) is_fragmented: bool,
    /// Samples in front of the sound, of all tracks that have no edit list.
    priming: u64,
}

/// Boxes of any kind looked at in one file.
const MOST_BOXES: usize = 4_096;

/// Bytes of metadata searched for a tag; pictures are larger and come after it.
const MOST_METADATA: u64 = 256 * 1024;

impl Edits {
    /// Reads the edit lists; empty where the file is no MP4.
    pub(super) fn read(source: &mut Source) -> io::Result<Self> {
        let mut head = [0; 8];
        if !source.read_at(0, &mut head)? || ![*b"ftyp", *b"moov", *b"free", *b"wide", *b"mdat"].contains(&kind(head)) {
            return Ok(Self::default());
        }
        let mut reader = Reader { source, left: MOST_BOXES };
        let mut edits = Self::default();
        let everything = 0..reader.source.len();
        let Some(moov) = reader.child(everything, *b"moov")? else { return Ok(edits) };
        let movie_scale = reader.timescale(moov.clone(), *b"mvhd")?;
        let mut at = moov.start;
        while let Some((kind, content)) = reader.next(&mut at, moov.end)? {
            match &kind {
                b"trak" => edits.tracks.extend(reader.edit(content, movie_scale)?),
                b"mvex" => edits.is_fragmented = true,
                b"udta" => edits.priming = reader.itunes_priming(content)?,
                _ => {}
            }
        }
        Ok(edits)
    }

    /// What is to be heard of a track; none where the file leaves it to the codec.
    pub(super) fn of(&self, track: u32) -> Option<Edit> {
        let edit = self.tracks.iter().find(|edit| edit.track == track).copied();
        edit.or_else(|| (self.priming > 0).then_some(Edit { track, start: self.priming, end: None, pieces: 1 }))
    }
}

struct Reader<'s> {
    source: &'s mut Source,
    left: usize,
}

impl Reader<'_> {
    /// The box at `at`: its kind and where its content lies. Goes on to the box after it; none at `end`.
    fn next(&mut self, at: &mut u64, end: u64) -> io::Result<Option<([u8; 4], Range<u64>)>> {
        let mut head = [0; 8];
        if self.left == 0 || at.saturating_add(8) > end || !self.source.read_at(*at, &mut head)? {
            return Ok(None);
        }
        self.left -= 1;
        let (size, content) = match u64::from(u32_at(&head, 0)) {
            0 => (end - *at, *at + 8),
            1 => {
                let mut long = [0; 8];
                if !self.source.read_at(*at + 8, &mut long)? {
                    return Ok(None);
                }
                (u64::from_be_bytes(long), *at + 16)
            }
            size => (size, *at + 8),
        };
        let after = at.saturating_add(size);
        if after < content || after > end {
            return Ok(None);
        }
        *at = after;
        Ok(Some((kind(head), content..after)))
    }

    /// The content of the first box of a kind within another.
    fn child(&mut self, parent: Range<u64>, wanted: [u8; 4]) -> io::Result<Option<Range<u64>>> {
        let mut at = parent.start;
        while let Some((kind, content)) = self.next(&mut at, parent.end)? {
            if kind == wanted {
                return Ok(Some(content));
            }
        }
        Ok(None)
    }

    /// The first bytes of a box's content; none where it is shorter.
    fn bytes<const N: usize>(&mut self, content: &Range<u64>) -> io::Result<Option<[u8; N]>> {
        let mut bytes = [0; N];
        let fits = content.end - content.start >= N as u64 && self.source.read_at(content.start, &mut bytes)?;
        Ok(fits.then_some(bytes))
    }

    /// Ticks a second, as `mvhd` or `mdhd` within `parent` has it.
    fn timescale(&mut self, parent: Range<u64>, header: [u8; 4]) -> io::Result<Option<u32>> {
        let Some(content) = self.child(parent, header)? else { return Ok(None) };
        let Some(bytes) = self.bytes::<24>(&content)? else { return Ok(None) };
        // Version 1 has times of 8 bytes in front, version 0 of 4.
        Ok(Some(u32_at(&bytes, if bytes[0] == 1 { 20 } else { 12 })))
    }

    fn edit(&mut self, whole: Range<u64>, movie_scale: Option<u32>) -> io::Result<Option<Edit>> {
        let Some(tkhd) = self.child(whole.clone(), *b"tkhd")? else { return Ok(None) };
        let Some(header) = self.bytes::<24>(&tkhd)? else { return Ok(None) };
        let track = u32_at(&header, if header[0] == 1 { 20 } else { 12 });
        let Some(mdia) = self.child(whole.clone(), *b"mdia")? else { return Ok(None) };
        let scale = self.timescale(mdia, *b"mdhd")?;
        let Some(edts) = self.child(whole, *b"edts")? else { return Ok(None) };
        let Some(elst) = self.child(edts, *b"elst")? else { return Ok(None) };
        let Some(head) = self.bytes::<8>(&elst)? else { return Ok(None) };
        let long = head[0] == 1;
        let size = if long { 20 } else { 12 };
        let mut edit: Option<Edit> = None;
        // An entry with a start of −1 is a pause before the sound, which says nothing of the track.
        for entry in 0..u64::from(u32_at(&head, 4)).min(MOST_BOXES as u64) {
            let at = elst.start + 8 + entry * size;
            if at + size > elst.end {
                break;
            }
            let (duration, start) = if long {
                let Some(bytes) = self.bytes::<16>(&(at..elst.end))? else { break };
                (u64_at(&bytes, 0), u64_at(&bytes, 8).cast_signed())
            } else {
                let Some(bytes) = self.bytes::<8>(&(at..elst.end))? else { break };
                (u64::from(u32_at(&bytes, 0)), i64::from(u32_at(&bytes, 4).cast_signed()))
            };
            let Ok(start) = u64::try_from(start) else { continue };
            if let Some(edit) = &mut edit {
                edit.pieces += 1;
                continue;
            }
            // The length is in ticks of the film, not of the track.
            let length = scale.zip(movie_scale.filter(|scale| *scale > 0)).map(|(scale, movie)| {
                let ticks = (u128::from(duration) * u128::from(scale)).div_ceil(u128::from(movie));
                u64::try_from(ticks).unwrap_or(u64::MAX)
            });
            let end = length.filter(|_| duration > 0).map(|length| start.saturating_add(length));
            edit = Some(Edit { track, start, end, pieces: 1 });
        }
        Ok(edit)
    }

    /// Samples in front of the sound, as Apple's tag has them: the second of its hexadecimal numbers.
    fn itunes_priming(&mut self, udta: Range<u64>) -> io::Result<u64> {
        let mut bytes = vec![0; (udta.end - udta.start).min(MOST_METADATA) as usize];
        if !self.source.read_at(udta.start, &mut bytes)? {
            return Ok(0);
        }
        let after = |bytes: &'_ [u8], word: &[u8]| {
            bytes.windows(word.len()).position(|window| window == word).map(|at| at + word.len())
        };
        let Some(name) = after(&bytes, b"iTunSMPB") else { return Ok(0) };
        let Some(data) = after(&bytes[name..], b"data") else { return Ok(0) };
        let text: String = bytes[name + data..].iter().skip(8).take(120).map(|byte| char::from(*byte)).collect();
        let priming = text.split_ascii_whitespace().nth(1).and_then(|number| u64::from_str_radix(number, 16).ok());
        Ok(priming.unwrap_or(0))
    }
}

fn kind(head: [u8; 8]) -> [u8; 4] {
    [head[4], head[5], head[6], head[7]]
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) << 32 | u64::from(u32_at(bytes, at + 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atom(kind: &[u8], content: &[u8]) -> Vec<u8> {
        [(content.len() as u32 + 8).to_be_bytes().as_slice(), kind, content].concat()
    }

    fn header(at: usize, value: u32) -> Vec<u8> {
        let mut bytes = vec![0; 40];
        bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        bytes
    }

    /// A file of one track, number 7, at 44,100 ticks a second in a film of 1,000.
    fn file(elst: &[u8], udta: &[u8]) -> Vec<u8> {
        let mdia = atom(b"mdia", &atom(b"mdhd", &header(12, 44_100)));
        let edts = atom(b"edts", &atom(b"elst", elst));
        let trak = atom(b"trak", &[atom(b"tkhd", &header(12, 7)), edts, mdia].concat());
        let moov = [atom(b"mvhd", &header(12, 1_000)), trak, atom(b"udta", udta)].concat();
        [atom(b"ftyp", b"M4A "), atom(b"mdat", &[0; 99]), atom(b"moov", &moov)].concat()
    }

    fn read(bytes: &[u8]) -> Edits {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        Edits::read(&mut Source::open(&file.path().into()).unwrap()).unwrap()
    }

    fn elst(entries: &[(u32, i32)]) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        bytes.extend((entries.len() as u32).to_be_bytes());
        for (duration, start) in entries {
            bytes.extend(duration.to_be_bytes());
            bytes.extend(start.to_be_bytes());
            bytes.extend([0, 1, 0, 0]);
        }
        bytes
    }

    #[test]
    fn an_edit_starts_where_the_list_says_and_its_length_is_in_ticks_of_the_film() {
        let edits = read(&file(&elst(&[(500, -1), (3_300, 1_024)]), &[]));
        assert_eq!(edits.of(7), Some(Edit { track: 7, start: 1_024, end: Some(1_024 + 145_530), pieces: 1 }));
        assert_eq!(edits.of(8), None, "another track");
        let open = read(&file(&elst(&[(0, 2_112)]), &[])).of(7).unwrap();
        assert_eq!((open.start, open.end), (2_112, None), "a film that is still being made");
        assert_eq!(read(&file(&elst(&[(10, 0), (10, 99)]), &[])).of(7).unwrap().pieces, 2);
    }

    #[test]
    fn the_tag_of_apples_encoders_stands_in_for_a_missing_list() {
        let tag = b"....iTunSMPB....data\0\0\0\x01\0\0\0\0 00000000 00000840 000001C0 0000000000000000";
        assert_eq!(read(&file(&[], tag)).of(7).unwrap().start, 0x840);
    }

    #[test]
    fn no_cut_or_flipped_byte_makes_it_panic() {
        let whole = file(&elst(&[(3_300, 1_024)]), b"iTunSMPBdata 0 0");
        for len in 1..whole.len() {
            read(&whole[..len]);
            let mut flipped = whole.clone();
            flipped[len] ^= 0xFF;
            read(&flipped);
        }
        assert_eq!(read(b"RIFF....WAVEfmt "), Edits::default());
    }
}
