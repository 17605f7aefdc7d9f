//! What symphonia 0.6.1 does not say of an Ogg file: that it ends within a page, because the copy broke off, and that none of
//! its streams is one that can be heard.

use std::io;

use super::error::LoadError;
use super::source::Source;

/// The first bytes of every stream that can be heard here.
const READ: [&[u8]; 3] = [b"\x01vorbis", b"OpusHead", b"\x7FFLAC"];

/// Those of sound that cannot.
const UNREAD: [(&[u8], &str); 4] =
    [(b"Speex   ", "Speex"), (b"CELT    ", "CELT"), (b"PCM     ", "PCM in Ogg"), (b"MIDI", "MIDI in Ogg")];

/// Streams looked at: a film has three or four.
const MOST_STREAMS: usize = 64;

/// Why none of the streams can be heard, if none can: symphonia 0.6.1 would read the file to its end for one.
pub(super) fn unread(source: &mut Source) -> io::Result<Option<LoadError>> {
    const STARTS_A_STREAM: u8 = 2;
    let mut verdict = None;
    let mut at = 0;
    for _ in 0..MOST_STREAMS {
        let mut head = [0; 27];
        if !source.read_at(at, &mut head)? || !head.starts_with(b"OggS") || head[5] & STARTS_A_STREAM == 0 {
            break;
        }
        let mut sizes = vec![0; usize::from(head[26])];
        let mut first = [0; 8];
        if !source.read_at(at + 27, &mut sizes)? || !source.read_at(at + 27 + sizes.len() as u64, &mut first)? {
            return Ok(None);
        }
        if READ.iter().any(|magic| first.starts_with(magic)) {
            return Ok(None);
        }
        let unread = UNREAD.iter().find(|(magic, _)| first.starts_with(magic));
        verdict = match unread {
            Some((_, feature)) => Some(LoadError::UnsupportedCodec { feature }),
            None => verdict.or(Some(LoadError::NoAudioTrack)),
        };
        at += (27 + sizes.len()) as u64 + sizes.iter().map(|size| u64::from(*size)).sum::<u64>();
    }
    Ok(verdict)
}

/// A page is at most this long: 27 bytes of header, 255 of sizes and 255 segments of 255 bytes (RFC 3533, 6).
const LONGEST_PAGE: u64 = 27 + 255 + 255 * 255;

/// Where the last page would end, in ticks of its track, if the file ends before it; none where it is whole, says no time, or
/// the file is no Ogg.
pub(super) fn cut_page(source: &mut Source) -> io::Result<Option<u64>> {
    let mut magic = [0; 4];
    if !source.read_at(0, &mut magic)? || &magic != b"OggS" {
        return Ok(None);
    }
    let start = source.len().saturating_sub(LONGEST_PAGE);
    let mut tail = vec![0; (source.len() - start) as usize];
    if !source.read_at(start, &mut tail)? {
        return Ok(None);
    }
    let page = tail.windows(4).rposition(|bytes| bytes == b"OggS").and_then(|at| tail.get(at..));
    Ok(page.and_then(end_beyond))
}

/// The time that a page ends at if it is longer than the bytes that are left of it.
fn end_beyond(page: &[u8]) -> Option<u64> {
    // A page on which no packet ends says −1.
    let end = i64::from_le_bytes(*page.get(6..)?.first_chunk()?);
    let whole = page.get(26).and_then(|segments| {
        let sizes = page.get(27..27 + usize::from(*segments))?;
        let length = 27 + sizes.len() + sizes.iter().map(|size| usize::from(*size)).sum::<usize>();
        page.get(..length)
    });
    u64::try_from(end).ok().filter(|_| whole.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page that ends at tick `end`, of two segments.
    fn page(end: i64) -> Vec<u8> {
        let mut page = b"OggS\0\0".to_vec();
        page.extend(end.to_le_bytes());
        page.extend([0; 12]);
        page.extend([2, 200, 100]);
        page.extend([7; 300]);
        page
    }

    fn cut(bytes: &[u8]) -> Option<u64> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        cut_page(&mut Source::open(&file.path().into()).unwrap()).unwrap()
    }

    fn refused(streams: &[&[u8]]) -> Option<&'static str> {
        let pages = streams.iter().flat_map(|first| [&page(0)[..29], *first, &[0; 300][first.len()..]].concat());
        let mut bytes: Vec<u8> = pages.collect();
        bytes.chunks_mut(329).for_each(|page| (page[5], page[26]) = (2, 2));
        bytes.extend(page(960));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        unread(&mut Source::open(&file.path().into()).unwrap()).unwrap().map(|error| error.code())
    }

    #[test]
    fn a_file_without_a_stream_that_can_be_heard_says_so() {
        assert_eq!(refused(&[b"\x80theora", b"OpusHead"]), None);
        assert_eq!(refused(&[b"\x80theora", b"Speex   1.2"]), Some("unsupported_codec"));
        assert_eq!(refused(&[b"\x80theora"]), Some("no_audio_track"));
    }

    #[test]
    fn a_page_that_breaks_off_says_where_the_sound_would_have_ended() {
        let whole = [page(960), page(1_920)].concat();
        assert_eq!(cut(&whole), None);
        for missing in [1, 100, 300, 302, 315] {
            assert_eq!(cut(&whole[..whole.len() - missing]), Some(1_920), "{missing} bytes are missing");
        }
        assert_eq!(cut(&[page(960), page(-1)[..200].to_vec()].concat()), None, "a page without a time");
        assert_eq!(cut(&whole[..whole.len() - 320]), None, "too little of a page");
        assert_eq!(cut(b"fLaC OggS"), None);
    }
}
