//! Mel spectrograms, with the parameters and defaults of torchaudio's `MelSpectrogram`: `log_mel` without its logarithm.

use super::Extractor;
use super::mel::{Log, LogSettings};
use super::stft::{Stft, mel_row};
use crate::audio::Hertz;
use crate::family::Member;
use crate::spectrum::Framing;
use crate::transform::{Column, Extract, SettingError};

mel_row! {
    /// Mel spectrograms as in torchaudio and librosa, without a logarithm.
    ///
    /// Shape `[frames, n_mels]`, energies, or magnitudes with `power: 1`. Parameters, names and defaults are those of
    /// `torchaudio.transforms.MelSpectrogram`; librosa's `melspectrogram` is `{ n_fft: 2048, hop_length: 512, pad_mode:
    /// constant, norm: slaney, mel_scale: slaney }`. For training data, `log_mel` takes the logarithm at once.
    pub struct MelSpectrogram: Stft::TORCHAUDIO {}
}

impl Member for MelSpectrogram {
    const EXAMPLE: &'static str = "mel_spectrogram: { n_fft: 1024, hop_length: 256, n_mels: 80 }";
}

impl Extractor for MelSpectrogram {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        Ok(Column::of(self.mel().num_bands(), Log::None.unit(self.power), self.frame_shift(rate)))
    }

    fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
        self.stft().framing(rate)
    }

    fn num_frames(&self, num_samples: u64, rate: Hertz) -> u64 {
        self.stft().num_frames(num_samples, rate)
    }

    fn prepare(&self, rate: Hertz, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        Ok(Box::new(self.mel().prepare(rate, &LogSettings::NONE)?))
    }
}
