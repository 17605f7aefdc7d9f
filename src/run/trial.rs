//! A few utterances made and thrown away, to know how fast a plan would go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::plan::Plan;

use super::order::in_order;
use super::worker::Worker;
use super::{RunError, pool};

/// What a trial came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// Utterances that gave rows, or that `keep_if` left out once they were made.
    pub utterances: usize,
    /// Seconds of sound in them.
    pub sound_s: f64,
    /// Seconds that it took.
    pub took_s: f64,
}

impl Trial {
    /// Seconds of sound a second; none if no utterance could be made.
    #[must_use]
    pub fn times_real_time(&self) -> Option<f64> {
        (self.utterances > 0 && self.took_s > 0.0).then(|| self.sound_s / self.took_s)
    }
}

/// Makes utterances spread over `plan` on `threads` threads, for `time` at most. Nothing is written.
///
/// # Errors
///
/// The system gives no threads.
pub fn try_out(plan: &Plan, threads: usize, time: Duration) -> Result<Trial, RunError> {
    /// More would not be more certain.
    const UTTERANCES: usize = 256;
    let entries = plan.num_entries();
    let tried = entries.min(UTTERANCES);
    let mut trial = Trial { utterances: 0, sound_s: 0.0, took_s: 0.0 };
    let (pool, stop) = (pool(threads)?, AtomicBool::new(false));
    let started = Instant::now();
    in_order(
        &pool,
        tried,
        &stop,
        || Worker::new(plan),
        |worker, job| {
            let position = job * entries / tried;
            worker.make_all(position..position + 1, &stop)
        },
        |_, outcomes| {
            let heard = outcomes.into_iter().flatten().fold(0.0, |sum, made| sum + made.heard_s);
            trial.utterances += usize::from(heard > 0.0);
            trial.sound_s += heard;
            if started.elapsed() >= time {
                stop.store(true, Ordering::Relaxed);
            }
            Ok::<(), RunError>(())
        },
    )?;
    trial.took_s = started.elapsed().as_secs_f64();
    Ok(trial)
}
