//! Transforms: what turns the frames of a column into other frames.

mod chain;
mod contract;
mod each_frame;
mod finite;
mod neighbours;
#[cfg(test)]
pub(crate) mod testing;
mod whole;
mod widen;

mod amplitude_to_db;
mod cmvn;
mod dct;
mod deltas;
mod log;
mod pad_frames;
mod pcen;
mod quantize;
mod splice;
mod stack_frames;
mod subsample;

pub use amplitude_to_db::{DbReference, SpectrumType};
pub use chain::chain;
pub use cmvn::{CmvnOver, Variance};
pub use contract::{AtLoad, AtLoadError, Column, Extract, ExtractError, SettingError, Transform};
pub use dct::LifterConvention;
pub use each_frame::{EachFrame, FrameToRow};
pub use finite::Finite;
pub use log::LogKind;
pub use neighbours::{Neighbours, NeighboursToRow};
pub use pcen::PcenState;
pub use quantize::LevelScale;
pub use stack_frames::Remainder;
pub use whole::{EditWhole, Whole};

use crate::family::family;

family! {
    /// What is made of a column's frames, after its extractor, in the order written.
    pub enum Transforms: Transform = "transform" {
        log: Log,
        amplitude_to_db: AmplitudeToDb,
        dct: Dct,
        cmvn: Cmvn,
        pcen: Pcen,
        deltas: Deltas,
        splice: Splice,
        stack_frames: StackFrames,
        subsample: Subsample,
        quantize: Quantize,
        pad_frames: PadFrames,
    }
}
