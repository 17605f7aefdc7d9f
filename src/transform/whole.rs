//! Transforms that need the whole utterance before they can say anything.

use super::{Extract, ExtractError};
use crate::seed::Draws;

/// What changes the frames of a whole utterance.
pub trait EditWhole: Send {
    /// Starts an utterance: whoever draws random numbers takes them from here.
    fn begin(&mut self, _: Draws<'_>) {}

    /// Changes `frames`, row-major, all frames of the utterance; there may be none.
    ///
    /// # Errors
    ///
    /// The utterance has no valid feature: it is a reject.
    fn edit(&mut self, frames: &mut [f32]) -> Result<(), ExtractError>;
}

/// A transform that keeps the number of frames and of bins and needs the whole utterance, at work.
#[derive(Debug, Clone)]
pub struct Whole<E> {
    edit: E,
    count: usize,
}

impl<E: EditWhole> Whole<E> {
    /// The transform at the start of an utterance.
    #[must_use]
    pub const fn new(edit: E) -> Self {
        Self { edit, count: 0 }
    }
}

impl<E: EditWhole> Extract for Whole<E> {
    fn begin(&mut self, draws: Draws<'_>) {
        self.count = 0;
        self.edit.begin(draws);
    }

    fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        self.count += input.len();
        out.extend_from_slice(input);
    }

    fn needs_all(&self) -> bool {
        true
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        let start = out.len().saturating_sub(self.count);
        self.edit.edit(&mut out[start..])
    }
}
