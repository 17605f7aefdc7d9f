//! Transforms: what turns the frames of a column into other frames.

mod chain;
mod contract;
mod each_frame;
mod masking;
mod neighbours;
#[cfg(test)]
pub(crate) mod testing;
mod warping;
mod whole;

mod deltas;
mod freq_mask;
mod spec_augment;
mod time_mask;
mod time_warp;

pub use chain::chain;
pub use contract::{Column, Extract, ExtractError, SettingError, Transform};
pub use each_frame::{EachFrame, FrameToRow};
pub use masking::Fill;
pub use neighbours::{Neighbours, NeighboursToRow};
pub use spec_augment::Policy;
pub use whole::{EditWhole, Whole};

use crate::family::family;

family! {
    /// What is made of a column's frames, after its extractor, in the order written.
    pub enum Transforms: Transform = "transform" {
        deltas: Deltas,
        time_mask: TimeMask,
        freq_mask: FreqMask,
        time_warp: TimeWarp,
        spec_augment: SpecAugment,
    }
}
