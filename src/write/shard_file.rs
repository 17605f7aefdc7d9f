//! The file of one shard: counted and hashed while it is written, absent until it is whole.

use std::io::{self, Write};
use std::path::Path;

use crate::durable::DurableFile;

/// The file that a shard's rows go into, front to back.
#[derive(Debug)]
pub struct ShardFile {
    file: DurableFile,
    bytes: u64,
    hasher: blake3::Hasher,
}

impl ShardFile {
    /// Starts the file that will stand at `place`.
    ///
    /// # Errors
    ///
    /// The file cannot be made.
    pub fn create(place: &Path) -> io::Result<Self> {
        Ok(Self { file: DurableFile::create(place)?, bytes: 0, hasher: blake3::Hasher::new() })
    }

    /// Puts the file in its place, for good, and gives its size and checksum.
    ///
    /// # Errors
    ///
    /// The disk is full or gone; nothing stands at the place then.
    pub fn commit(self) -> io::Result<(u64, String)> {
        self.file.commit()?;
        Ok((self.bytes, written(&self.hasher)))
    }

    /// The size and checksum of a file, as [`Self::commit`] gave them.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn measure(place: &Path) -> io::Result<(u64, String)> {
        let mut hasher = blake3::Hasher::new();
        let bytes = io::copy(&mut std::fs::File::open(place)?, &mut hasher)?;
        Ok((bytes, written(&hasher)))
    }
}

fn written(hasher: &blake3::Hasher) -> String {
    format!("blake3:{}", hasher.finalize().to_hex())
}

impl Write for ShardFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.file.write(bytes)?;
        self.hasher.update(&bytes[..taken]);
        self.bytes += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
