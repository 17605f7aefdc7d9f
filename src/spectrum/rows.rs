//! An utterance's frames made into the rows of its features.

use thiserror::Error;

use super::{Framer, Framing, TooShort};

/// What makes a row of features from a frame of samples.
pub trait FrameFeatures {
    /// Numbers in a row.
    fn num_bins(&self) -> usize;

    /// Starts an utterance: whoever remembers the frame before forgets it here.
    fn begin(&mut self) {}

    /// Fills `row`, `[num_bins]`, with the features of `samples`, one frame, and says whether what it measured is finite.
    /// It must say so itself: a floor or [`ln`](super::ln) after the measurement would hide it.
    fn features(&mut self, samples: &[f32], row: &mut [f32]) -> bool;
}

/// Why an utterance has no rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RowsError {
    /// There is too little sound for one frame.
    #[error(transparent)]
    TooShort(#[from] TooShort),
    /// A frame holds a sample, or gives an energy, that is infinite or not a number.
    #[error("frame {frame} is not finite")]
    NotFinite {
        /// The first such frame.
        frame: u64,
    },
}

/// Cuts utterances into frames and appends the features of each.
#[derive(Debug, Clone)]
pub struct Rows<F> {
    framer: Framer,
    /// What makes a row from a frame.
    pub features: F,
    count: u64,
    not_finite: Option<u64>,
}

impl<F: FrameFeatures> Rows<F> {
    /// Rows of `features` of the frames of `framing`, at the start of an utterance.
    #[must_use]
    pub fn new(framing: Framing, features: F) -> Self {
        Self { framer: Framer::new(framing), features, count: 0, not_finite: None }
    }

    /// Starts an utterance and forgets the one before.
    pub fn begin(&mut self) {
        self.framer.begin();
        self.features.begin();
        (self.count, self.not_finite) = (0, None);
    }

    /// Takes the next samples and appends the rows that they complete, `[rows, num_bins]`.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        let Self { framer, features, count, not_finite } = self;
        framer.push(samples, |frame| append(features, frame, count, not_finite, out));
    }

    /// Ends the utterance, appends its last rows and returns all of its rows: the end of `out`.
    ///
    /// # Errors
    ///
    /// There was too little sound for one frame, or a frame is not finite.
    pub fn finish<'a>(&mut self, out: &'a mut Vec<f32>) -> Result<&'a mut [f32], RowsError> {
        let Self { framer, features, count, not_finite } = self;
        framer.finish(|frame| append(features, frame, count, not_finite, out))?;
        if let Some(frame) = self.not_finite {
            return Err(RowsError::NotFinite { frame });
        }
        let start = out.len().saturating_sub(self.count as usize * self.features.num_bins());
        Ok(&mut out[start..])
    }
}

fn append<F: FrameFeatures>(
    features: &mut F,
    frame: &[f32],
    count: &mut u64,
    not_finite: &mut Option<u64>,
    out: &mut Vec<f32>,
) {
    let start = out.len();
    out.resize(start + features.num_bins(), 0.0);
    if !features.features(frame, &mut out[start..]) {
        not_finite.get_or_insert(*count);
    }
    *count += 1;
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::super::Edges;
    use super::*;

    /// The first and the last sample of each frame.
    struct Ends;

    impl FrameFeatures for Ends {
        fn num_bins(&self) -> usize {
            2
        }

        fn features(&mut self, samples: &[f32], row: &mut [f32]) -> bool {
            row.copy_from_slice(&[samples[0], samples[samples.len() - 1]]);
            row.iter().all(|end| end.is_finite())
        }
    }

    fn rows() -> Rows<Ends> {
        let [length, hop] = [3, 2].map(|samples| NonZeroUsize::new(samples).unwrap());
        Rows::new(Framing { length, hop, edges: Edges::Snip }, Ends)
    }

    #[test]
    fn rows_are_appended_and_those_of_the_utterance_returned() {
        let (mut rows, mut out) = (rows(), vec![9.0]);
        rows.push(&[0.0, 1.0, 2.0, 3.0], &mut out);
        rows.push(&[4.0, 5.0], &mut out);
        assert_eq!(rows.finish(&mut out).unwrap(), [0.0, 2.0, 2.0, 4.0]);
        assert_eq!(out, [9.0, 0.0, 2.0, 2.0, 4.0]);
    }

    #[test]
    fn the_first_frame_that_is_not_finite_is_named_and_then_forgotten() {
        let (mut rows, mut out) = (rows(), Vec::new());
        rows.push(&[0.0, 0.0, 0.0, 0.0, f32::NAN, 0.0, f32::INFINITY], &mut out);
        assert_eq!(rows.finish(&mut out), Err(RowsError::NotFinite { frame: 1 }));
        rows.begin();
        rows.push(&[0.0; 2], &mut out);
        assert_eq!(rows.finish(&mut out), Err(RowsError::TooShort(TooShort { num_samples: 2, needed: 3 })));
    }
}
