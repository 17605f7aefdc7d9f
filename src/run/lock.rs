//! One run a folder, unless several were given disjoint shares.
//!
//! The lock is the system's own, so a killed run leaves none; the file's text only tells a person who holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::manifest::DatasetFolder;

use super::{RunError, Share};

/// Held while a plan is looked at or written: workers that start together do so one after the other.
#[derive(Debug)]
pub(super) struct PlanLock {
    _file: File,
}

impl PlanLock {
    /// Waits for the lock: it is held for moments.
    pub(super) fn wait(folder: &DatasetFolder) -> Result<Self, RunError> {
        let path = folder.path().join(".planning");
        let file = open(&path)?;
        file.lock().map_err(|source| RunError::file(&path, source))?;
        Ok(Self { _file: file })
    }
}

/// Held for as long as a run goes on.
#[derive(Debug)]
pub(super) struct Lock {
    /// The folder's lock: exclusive for a whole run, shared by the workers of one.
    _folder: File,
    /// A worker's own lock.
    _worker: Option<File>,
}

impl Lock {
    pub(super) fn take(folder: &DatasetFolder, share: Option<Share>) -> Result<Self, RunError> {
        let whole = folder.path().join(".lock");
        let Some(share) = share else {
            let mut file = open(&whole)?;
            obtain(&mut file, &whole, File::try_lock)?;
            sign(&mut file, &whole)?;
            return Ok(Self { _folder: file, _worker: None });
        };
        let mut file = open(&whole)?;
        obtain(&mut file, &whole, File::try_lock_shared)?;
        sign(&mut file, &whole)?;
        let own = folder.path().join(format!(".lock-{}", share.to_string().replace('/', "-of-")));
        let mut worker = open(&own)?;
        obtain(&mut worker, &own, File::try_lock)?;
        sign(&mut worker, &own)?;
        refuse_other_counts(folder, share)?;
        Ok(Self { _folder: file, _worker: Some(worker) })
    }
}

/// Refuses to work beside workers of another count, whose shares would overlap.
fn refuse_other_counts(folder: &DatasetFolder, share: Share) -> Result<(), RunError> {
    let ending = format!("-of-{}", share.count());
    let entries = std::fs::read_dir(folder.path()).map_err(|source| RunError::file(folder.path(), source))?;
    for entry in entries {
        let path = entry.map_err(|source| RunError::file(folder.path(), source))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(".lock-") && !name.ends_with(&ending) {
            obtain(&mut open(&path)?, &path, File::try_lock_shared)?;
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<File, RunError> {
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    options.map_err(|source| RunError::file(path, source))
}

/// Takes the lock, or says who has it.
fn obtain(file: &mut File, path: &Path, lock: fn(&File) -> Result<(), TryLockError>) -> Result<(), RunError> {
    match lock(file) {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // The text is a courtesy: a lock without it is a lock all the same.
            let _ = file.read_to_string(&mut holder);
            let holder = if holder.trim().is_empty() { "another run".to_owned() } else { holder.trim().to_owned() };
            Err(RunError::Locked { path: path.to_owned(), holder })
        }
        Err(TryLockError::Error(source)) => Err(RunError::file(path, source)),
    }
}

/// Writes who holds the lock.
fn sign(file: &mut File, path: &Path) -> Result<(), RunError> {
    let host = gethostname::gethostname();
    let text = format!("process {} on {}\n", std::process::id(), host.to_string_lossy());
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
    written.map_err(|source| RunError::file(path, source))
}
