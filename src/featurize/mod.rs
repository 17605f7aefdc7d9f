//! Extractors: what turns sound into the frames of a column.

mod contract;
#[cfg(test)]
mod golden;
mod kaldi;
mod mel;
#[cfg(test)]
mod parity;
mod recipe;
mod stft;

mod kaldi_fbank;
mod kaldi_mfcc;
mod kaldi_spectrogram;
mod lhotse_fbank;
mod log_mel;
mod mel_spectrogram;
mod nemo;
mod speechbrain_fbank;
mod wav2vec2;
mod waveform;
mod whisper;

pub use contract::{Extractor, Features};
pub use kaldi::{EmptyFilters, SampleScale};
pub use mel::Log;
pub use nemo::Normalize;
pub use recipe::{Recipe, RowError};
pub use stft::{Normalized, PadMode};
pub use waveform::SampleType;

use crate::family::family;

family! {
    /// What is computed from the sound: the frames of a column.
    pub enum Extractors: Extractor = "featurize" {
        waveform: Waveform,
        kaldi_fbank: KaldiFbank,
        kaldi_mfcc: KaldiMfcc,
        kaldi_spectrogram: KaldiSpectrogram,
        mel_spectrogram: MelSpectrogram,
        log_mel: LogMel,
        whisper: Whisper,
        nemo: Nemo,
        wav2vec2: Wav2vec2,
        speechbrain_fbank: SpeechbrainFbank,
        lhotse_fbank: LhotseFbank,
    }
}
