//! Text files read line by line, so that what is wrong is named by its line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::regular_file::open_regular;
use super::{CorpusError, Place};

/// A line this long is no line of a list: the file is something else.
const LONGEST: usize = 1 << 20;

/// The lines of a text file; blank ones are skipped.
pub(super) struct TextLines {
    path: PathBuf,
    file: BufReader<File>,
    bytes: Vec<u8>,
    number: u64,
}

impl TextLines {
    pub(super) fn open(path: &Path) -> Result<Self, CorpusError> {
        Ok(Self { path: path.to_owned(), file: BufReader::new(open_regular(path)?), bytes: Vec::new(), number: 0 })
    }

    /// The next line with its number, counted from 1, without white space at its end. After a line that is not UTF-8
    /// ([`CorpusError::TextNotUtf8`]) the lines behind it can still be read.
    pub(super) fn next_line(&mut self) -> Result<Option<(u64, &str)>, CorpusError> {
        loop {
            self.bytes.clear();
            let read = self.file.by_ref().take(LONGEST as u64 + 1).read_until(b'\n', &mut self.bytes);
            if read.map_err(|source| CorpusError::Read { path: self.path.clone(), source })? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.bytes.len() > LONGEST {
                let reason = format!("the line is longer than {LONGEST} bytes: this is no list");
                return Err(CorpusError::malformed(Place::line(&self.path, self.number), reason));
            }
            if !self.bytes.trim_ascii().is_empty() {
                break;
            }
        }
        // Windows editors mark UTF-8 with these three bytes at the start of a file.
        let mark: &[u8] = if self.number == 1 { b"\xef\xbb\xbf" } else { b"" };
        let line = self.bytes.strip_prefix(mark).unwrap_or(&self.bytes).trim_ascii_end();
        let text = std::str::from_utf8(line).map_err(|source| {
            let place = Place::line(&self.path, self.number);
            CorpusError::TextNotUtf8 { place, source }
        })?;
        Ok(Some((self.number, text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(content: &[u8]) -> Vec<Result<(u64, String), String>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let mut lines = TextLines::open(file.path()).unwrap();
        let mut read = Vec::new();
        loop {
            match lines.next_line() {
                Ok(None) => return read,
                Ok(Some((number, line))) => read.push(Ok((number, line.to_owned()))),
                Err(error) => read.push(Err(error.to_string())),
            }
        }
    }

    #[test]
    fn lines_are_counted_through_blank_ones_and_end_without_white_space() {
        let read = lines(b"\xef\xbb\xbfa b\r\n\n  \n c \nlast");
        let texts: Vec<_> = read.into_iter().map(Result::unwrap).collect();
        assert_eq!(texts, [(1, "a b".to_owned()), (4, " c".to_owned()), (5, "last".to_owned())]);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn a_line_that_is_no_text_is_named_and_the_next_is_read() {
        let read = lines(b"a\n\xff\nb\n");
        assert!(read[1].as_ref().unwrap_err().ends_with("line 2 is not UTF-8 text"), "{read:?}");
        assert_eq!(read[2], Ok((3, "b".to_owned())));
    }

    #[test]
    fn a_file_without_line_ends_is_no_list() {
        let read = lines(&vec![b'x'; LONGEST + 10]);
        assert!(read[0].as_ref().unwrap_err().contains("line 1: the line is longer than 1048576 bytes"), "{read:?}");
    }
}
