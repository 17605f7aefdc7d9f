//! A tensor on its way: its place in the file is known only when all rows are there.

use std::fs::File;
use std::io::{self, BufWriter, IntoInnerError, Read, Seek, Write};
use std::path::Path;

/// Bytes set aside in a file without a name, beside the shard's.
pub(super) struct Spool {
    file: BufWriter<File>,
    bytes: u64,
}

impl Spool {
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        Ok(Self { file: BufWriter::new(tempfile::tempfile_in(folder)?), bytes: 0 })
    }

    pub(super) const fn len(&self) -> u64 {
        self.bytes
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    /// Copies all of it to `out`.
    pub(super) fn pour(self, out: &mut impl Write) -> io::Result<()> {
        /// Large enough that the calls cost nothing, small enough for the processor's cache.
        const BLOCK: usize = 256 << 10;
        let mut file = self.file.into_inner().map_err(IntoInnerError::into_error)?;
        file.rewind()?;
        let mut block = vec![0; BLOCK];
        loop {
            match file.read(&mut block) {
                Ok(0) => return Ok(()),
                Ok(read) => out.write_all(&block[..read])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
