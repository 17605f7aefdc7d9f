//! A file read in few, large pieces.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use symphonia::core::io::MediaSource;

use super::error::{LoadError, ReadTooMuch};
use super::location::Medium;
use super::parquet_page::Stretch;

/// Bytes a read. The demuxers' own reader asks for 1 to 32 KiB at a time and looks at the tail of a file before its head;
/// with this most utterances are one or two system calls. Measured on a local disk: short cuts from long files take a
/// quarter longer with 256 KiB than with 64, whole files gain nothing beyond it.
const PIECE: u64 = 128 * 1024;

/// A regular file whose length is known, or a part of one, behind a buffer.
pub(super) struct Source {
    file: Bytes,
    /// The byte of the file at which the source begins.
    first: u64,
    len: u64,
    /// Where the file itself stands, counted from `first`; none where that is not known.
    file_at: Option<u64>,
    /// Where the reader stands.
    at: u64,
    /// Bytes of the file from `buffer_at` on: the first `filled` are valid.
    buffer: Box<[u8]>,
    buffer_at: u64,
    filled: usize,
    /// Bytes that may still be read, and that may be read in all.
    left: u64,
    budget: u64,
}

impl Source {
    /// Opens bytes of which there is at least one.
    ///
    /// # Errors
    ///
    /// The path leads to no file, to something else than a file, or to one that is empty, that may not be read or that has not all
    /// of the bytes.
    pub(super) fn open(medium: &Medium) -> Result<Self, LoadError> {
        let (file, first, len) = match medium {
            Medium::File(path) => {
                let (file, len) = regular(path)?;
                (Bytes::File(file), 0, len)
            }
            Medium::Part { file: path, offset, length } => {
                let (file, len) = regular(path)?;
                if offset.checked_add(*length).is_none_or(|end| end > len) {
                    return Err(LoadError::NotInFile { offset: *offset, length: *length, file: len });
                }
                (Bytes::File(file), *offset, *length)
            }
            Medium::Open(file) => {
                let len = file.metadata().map_err(LoadError::opening)?.len();
                (Bytes::Shared(Arc::clone(file)), 0, len)
            }
            Medium::Bytes(bytes) => (Bytes::Memory(Arc::clone(bytes)), 0, bytes.len() as u64),
        };
        if len == 0 {
            return Err(LoadError::EmptyFile);
        }
        let buffer = vec![0; len.min(PIECE) as usize].into_boxed_slice();
        let (left, budget) = (u64::MAX, u64::MAX);
        Ok(Self { file, first, len, file_at: None, at: 0, buffer, buffer_at: 0, filled: 0, left, budget })
    }

    /// The length in bytes, as it was when opened.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Lets readers have `bytes` bytes of the file, those that they have twice counted twice, and then an error.
    pub(super) fn allow(&mut self, bytes: u64) {
        (self.left, self.budget) = (bytes.saturating_sub(self.filled as u64), bytes);
    }

    /// Reads bytes from `at` on until `bytes` is full; false where the file ends before that.
    pub(super) fn read_at(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<bool> {
        self.at = at;
        match self.read_exact(bytes) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The bytes that are buffered from where the reader stands.
    fn buffered(&self) -> &[u8] {
        let skipped = self.at.checked_sub(self.buffer_at).and_then(|skipped| usize::try_from(skipped).ok());
        skipped.and_then(|skipped| self.buffer[..self.filled].get(skipped..)).unwrap_or_default()
    }

    fn refill(&mut self) -> io::Result<()> {
        self.filled = 0;
        // A header may send the reader anywhere; the operating system need not hear of it.
        if self.at >= self.len {
            return Ok(());
        }
        if self.left == 0 {
            return Err(io::Error::other(ReadTooMuch { bytes: self.budget }));
        }
        self.buffer_at = self.at;
        // What follows a part in its file is not its own.
        let most = self.left.min(self.len - self.at);
        let room = self.buffer.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        let buffer = &mut self.buffer[..room];
        self.filled = match &mut self.file {
            Bytes::File(file) => {
                if self.file_at != Some(self.at) {
                    file.seek(SeekFrom::Start(self.first + self.at))?;
                }
                self.file_at = None;
                let filled = file.read(buffer)?;
                self.file_at = Some(self.at + filled as u64);
                filled
            }
            Bytes::Shared(file) => Stretch { file, at: self.at, end: self.len }.read(buffer)?,
            Bytes::Memory(bytes) => {
                let mut rest = &bytes[self.at as usize..];
                rest.read(buffer)?
            }
        };
        self.left -= self.filled as u64;
        Ok(())
    }
}

/// What a source reads.
enum Bytes {
    File(File),
    /// Others read it at the same time, each at its own place.
    Shared(Arc<File>),
    Memory(Arc<[u8]>),
}

/// A regular file and its length.
fn regular(path: &Path) -> Result<(File, u64), LoadError> {
    // Asked of the path first: to open a pipe would wait for its other end, for ever.
    let metadata = std::fs::metadata(path).map_err(LoadError::opening)?;
    if !metadata.is_file() {
        return Err(LoadError::NotAFile);
    }
    Ok((File::open(path).map_err(LoadError::opening)?, metadata.len()))
}

impl Read for Source {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.buffered().is_empty() {
            self.refill()?;
        }
        let buffered = self.buffered();
        let read = buffered.len().min(bytes.len());
        bytes[..read].copy_from_slice(&buffered[..read]);
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(offset) => self.len.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

impl MediaSource for Source {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of `len` bytes that count up to 250 and start again.
    fn counting(len: usize) -> (tempfile::NamedTempFile, Vec<u8>) {
        let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        (file, bytes)
    }

    #[test]
    fn reads_and_seeks_give_the_bytes_of_the_file() {
        let (file, bytes) = counting(700_000);
        let mut source = Source::open(&file.path().into()).unwrap();
        for (at, len) in [(0, 10), (699_990, 10), (262_140, 10), (100, 300_000), (0, 700_000), (5, 1)] {
            let mut read = vec![0; len];
            assert!(source.read_at(at, &mut read).unwrap());
            assert_eq!(read, bytes[at as usize..at as usize + len]);
        }
        assert!(!source.read_at(699_999, &mut [0; 2]).unwrap());
        assert!(!source.read_at(u64::from(u32::MAX), &mut [0; 1]).unwrap());
        assert!(source.seek(SeekFrom::End(-700_001)).is_err());
        assert_eq!(source.seek(SeekFrom::End(-1)).unwrap(), 699_999);
    }

    #[test]
    fn a_part_of_a_file_is_all_there_is() {
        let (file, bytes) = counting(700_000);
        let part = |offset, length| Medium::Part { file: file.path().to_owned(), offset, length };
        let mut source = Source::open(&part(1_000, 400_000)).unwrap();
        let mut all = Vec::new();
        source.read_to_end(&mut all).unwrap();
        assert_eq!(all, bytes[1_000..401_000]);
        assert_eq!(source.seek(SeekFrom::End(-3)).unwrap(), 399_997);
        assert!(!source.read_at(399_999, &mut [0; 2]).unwrap());
        for (offset, length) in [(699_999, 2), (700_001, 0), (u64::MAX, 1), (1, u64::MAX)] {
            assert_eq!(Source::open(&part(offset, length)).err().map(|error| error.code()), Some("not_in_file"));
        }
        assert_eq!(Source::open(&part(7, 0)).err().map(|error| error.code()), Some("empty_file"));
    }

    #[test]
    fn what_is_no_file_with_content_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let code = |path: &Path| Source::open(&path.into()).err().map(|error| error.code());
        assert_eq!(code(folder.path()), Some("not_a_file"));
        assert_eq!(code(&folder.path().join("absent.wav")), Some("not_found"));
        let empty = folder.path().join("empty.wav");
        std::fs::write(&empty, []).unwrap();
        assert_eq!(code(&empty), Some("empty_file"));
    }

    #[test]
    fn what_is_read_of_a_file_has_an_end_even_in_circles() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![7; 3 * PIECE as usize]).unwrap();
        let mut source = Source::open(&file.path().into()).unwrap();
        source.allow(5 * PIECE);
        let mut all = Vec::new();
        assert_eq!(source.read_to_end(&mut all).unwrap() as u64, 3 * PIECE);
        source.rewind().unwrap();
        let error = source.read_to_end(&mut all).unwrap_err();
        assert_eq!(all.len() as u64, 5 * PIECE, "what was allowed came");
        assert_eq!(ReadTooMuch::known(&error).map(|error| error.code()), Some("too_much_data"));
    }
}
