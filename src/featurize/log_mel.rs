//! Log mel spectrograms, with the parameters and defaults of torchaudio's `MelSpectrogram`, and its `AmplitudeToDB` after it.
//!
//! Each frame: window, FFT, |X|ᵖ, mel filters, logarithm. torchaudio 2.11 is matched to 1e-5 of the spectrogram's norm, or
//! 5e-3 dB, and so is librosa 0.11's `melspectrogram` under its own settings, which [`LogMel`]'s documentation gives.

use super::Extractor;
use super::mel::{Log, LogSettings};
use super::stft::{Stft, mel_row};
use crate::audio::Hertz;
use crate::family::Member;
use crate::spectrum::Framing;
use crate::transform::{Column, Extract, SettingError};

mel_row! {
    /// Log mel spectrograms as in torchaudio and librosa.
    ///
    /// Shape `[frames, n_mels]`, in dB unless `log` says otherwise. Parameters, names and defaults are those of
    /// `torchaudio.transforms.MelSpectrogram`, then `AmplitudeToDB`. As elsewhere:
    ///
    /// - librosa `melspectrogram`, `power_to_db`: `{ n_fft: 2048, hop_length: 512, pad_mode: constant, norm: slaney,
    ///   mel_scale: slaney, top_db: 80 }`
    /// - lhotse `LibrosaFbank` at 22,050 Hz: `{ n_fft: 1024, hop_length: 256, power: 1, n_mels: 80, f_min_hz: 80,
    ///   f_max_hz: 7600, norm: slaney, mel_scale: slaney, log: log10 }`
    /// - `whisper`, `nemo` and `speechbrain_fbank` are extractors of their own.
    pub struct LogMel: Stft::TORCHAUDIO {
        /// The logarithm: `db`, `ln`, `log10` or `none`.
        pub log: Log = Log::Db,
        /// What is added to the mel energies before the logarithm.
        #[schemars(range(min = 0.0))]
        pub log_offset: f64 = 0.0,
        /// The least value whose logarithm is taken, above 1.2e-38. (`amin` in the peers.)
        #[schemars(range(min = 1.2e-38))]
        pub floor: f64 = 1e-10,
        /// How far below the utterance's highest value the lowest may lie, in dB; null sets no limit.
        #[schemars(range(min = 0.0))]
        pub top_db: Option<f64> = None,
    }
}

impl Member for LogMel {
    const EXAMPLE: &'static str = "log_mel: { n_fft: 512, win_length: 400, hop_length: 160, n_mels: 80 }";
}

impl Extractor for LogMel {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        Ok(Column::of(self.mel().num_bands(), self.log.unit(self.power), self.frame_shift(rate)))
    }

    fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
        self.stft().framing(rate)
    }

    fn num_frames(&self, num_samples: u64, rate: Hertz) -> u64 {
        self.stft().num_frames(num_samples, rate)
    }

    fn prepare(&self, rate: Hertz, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        let log = LogSettings { log: self.log, offset: self.log_offset, floor: self.floor, top_db: self.top_db };
        Ok(Box::new(self.mel().prepare(rate, &log)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::featurize::PadMode;
    use crate::featurize::golden::{extract, extract_in_blocks, golden, rate, settings};
    use crate::transform::ExtractError;

    #[test]
    fn the_logarithms_differ_by_their_factors_and_top_db_means_the_same_in_each() {
        let (_, sound) = golden("signal-voiced-16000");
        let features = |log: &str, power: f64| {
            let json = format!(r#"{{"n_mels": 20, "top_db": 30, "log": "{log}", "power": {power}}}"#);
            extract(&settings::<LogMel>(&json), &sound, rate(16_000)).unwrap()
        };
        for power in [1.0, 2.0] {
            let [linear, db, ln, log10] = ["none", "db", "ln", "log10"].map(|log| features(log, power));
            let lowest = db.iter().copied().fold(f32::INFINITY, f32::min);
            let highest = db.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert!((highest - lowest - 30.0).abs() < 1e-4, "{}", highest - lowest);
            for (index, &value) in linear.iter().enumerate() {
                assert!((log10[index] - value.log10()).abs() < 1e-5);
                assert!((ln[index] - value.ln()).abs() < 1e-5);
                assert!((db[index] - 20.0 / power as f32 * value.log10()).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn silence_gives_the_floor_and_broken_sound_its_frame() {
        let silence = extract(&LogMel::default(), &[0.0; 1_000], rate(16_000)).unwrap();
        assert!(silence.iter().all(|&value| (value + 100.0).abs() < 1e-4), "1e-10 is -100 dB");
        let mut sound = [0.1; 1_000];
        sound[500] = f32::NAN;
        assert_eq!(extract(&LogMel::default(), &sound, rate(16_000)), Err(ExtractError::NotFinite { frame: 2 }));
    }

    #[test]
    fn sound_too_short_to_reflect_is_refused_and_silence_around_it_helps() {
        let short = extract(&LogMel::default(), &[0.1; 200], rate(16_000));
        assert_eq!(short, Err(ExtractError::TooShort { num_samples: 200, needed: 201 }));
        let padded = |pad, samples| extract(&LogMel { pad, ..LogMel::default() }, samples, rate(16_000));
        assert_eq!(padded(50, &[0.1; 100]), Err(ExtractError::TooShort { num_samples: 100, needed: 101 }));
        assert_eq!(padded(50, &[0.1; 101]).unwrap().len(), 2 * 128);
        assert_eq!(padded(500, &[]), Err(ExtractError::TooShort { num_samples: 0, needed: 1 }));
    }

    #[test]
    fn settings_that_do_not_fit_are_named() {
        let refused = |json: &str| match settings::<LogMel>(json).prepare(rate(16_000), "") {
            Ok(_) => panic!("{json} should be refused"),
            Err(error) => error.key(),
        };
        assert_eq!(refused(r#"{"win_length": 401}"#), "win_length");
        assert_eq!(refused(r#"{"n_fft": 1}"#), "n_fft");
        assert_eq!(refused(r#"{"n_fft": 4000000000}"#), "n_fft");
        assert_eq!(refused(r#"{"f_max_hz": 8001}"#), "f_max_hz");
        assert_eq!(refused(r#"{"f_min_hz": 8000}"#), "f_min_hz");
        assert_eq!(refused(r#"{"power": 0}"#), "power");
        assert_eq!(refused(r#"{"floor": 0}"#), "floor");
        assert_eq!(refused(r#"{"pad": 4000000000}"#), "pad");
        assert!(serde_json::from_str::<LogMel>(r#"{"hop_length": 0}"#).is_err());
        assert!(serde_json::from_str::<LogMel>(r#"{"f_min": 60}"#).is_err());
    }

    proptest! {
        #[test]
        fn cutting_the_sound_changes_no_bit(
            cuts in prop::collection::vec(0_usize..12_800, 0..40),
            pad in prop::sample::select(vec![0, 1, 700]),
            pad_mode in prop::sample::select(vec![PadMode::Reflect, PadMode::Constant, PadMode::Replicate]),
            center: bool,
            top_db in prop::sample::select(vec![None, Some(30.0)]),
        ) {
            let (_, sound) = golden("signal-voiced-16000");
            let mel = LogMel { pad, center, pad_mode, top_db, ..LogMel::default() };
            let whole = extract(&mel, &sound, rate(16_000)).unwrap();
            prop_assert_eq!(extract_in_blocks(&mel, &sound, &cuts, rate(16_000)).unwrap(), whole);
        }
    }
}
