//! Sound inside Kaldi archives: `archive.ark:123` becomes the bytes that hold it.
//!
//! Kaldi writes a WAV file behind the key (`wav-copy`); kaldiio writes `AUDIO`, a byte that tells how many bytes the
//! length has, the length with its lowest byte first, and then a file of any format (`matio.py` of kaldiio 2.18).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::lists::Line;
use crate::corpus::CorpusError;
use crate::corpus::regular_file::open_regular;

/// From here on the size in a WAV header is what programs write that do not know it: sox, ffmpeg and Kaldi leave about
/// 2^31 or 2^32 there when they write to a pipe.
const UNKNOWN_SIZE: u32 = 0x7fff_0000;

/// As many bytes as tell what begins there: `RIFF size WAVE`, or `AUDIO` with a length of up to eight bytes.
const HEAD: u64 = 14;

/// The archives of a data directory; the last one stays open, as lists name one after the other.
pub(super) struct Archives {
    root: PathBuf,
    open: Option<Archive>,
}

struct Archive {
    path: String,
    file: File,
    len: u64,
}

impl Archives {
    pub(super) fn below(root: &Path) -> Self {
        Self { root: root.to_owned(), open: None }
    }

    /// The sound at byte `offset` of the archive `path`, as corpus tables name it: `path#offset=…&length=…`.
    pub(super) fn reference(&mut self, path: &str, offset: &str, line: Line<'_>) -> Result<String, CorpusError> {
        let fail = |path: PathBuf| move |source| CorpusError::Read { path, source };
        let found = self.root.join(path);
        let archive = match self.open.take().filter(|open| open.path == path) {
            Some(open) => self.open.insert(open),
            None => self.open.insert(Archive::open(path, &found)?),
        };
        let begins = offset.parse().ok().filter(|offset| *offset < archive.len);
        let begins = begins.ok_or_else(|| {
            line.malformed(format!("byte {offset} is behind the end of `{}` ({} bytes)", found.display(), archive.len))
        })?;
        let head = archive.head(begins).map_err(fail(found.clone()))?;
        let (skipped, length) = sound(&head)
            .map_err(|reason| line.malformed(format!("byte {begins} of `{}`: {reason}", found.display())))?;
        let starts = begins + skipped;
        if starts.checked_add(length).is_none_or(|end| end > archive.len) {
            let (path, len) = (found.display(), archive.len);
            let reason =
                format!("the sound at byte {begins} of `{path}` says {length} bytes, and the file ends at byte {len}");
            return Err(line.malformed(reason));
        }
        Ok(format!("{path}#offset={starts}&length={length}"))
    }
}

impl Archive {
    fn open(path: &str, found: &Path) -> Result<Self, CorpusError> {
        let file = open_regular(found)?;
        let len = file.metadata().map_err(|source| CorpusError::Read { path: found.to_owned(), source })?.len();
        Ok(Self { path: path.to_owned(), file, len })
    }

    /// The first bytes at `offset`; fewer where the file ends.
    fn head(&mut self, offset: u64) -> io::Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(offset))?;
        let mut head = Vec::new();
        self.file.by_ref().take(HEAD).read_to_end(&mut head)?;
        Ok(head)
    }
}

/// How many bytes lie before the sound that begins with `head`, and how many it has.
fn sound(head: &[u8]) -> Result<(u64, u64), &'static str> {
    match head {
        [b'R', b'I', b'F', b'F', a, b, c, d, b'W', b'A', b'V', b'E', ..] => {
            let size = u32::from_le_bytes([*a, *b, *c, *d]);
            let known = size > 0 && size < UNKNOWN_SIZE;
            if known { Ok((0, u64::from(size) + 8)) } else { Err("the WAV header does not tell how long the file is") }
        }
        [b'A', b'U', b'D', b'I', b'O', digits @ 1..=8, length @ ..] => {
            let length = length.get(..usize::from(*digits)).ok_or("the length of the sound is cut off")?;
            let length = length.iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
            Ok((6 + u64::from(*digits), length))
        }
        [b'f', b'L', b'a', b'C', ..] => Err("nothing tells how long the FLAC file there is: write it as kaldiio does"),
        [0, b'B', ..] => Err("a matrix of Kaldi's begins there, which is no sound"),
        _ => Err("no WAV file begins there"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(content: &[u8], offset: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.ark"), content).unwrap();
        let line = Line { path: Path::new("wav.scp"), number: 7 };
        Archives::below(folder.path()).reference("a.ark", offset, line).map_err(|error| error.to_string())
    }

    fn wav(size: u32) -> Vec<u8> {
        [b"x RIFF".as_slice(), &size.to_le_bytes(), b"WAVEfmt ", &[0; 24]].concat()
    }

    #[test]
    fn sound_in_an_archive_is_named_by_its_bytes() {
        assert_eq!(reference(&wav(32), "2").unwrap(), "a.ark#offset=2&length=40");
        assert_eq!(reference(b"key AUDIO\x02\x05\x00abcdekey", "4").unwrap(), "a.ark#offset=12&length=5");
    }

    #[test]
    fn what_is_no_sound_or_goes_beyond_the_archive_is_named() {
        let message = |content: &[u8], offset| reference(content, offset).unwrap_err();
        let long = message(&wav(33), "2");
        assert!(long.starts_with("`wav.scp`, line 7: the sound at byte 2 of `"), "{long}");
        assert!(long.ends_with("says 41 bytes, and the file ends at byte 42"), "{long}");
        assert!(message(b"AUDIO\x08\xff\xff\xff\xff\xff\xff\xff\xff", "0").contains("says 18446744073709551615 bytes"));
        for size in [0, u32::MAX, 0x7fff_ffff, 0x7fff_f024] {
            assert!(message(&wav(size), "2").ends_with("the WAV header does not tell how long the file is"));
        }
        assert!(message(&wav(32), "3").ends_with("no WAV file begins there"));
        assert!(message(b"x \0BFM ", "2").contains("a matrix of Kaldi's"));
        assert!(message(b"x fLaC", "2").contains("nothing tells how long the FLAC"));
        assert!(message(b"AUDIO\x04ab", "0").contains("cut off"));
        assert!(message(b"RIFF", "0").contains("no WAV file"));
        for offset in ["42", "99999999999999999999999999"] {
            assert!(message(&wav(32), offset).contains("is behind the end of"), "{offset}");
        }
    }
}
