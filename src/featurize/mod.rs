//! Extractors: what turns sound into the numbers of a column.

mod contract;
#[cfg(test)]
mod golden;
mod kaldi_fbank;
mod log_mel;
mod waveform;

pub use contract::{Column, Extract, ExtractError, Extractor, SettingError};
pub use kaldi_fbank::{EmptyFilters, SampleScale};
pub use log_mel::{Log, Normalized, PadMode};
pub use waveform::SampleType;

use crate::family::family;

family! {
    /// What is computed from the sound: the numbers of a column.
    pub enum Features: Extractor = "featurize" {
        waveform: Waveform,
        kaldi_fbank: KaldiFbank,
        log_mel: LogMel,
    }
}
