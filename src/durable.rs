//! Files that are either whole or absent, whenever the power goes.
//!
//! A file is written under a temporary name beside its place, flushed to the disk, renamed, and the rename is flushed too.
//! The temporary name is fixed, so that what a killed run left behind is overwritten by the next one.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// What a file is called until it is whole.
const UNFINISHED: &str = ".tmp";

/// A file on its way to its place.
#[derive(Debug)]
pub struct DurableFile {
    place: PathBuf,
    unfinished: PathBuf,
    /// None once committed: there is nothing left to remove.
    file: Option<File>,
}

impl DurableFile {
    /// Starts the file that will stand at `place`; its folder is made if need be.
    ///
    /// # Errors
    ///
    /// The folder or the file cannot be made.
    pub fn create(place: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder(place))?;
        let mut unfinished = OsString::from(place);
        unfinished.push(UNFINISHED);
        let unfinished = PathBuf::from(unfinished);
        let file = File::create(&unfinished)?;
        Ok(Self { place: place.to_owned(), unfinished, file: Some(file) })
    }

    /// The folder of its place.
    #[must_use]
    pub fn folder(&self) -> &Path {
        folder(&self.place)
    }

    /// Puts the whole file in its place, for good.
    ///
    /// # Errors
    ///
    /// The disk is full or gone; nothing stands at the place then that did not before.
    pub fn commit(mut self) -> io::Result<()> {
        if let Some(file) = self.file.take() {
            let outcome = file.sync_all().and_then(|()| fs::rename(&self.unfinished, &self.place));
            if outcome.is_err() {
                self.file = Some(file); // so that dropping removes it
            }
            outcome?;
        }
        File::open(folder(&self.place))?.sync_all()
    }
}

impl Write for DurableFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or_else(|| Err(io::ErrorKind::BrokenPipe.into()), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), File::flush)
    }
}

impl Drop for DurableFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // The file was abandoned. If it cannot be removed either, the next run overwrites it.
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}

/// Writes the file at `place` in one go.
///
/// # Errors
///
/// What `content` meets, or the disk is full or gone; nothing stands at the place then that did not before.
pub fn write(place: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut file = BufWriter::new(DurableFile::create(place)?);
    content(&mut file)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.commit()
}

fn folder(place: &Path) -> &Path {
    match place.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_absent_until_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("deep/er/file");
        let mut file = DurableFile::create(&place).unwrap();
        file.write_all(b"whole").unwrap();
        assert!(!place.exists());
        file.commit().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"whole");
    }

    #[test]
    fn an_abandoned_file_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("file");
        fs::write(&place, "before").unwrap();
        let failed = write(&place, |file| {
            file.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&place).unwrap(), b"before");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
