//! Transforms of one frame at a time.

use super::{Extract, ExtractError};
use crate::seed::Draws;

/// What makes a row of one frame.
pub trait FrameToRow: Send {
    /// Numbers in a frame that comes in, at least one.
    fn bins_in(&self) -> usize;

    /// Numbers in the row that it becomes.
    fn bins_out(&self) -> usize;

    /// Fills `row`, `[bins_out]`, from `frame`, `[bins_in]`.
    fn row(&mut self, frame: &[f32], row: &mut [f32]);
}

/// A transform of one frame at a time, at work.
#[derive(Debug, Clone)]
pub struct EachFrame<F>(pub F);

impl<F: FrameToRow> Extract for EachFrame<F> {
    fn begin(&mut self, _: Draws<'_>) {}

    fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        let (bins_in, bins_out) = (self.0.bins_in(), self.0.bins_out());
        let start = out.len();
        out.resize(start + input.len() / bins_in * bins_out, 0.0);
        for (frame, row) in input.chunks_exact(bins_in).zip(out[start..].chunks_exact_mut(bins_out)) {
            self.0.row(frame, row);
        }
    }

    fn finish(&mut self, _: &mut Vec<f32>) -> Result<(), ExtractError> {
        Ok(())
    }
}
