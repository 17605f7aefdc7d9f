//! A watch over what transforms make: a number that is infinite or none, or no frame at all, makes the utterance a reject.

use super::{Extract, ExtractError};
use crate::seed::Draws;

/// Transforms at work that are watched: on numbers of astronomical size, a sum or a square can leave single precision.
pub struct Finite {
    transform: Box<dyn Extract>,
    bins: usize,
    /// Values that were appended and are still open to change.
    open: usize,
    /// Values that were looked at.
    seen: usize,
    first_bad: Option<usize>,
}

impl Finite {
    /// The watch over `transform`, which makes frames of `bins` numbers, at least one.
    #[must_use]
    pub fn new(transform: Box<dyn Extract>, bins: usize) -> Self {
        Self { transform, bins, open: 0, seen: 0, first_bad: None }
    }

    fn look_at(&mut self, values: &[f32]) {
        let finite = values.iter().fold(true, |finite, value| finite & value.is_finite());
        if !finite && self.first_bad.is_none() {
            let bad = values.iter().position(|value| !value.is_finite());
            self.first_bad = bad.map(|bad| self.seen + bad);
        }
        self.seen += values.len();
    }
}

impl Extract for Finite {
    fn begin(&mut self, draws: Draws<'_>) {
        (self.open, self.seen, self.first_bad) = (0, 0, None);
        self.transform.begin(draws);
    }

    fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        let start = out.len();
        self.transform.push(input, out);
        if self.transform.needs_all() {
            self.open += out.len() - start;
        } else {
            self.look_at(&out[start..]);
        }
    }

    fn needs_all(&self) -> bool {
        self.transform.needs_all()
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        let start = out.len().saturating_sub(self.open);
        self.transform.finish(out)?;
        self.look_at(&out[start..]);
        match self.first_bad {
            None if self.seen == 0 => Err(ExtractError::TooFewFrames { frames: 0, needed: 1 }),
            Some(bad) => Err(ExtractError::NotFinite { frame: (bad / self.bins) as u64 }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands numbers on a thousandfold, at once or at the end.
    struct Thousandfold {
        needs_all: bool,
        count: usize,
    }

    impl Extract for Thousandfold {
        fn begin(&mut self, _: Draws<'_>) {
            self.count = 0;
        }

        fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
            self.count += input.len();
            out.extend(input.iter().map(|value| if self.needs_all { *value } else { 1e3 * value }));
        }

        fn needs_all(&self) -> bool {
            self.needs_all
        }

        fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
            let start = out.len() - self.count;
            if self.needs_all {
                out[start..].iter_mut().for_each(|value| *value *= 1e3);
            }
            Ok(())
        }
    }

    #[test]
    fn the_first_frame_that_is_not_finite_is_named_and_the_next_utterance_starts_afresh() {
        for needs_all in [false, true] {
            let mut watched = Finite::new(Box::new(Thousandfold { needs_all, count: 0 }), 2);
            let mut made = |frames: &[f32]| {
                let mut out = vec![f32::NAN];
                watched.begin(Draws { seed: 0, id: "a", copy: 0, channel: 0, segment: None });
                for frame in frames.chunks(2) {
                    watched.push(frame, &mut out);
                }
                watched.finish(&mut out)
            };
            assert_eq!(made(&[1.0, 2.0, 3.0, 1e38, 1e38, 1.0]), Err(ExtractError::NotFinite { frame: 1 }));
            assert_eq!(made(&[1.0, 2.0]), Ok(()));
        }
    }
}
