//! Jobs done on many threads, their results taken in order on one.
//!
//! The results wait for their turn in a window that is bounded by what they weigh, so that one slow job neither stops the
//! other threads at once nor lets them fill the memory. The one lock is taken twice a job.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rayon::ThreadPool;

/// What results may weigh while they wait for their turn, beyond one for each thread.
const WAITING_BYTES: usize = 8 << 20;

/// How often a quiet line looks whether it was stopped.
const LOOK: Duration = Duration::from_millis(100);

/// How a line of jobs ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// All jobs are done and taken.
    Done,
    /// `stop` was set before that.
    Stopped,
}

/// Something that takes memory while it waits.
pub(crate) trait Weigh {
    /// Bytes, roughly.
    fn weight(&self) -> usize;
}

/// The state of the line, behind its lock.
struct Line<T> {
    /// The next job to hand out.
    next: usize,
    /// Jobs whose result was taken.
    taken: usize,
    /// Results from `taken` on, as far as they are there.
    waiting: VecDeque<Option<T>>,
    waiting_bytes: usize,
    /// Threads that may still bring a result.
    working: usize,
    /// No more jobs are handed out.
    closed: bool,
}

/// Does `work` for the jobs `0..jobs` on the threads of `pool`, each with a state of its own, and gives the results to
/// `take` in order on the calling thread, until all are taken, `take` fails, or `stop` is set.
pub(crate) fn in_order<S, T: Send + Weigh, E>(
    pool: &ThreadPool,
    jobs: usize,
    stop: &AtomicBool,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> T + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<End, E> {
    let threads = pool.current_num_threads();
    let line = Mutex::new(Line {
        next: 0,
        taken: 0,
        waiting: VecDeque::new(),
        waiting_bytes: 0,
        working: threads,
        closed: false,
    });
    let (room, result) = (Condvar::new(), Condvar::new());

    let worker = || {
        // However the thread ends, nobody waits for it.
        let _leave = OnDrop(|| {
            held(&line).working -= 1;
            result.notify_one();
        });
        let mut state = state();
        while let Some(job) = next_job(&line, &room, threads, jobs, stop) {
            let outcome = work(&mut state, job);
            let mut line = held(&line);
            let slot = job - line.taken;
            if line.waiting.len() <= slot {
                line.waiting.resize_with(slot + 1, || None);
            }
            line.waiting_bytes += outcome.weight();
            line.waiting[slot] = Some(outcome);
            drop(line);
            if slot == 0 {
                result.notify_one();
            }
        }
    };

    let mut taker = || {
        for job in 0..jobs {
            let mut line_now = held(&line);
            let outcome = loop {
                match line_now.waiting.front_mut().and_then(Option::take) {
                    Some(outcome) => break Some(outcome),
                    None if line_now.working == 0 => break None,
                    None => line_now = result.wait_timeout(line_now, LOOK).unwrap_or_else(PoisonError::into_inner).0,
                }
            };
            let Some(outcome) = outcome else { return Ok(End::Stopped) };
            line_now.waiting.pop_front();
            line_now.waiting_bytes -= outcome.weight();
            line_now.taken += 1;
            drop(line_now);
            room.notify_all();
            take(job, outcome)?;
        }
        Ok(End::Done)
    };

    pool.in_place_scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|_| worker());
        }
        // However the taker ends, the threads do not wait for room.
        let _close = OnDrop(|| {
            held(&line).closed = true;
            room.notify_all();
        });
        taker()
    })
}

/// Does something when it goes, be it by a panic.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Waits until there is room for another result; none when there is nothing more to do.
fn next_job<T>(line: &Mutex<Line<T>>, room: &Condvar, threads: usize, jobs: usize, stop: &AtomicBool) -> Option<usize> {
    let mut line = held(line);
    loop {
        if line.closed || line.next == jobs || stop.load(Ordering::Relaxed) {
            return None;
        }
        if line.next - line.taken < threads || line.waiting_bytes < WAITING_BYTES {
            line.next += 1;
            return Some(line.next - 1);
        }
        line = room.wait_timeout(line, LOOK).unwrap_or_else(PoisonError::into_inner).0;
    }
}

fn held<T>(line: &Mutex<Line<T>>) -> MutexGuard<'_, Line<T>> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weigh for usize {
        fn weight(&self) -> usize {
            WAITING_BYTES / 4
        }
    }

    fn pool(threads: usize) -> ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    fn taken(threads: usize, jobs: usize) -> Vec<usize> {
        let mut taken = Vec::new();
        let end = in_order(
            &pool(threads),
            jobs,
            &AtomicBool::new(false),
            || (),
            |(), job| job * job,
            |_, result| {
                taken.push(result);
                Ok::<_, ()>(())
            },
        );
        assert_eq!(end, Ok(End::Done));
        taken
    }

    #[test]
    fn results_come_in_order_from_any_number_of_threads() {
        for threads in [1, 2, 7] {
            assert_eq!(taken(threads, 200), (0..200).map(|job| job * job).collect::<Vec<_>>());
        }
        assert_eq!(taken(3, 0), Vec::<usize>::new());
    }

    #[test]
    fn a_failing_taker_ends_the_line() {
        let end = in_order(
            &pool(2),
            1000,
            &AtomicBool::new(false),
            || (),
            |(), job| job,
            |job, _| if job == 5 { Err(job) } else { Ok(()) },
        );
        assert_eq!(end, Err(5));
    }

    #[test]
    fn a_stopped_line_says_so() {
        let stop = AtomicBool::new(false);
        let end = in_order(
            &pool(2),
            1000,
            &stop,
            || (),
            |(), job| job,
            |job, _| {
                stop.store(job == 5 || stop.load(Ordering::Relaxed), Ordering::Relaxed);
                Ok::<_, ()>(())
            },
        );
        assert_eq!(end, Ok(End::Stopped));
    }
}
