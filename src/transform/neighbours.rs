//! Transforms of a frame and those around it.

use super::{Extract, ExtractError};
use crate::seed::Draws;

/// What makes a row of a frame and its neighbours.
pub trait NeighboursToRow: Send {
    /// Numbers in the row.
    fn bins_out(&self) -> usize;

    /// Fills `row`, `[bins_out]`, from `frames`, `[left + 1 + right, bins]`, the frame itself and those around it.
    fn row(&mut self, frames: &[f32], row: &mut [f32]);
}

/// A transform of each frame and so many to its left and right, at work; before the first frame stands the first again, and
/// behind the last the last.
#[derive(Debug, Clone)]
pub struct Neighbours<N> {
    transform: N,
    bins: usize,
    left: usize,
    right: usize,
    /// The latest frames: at first the `left` copies of the first one, and never less than a row needs once it is made.
    frames: Vec<f32>,
}

/// Values that are taken in before those that no row needs any more are dropped, so that dropping costs next to nothing.
const SLACK: usize = 16_384;

impl<N: NeighboursToRow> Neighbours<N> {
    /// The transform for frames of `bins` numbers, at the start of an utterance.
    #[must_use]
    pub const fn new(transform: N, bins: usize, left: usize, right: usize) -> Self {
        Self { transform, bins, left, right, frames: Vec::new() }
    }

    /// Appends the rows whose neighbours are all there, and drops the frames that no further row needs.
    fn make_rows(&mut self, out: &mut Vec<f32>) {
        let Self { transform, bins, left, right, frames } = self;
        let window = (*left + 1 + *right) * *bins;
        let Some(rows) = (frames.len().checked_sub(window)).map(|more| more / *bins + 1) else { return };
        let (start, bins_out) = (out.len(), transform.bins_out());
        out.resize(start + rows * bins_out, 0.0);
        let windows = frames.windows(window).step_by(*bins);
        for (window, row) in windows.zip(out[start..].chunks_exact_mut(bins_out)) {
            transform.row(window, row);
        }
        let rest = frames.len() - rows * *bins;
        frames.copy_within(rows * *bins.., 0);
        frames.truncate(rest);
    }
}

impl<N: NeighboursToRow> Extract for Neighbours<N> {
    fn begin(&mut self, _: Draws<'_>) {
        self.frames.clear();
    }

    fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        if self.frames.is_empty()
            && let Some(first) = input.get(..self.bins)
        {
            for _ in 0..self.left {
                self.frames.extend_from_slice(first);
            }
        }
        for part in input.chunks(SLACK.next_multiple_of(self.bins)) {
            self.frames.extend_from_slice(part);
            self.make_rows(out);
        }
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        if let Some(last) = self.frames.len().checked_sub(self.bins) {
            for _ in 0..self.right {
                self.frames.extend_from_within(last..last + self.bins);
            }
            self.make_rows(out);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The first number of each frame around one.
    struct Firsts {
        bins: usize,
        count: usize,
    }

    impl NeighboursToRow for Firsts {
        fn bins_out(&self) -> usize {
            self.count
        }

        fn row(&mut self, frames: &[f32], row: &mut [f32]) {
            for (value, frame) in row.iter_mut().zip(frames.chunks_exact(self.bins)) {
                *value = frame[0];
            }
        }
    }

    proptest! {
        #[test]
        fn each_row_sees_its_neighbours_and_the_ends_again(
            num_frames in 0_i32..30, left in 0_i32..6, right in 0_i32..6, bins in 1_usize..4,
            cuts in prop::collection::vec(0_usize..30, 0..5),
        ) {
            let count = (left + 1 + right) as usize;
            let mut at_work = Neighbours::new(Firsts { bins, count }, bins, left as usize, right as usize);
            let frames: Vec<f32> = (0..num_frames).flat_map(|n| vec![n as f32; bins]).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(num_frames as usize)).collect();
            cuts.sort_unstable();
            let (mut out, mut start) = (vec![7.0], 0);
            at_work.push(&vec![5.0; 3 * bins], &mut Vec::new());
            at_work.begin(Draws { seed: 0, id: "a", copy: 0, channel: 0, segment: None });
            for end in cuts.into_iter().chain([num_frames as usize]) {
                at_work.push(&frames[start * bins..end * bins], &mut out);
                start = end;
            }
            at_work.finish(&mut out).unwrap();
            let expected: Vec<f32> = (0..num_frames)
                .flat_map(|t| (t - left..=t + right).map(move |n| n.clamp(0, num_frames - 1) as f32))
                .collect();
            prop_assert_eq!(&out[1..], expected);
        }
    }
}
