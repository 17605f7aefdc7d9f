//! What all of Kaldi's features share: the settings of frames and filters, and the way from sound to the power spectra of
//! frames.
//!
//! Each frame: take the mean away, pre-emphasise, window, FFT, power; the order and every detail are those of Kaldi's
//! `feat/feature-window.cc` and `mel-computations.cc`, as kaldi-native-fbank 1.23 and torchaudio 2.11 have them.

mod filters;
mod frame;

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::filters::EmptyFilters;
pub(super) use self::filters::{Bands, KaldiFilters};
pub(super) use self::frame::PowerToRow;
use self::frame::{Energy, Frame};
use crate::audio::Hertz;
use crate::seed::Draws;
use crate::spectrum::{Edges, Framing, Logarithm, PowerSpectrum, Rows, Window, WindowDesign, WindowEnds};
use crate::transform::{Extract, ExtractError, SettingError};

/// Kaldi's logarithm: of at least single precision's epsilon.
pub(super) const LN: Logarithm = Logarithm { offset: 0.0, floor: f32::EPSILON, scale: 1.0 };

/// What a sample of full scale counts as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SampleScale {
    /// 32768, as in Kaldi and what is trained on its features: 16-bit samples are read as they are.
    #[default]
    Int16,
    /// 1, as in lhotse and icefall. ln(energy) comes out lower by 2·ln 32768 = 20.79, and the floor lies as much nearer.
    Unit,
}

impl SampleScale {
    const fn factor(self) -> f32 {
        match self {
            Self::Int16 => 32_768.0,
            Self::Unit => 1.0,
        }
    }
}

/// The settings of Kaldi's frames.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "names and values carry over from Kaldi and torchaudio")]
pub(super) struct KaldiFrames {
    pub(super) blackman_coeff: f64,
    pub(super) dither: f64,
    pub(super) energy_floor: f64,
    pub(super) frame_length_ms: f64,
    pub(super) frame_shift_ms: f64,
    pub(super) preemphasis_coefficient: f64,
    pub(super) raw_energy: bool,
    pub(super) remove_dc_offset: bool,
    pub(super) round_to_power_of_two: bool,
    pub(super) sample_scale: SampleScale,
    pub(super) snip_edges: bool,
    pub(super) subtract_mean: bool,
    pub(super) window_type: Window,
}

/// What becomes of a frame's energy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum WithEnergy {
    /// It is not measured.
    No,
    /// Its logarithm is a number of the row; the least energy whose logarithm is taken.
    OfAtLeast(f32),
}

impl WithEnergy {
    /// As Kaldi measures it, where it is `asked` for.
    pub(super) const fn kaldi(asked: bool) -> Self {
        if asked { Self::OfAtLeast(f32::EPSILON) } else { Self::No }
    }
}

impl KaldiFrames {
    /// How sound is cut into frames.
    pub(super) fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
        /// Nothing is framed by the minute: it is a slip of a unit.
        const LONGEST_MS: f64 = 60_000.0;
        for (key, ms) in [("frame_length_ms", self.frame_length_ms), ("frame_shift_ms", self.frame_shift_ms)] {
            SettingError::unless_within(key, ms, 0.0, LONGEST_MS)?;
        }
        // Kaldi drops the part of a sample; dividing by 1000 keeps whole numbers whole, which multiplying by 0.001 does not.
        let samples = |ms: f64| (ms * f64::from(rate.get()) / 1_000.0) as usize;
        let (window, longest) = (samples(self.frame_length_ms), PowerSpectrum::LONGEST);
        let length = NonZeroUsize::new(window).filter(|_| (2..=longest).contains(&window));
        let length = length.ok_or(SettingError::Window { key: "frame_length_ms", window, n_fft: longest })?;
        let hop = NonZeroUsize::new(samples(self.frame_shift_ms));
        let hop = hop.ok_or(SettingError::NoHop { key: "frame_shift_ms", rate })?;
        Ok(Framing { length, hop, edges: if self.snip_edges { Edges::Snip } else { Edges::Mirror } })
    }

    /// The length of the FFT of sound at `rate`.
    pub(super) fn n_fft(&self, rate: Hertz) -> Result<usize, SettingError> {
        let length = self.framing(rate)?.length.get();
        Ok(if self.round_to_power_of_two { length.next_power_of_two() } else { length })
    }

    /// The frames of sound at `rate`, made ready; each frame's power spectrum is handed to `row`. `path` is the place in the
    /// pipeline file under which random numbers are drawn.
    pub(super) fn prepare<R: PowerToRow + 'static>(
        &self,
        rate: Hertz,
        path: &str,
        energy: WithEnergy,
        row: R,
    ) -> Result<Box<dyn Extract>, SettingError> {
        let framing = self.framing(rate)?;
        let preemphasis =
            SettingError::unless_within("preemphasis_coefficient", self.preemphasis_coefficient, 0.0, 1.0)?;
        let dither = SettingError::unless_within("dither", self.dither, 0.0, f64::from(f32::MAX))?;
        let floor = SettingError::unless_within("energy_floor", self.energy_floor, 0.0, f64::from(f32::MAX))?;

        let blackman_coeff = SettingError::unless_within("blackman_coeff", self.blackman_coeff, 0.0, 1.0)?;
        let design = WindowDesign { window: self.window_type, ends: WindowEnds::Symmetric, blackman_coeff };
        // The scale is a power of two: a scaled window gives the same bits as scaled samples would.
        let scale = self.sample_scale.factor();
        let window = design.coefficients(framing.length.get()).iter().map(|&weight| weight as f32 * scale).collect();
        let means = vec![0.0; if self.subtract_mean { row.num_bins() } else { 0 }];
        let frame = Frame {
            spectrum: PowerSpectrum::new(self.n_fft(rate)?),
            window,
            scale,
            remove_mean: self.remove_dc_offset,
            preemphasis: preemphasis as f32,
            dither: dither / f64::from(scale),
            noisy: Vec::new(),
            generator: None,
            energy: match energy {
                WithEnergy::No => None,
                WithEnergy::OfAtLeast(least) => Some(Energy {
                    raw: self.raw_energy,
                    least,
                    floor: if floor > 0.0 { floor.ln() as f32 } else { f32::NEG_INFINITY },
                }),
            },
            row,
        };
        Ok(Box::new(AtWork { rows: Rows::new(framing, frame), path: path.to_owned(), means }))
    }
}

/// An extractor of Kaldi's at work.
struct AtWork<R> {
    rows: Rows<Frame<R>>,
    path: String,
    /// Room for the mean of each bin; empty where none is taken away.
    means: Vec<f64>,
}

impl<R: PowerToRow> Extract for AtWork<R> {
    fn begin(&mut self, draws: Draws<'_>) {
        self.rows.begin();
        let frame = &mut self.rows.features;
        let warps = frame.row.draws();
        frame.generator = (warps || frame.dither > 0.0).then(|| draws.stage(&self.path));
        if let Some(generator) = frame.generator.as_mut().filter(|_| warps) {
            frame.row.draw(generator);
        }
        // The warp is the speaker's, the noise each channel's own.
        if let Some(generator) = &mut frame.generator
            && let Some(own) = draws.channel(&self.path)
        {
            *generator = own;
        }
    }

    fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.rows.push(samples, out);
    }

    fn needs_all(&self) -> bool {
        !self.means.is_empty()
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        let rows = self.rows.finish(out)?;
        if !self.means.is_empty() {
            subtract_means(rows, &mut self.means);
        }
        Ok(())
    }
}

/// Takes each bin's mean away from `rows`; `means` is room for them.
fn subtract_means(rows: &mut [f32], means: &mut [f64]) {
    means.fill(0.0);
    let bins = means.len();
    for row in rows.chunks_exact(bins) {
        for (mean, &value) in means.iter_mut().zip(row) {
            *mean += f64::from(value);
        }
    }
    let frames = (rows.len() / bins) as f64;
    for row in rows.chunks_exact_mut(bins) {
        for (value, mean) in row.iter_mut().zip(&*means) {
            *value = (f64::from(*value) - mean / frames) as f32;
        }
    }
}

/// Makes a row of the pipeline file whose ground is Kaldi's frames: their settings, with torchaudio's defaults, and its own.
///
/// ```ignore
/// kaldi_frame_row! {
///     /// The documentation of the row.
///     pub struct KaldiSpectrogram {
///         /// The documentation of a setting of its own.
///         pub floor: f64 = 0.0,
///     }
/// }
/// ```
///
/// The settings stand flat in the row, as users of Kaldi and torchaudio know them; `self.frames()` gives them as one.
macro_rules! kaldi_frame_row {
    (
        $(#[$meta:meta])*
        pub struct $Row:ident {
            $($(#[$field_meta:meta])* pub $field:ident: $Type:ty = $default:expr),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $Row {
            /// The constant of the `blackman` window, 0 to 1; 0.42.
            #[schemars(range(min = 0.0, max = 1.0))]
            pub blackman_coeff: f64,
            /// How much white Gaussian noise is added to each frame: its standard deviation, in units of the scaled samples; 0.
            #[schemars(range(min = 0.0))]
            pub dither: f64,
            /// The least energy of a frame that is reported, in units of the scaled samples; 1. Zero means no floor but 1.2e-7.
            #[schemars(range(min = 0.0))]
            pub energy_floor: f64,
            /// The length of a frame in milliseconds, up to a minute; 25.
            #[schemars(range(min = 0.0, max = 60_000.0))]
            pub frame_length_ms: f64,
            /// The time from one frame to the next in milliseconds, up to a minute; 10.
            #[schemars(range(min = 0.0, max = 60_000.0))]
            pub frame_shift_ms: f64,
            /// How much of each sample is taken away from the next, 0 to 1; 0.97.
            #[schemars(range(min = 0.0, max = 1.0))]
            pub preemphasis_coefficient: f64,
            /// Whether the frame's energy is measured before pre-emphasis and window rather than after; true.
            pub raw_energy: bool,
            /// Whether each frame's mean is taken away; true.
            pub remove_dc_offset: bool,
            /// Whether the FFT's length is the next power of two rather than the frame's; true.
            pub round_to_power_of_two: bool,
            /// What a sample of full scale counts as: `int16` (default) or `unit`.
            pub sample_scale: $crate::featurize::SampleScale,
            /// Whether only frames that fit are taken; otherwise the sound is mirrored at its ends and frames are centred; true.
            pub snip_edges: bool,
            /// Whether each bin's mean over the utterance is taken away; false.
            pub subtract_mean: bool,
            /// The window, symmetric as all of Kaldi's: `povey` (default), `hann`, `hamming`, `blackman`, `rectangular`, `sine`.
            /// (kaldi-native-fbank's `hann` is periodic; its `hanning` is this `hann`.)
            pub window_type: $crate::spectrum::Window,
            $($(#[$field_meta])* pub $field: $Type,)*
        }

        impl Default for $Row {
            fn default() -> Self {
                Self {
                    blackman_coeff: $crate::spectrum::WindowDesign::BLACKMAN,
                    dither: 0.0,
                    energy_floor: 1.0,
                    frame_length_ms: 25.0,
                    frame_shift_ms: 10.0,
                    preemphasis_coefficient: 0.97,
                    raw_energy: true,
                    remove_dc_offset: true,
                    round_to_power_of_two: true,
                    sample_scale: $crate::featurize::SampleScale::Int16,
                    snip_edges: true,
                    subtract_mean: false,
                    window_type: $crate::spectrum::Window::Povey,
                    $($field: $default,)*
                }
            }
        }

        impl $Row {
            /// The settings of the frames.
            const fn frames(&self) -> $crate::featurize::kaldi::KaldiFrames {
                $crate::featurize::kaldi::KaldiFrames {
                    blackman_coeff: self.blackman_coeff,
                    dither: self.dither,
                    energy_floor: self.energy_floor,
                    frame_length_ms: self.frame_length_ms,
                    frame_shift_ms: self.frame_shift_ms,
                    preemphasis_coefficient: self.preemphasis_coefficient,
                    raw_energy: self.raw_energy,
                    remove_dc_offset: self.remove_dc_offset,
                    round_to_power_of_two: self.round_to_power_of_two,
                    sample_scale: self.sample_scale,
                    snip_edges: self.snip_edges,
                    subtract_mean: self.subtract_mean,
                    window_type: self.window_type,
                }
            }
        }
    };
}
pub(super) use kaldi_frame_row;

/// Makes a row of the pipeline file whose ground is Kaldi's mel filters, as [`kaldi_frame_row`] does of its frames;
/// `self.filters()` gives the settings of the filters.
macro_rules! kaldi_mel_row {
    (
        $(#[$meta:meta])*
        pub struct $Row:ident {
            $($(#[$field_meta:meta])* pub $field:ident: $Type:ty = $default:expr),* $(,)?
        }
    ) => {
        $crate::featurize::kaldi::kaldi_frame_row! {
            $(#[$meta])*
            pub struct $Row {
                /// What to do where a filter lies between two FFT bins and would always be silent: `refuse` (default) or `keep`.
                pub empty_filters: $crate::featurize::EmptyFilters = $crate::featurize::EmptyFilters::Refuse,
                /// The upper end of the filters in hertz; zero or less is counted from the Nyquist frequency; 0.
                pub high_freq_hz: f64 = 0.0,
                /// Whether the energy (of cepstra C0 too) is the last column, as in HTK, rather than the first; false.
                pub htk_compat: bool = false,
                /// The lower end of the filters in hertz; 20.
                #[schemars(range(min = 0.0))]
                pub low_freq_hz: f64 = 20.0,
                /// The number of mel filters; 23.
                #[schemars(range(max = 4096))]
                pub num_mel_bins: std::num::NonZeroU32 = const { std::num::NonZeroU32::new(23).unwrap() },
                /// Whether the frame's ln(energy) is a column of its own, or, of cepstra, stands in the place of C0; false.
                pub use_energy: bool = false,
                /// The upper inflection point of `vtln_warp` in hertz; less than zero is counted from the Nyquist frequency; -500.
                pub vtln_high_hz: f64 = -500.0,
                /// The lower inflection point of `vtln_warp` in hertz; 100.
                #[schemars(range(min = 0.0))]
                pub vtln_low_hz: f64 = 100.0,
                /// The warp of the frequency axis, 0.1 to 10; 1. A range is drawn once an utterance: vocal tract length
                /// perturbation (Jaitly and Hinton, 2013) with `[0.9, 1.1]`.
                pub vtln_warp: $crate::audio::Range = $crate::audio::Range::fixed(1.0),
                $($(#[$field_meta])* pub $field: $Type = $default,)*
            }
        }

        impl $Row {
            /// The settings of the filters.
            fn filters(&self) -> $crate::featurize::kaldi::KaldiFilters {
                $crate::featurize::kaldi::KaldiFilters {
                    empty_filters: self.empty_filters,
                    high_freq_hz: self.high_freq_hz,
                    low_freq_hz: self.low_freq_hz,
                    num_mel_bins: self.num_mel_bins,
                    vtln_high_hz: self.vtln_high_hz,
                    vtln_low_hz: self.vtln_low_hz,
                    vtln_warp: self.vtln_warp.clone(),
                }
            }
        }
    };
}
pub(super) use kaldi_mel_row;
