//! Log mel spectrograms, with the parameters and defaults of torchaudio's `MelSpectrogram`, and its `AmplitudeToDB` after it.
//!
//! Each frame: window, FFT, |X|ᵖ, mel filters, logarithm. torchaudio 2.11 is matched to 1e-5 of the spectrogram's norm, or
//! 5e-3 dB, and so is librosa 0.11's `melspectrogram` under its own settings, which [`LogMel`]'s documentation gives.

mod frame;

use std::num::{NonZeroU32, NonZeroUsize};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::frame::{Frame, Logarithm};
use super::Extractor;
use crate::audio::Hertz;
use crate::family::Member;
use crate::seed::Draws;
use crate::spectrum::{
    Edges, Framing, MelBank, MelNorm, MelScale, MelTriangles, PowerSpectrum, Rows, Window, WindowDesign, WindowEnds,
};
use crate::transform::{Column, Extract, ExtractError, SettingError};

/// Log mel spectrograms as in torchaudio and librosa.
///
/// Shape `[frames, n_mels]`, in dB unless `log` says otherwise. Parameters, names and defaults are those of
/// `torchaudio.transforms.MelSpectrogram`, then `AmplitudeToDB`. As elsewhere:
///
/// - librosa `melspectrogram`, `power_to_db`: `{ n_fft: 2048, hop_length: 512, pad_mode: constant, norm: slaney,
///   mel_scale: slaney, top_db: 80 }`
/// - torchaudio `MFCC` with `log_mels`: `{ log: ln, log_offset: 1.0e-6 }`
/// - `NeMo`, after pre-emphasis and before its normalisation: `{ n_fft: 512, win_length: 400, hop_length: 160, n_mels: 80,
///   periodic: false, pad_mode: constant, norm: slaney, mel_scale: slaney, log: ln, log_offset: 5.9604645e-8 }` (2⁻²⁴)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogMel {
    /// The length of the FFT in samples; 400.
    #[schemars(range(min = 2, max = 1_048_576))]
    pub n_fft: NonZeroU32,
    /// The length of the window in samples, which lies in the middle of the FFT; null is `n_fft`.
    #[schemars(range(min = 2, max = 1_048_576))]
    pub win_length: Option<NonZeroU32>,
    /// The samples from one frame to the next; null is half of `win_length`.
    #[schemars(range(max = 1_048_576))]
    pub hop_length: Option<NonZeroU32>,
    /// The lower end of the filters in hertz; 0.
    #[schemars(range(min = 0.0))]
    pub f_min_hz: f64,
    /// The upper end of the filters in hertz; null is the Nyquist frequency.
    #[schemars(range(min = 0.0))]
    pub f_max_hz: Option<f64>,
    /// The samples of silence put on either side of the sound first; 0.
    #[schemars(range(max = 1_048_576))]
    pub pad: u32,
    /// The number of mel filters; 128. Filters between two FFT bins are silent, as in the peers: four of 128 at 16 kHz.
    #[schemars(range(max = 4096))]
    pub n_mels: NonZeroU32,
    /// The window: `hann` (default), `hamming`, `blackman`, `povey`, `rectangular` or `sine`.
    pub window_fn: Window,
    /// Whether the window's second zero lies one sample after its end (an STFT's) rather than on its last sample; true.
    pub periodic: bool,
    /// The exponent of the magnitude: 2 (default) for power, 1 for magnitude, 0.1 to 10.
    #[schemars(range(min = 0.1, max = 10.0))]
    pub power: f64,
    /// What the spectrum is divided by: `none` (default), `window` or `frame_length`.
    pub normalized: Normalized,
    /// Whether frame `t` is centred on sample t·hop, the sound padded at its ends, rather than starting there; true.
    pub center: bool,
    /// What `center` pads with: `reflect` (default), `constant` or `replicate`.
    pub pad_mode: PadMode,
    /// The height of the filters: `none` (default; each peaks at 1) or `slaney` (each has the area 1 Hz).
    pub norm: MelNorm,
    /// The scale that the filters follow: `htk` (default) or `slaney`.
    pub mel_scale: MelScale,
    /// The logarithm: `db` (default), `ln`, `log10` or `none`.
    pub log: Log,
    /// What is added to the mel energies before the logarithm; 0.
    #[schemars(range(min = 0.0))]
    pub log_offset: f64,
    /// The least value whose logarithm is taken, above 1.2e-38; 1e-10. (`amin` in the peers.)
    #[schemars(range(min = 1.2e-38))]
    pub floor: f64,
    /// How far below the utterance's highest value the lowest may lie, in dB; null sets no limit.
    #[schemars(range(min = 0.0))]
    pub top_db: Option<f64>,
}

/// What a spectrum is divided by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalized {
    /// Nothing.
    #[default]
    None,
    /// The window's norm, √Σw²: white noise of variance 1 has the power 1 in each bin.
    Window,
    /// √`n_fft`: the transform is unitary.
    FrameLength,
}

/// What lies beyond the ends of the sound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PadMode {
    /// The sound backwards, without its end sample; it must be longer than half of `n_fft`.
    #[default]
    Reflect,
    /// Silence.
    Constant,
    /// The end sample, held.
    Replicate,
}

/// The logarithm of the mel energies, of max(energy + `log_offset`, `floor`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Log {
    /// Decibels: 10·log₁₀ of a power, 20·log₁₀ of a magnitude; in general 20/`power`·log₁₀.
    #[default]
    Db,
    /// The natural logarithm.
    Ln,
    /// The decimal logarithm.
    Log10,
    /// None: the energies as they are, without offset or floor.
    None,
}

impl Default for LogMel {
    fn default() -> Self {
        Self {
            n_fft: const { NonZeroU32::new(400).unwrap() },
            win_length: None,
            hop_length: None,
            f_min_hz: 0.0,
            f_max_hz: None,
            pad: 0,
            n_mels: const { NonZeroU32::new(128).unwrap() },
            window_fn: Window::Hann,
            periodic: true,
            power: 2.0,
            normalized: Normalized::None,
            center: true,
            pad_mode: PadMode::Reflect,
            norm: MelNorm::None,
            mel_scale: MelScale::Htk,
            log: Log::Db,
            log_offset: 0.0,
            floor: 1e-10,
            top_db: None,
        }
    }
}

impl Member for LogMel {
    const EXAMPLE: &'static str = "log_mel: { n_fft: 512, win_length: 400, hop_length: 160, n_mels: 80 }";
}

impl Extractor for LogMel {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        let unit = match self.log {
            Log::Db => "dB",
            Log::Ln => "ln(energy)",
            Log::Log10 => "log10(energy)",
            Log::None if self.power == 1.0 => "magnitude",
            Log::None => "energy",
        };
        Ok(Column::of(self.n_mels.get() as usize, unit, self.frame_shift(rate)))
    }

    fn num_frames(&self, num_samples: u64, rate: Hertz) -> u64 {
        match self.framing(rate) {
            Ok(framing) if num_samples > 0 => framing.num_frames(num_samples.saturating_add(2 * u64::from(self.pad))),
            _ => 0,
        }
    }

    fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
        let (n_fft, window) = (self.n_fft.get() as usize, self.win_length());
        if !(2..=n_fft).contains(&window) || n_fft > PowerSpectrum::LONGEST {
            return Err(SettingError::Window {
                key: if self.win_length.is_some() { "win_length" } else { "n_fft" },
                window,
                n_fft: n_fft.min(PowerSpectrum::LONGEST),
            });
        }
        let hop = self.hop_length.map_or(window / 2, |hop| hop.get() as usize);
        let (Some(length), Some(hop)) = (NonZeroUsize::new(n_fft), NonZeroUsize::new(hop)) else {
            return Err(SettingError::NoHop { key: "hop_length", rate });
        };
        SettingError::unless_within("hop_length", hop.get() as f64, 1.0, PowerSpectrum::LONGEST as f64)?;
        let edges = match self.pad_mode {
            _ if !self.center => Edges::Snip,
            PadMode::Reflect => Edges::Reflect,
            PadMode::Constant => Edges::Zero,
            PadMode::Replicate => Edges::Replicate,
        };
        Ok(Framing { length, hop, edges })
    }

    fn prepare(&self, rate: Hertz, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        let framing = self.framing(rate)?;
        let bank = self.bank(rate)?;
        let exponent = SettingError::unless_within("power", self.power, 0.1, 10.0)?;
        let offset = SettingError::unless_within("log_offset", self.log_offset, 0.0, f64::from(f32::MAX))?;
        let floor = SettingError::unless_within("floor", self.floor, 1.2e-38, f64::from(f32::MAX))?;
        let top_db =
            self.top_db.map(|top_db| SettingError::unless_within("top_db", top_db, 0.0, f64::MAX)).transpose()?;
        SettingError::unless_within("pad", f64::from(self.pad), 0.0, PowerSpectrum::LONGEST as f64)?;

        // The decibels that a factor of 10 in the mel energies makes.
        let decade = 20.0 / exponent;
        let scale = match self.log {
            Log::None => None,
            Log::Ln => Some(1.0),
            Log::Log10 => Some(std::f64::consts::LOG10_E),
            Log::Db => Some(decade * std::f64::consts::LOG10_E),
        };
        let limit = top_db.map(|top_db| match scale {
            None => Limit::Times(10_f64.powf(-top_db / decade) as f32),
            Some(scale) => Limit::Below((top_db / decade * std::f64::consts::LN_10 * scale) as f32),
        });
        let log = scale.map(|scale| Logarithm { offset: offset as f32, floor: floor as f32, scale: scale as f32 });
        let frame = Frame {
            spectrum: PowerSpectrum::new(framing.length.get()),
            window: self.window(),
            start: (framing.length.get() - self.win_length()) / 2,
            exponent: exponent as f32,
            bank,
            log,
        };
        Ok(Box::new(Spectrogram {
            rows: Rows::new(framing, frame),
            silence: vec![0.0; self.pad as usize],
            num_samples: 0,
            limit,
        }))
    }
}

impl LogMel {
    fn win_length(&self) -> usize {
        self.win_length.unwrap_or(self.n_fft).get() as usize
    }

    fn bank(&self, rate: Hertz) -> Result<MelBank, SettingError> {
        let bands = self.n_mels.get() as usize;
        SettingError::unless_within("n_mels", bands as f64, 1.0, 4_096.0)?;
        let (low, high) = (self.f_min_hz, self.f_max_hz.unwrap_or(rate.nyquist()));
        if high > rate.nyquist() {
            return Err(SettingError::AboveNyquist { key: "f_max_hz", value: high, rate });
        }
        if !(0.0..high).contains(&low) {
            return Err(SettingError::EmptyBand { key: "f_min_hz", low, high, rate });
        }
        let triangles = MelTriangles { bands, low, high, scale: self.mel_scale, norm: self.norm };
        Ok(triangles.bank(self.n_fft.get() as usize, rate))
    }

    /// The window, divided by what the spectrum is to be divided by.
    fn window(&self) -> Vec<f32> {
        let design = WindowDesign {
            window: self.window_fn,
            ends: if self.periodic { WindowEnds::Periodic } else { WindowEnds::Symmetric },
            blackman_coeff: WindowDesign::BLACKMAN,
        };
        let window = design.coefficients(self.win_length());
        let norm = match self.normalized {
            Normalized::None => 1.0,
            Normalized::Window => window.iter().map(|weight| weight * weight).sum::<f64>().sqrt(),
            Normalized::FrameLength => f64::from(self.n_fft.get()).sqrt(),
        };
        window.iter().map(|weight| (weight / norm) as f32).collect()
    }
}

/// The lowest value that an utterance may have, given its highest.
#[derive(Debug, Clone, Copy)]
enum Limit {
    /// So far below it.
    Below(f32),
    /// This part of it.
    Times(f32),
}

/// The extractor at work.
struct Spectrogram {
    rows: Rows<Frame>,
    /// What is put on either side of the sound.
    silence: Vec<f32>,
    num_samples: u64,
    limit: Option<Limit>,
}

impl Extract for Spectrogram {
    fn begin(&mut self, _: Draws<'_>) {
        self.rows.begin();
        self.num_samples = 0;
    }

    fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        if self.num_samples == 0 && !samples.is_empty() {
            self.rows.push(&self.silence, out);
        }
        self.num_samples += samples.len() as u64;
        self.rows.push(samples, out);
    }

    fn needs_all(&self) -> bool {
        self.limit.is_some()
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        if self.num_samples > 0 {
            self.rows.push(&self.silence, out);
        }
        let rows = self.rows.finish(out).map_err(|error| self.without_silence(error.into()))?;
        if let Some(limit) = self.limit {
            let highest = rows.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let lowest = match limit {
                Limit::Below(range) => highest - range,
                Limit::Times(factor) => highest * factor,
            };
            for value in rows {
                *value = value.max(lowest);
            }
        }
        Ok(())
    }
}

impl Spectrogram {
    /// The error in samples of the utterance, the silence around it not counted.
    fn without_silence(&self, error: ExtractError) -> ExtractError {
        match error {
            ExtractError::TooShort { needed, .. } => ExtractError::TooShort {
                num_samples: self.num_samples,
                needed: needed.saturating_sub(2 * self.silence.len() as u64).max(1),
            },
            error => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::featurize::golden::{extract, extract_in_blocks, golden, rate, settings};

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
