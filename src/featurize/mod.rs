//! Extractors: what turns sound into the frames of a column.

mod contract;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod parity;
mod recipe;

mod kaldi_fbank;
mod log_mel;
mod waveform;

pub use contract::{Extractor, Features};
pub use kaldi_fbank::{EmptyFilters, SampleScale};
pub use log_mel::{Log, Normalized, PadMode};
pub use recipe::{Recipe, RowError};
pub use waveform::SampleType;

use crate::family::family;

family! {
    /// What is computed from the sound: the frames of a column.
    pub enum Extractors: Extractor = "featurize" {
        waveform: Waveform,
        kaldi_fbank: KaldiFbank,
        log_mel: LogMel,
    }
}
