//! Kaldi's log mel filter banks, with the parameters and defaults of `torchaudio.compliance.kaldi.fbank`.
//!
//! Each frame: take the mean away, pre-emphasise, window, FFT, power, mel filters, logarithm; the order and every detail
//! are those of Kaldi's `feat/feature-window.cc`, `feature-fbank.cc` and `mel-computations.cc`, as kaldi-native-fbank 1.23
//! and torchaudio 2.11 have them. Both are matched to within 5e-3 in ln(energy), one number in a thousand above 1e-3.

mod frame;

use std::num::{NonZeroU32, NonZeroUsize};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::frame::{Energy, Frame};
use super::Extractor;
use crate::audio::{Hertz, Range};
use crate::family::Member;
use crate::seed::Draws;
use crate::spectrum::{Edges, Framing, KaldiMel, MelBank, PowerSpectrum, Rows, Vtln, Window, WindowDesign, WindowEnds};
use crate::transform::{Column, Extract, ExtractError, SettingError};

/// Kaldi's log mel filter banks.
///
/// Shape `[frames, num_mel_bins]`, one more with `use_energy`; ln(energy) of int16-scaled sound. Parameters, names and
/// defaults are those of `torchaudio.compliance.kaldi.fbank`. icefall's features (lhotse `Fbank`) are
/// `{ num_mel_bins: 80, sample_scale: unit, snip_edges: false, high_freq_hz: -400 }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "names and values carry over from Kaldi and torchaudio")]
pub struct KaldiFbank {
    /// The constant of the `blackman` window; 0.42.
    pub blackman_coeff: f64,
    /// How much white Gaussian noise is added to each frame: its standard deviation, in units of the scaled samples; 0.
    #[schemars(range(min = 0.0))]
    pub dither: f64,
    /// What to do where a filter lies between two FFT bins and would always be silent: `refuse` (default) or `keep`.
    pub empty_filters: EmptyFilters,
    /// The least energy that `use_energy` reports, in units of the scaled samples; 1. Zero means no floor but 1.2e-7.
    #[schemars(range(min = 0.0))]
    pub energy_floor: f64,
    /// The length of a frame in milliseconds, up to a minute; 25.
    #[schemars(range(min = 0.0, max = 60_000.0))]
    pub frame_length_ms: f64,
    /// The time from one frame to the next in milliseconds, up to a minute; 10.
    #[schemars(range(min = 0.0, max = 60_000.0))]
    pub frame_shift_ms: f64,
    /// The upper end of the filters in hertz; zero or less is counted from the Nyquist frequency; 0.
    pub high_freq_hz: f64,
    /// Whether the energy is the last column, as in HTK, rather than the first; false.
    pub htk_compat: bool,
    /// The lower end of the filters in hertz; 20.
    #[schemars(range(min = 0.0))]
    pub low_freq_hz: f64,
    /// The number of mel filters; 23.
    #[schemars(range(max = 4096))]
    pub num_mel_bins: NonZeroU32,
    /// How much of each sample is taken away from the next, 0 to 1; 0.97.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub preemphasis_coefficient: f64,
    /// Whether `use_energy` measures before pre-emphasis and window rather than after; true.
    pub raw_energy: bool,
    /// Whether each frame's mean is taken away; true.
    pub remove_dc_offset: bool,
    /// Whether the FFT's length is the next power of two rather than the frame's; true.
    pub round_to_power_of_two: bool,
    /// What a sample of full scale counts as: `int16` (default) or `unit`.
    pub sample_scale: SampleScale,
    /// Whether only frames that fit are taken; otherwise the sound is mirrored at its ends and frames are centred; true.
    pub snip_edges: bool,
    /// Whether each bin's mean over the utterance is taken away; false.
    pub subtract_mean: bool,
    /// Whether the frame's ln(energy) is a column of its own; false.
    pub use_energy: bool,
    /// Whether logarithms are taken, of at least 1.2e-7 (single precision's epsilon); true.
    pub use_log_fbank: bool,
    /// Whether filters add up power |X|² rather than magnitude |X|; true.
    pub use_power: bool,
    /// The upper inflection point of `vtln_warp` in hertz; less than zero is counted from the Nyquist frequency; -500.
    pub vtln_high_hz: f64,
    /// The lower inflection point of `vtln_warp` in hertz; 100.
    #[schemars(range(min = 0.0))]
    pub vtln_low_hz: f64,
    /// The warp of the frequency axis, 0.1 to 10; 1. A range is drawn once an utterance: vocal tract length perturbation
    /// (Jaitly and Hinton, 2013) with `[0.9, 1.1]`.
    pub vtln_warp: Range,
    /// The window, symmetric as all of Kaldi's: `povey` (default), `hann`, `hamming`, `blackman`, `rectangular`, `sine`.
    pub window_type: Window,
}

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

/// What to do where a filter lies between two FFT bins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmptyFilters {
    /// Stop before any work, as Kaldi does: the column would be the floor throughout.
    #[default]
    Refuse,
    /// Let the column be the floor throughout, as torchaudio does; the Audio Spectrogram Transformer was trained so, with
    /// 128 filters at 16 kHz.
    Keep,
}

impl Default for KaldiFbank {
    fn default() -> Self {
        Self {
            blackman_coeff: WindowDesign::BLACKMAN,
            dither: 0.0,
            empty_filters: EmptyFilters::Refuse,
            energy_floor: 1.0,
            frame_length_ms: 25.0,
            frame_shift_ms: 10.0,
            high_freq_hz: 0.0,
            htk_compat: false,
            low_freq_hz: 20.0,
            num_mel_bins: const { NonZeroU32::new(23).unwrap() },
            preemphasis_coefficient: 0.97,
            raw_energy: true,
            remove_dc_offset: true,
            round_to_power_of_two: true,
            sample_scale: SampleScale::Int16,
            snip_edges: true,
            subtract_mean: false,
            use_energy: false,
            use_log_fbank: true,
            use_power: true,
            vtln_high_hz: -500.0,
            vtln_low_hz: 100.0,
            vtln_warp: Range::fixed(1.0),
            window_type: Window::Povey,
        }
    }
}

impl Member for KaldiFbank {
    const EXAMPLE: &'static str = "kaldi_fbank: { num_mel_bins: 80 }";
}

impl Extractor for KaldiFbank {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        let unit = match (self.use_log_fbank, self.use_power) {
            (true, true) => "ln(energy)",
            (true, false) => "ln(magnitude)",
            (false, true) => "energy",
            (false, false) => "magnitude",
        };
        Ok(Column::of(self.num_bands() + usize::from(self.use_energy), unit, self.frame_shift(rate)))
    }

    fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
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

    fn prepare(&self, rate: Hertz, path: &str) -> Result<Box<dyn Extract>, SettingError> {
        let framing = self.framing(rate)?;
        let filters = self.filters(rate, framing.length.get())?;
        let preemphasis =
            SettingError::unless_within("preemphasis_coefficient", self.preemphasis_coefficient, 0.0, 1.0)?;
        let dither = SettingError::unless_within("dither", self.dither, 0.0, f64::from(f32::MAX))?;
        let floor = SettingError::unless_within("energy_floor", self.energy_floor, 0.0, f64::from(f32::MAX))?;

        let design =
            WindowDesign { window: self.window_type, ends: WindowEnds::Symmetric, blackman_coeff: self.blackman_coeff };
        // The scale is a power of two: a scaled window gives the same bits as scaled samples would.
        let scale = self.sample_scale.factor();
        let window = design.coefficients(framing.length.get()).iter().map(|&weight| weight as f32 * scale).collect();
        let mut bank = MelBank::default();
        filters.design(self.vtln_warp.at(0.0), &mut bank);
        let energy = self.use_energy.then(|| Energy {
            column: if self.htk_compat { self.num_bands() } else { 0 },
            raw: self.raw_energy,
            floor: if floor > 0.0 { floor.ln() as f32 } else { f32::NEG_INFINITY },
        });
        let frame = Frame {
            spectrum: PowerSpectrum::new(filters.n_fft),
            window,
            scale,
            remove_mean: self.remove_dc_offset,
            preemphasis: preemphasis as f32,
            dither: dither / f64::from(scale),
            noisy: Vec::new(),
            generator: None,
            exponent: if self.use_power { 2.0 } else { 1.0 },
            bank,
            log: self.use_log_fbank,
            energy,
        };
        Ok(Box::new(Fbank {
            rows: Rows::new(framing, frame),
            filters,
            warp: self.vtln_warp.clone(),
            path: path.to_owned(),
            means: vec![0.0; if self.subtract_mean { self.num_bands() + usize::from(self.use_energy) } else { 0 }],
        }))
    }
}

impl KaldiFbank {
    fn num_bands(&self) -> usize {
        self.num_mel_bins.get() as usize
    }

    fn filters(&self, rate: Hertz, length: usize) -> Result<Filters, SettingError> {
        let nyquist = rate.nyquist();
        let bands = self.num_bands();
        SettingError::unless_within("num_mel_bins", bands as f64, 1.0, 4_096.0)?;
        let (low, high) = (self.low_freq_hz, self.high_freq_hz);
        let high = if high <= 0.0 { high + nyquist } else { high };
        if high > nyquist {
            return Err(SettingError::AboveNyquist { key: "high_freq_hz", value: high, rate });
        }
        if !(0.0..high).contains(&low) {
            return Err(SettingError::EmptyBand { key: "low_freq_hz", low, high, rate });
        }
        let vtln_high = if self.vtln_high_hz < 0.0 { self.vtln_high_hz + nyquist } else { self.vtln_high_hz };
        let filters = Filters {
            mel: KaldiMel { bands, low, high },
            vtln: Vtln { low: self.vtln_low_hz, high: vtln_high, warp: 1.0 },
            n_fft: if self.round_to_power_of_two { length.next_power_of_two() } else { length },
            rate,
        };
        let warps = self.vtln_warp.values();
        if warps.iter().any(|&warp| warp != 1.0) {
            SettingError::unless_within("vtln_low_hz", self.vtln_low_hz, low.next_up(), high)?;
            SettingError::unless_within("vtln_high_hz", vtln_high, self.vtln_low_hz, high.next_down())?;
        }
        let mut bank = MelBank::default();
        for &warp in warps {
            SettingError::unless_within("vtln_warp", warp, 0.1, 10.0)?;
            let [from, to] = Vtln { warp, ..filters.vtln }.inflections();
            if warp != 1.0 && from >= to {
                return Err(SettingError::EmptyBand { key: "vtln_warp", low: from, high: to, rate });
            }
            filters.design(warp, &mut bank);
            if self.empty_filters == EmptyFilters::Refuse && bank.num_empty() > 0 {
                return Err(SettingError::EmptyFilters {
                    key: "num_mel_bins",
                    filters: bank.num_empty(),
                    bins: bands,
                    rate,
                });
            }
        }
        Ok(filters)
    }
}

/// The filters but for the warp.
#[derive(Debug, Clone, Copy)]
struct Filters {
    mel: KaldiMel,
    vtln: Vtln,
    n_fft: usize,
    rate: Hertz,
}

impl Filters {
    fn design(&self, warp: f64, bank: &mut MelBank) {
        self.mel.design(Vtln { warp, ..self.vtln }, self.n_fft, self.rate, bank);
    }
}

/// The extractor at work.
struct Fbank {
    rows: Rows<Frame>,
    filters: Filters,
    warp: Range,
    path: String,
    /// Room for the mean of each bin; empty where none is taken away.
    means: Vec<f64>,
}

impl Extract for Fbank {
    fn begin(&mut self, draws: Draws<'_>) {
        self.rows.begin();
        let frame = &mut self.rows.features;
        let warps = self.warp.as_fixed().is_none();
        frame.generator = (warps || frame.dither > 0.0).then(|| draws.stage(&self.path));
        if let Some(generator) = frame.generator.as_mut().filter(|_| warps) {
            self.filters.design(self.warp.at(generator.unit()), &mut frame.bank);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::featurize::golden::{extract, extract_in_blocks, golden, rate, settings};
    use crate::spectrum;

    #[test]
    fn silence_gives_the_floor_and_broken_sound_its_frame() {
        let fbank = KaldiFbank { use_energy: true, ..KaldiFbank::default() };
        let silence = extract(&fbank, &[0.0; 1_000], rate(16_000)).unwrap();
        for row in silence.chunks(24) {
            assert_eq!(row[0], 0.0, "the energy's floor is ln 1");
            assert!(row[1..].iter().all(|&value| value == spectrum::ln(f32::EPSILON)));
        }
        for bad in [f32::NAN, f32::INFINITY, 1e30] {
            let mut sound = [0.1; 1_000];
            sound[700] = bad;
            assert_eq!(extract(&fbank, &sound, rate(16_000)), Err(ExtractError::NotFinite { frame: 2 }), "{bad}");
        }
        assert_eq!(
            extract(&fbank, &[0.1; 399], rate(16_000)),
            Err(ExtractError::TooShort { num_samples: 399, needed: 400 })
        );
    }

    #[test]
    fn channels_share_their_warp_and_not_their_noise() {
        let (_, sound) = golden("signal-voiced-16000");
        let drawn = |json: &str, channel: usize| {
            let mut fbank = settings::<KaldiFbank>(json).prepare(rate(16_000), "featurize.features.0").unwrap();
            let mut out = Vec::new();
            fbank.begin(Draws { seed: 17, id: "a", copy: 0, channel });
            fbank.push(&sound, &mut out);
            fbank.finish(&mut out).unwrap();
            out
        };
        let warp = r#"{"vtln_warp": [0.9, 1.1]}"#;
        assert!(drawn(warp, 0) == drawn(warp, 1) && drawn(warp, 0) == drawn(warp, 7));
        let both = r#"{"vtln_warp": [0.9, 1.1], "dither": 1.0}"#;
        assert!(
            drawn(both, 0) != drawn(both, 1) && drawn(both, 1) != drawn(both, 2) && drawn(both, 2) == drawn(both, 2)
        );
    }

    #[test]
    fn dither_and_warp_are_drawn_by_utterance_and_copy_alone() {
        let (_, sound) = golden("signal-voiced-16000");
        let drawn = |json: &str, id: &str, copy: u32| {
            let mut fbank = settings::<KaldiFbank>(json).prepare(rate(16_000), "featurize.features.0").unwrap();
            let mut out = Vec::new();
            fbank.begin(Draws { seed: 17, id, copy, channel: 0 });
            fbank.push(&sound, &mut out);
            fbank.finish(&mut out).unwrap();
            out
        };
        for json in
            [r#"{"dither": 1.0}"#, r#"{"vtln_warp": [0.9, 1.1]}"#, r#"{"vtln_warp": {"one_of": [0.9, 0.95, 1.1]}}"#]
        {
            let first = drawn(json, "a", 0);
            assert_eq!(first, drawn(json, "a", 0), "{json}");
            assert!((1..6).any(|copy| first != drawn(json, "a", copy)), "{json}");
            assert!((1..6).any(|copy| first != drawn(json, "b", copy)), "{json}");
        }
    }

    #[test]
    fn settings_that_do_not_fit_are_named() {
        let refused = |json: &str, hertz| match settings::<KaldiFbank>(json).prepare(rate(hertz), "") {
            Ok(_) => panic!("{json} should be refused"),
            Err(error) => error.key(),
        };
        assert_eq!(refused(r#"{"num_mel_bins": 128}"#, 16_000), "num_mel_bins");
        assert_eq!(refused(r#"{"high_freq_hz": 7600}"#, 8_000), "high_freq_hz");
        assert_eq!(refused(r#"{"low_freq_hz": 5000}"#, 8_000), "low_freq_hz");
        assert_eq!(refused(r#"{"frame_length_ms": 0.1}"#, 8_000), "frame_length_ms");
        assert_eq!(refused(r#"{"frame_length_ms": 1e9}"#, 8_000), "frame_length_ms");
        assert_eq!(refused(r#"{"frame_shift_ms": 0}"#, 8_000), "frame_shift_ms");
        assert_eq!(refused(r#"{"frame_shift_ms": 1e300}"#, 8_000), "frame_shift_ms");
        assert_eq!(refused(r#"{"vtln_warp": 0}"#, 8_000), "vtln_warp");
        assert_eq!(refused(r#"{"vtln_warp": 1.1, "vtln_low_hz": 20}"#, 8_000), "vtln_low_hz");
        assert_eq!(refused(r#"{"vtln_warp": 1.1, "vtln_high_hz": 4000}"#, 8_000), "vtln_high_hz");
        assert_eq!(refused(r#"{"vtln_warp": [0.9, 9], "vtln_low_hz": 500}"#, 8_000), "vtln_warp");
        assert!(serde_json::from_str::<KaldiFbank>(r#"{"num_mel_bin": 80}"#).is_err());
    }

    proptest! {
        #[test]
        fn cutting_the_sound_changes_no_bit(
            cuts in prop::collection::vec(0_usize..12_800, 0..40),
            snip_edges: bool,
            subtract_mean: bool,
            dither in prop::sample::select(vec![0.0, 1.0]),
        ) {
            let (_, sound) = golden("signal-voiced-16000");
            let fbank = KaldiFbank { dither, snip_edges, subtract_mean, ..KaldiFbank::default() };
            let whole = extract(&fbank, &sound, rate(16_000)).unwrap();
            prop_assert_eq!(extract_in_blocks(&fbank, &sound, &cuts, rate(16_000)).unwrap(), whole);
        }
    }
}
