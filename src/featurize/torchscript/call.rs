//! How a module is called, and what it gave.

use super::{Lengths, ModuleOutput};

/// What a module is called with.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "tch"), expect(dead_code, reason = "without libtorch nothing is called"))]
pub(super) struct Call<'a> {
    pub(super) method: &'a str,
    /// Numbers a frame of the input; none where it is one-dimensional.
    pub(super) bins: Option<usize>,
    pub(super) lengths: Lengths,
    pub(super) output: ModuleOutput,
    pub(super) select: &'a [u32],
    pub(super) output_lengths: &'a [u32],
}

/// What it gave for one utterance.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Given {
    /// `[frames, bins]`, row-major.
    pub(super) values: Vec<f32>,
    pub(super) frames: usize,
    pub(super) bins: usize,
}
