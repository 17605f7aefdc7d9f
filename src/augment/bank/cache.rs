//! Decoded recordings, kept within a budget of memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::audio::{Hertz, Waveform};

/// A bank's number, a recording's and a rate.
type Key = (usize, usize, Hertz);

/// Decoded recordings within a budget of memory, those longest unused given up first. Shared by all threads; what it holds changes no
/// result. (Crates of caches count entries, or bring threads and hashers of their own: this is one map and a clock.)
#[derive(Debug)]
pub(in crate::augment) struct Cache {
    most_bytes: usize,
    state: Mutex<CacheState>,
}

#[derive(Debug, Default)]
struct CacheState {
    sounds: HashMap<Key, (Arc<Waveform>, u64)>,
    bytes: usize,
    clock: u64,
    banks: usize,
}

impl Cache {
    /// A cache of at most so many bytes of samples.
    #[must_use]
    pub(in crate::augment) fn new(most_bytes: usize) -> Arc<Self> {
        Arc::new(Self { most_bytes, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, CacheState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn next_number(&self) -> usize {
        let mut state = self.state();
        state.banks += 1;
        state.banks
    }

    pub(super) fn get(&self, key: Key) -> Option<Arc<Waveform>> {
        let mut state = self.state();
        state.clock += 1;
        let now = state.clock;
        let (sound, used) = state.sounds.get_mut(&key)?;
        *used = now;
        Some(Arc::clone(sound))
    }

    pub(super) fn put(&self, key: Key, sound: &Arc<Waveform>) {
        // One that does not fit would drive out all others first.
        if bytes(sound) > self.most_bytes {
            return;
        }
        let mut state = self.state();
        state.clock += 1;
        let now = state.clock;
        if state.sounds.insert(key, (Arc::clone(sound), now)).is_none() {
            state.bytes += bytes(sound);
        }
        while state.bytes > self.most_bytes {
            let Some(oldest) = state.sounds.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key) else {
                break;
            };
            if let Some((sound, _)) = state.sounds.remove(&oldest) {
                state.bytes -= bytes(&sound);
            }
        }
    }
}

fn bytes(sound: &Waveform) -> usize {
    sound.channels.iter().map(|channel| size_of_val(channel.as_slice())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::hiss;

    #[test]
    fn a_sound_that_does_not_fit_the_cache_drives_out_no_other() {
        let cache = Cache::new(1_000);
        let sound = |samples| Arc::new(hiss("any", 0.1, 8_000, samples));
        let key = |index| (1, index, Hertz::new(8_000).unwrap());
        cache.put(key(0), &sound(100));
        cache.put(key(1), &sound(300));
        assert!(cache.get(key(0)).is_some() && cache.get(key(1)).is_none());
        cache.put(key(2), &sound(100));
        assert!(cache.get(key(0)).is_some());
        cache.put(key(3), &sound(100));
        assert!(cache.get(key(0)).is_some() && cache.get(key(2)).is_none(), "the one longest unused is given up");
    }
}
