//! Extractors: what turns sound into the frames of a column.

mod cepstra;
mod column_rows;
mod contract;
mod frames;
#[cfg(test)]
mod golden;
mod kaldi;
mod mel;
#[cfg(test)]
mod parity;
mod recipe;
mod stft;
mod yin_difference;

mod chroma;
mod kaldi_fbank;
mod kaldi_mfcc;
mod kaldi_spectrogram;
mod lfcc;
mod lhotse_fbank;
mod log_mel;
mod loudness;
mod mel_spectrogram;
mod mfcc;
mod nemo;
mod pyin;
mod rms;
mod spectral_centroid;
mod spectral_contrast;
mod spectrogram;
mod speechbrain_fbank;
mod torchscript;
mod wav2vec2;
mod waveform;
mod whisper;
mod yin;
mod zero_crossing_rate;

pub use chroma::ChromaNorm;
pub use column_rows::ColumnRows;
pub use contract::{Extractor, Features};
pub use kaldi::{EmptyFilters, SampleScale};
pub use loudness::LoudnessWindow;
pub use mel::Log;
pub use nemo::Normalize;
pub use recipe::{Recipe, RowError};
pub use stft::{Normalized, PadMode};
pub use torchscript::{Lengths, ModuleDevice, ModuleError, ModuleFault, ModuleFrames, ModuleOutput, Probe};
pub use waveform::SampleType;

use crate::family::family;

family! {
    /// What is computed from the sound: the frames of a column.
    pub enum Extractors: Extractor = "featurize" {
        waveform: Waveform,
        spectrogram: Spectrogram,
        mel_spectrogram: MelSpectrogram,
        log_mel: LogMel,
        mfcc: Mfcc,
        lfcc: Lfcc,
        kaldi_fbank: KaldiFbank,
        kaldi_mfcc: KaldiMfcc,
        kaldi_spectrogram: KaldiSpectrogram,
        whisper: Whisper,
        nemo: Nemo,
        speechbrain_fbank: SpeechbrainFbank,
        lhotse_fbank: LhotseFbank,
        wav2vec2: Wav2vec2,
        pyin: Pyin,
        yin: Yin,
        rms: Rms,
        zero_crossing_rate: ZeroCrossingRate,
        spectral_centroid: SpectralCentroid,
        spectral_contrast: SpectralContrast,
        chroma: Chroma,
        loudness: Loudness,
        torchscript: Torchscript,
    }
}
