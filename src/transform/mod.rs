//! Transforms: what turns the frames of a column into other frames.

mod chain;
mod contract;
mod each_frame;
mod finite;
mod load_chain;
mod masking;
mod neighbours;
#[cfg(test)]
pub(crate) mod testing;
mod warping;
mod whole;
mod widen;

mod amplitude_to_db;
mod cmvn;
mod crop;
mod dct;
mod deltas;
mod freq_mask;
mod log;
mod pad_frames;
mod pcen;
mod quantize;
mod spec_augment;
mod splice;
mod stack_frames;
mod subsample;
mod time_mask;
mod time_warp;

pub use amplitude_to_db::{DbReference, SpectrumType};
pub use chain::{Link, chain};
pub use cmvn::{CmvnOver, GlobalStatistics, Variance};
pub use contract::{AtLoad, AtLoadError, Column, Extract, ExtractError, SettingError, Transform};
pub use crop::CropLocation;
pub use dct::LifterConvention;
pub use each_frame::{EachFrame, FrameToRow};
pub use finite::Finite;
pub use load_chain::{LoadChain, LoadChainError, StoredColumn};
pub use log::LogKind;
pub use masking::Fill;
pub use neighbours::{Neighbours, NeighboursToRow};
pub use pcen::PcenState;
pub use quantize::LevelScale;
pub use spec_augment::Policy;
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
        crop: Crop,
        pad_frames: PadFrames,
        time_mask: TimeMask,
        freq_mask: FreqMask,
        time_warp: TimeWarp,
        spec_augment: SpecAugment,
    }
}
