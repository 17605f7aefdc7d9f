//! What the `csv` reader does not tell: a quote that is never closed, and a record without an end.
//!
//! The bytes are watched on their way to the reader, with its rules: a quote opens a cell only at its start, and a doubled one
//! within quotes is a letter.

use std::fs::File;
use std::io::{self, Read};

use thiserror::Error;

/// The most bytes of a record; those of real tables take some kilobytes.
const MOST_RECORD: u64 = 1 << 20;

/// A record that does not end as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum EndlessRecord {
    /// The file ends within quotes.
    #[error(
        "a quote opens in the record that begins here, and the file ends before it closes: close it, or double quotes that are \
         letters"
    )]
    Unclosed {
        /// The line where the record begins.
        line: u64,
    },
    /// The record is longer than any is.
    #[error(
        "the record that begins here has more than {} MiB: a quote is not closed, or this is no table",
        MOST_RECORD >> 20
    )]
    Long {
        /// The line where the record begins.
        line: u64,
    },
}

impl EndlessRecord {
    pub(super) const fn line(self) -> u64 {
        match self {
            Self::Unclosed { line } | Self::Long { line } => line,
        }
    }
}

/// Where in a record the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    CellStart,
    InCell,
    InQuotes,
    /// Behind a quote within quotes: the last one of the cell, or the first of two.
    BehindQuote,
}

/// A file with records, which are watched while they are read.
pub(super) struct Watched {
    file: File,
    delimiter: u8,
    has_quotes: bool,
    state: State,
    is_fresh: bool,
    line: u64,
    record_line: u64,
    record_bytes: u64,
}

impl Watched {
    pub(super) fn new(file: File, delimiter: u8, has_quotes: bool) -> Self {
        let state = State::CellStart;
        Self { file, delimiter, has_quotes, state, is_fresh: true, line: 1, record_line: 1, record_bytes: 0 }
    }

    fn watch(&mut self, byte: u8) -> Result<(), EndlessRecord> {
        let is_end = matches!(byte, b'\n' | b'\r');
        if self.record_bytes == 0 {
            self.record_line = self.line;
        }
        self.record_bytes += 1;
        if byte == b'\n' {
            self.line += 1;
        }
        self.state = match self.state {
            State::CellStart if byte == b'"' && self.has_quotes => State::InQuotes,
            State::InQuotes if byte == b'"' => State::BehindQuote,
            State::BehindQuote if byte == b'"' => State::InQuotes,
            State::InQuotes => State::InQuotes,
            _ if is_end => {
                self.record_bytes = 0;
                State::CellStart
            }
            _ if byte == self.delimiter => State::CellStart,
            _ => State::InCell,
        };
        let line = self.record_line;
        if self.record_bytes > MOST_RECORD { Err(EndlessRecord::Long { line }) } else { Ok(()) }
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let mut bytes = &buffer[..read];
        if std::mem::take(&mut self.is_fresh) {
            // The reader passes over the mark that Windows editors set.
            bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        }
        let wrong = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        bytes.iter().try_for_each(|byte| self.watch(*byte)).map_err(wrong)?;
        if read == 0 && !buffer.is_empty() && self.state == State::InQuotes {
            return Err(wrong(EndlessRecord::Unclosed { line: self.record_line }));
        }
        Ok(read)
    }
}
