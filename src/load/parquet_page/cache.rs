//! Pages that were decompressed last: the values of one are asked for one after the other, by all threads.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Codec, Page, PageError};

/// What the pages together may take, in bytes, beyond those that are in use.
const ROOM: usize = 256 << 20;

/// How many are kept, however small.
const PAGES: usize = 64;

/// Which page of which file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageKey {
    pub(crate) file: PathBuf,
    pub(crate) page: u64,
    pub(crate) codec: Codec,
    pub(crate) levels: u8,
}

/// A page, or the wait for it: one thread reads it, and others that want it wait.
type Slot = Arc<Mutex<Option<Arc<Page>>>>;

/// Pages by their places, the one used last behind.
#[derive(Debug, Default)]
pub(crate) struct PageCache(Mutex<Vec<(PageKey, Slot)>>);

impl PageCache {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The page, read where it is not there.
    pub(crate) fn page(&self, key: &PageKey, file: &File, end: u64) -> Result<Arc<Page>, PageError> {
        let slot = self.slot(key);
        let mut there = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(page) = there.as_ref() {
            return Ok(Arc::clone(page));
        }
        let page = Arc::new(Page::read(file, key.page, end, key.codec, key.levels)?);
        *there = Some(Arc::clone(&page));
        drop(there);
        self.shrink();
        Ok(page)
    }

    fn slot(&self, key: &PageKey) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = slots.iter().position(|(there, _)| there == key);
        let entry = found.map_or_else(|| (key.clone(), Slot::default()), |at| slots.remove(at));
        let slot = Arc::clone(&entry.1);
        slots.push(entry);
        slot
    }

    /// Forgets the pages used longest ago, as far as there is no room for them.
    fn shrink(&self) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut room = ROOM;
        let mut kept = 0;
        for (_, slot) in slots.iter().rev() {
            // A slot in work has no size yet.
            let size = slot.try_lock().ok().and_then(|page| page.as_ref().map(|page| page.size())).unwrap_or(0);
            if kept > 0 && (size > room || kept == PAGES) {
                break;
            }
            room = room.saturating_sub(size);
            kept += 1;
        }
        let forgotten = slots.len() - kept;
        slots.drain(..forgotten);
    }
}

impl PageKey {
    pub(crate) fn new(file: &Path, page: u64, codec: Codec, levels: u8) -> Self {
        Self { file: file.to_owned(), page, codec, levels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_once_and_forgotten_when_others_are_used() {
        let path = Path::new("fixtures/corpora/hugging_face/parquet");
        let path = walkdir::WalkDir::new(path)
            .into_iter()
            .map(Result::unwrap)
            .find(|entry| entry.path().extension().is_some_and(|extension| extension == "parquet"));
        let path = path.expect("a Parquet file").into_path();
        let file = File::open(&path).unwrap();
        let end = file.metadata().unwrap().len();
        let cache = PageCache::new();
        let key = PageKey::new(&path, 4, Codec::Uncompressed, 2);
        let first = cache.page(&key, &file, end);
        // Whatever the page at the file's start is, it is the same twice.
        match first {
            Ok(first) => assert!(Arc::ptr_eq(&first, &cache.page(&key, &file, end).unwrap())),
            Err(_) => assert!(cache.page(&key, &file, end).is_err()),
        }
        for page in 0..2 * PAGES as u64 {
            drop(cache.page(&PageKey { page: end + page, ..key.clone() }, &file, end));
        }
        cache.shrink();
        assert!(cache.0.lock().unwrap().len() <= PAGES);
    }
}
