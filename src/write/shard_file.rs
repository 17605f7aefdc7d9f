//! A file of one shard: counted and hashed while it is written, absent until it is whole.

use std::io::{self, Write};
use std::path::Path;

use crate::durable::DurableFile;
use crate::manifest::FileEntry;

/// The file that a shard's rows go into, front to back.
#[derive(Debug)]
pub struct ShardFile {
    path: String,
    file: DurableFile,
    bytes: u64,
    hasher: blake3::Hasher,
}

impl ShardFile {
    /// Starts the file that will stand at `path` in `folder`.
    ///
    /// # Errors
    ///
    /// The file cannot be made.
    pub fn create(folder: &Path, path: &str) -> io::Result<Self> {
        let file = DurableFile::create(&folder.join(path))?;
        Ok(Self { path: path.to_owned(), file, bytes: 0, hasher: blake3::Hasher::new() })
    }

    /// Where it will stand in its folder.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The folder that it stands in, in which there is room for what cannot be written yet.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.file.folder()
    }

    /// Bytes written so far: where the next one will stand.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.bytes
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Puts the file in its place, for good, and says what stands there.
    ///
    /// # Errors
    ///
    /// The disk is full or gone; nothing stands at the place then.
    pub fn commit(self) -> io::Result<FileEntry> {
        self.file.commit()?;
        Ok(FileEntry { path: self.path, bytes: self.bytes, checksum: written(&self.hasher) })
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
