//! Transforms: what turns the frames of a column into other frames.

mod chain;
mod contract;
mod each_frame;
mod neighbours;
#[cfg(test)]
pub(crate) mod testing;
mod whole;

mod deltas;

pub use chain::chain;
pub use contract::{AtLoad, AtLoadError, Column, Extract, ExtractError, SettingError, Transform};
pub use each_frame::{EachFrame, FrameToRow};
pub use neighbours::{Neighbours, NeighboursToRow};
pub use whole::{EditWhole, Whole};

use crate::family::family;

family! {
    /// What is made of a column's frames, after its extractor, in the order written.
    pub enum Transforms: Transform = "transform" {
        deltas: Deltas,
    }
}
