//! What all features of a short-time Fourier transform share: its settings, and the way from sound to the spectra of frames.

use std::num::{NonZeroU32, NonZeroUsize};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audio::Hertz;
use crate::seed::Draws;
use crate::spectrum::{Edges, FrameFeatures, Framing, PowerSpectrum, Rows, Window, WindowDesign, WindowEnds};
use crate::transform::{Extract, ExtractError, SettingError};

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
    /// The sound backwards, without its end sample; it must be longer than half of a frame.
    #[default]
    Reflect,
    /// Silence.
    Constant,
    /// The end sample, held.
    Replicate,
}

impl PadMode {
    /// What centred frames see beyond the ends; frames that are not centred see nothing.
    #[must_use]
    pub(super) const fn edges(self, center: bool) -> Edges {
        match self {
            _ if !center => Edges::Snip,
            Self::Reflect => Edges::Reflect,
            Self::Constant => Edges::Zero,
            Self::Replicate => Edges::Replicate,
        }
    }
}

/// A short-time Fourier transform, as torchaudio and librosa describe one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stft {
    /// The length of the FFT in samples.
    pub(super) n_fft: NonZeroU32,
    /// The length of the window, in the middle of the FFT; none is `n_fft`.
    pub(super) win_length: Option<NonZeroU32>,
    /// The samples from one frame to the next; none is half of the window.
    pub(super) hop_length: Option<NonZeroU32>,
    /// The samples of silence put on either side of the sound first.
    pub(super) pad: u32,
    pub(super) window_fn: Window,
    pub(super) periodic: bool,
    pub(super) normalized: Normalized,
    pub(super) center: bool,
    pub(super) pad_mode: PadMode,
}

impl Stft {
    /// torchaudio's defaults.
    pub(super) const TORCHAUDIO: Self = Self {
        n_fft: NonZeroU32::new(400).unwrap(),
        win_length: None,
        hop_length: None,
        pad: 0,
        window_fn: Window::Hann,
        periodic: true,
        normalized: Normalized::None,
        center: true,
        pad_mode: PadMode::Reflect,
    };

    /// librosa's defaults.
    pub(super) const LIBROSA: Self = Self {
        n_fft: NonZeroU32::new(2_048).unwrap(),
        hop_length: NonZeroU32::new(512),
        pad_mode: PadMode::Constant,
        ..Self::TORCHAUDIO
    };

    fn window_length(&self) -> usize {
        self.win_length.unwrap_or(self.n_fft).get() as usize
    }

    /// How many bins a spectrum has.
    pub(super) const fn num_bins(&self) -> usize {
        self.n_fft.get() as usize / 2 + 1
    }

    /// How sound is cut into frames.
    pub(super) fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
        let (n_fft, window) = (self.n_fft.get() as usize, self.window_length());
        SettingError::unless_within("n_fft", n_fft as f64, 2.0, PowerSpectrum::LONGEST as f64)?;
        if !(2..=n_fft).contains(&window) {
            return Err(SettingError::Window { key: "win_length", window, n_fft });
        }
        let hop = self.hop_length.map_or(window / 2, |hop| hop.get() as usize);
        let (Some(length), Some(hop)) = (NonZeroUsize::new(n_fft), NonZeroUsize::new(hop)) else {
            return Err(SettingError::NoHop { key: "hop_length", rate });
        };
        SettingError::unless_within("hop_length", hop.get() as f64, 1.0, PowerSpectrum::LONGEST as f64)?;
        SettingError::unless_within("pad", f64::from(self.pad), 0.0, PowerSpectrum::LONGEST as f64)?;
        Ok(Framing { length, hop, edges: self.pad_mode.edges(self.center) })
    }

    /// How many frames `num_samples` samples give.
    pub(super) fn num_frames(&self, num_samples: u64, rate: Hertz) -> u64 {
        match self.framing(rate) {
            Ok(framing) if num_samples > 0 => framing.num_frames(num_samples.saturating_add(2 * u64::from(self.pad))),
            _ => 0,
        }
    }

    /// The window, divided by what the spectrum is to be divided by.
    fn window(&self) -> Vec<f64> {
        let design = WindowDesign {
            window: self.window_fn,
            ends: if self.periodic { WindowEnds::Periodic } else { WindowEnds::Symmetric },
            blackman_coeff: WindowDesign::BLACKMAN,
        };
        let window = design.coefficients(self.window_length());
        let norm = match self.normalized {
            Normalized::None => 1.0,
            Normalized::Window => window.iter().map(|weight| weight * weight).sum::<f64>().sqrt(),
            Normalized::FrameLength => f64::from(self.n_fft.get()).sqrt(),
        };
        window.iter().map(|weight| weight / norm).collect()
    }

    /// The window in the middle of a frame, `[n_fft]`, for those who transform it by themselves.
    pub(super) fn window_in_frame(&self) -> Vec<f64> {
        let (window, n_fft) = (self.window(), self.n_fft.get() as usize);
        let mut frame = vec![0.0; n_fft];
        let start = (n_fft - window.len()) / 2;
        frame[start..start + window.len()].copy_from_slice(&window);
        frame
    }

    /// The transform made ready for sound at `rate`, each frame's spectrum handed to `row`.
    pub(super) fn prepare<S: SpectrumToRow>(&self, rate: Hertz, row: S) -> Result<Spectra<S>, SettingError> {
        let framing = self.framing(rate)?;
        let frame = Frame {
            spectrum: PowerSpectrum::new(framing.length.get()),
            window: self.window().iter().map(|&weight| weight as f32).collect(),
            start: (framing.length.get() - self.window_length()) / 2,
            row,
        };
        let silence = vec![0.0; self.pad as usize];
        Ok(Spectra { rows: Rows::new(framing, frame), silence, num_samples: 0 })
    }
}

/// What makes a row of features of one frame's spectrum.
pub(super) trait SpectrumToRow: Send {
    /// Numbers in a row.
    fn num_bins(&self) -> usize;

    /// Fills `row`, `[num_bins]`, and says whether what it measured is finite. It must say so itself: a floor after the
    /// measurement would hide it. `samples` are the frame, `[n_fft]`, and `spectrum` is its spectrum under the window; what is
    /// taken from it may be changed in place.
    fn row(&mut self, samples: &[f32], spectrum: &mut PowerSpectrum, row: &mut [f32]) -> bool;

    /// Changes the rows of the whole utterance, where that is needed: see [`Self::needs_all`].
    fn finish(&mut self, _rows: &mut [f32]) {}

    /// Whether [`finish`](Self::finish) changes rows.
    fn needs_all(&self) -> bool {
        false
    }
}

/// One frame's way from samples to a row.
struct Frame<S> {
    spectrum: PowerSpectrum,
    window: Vec<f32>,
    /// Where in the frame the window starts.
    start: usize,
    row: S,
}

impl<S: SpectrumToRow> FrameFeatures for Frame<S> {
    fn num_bins(&self) -> usize {
        self.row.num_bins()
    }

    fn features(&mut self, samples: &[f32], row: &mut [f32]) -> bool {
        let end = self.start + self.window.len();
        self.spectrum.take(|frame| {
            let windowed = frame[self.start..end].iter_mut().zip(&samples[self.start..]).zip(&self.window);
            for ((value, &sample), &weight) in windowed {
                *value = sample * weight;
            }
        });
        self.row.row(samples, &mut self.spectrum, row)
    }
}

/// A short-time Fourier transform at work.
pub(super) struct Spectra<S> {
    rows: Rows<Frame<S>>,
    /// What is put on either side of the sound.
    silence: Vec<f32>,
    num_samples: u64,
}

impl<S: SpectrumToRow> Extract for Spectra<S> {
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
        self.rows.features.row.needs_all()
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        if self.num_samples > 0 {
            self.rows.push(&self.silence, out);
        }
        let made = self.rows.finish(out).map(|rows| rows.len()).map_err(|error| self.without_silence(error.into()))?;
        let start = out.len() - made;
        self.rows.features.row.finish(&mut out[start..]);
        Ok(())
    }
}

impl<S: SpectrumToRow> Spectra<S> {
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

/// Makes a row of the pipeline file whose ground is an STFT: the STFT's settings, with the defaults of a peer, and its own.
///
/// ```ignore
/// stft_row! {
///     /// The documentation of the row.
///     pub struct Spectrogram: Stft::TORCHAUDIO {
///         /// The documentation of a setting of its own.
///         pub power: f64 = 2.0,
///     }
/// }
/// ```
///
/// The settings stand flat in the row, as users of torchaudio and librosa know them; `self.stft()` gives them as one.
macro_rules! stft_row {
    (
        $(#[$meta:meta])*
        pub struct $Row:ident: $peer:path {
            $($(#[$field_meta:meta])* pub $field:ident: $Type:ty = $default:expr),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $Row {
            /// The length of the FFT in samples. (torchaudio rounds the frequencies of the bins of an odd one; here they are exact.)
            #[schemars(range(min = 2, max = 1_048_576))]
            pub n_fft: std::num::NonZeroU32,
            /// The length of the window in samples, which lies in the middle of the FFT; null is `n_fft`.
            #[schemars(range(min = 2, max = 1_048_576))]
            pub win_length: Option<std::num::NonZeroU32>,
            /// The samples from one frame to the next; null is half of `win_length`.
            #[schemars(range(max = 1_048_576))]
            pub hop_length: Option<std::num::NonZeroU32>,
            /// The samples of silence put on either side of the sound first.
            #[schemars(range(max = 1_048_576))]
            pub pad: u32,
            /// The window: `hann`, `hamming`, `blackman`, `povey`, `rectangular` or `sine`.
            pub window_fn: $crate::spectrum::Window,
            /// Whether the window's second zero lies one sample after its end (an STFT's) rather than on its last sample.
            pub periodic: bool,
            /// What the spectrum is divided by: `none`, `window` or `frame_length`.
            pub normalized: $crate::featurize::Normalized,
            /// Whether frame `t` is centred on sample t·hop, the sound padded at its ends, rather than starting there.
            pub center: bool,
            /// What `center` pads with: `reflect`, `constant` or `replicate`.
            pub pad_mode: $crate::featurize::PadMode,
            $($(#[$field_meta])* pub $field: $Type,)*
        }

        impl Default for $Row {
            fn default() -> Self {
                let stft = $peer;
                Self {
                    n_fft: stft.n_fft,
                    win_length: stft.win_length,
                    hop_length: stft.hop_length,
                    pad: stft.pad,
                    window_fn: stft.window_fn,
                    periodic: stft.periodic,
                    normalized: stft.normalized,
                    center: stft.center,
                    pad_mode: stft.pad_mode,
                    $($field: $default,)*
                }
            }
        }

        impl $Row {
            /// The settings of the transform.
            fn stft(&self) -> $crate::featurize::stft::Stft {
                $crate::featurize::stft::Stft {
                    n_fft: self.n_fft,
                    win_length: self.win_length,
                    hop_length: self.hop_length,
                    pad: self.pad,
                    window_fn: self.window_fn,
                    periodic: self.periodic,
                    normalized: self.normalized,
                    center: self.center,
                    pad_mode: self.pad_mode,
                }
            }
        }
    };
}
pub(super) use stft_row;

/// Makes a row of the pipeline file whose ground is a mel spectrogram, as [`stft_row`] does of an STFT; `self.mel()` gives the
/// settings of its filters.
macro_rules! mel_row {
    (
        $(#[$meta:meta])*
        pub struct $Row:ident: $peer:path {
            $($(#[$field_meta:meta])* pub $field:ident: $Type:ty = $default:expr),* $(,)?
        }
    ) => {
        $crate::featurize::stft::stft_row! {
            $(#[$meta])*
            pub struct $Row: $peer {
                /// The exponent of the magnitude: 2 for power, 1 for magnitude, 0.1 to 10.
                #[schemars(range(min = 0.1, max = 10.0))]
                pub power: f64 = 2.0,
                /// The lower end of the filters in hertz.
                #[schemars(range(min = 0.0))]
                pub f_min_hz: f64 = 0.0,
                /// The upper end of the filters in hertz; null is the Nyquist frequency.
                #[schemars(range(min = 0.0))]
                pub f_max_hz: Option<f64> = None,
                /// The number of mel filters. Filters between two FFT bins are silent, as in the peers: four of 128 at 16 kHz.
                #[schemars(range(max = 4096))]
                pub n_mels: std::num::NonZeroU32 = const { std::num::NonZeroU32::new(128).unwrap() },
                /// The height of the filters: `none` (each peaks at 1) or `slaney` (each has the area 1 Hz).
                pub norm: $crate::spectrum::MelNorm = $crate::spectrum::MelNorm::None,
                /// The scale that the filters follow: `htk` or `slaney`.
                pub mel_scale: $crate::spectrum::MelScale = $crate::spectrum::MelScale::Htk,
                $($(#[$field_meta])* pub $field: $Type = $default,)*
            }
        }

        impl $Row {
            /// The settings of the mel spectrogram.
            fn mel(&self) -> $crate::featurize::mel::Mel {
                $crate::featurize::mel::Mel {
                    stft: self.stft(),
                    power: self.power,
                    f_min_hz: self.f_min_hz,
                    f_max_hz: self.f_max_hz,
                    n_mels: self.n_mels,
                    norm: self.norm,
                    mel_scale: self.mel_scale,
                }
            }
        }
    };
}
pub(super) use mel_row;
