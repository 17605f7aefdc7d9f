//! The memory of padded cells: taken from a pool and given back, so that a training loop touches the same pages over and over.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Where the memory of batches comes from.
#[derive(Debug, Clone)]
pub(super) enum Memory {
    /// Memory of our own, used again once a batch is dropped.
    Pool(Arc<Pool>),
    /// Tensors, which whoever takes the batch keeps.
    #[cfg(feature = "tch")]
    Tensors,
}

impl Memory {
    /// Room for the numbers of a padded column; what stands in it is of no meaning.
    pub(super) fn take(&self, bytes: usize) -> Buffer {
        match self {
            Self::Pool(pool) => Buffer::Words(pool.take(bytes), bytes),
            #[cfg(feature = "tch")]
            Self::Tensors => Buffer::Tensor(super::tensors::Bytes::empty(bytes)),
        }
    }
}

/// Memory that was used before.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<Vec<u64>>>);

/// Buffers that are kept; a loader has no more under way.
const KEPT: usize = 64;

impl Pool {
    fn take(self: &Arc<Self>, bytes: usize) -> Words {
        let count = bytes.div_ceil(size_of::<u64>());
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The smallest that suffices, unless it is far too large for so little; else one that is too small goes.
        let fits = count..=count.saturating_mul(8).saturating_add(1024);
        let sizes = || kept.iter().map(Vec::len).enumerate();
        let enough = sizes().filter(|(_, size)| fits.contains(size)).min_by_key(|(_, size)| *size);
        let place = enough.or_else(|| sizes().filter(|(_, size)| *size < count).max_by_key(|(_, size)| *size));
        let mut words = place.map(|(place, _)| kept.swap_remove(place)).unwrap_or_default();
        drop(kept);
        if words.len() < count {
            // Nothing of it is worth a copy.
            words = vec![0; count];
        }
        Words { words, pool: Arc::downgrade(self) }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

/// Memory on loan from a pool.
pub(super) struct Words {
    words: Vec<u64>,
    pool: Weak<Pool>,
}

impl Drop for Words {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            let mut kept = pool.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < KEPT {
                kept.push(std::mem::take(&mut self.words));
            }
        }
    }
}

/// Numbers as bytes, in the order of the processor.
pub(super) enum Buffer {
    Words(Words, usize),
    #[cfg(feature = "tch")]
    Tensor(super::tensors::Bytes),
}

impl Buffer {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Words(words, bytes) => &bytemuck::cast_slice(&words.words)[..*bytes],
            #[cfg(feature = "tch")]
            Self::Tensor(tensor) => tensor.bytes(),
        }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Words(words, bytes) => &mut bytemuck::cast_slice_mut(&mut words.words)[..*bytes],
            #[cfg(feature = "tch")]
            Self::Tensor(tensor) => tensor.bytes_mut(),
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again() {
        let pool = Arc::new(Pool::default());
        let memory = Memory::Pool(Arc::clone(&pool));
        let mut first = memory.take(1001);
        first.bytes_mut().fill(7);
        let place = first.bytes().as_ptr();
        assert_eq!(first.bytes().len(), 1001);
        drop(first);
        let (again, other) = (memory.take(900), memory.take(900));
        assert_eq!(again.bytes().as_ptr(), place);
        assert_ne!(other.bytes().as_ptr(), place);
        drop((again, other, memory, pool));
    }
}
