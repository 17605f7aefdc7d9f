//! Mean and variance over a window that slides from frame to frame, in sums that gain a frame and lose one.
//!
//! Frame t of T sees, without `center`, the frames from t − `cmn_window` up to itself, the first ones up to frame
//! `min_cmn_window`; with `center` the `cmn_window` frames from t − `cmn_window` / 2 on. A window that would start before the
//! first frame starts there and, with `center`, ends as much later; one that would end behind the last ends there and starts as
//! much earlier, as far as there are frames.
//!
//! The sums are in double precision and made anew after as many frames as a window has, which doubles their cost and keeps a frame that was
//! very loud from staying in their last digits. Frames come out as soon as their windows are full.

use super::{Cmvn, Norm};
use crate::seed::Draws;
use crate::transform::{Extract, ExtractError};

/// Values that are taken in before those that no window needs any more are dropped, so that dropping costs next to nothing.
const SLACK: usize = 16_384;

/// What part of a bin's mean square its variance is at least. Less is what double precision leaves of the sums of a bin that
/// does not change, and less than single precision can tell.
const RESOLUTION: f64 = 1e-14;

pub(super) struct Sliding {
    norm: Norm,
    bins: usize,
    window: usize,
    min_window: usize,
    /// Frames after which the sums are made anew: as many as a window may have.
    remake: usize,
    center: bool,
    /// The frames from number `first` on.
    frames: Vec<f32>,
    first: usize,
    /// Frames that came.
    received: usize,
    /// The next frame to come out.
    next: usize,
    /// The frames in the sums.
    summed: Span,
    sums: Vec<f64>,
    squares: Vec<f64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: usize,
    end: usize,
}

impl Sliding {
    pub(super) fn new(settings: &Cmvn, bins: usize) -> Self {
        Self {
            norm: settings.norm(),
            bins,
            window: settings.cmn_window as usize,
            min_window: settings.min_cmn_window as usize,
            remake: settings.cmn_window.max(settings.min_cmn_window) as usize,
            center: settings.center,
            frames: Vec::new(),
            first: 0,
            received: 0,
            next: 0,
            summed: Span::default(),
            sums: vec![0.0; bins],
            squares: vec![0.0; bins],
        }
    }

    /// The window of frame `t` of an utterance that is long enough for it.
    fn window_of(&self, t: usize) -> Span {
        if self.center {
            let start = t.saturating_sub(self.window / 2);
            Span { start, end: start + self.window }
        } else {
            Span { start: t.saturating_sub(self.window), end: self.min_window.max(t + 1) }
        }
    }

    /// Adds frame `number` to the sums, or takes it away.
    fn count(&mut self, number: usize, sign: f64) {
        let frame = &self.frames[(number - self.first) * self.bins..][..self.bins];
        for (sum, &value) in self.sums.iter_mut().zip(frame) {
            *sum += sign * f64::from(value);
        }
        if self.norm.vars {
            for (squares, &value) in self.squares.iter_mut().zip(frame) {
                *squares += sign * f64::from(value) * f64::from(value);
            }
        }
    }

    /// Makes the sums those of `window`.
    fn slide(&mut self, window: Span) {
        if self.next.is_multiple_of(self.remake) {
            self.sums.fill(0.0);
            self.squares.fill(0.0);
            self.summed = Span { start: window.start, end: window.start };
        }
        for number in self.summed.end..window.end {
            self.count(number, 1.0);
        }
        for number in self.summed.start..window.start {
            self.count(number, -1.0);
        }
        self.summed = window;
    }

    /// Appends the next frame, whose window is in the sums.
    fn append(&mut self, out: &mut Vec<f32>) {
        let Self { norm, bins, ref frames, first, next, summed, ref sums, ref squares, .. } = *self;
        let frame = &frames[(next - first) * bins..][..bins];
        let count = summed.end - summed.start;
        let share = 1.0 / count as f64;
        let taken = if norm.means { 1.0 } else { 0.0 };
        if norm.vars {
            let correction = count as f64 / norm.denominator(count);
            out.extend(frame.iter().zip(sums).zip(squares).map(|((&value, &sum), &squares)| {
                let (mean, square) = (sum * share, squares * share);
                let variance = (square - mean * mean).max(RESOLUTION * square) * correction;
                ((f64::from(value) - taken * mean) * norm.scale(variance)) as f32
            }));
        } else {
            out.extend(frame.iter().zip(sums).map(|(&value, &sum)| (f64::from(value) - sum * share) as f32));
        }
        self.next += 1;
    }

    /// Drops the frames that no further window needs.
    fn forget(&mut self) {
        let past = (self.summed.start - self.first) * self.bins;
        if past >= SLACK.max(self.frames.len() / 2) {
            self.frames.drain(..past);
            self.first = self.summed.start;
        }
    }
}

impl Extract for Sliding {
    fn begin(&mut self, _: Draws<'_>) {
        self.frames.clear();
        (self.first, self.received, self.next, self.summed) = (0, 0, 0, Span::default());
    }

    fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        for part in input.chunks(SLACK.next_multiple_of(self.bins)) {
            self.frames.extend_from_slice(part);
            self.received += part.len() / self.bins;
            loop {
                let window = self.window_of(self.next);
                if window.end > self.received {
                    break;
                }
                self.slide(window);
                self.append(out);
            }
            self.forget();
        }
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        while self.next < self.received {
            let Span { mut start, mut end } = self.window_of(self.next);
            if let Some(beyond) = end.checked_sub(self.received) {
                (start, end) = (start.saturating_sub(beyond), self.received);
            }
            self.slide(Span { start, end });
            self.append(out);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::transform::testing::transformed;
    use crate::transform::{Cmvn, CmvnOver};

    fn sliding(cmn_window: u32, min_cmn_window: u32, center: bool, norm_vars: bool) -> Cmvn {
        Cmvn { over: CmvnOver::Sliding, cmn_window, min_cmn_window, center, norm_vars, ..Cmvn::default() }
    }

    #[test]
    fn a_window_ends_at_its_frame_or_has_it_in_its_middle() {
        let line: Vec<f32> = (0..8).map(|t| t as f32).collect();
        // Frames 0..3 see 0..3; frame t sees t − 4 up to t.
        let behind = transformed(&sliding(4, 3, false, false), 1, &line).unwrap();
        assert_eq!(behind, [-1.0, 0.0, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0]);
        // Frame t sees t − 2 up to t + 1.
        let middle = transformed(&sliding(4, 3, true, false), 1, &line).unwrap();
        assert_eq!(middle, [-1.5, -0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.5]);
    }

    #[test]
    fn a_loud_frame_is_forgotten_and_a_constant_bin_is_zero() {
        let mut frames = vec![0.1; 500];
        frames[7] = 3e38;
        for (center, norm_vars) in [(false, false), (false, true), (true, false), (true, true)] {
            let made = transformed(&sliding(20, 5, center, norm_vars), 1, &frames).unwrap();
            assert!(made[100..].iter().all(|value| value.abs() < 1e-5), "{center} {norm_vars}");
            let constant = transformed(&sliding(20, 5, center, norm_vars), 1, &[-1234.567; 300]).unwrap();
            assert!(constant.iter().all(|value| value.abs() < 1e-3), "{center} {norm_vars}");
        }
        assert_eq!(transformed(&sliding(600, 100, false, true), 2, &[5.0, 6.0]).unwrap(), [0.0, 0.0]);
        assert_eq!(transformed(&sliding(600, 100, false, true), 2, &[]).unwrap(), [0.0; 0]);
    }

    #[test]
    fn a_long_utterance_goes_through_a_short_memory() {
        let frames: Vec<f32> = (0..3 * 40_000).map(|n| ((n * 7_919) % 1_000) as f32 / 100.0).collect();
        let made = transformed(&sliding(100, 10, true, true), 3, &frames).unwrap();
        let t = 25_000;
        let window: Vec<f64> = (t - 50..t + 50).map(|t| f64::from(frames[3 * t + 1])).collect();
        let mean = window.iter().sum::<f64>() / 100.0;
        let variance = window.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 100.0;
        let expected = (f64::from(frames[3 * t + 1]) - mean) / variance.sqrt();
        assert!((f64::from(made[3 * t + 1]) - expected).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn windows_are_those_of_torchaudio(
            num_frames in 1_usize..60, cmn_window in 1_u32..30, min_cmn_window in 0_u32..40, center: bool,
        ) {
            let frames: Vec<f32> = (0..num_frames).map(|t| ((t * t * 31) % 17) as f32).collect();
            let settings = sliding(cmn_window, min_cmn_window, center, false);
            let made = transformed(&settings, 1, &frames).unwrap();
            for (t, &value) in made.iter().enumerate() {
                // The window as `sliding_window_cmn` writes it, step by step.
                let (now, window, total) = (t as i64, i64::from(cmn_window), num_frames as i64);
                let (mut start, mut end) = if center {
                    (now - window / 2, now - window / 2 + window)
                } else {
                    (now - window, now + 1)
                };
                if start < 0 {
                    (start, end) = (0, end - start);
                }
                if !center && end > now {
                    end = (now + 1).max(i64::from(min_cmn_window));
                }
                if end > total {
                    (start, end) = ((start - (end - total)).max(0), total);
                }
                let seen = &frames[start as usize..end as usize];
                let mean = seen.iter().sum::<f32>() / seen.len() as f32;
                prop_assert!((value - (frames[t] - mean)).abs() < 1e-4, "{t}: {start}..{end}");
            }
        }
    }
}
