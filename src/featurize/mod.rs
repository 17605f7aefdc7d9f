//! Extractors: what turns sound into the frames of a column.

mod cepstra;
mod contract;
mod frames;
#[cfg(test)]
mod golden;
mod mel;
#[cfg(test)]
mod parity;
mod recipe;
mod stft;
mod yin_difference;

mod chroma;
mod kaldi_fbank;
mod lfcc;
mod log_mel;
mod loudness;
mod mel_spectrogram;
mod mfcc;
mod pyin;
mod rms;
mod spectral_centroid;
mod spectral_contrast;
mod spectrogram;
mod waveform;
mod yin;
mod zero_crossing_rate;

pub use chroma::ChromaNorm;
pub use contract::{Extractor, Features};
pub use kaldi_fbank::{EmptyFilters, SampleScale};
pub use loudness::LoudnessWindow;
pub use mel::Log;
pub use recipe::{Recipe, RowError};
pub use stft::{Normalized, PadMode};
pub use waveform::SampleType;

use crate::family::family;

family! {
    /// What is computed from the sound: the frames of a column.
    pub enum Extractors: Extractor = "featurize" {
        waveform: Waveform,
        kaldi_fbank: KaldiFbank,
        mel_spectrogram: MelSpectrogram,
        log_mel: LogMel,
        spectrogram: Spectrogram,
        mfcc: Mfcc,
        lfcc: Lfcc,
        spectral_centroid: SpectralCentroid,
        spectral_contrast: SpectralContrast,
        chroma: Chroma,
        yin: Yin,
        pyin: Pyin,
        rms: Rms,
        zero_crossing_rate: ZeroCrossingRate,
        loudness: Loudness,
    }
}
