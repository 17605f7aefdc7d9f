//! Work that may panic without harm: a decoder that a damaged file brings to its knees costs one utterance.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether this thread is at work whose panics are caught and told elsewhere.
    static ISOLATED: Cell<bool> = const { Cell::new(false) };
}

/// Does `work` and gives what it came to, or the words of its panic. Nothing of such a panic is printed: whoever calls tells
/// it in its own way. Panics outside of this keep their message on standard error.
///
/// What `work` leaves half done must not be used again.
///
/// # Errors
///
/// The panic's words.
pub(crate) fn isolated<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    silence_isolated_panics();
    let _isolated = Isolated(ISOLATED.replace(true));
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| words(panic.as_ref()))
}

/// Until dropped, this thread is isolated; then it is what it was.
struct Isolated(bool);

impl Drop for Isolated {
    fn drop(&mut self) {
        ISOLATED.set(self.0);
    }
}

/// Puts a hook before the one that prints panics, once a process.
fn silence_isolated_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |panic| {
            if ISOLATED.get() {
                tracing::debug!("caught: {panic}");
            } else {
                others(panic);
            }
        }));
    });
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_words() {
        assert_eq!(isolated(|| 3), Ok(3));
        assert_eq!(isolated(|| panic!("fixed")), Err::<(), _>("fixed".to_owned()));
        assert_eq!(isolated(|| panic!("number {}", 7)), Err::<(), _>("number 7".to_owned()));
        assert_eq!(isolated(|| std::panic::panic_any(7)), Err::<(), _>("without a word".to_owned()));
    }

    #[test]
    fn a_thread_is_isolated_no_longer_than_its_work() {
        let inner = isolated(|| {
            assert!(isolated(|| panic!("inside")).is_err());
            ISOLATED.get()
        });
        assert_eq!((inner, ISOLATED.get()), (Ok(true), false));
    }
}
