//! The input of NVIDIA NeMo's models: log mel spectrograms, normalised over the utterance.
//!
//! Pre-emphasis over the utterance, y\[n] = x\[n] − 0.97·x\[n − 1] with y\[0] = x\[0]; frames under a symmetric Hann window,
//! centred in silence; |X|², Slaney's mel filters, ln(x + 2⁻²⁴); then each bin less its mean, over its unbiased standard
//! deviation + 1e-5. Source: `FilterbankFeatures` in `nemo/collections/asr/parts/preprocessing/features.py` at 8cfedd7,
//! matched to within 1e-3 before normalisation and 2e-3 after.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Extractor;
use super::mel::{Log, LogSettings, Mel, MelRow};
use super::stft::{PadMode, Spectra, Stft};
use crate::audio::Hertz;
use crate::family::Member;
use crate::seed::{Draws, Generator};
use crate::spectrum::{Framing, MelNorm, MelScale, PowerSpectrum};
use crate::transform::{Column, Extract, ExtractError, SettingError};

/// The input of NeMo's models: `AudioToMelSpectrogramPreprocessor` with the settings of `FastConformer`.
///
/// Shape `[frames, features]`, standard deviations, or ln(energy) with `normalize: none`. There is one frame for each whole
/// hop of sound: NeMo makes one more, which it sets to zero and does not count; its `pad_to` rounds up with that one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Nemo {
    /// The number of mel filters; 80.
    #[schemars(range(max = 4096))]
    pub features: NonZeroU32,
    /// The length of the window in seconds, up to a minute; 0.025.
    #[schemars(range(min = 0.0, max = 60.0))]
    pub window_size_s: f64,
    /// The time from one frame to the next in seconds, up to a minute; 0.01.
    #[schemars(range(min = 0.0, max = 60.0))]
    pub window_stride_s: f64,
    /// The length of the FFT in samples, 512; null is the next power of two from the window's length.
    #[schemars(range(min = 2, max = 1_048_576))]
    pub n_fft: Option<NonZeroU32>,
    /// How much of each sample is taken away from the next, 0 to 1; 0.97.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub preemph: f64,
    /// The lower end of the filters in hertz; 0.
    #[schemars(range(min = 0.0))]
    pub lowfreq_hz: f64,
    /// The upper end of the filters in hertz; null is the Nyquist frequency.
    #[schemars(range(min = 0.0))]
    pub highfreq_hz: Option<f64>,
    /// What the frames are brought to mean 0 and standard deviation 1 over: `per_feature` (default), `all_features` or `none`.
    pub normalize: Normalize,
    /// The number whose multiple the frames are made, up to 4096, with zeros behind them; 0 (default) adds none.
    #[schemars(range(max = 4096))]
    pub pad_to: u32,
    /// How much white Gaussian noise is added to the sound: its standard deviation at full scale ±1; 0. NeMo trains with 1e-5.
    #[schemars(range(min = 0.0))]
    pub dither: f64,
}

/// What numbers share their mean and standard deviation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// Those of a bin.
    #[default]
    PerFeature,
    /// Those of the utterance.
    AllFeatures,
    /// Nothing is normalised.
    None,
}

impl Default for Nemo {
    fn default() -> Self {
        Self {
            features: const { NonZeroU32::new(80).unwrap() },
            window_size_s: 0.025,
            window_stride_s: 0.01,
            n_fft: NonZeroU32::new(512),
            preemph: 0.97,
            lowfreq_hz: 0.0,
            highfreq_hz: None,
            normalize: Normalize::PerFeature,
            pad_to: 0,
            dither: 0.0,
        }
    }
}

impl Member for Nemo {
    const EXAMPLE: &'static str = "nemo: { features: 80, normalize: per_feature }";
}

/// What is added to energies before the logarithm: `log_zero_guard_value`.
const GUARD: f64 = 1.0 / (1_u32 << 24) as f64;

/// What is added to standard deviations: `CONSTANT`.
const LEAST_DEVIATION: f64 = 1e-5;

impl Nemo {
    fn stft(&self, rate: Hertz) -> Result<Stft, SettingError> {
        let samples = |key, seconds| {
            let seconds = SettingError::unless_within(key, seconds, 0.0, 60.0)?;
            Ok((seconds * f64::from(rate.get())) as u32)
        };
        let (window, longest) = (samples("window_size_s", self.window_size_s)?, PowerSpectrum::LONGEST);
        let hop = samples("window_stride_s", self.window_stride_s)?;
        let n_fft = self.n_fft.map_or(window.clamp(2, longest as u32).next_power_of_two(), NonZeroU32::get);
        SettingError::unless_within("n_fft", f64::from(n_fft), 2.0, longest as f64)?;
        if !(2..=n_fft).contains(&window) {
            return Err(SettingError::Window { key: "window_size_s", window: window as usize, n_fft: n_fft as usize });
        }
        let hop_length = Some(NonZeroU32::new(hop).ok_or(SettingError::NoHop { key: "window_stride_s", rate })?);
        SettingError::unless_within("window_stride_s", f64::from(hop), 1.0, longest as f64)?;
        Ok(Stft {
            n_fft: NonZeroU32::new(n_fft).unwrap_or(NonZeroU32::MIN),
            win_length: NonZeroU32::new(window),
            hop_length,
            periodic: false,
            pad_mode: PadMode::Constant,
            ..Stft::TORCHAUDIO
        })
    }

    /// Frames of zeros behind `frames`.
    fn padding(&self, frames: u64) -> u64 {
        frames.next_multiple_of(u64::from(self.pad_to).max(1)) - frames
    }
}

impl Extractor for Nemo {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        SettingError::unless_within("pad_to", f64::from(self.pad_to), 0.0, 4_096.0)?;
        let unit = if self.normalize == Normalize::None { "ln(energy)" } else { "standard deviations" };
        Ok(Column::of(self.features.get() as usize, unit, self.frame_shift(rate)))
    }

    fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
        self.stft(rate)?.framing(rate)
    }

    fn num_frames(&self, num_samples: u64, rate: Hertz) -> u64 {
        let frames = self.framing(rate).map_or(0, |framing| framing.num_frames(num_samples).saturating_sub(1));
        // One frame alone has no deviation to be divided by.
        if self.normalize == Normalize::PerFeature && frames < 2 { 0 } else { frames + self.padding(frames) }
    }

    fn prepare(&self, rate: Hertz, path: &str) -> Result<Box<dyn Extract>, SettingError> {
        self.column(Some(rate))?;
        let stft = self.stft(rate)?;
        let framing = stft.framing(rate)?;
        let preemphasis = SettingError::unless_within("preemph", self.preemph, 0.0, 1.0)?;
        let dither = SettingError::unless_within("dither", self.dither, 0.0, f64::from(f32::MAX))?;
        let mel = Mel {
            stft,
            power: 2.0,
            f_min_hz: self.lowfreq_hz,
            f_max_hz: self.highfreq_hz,
            n_mels: self.features,
            norm: MelNorm::Slaney,
            mel_scale: MelScale::Slaney,
        };
        let log = LogSettings { log: Log::Ln, offset: GUARD, ..LogSettings::NONE };
        Ok(Box::new(AtWork {
            mel: mel.prepare(rate, &log).map_err(named_as_in_nemo)?,
            settings: self.clone(),
            framing,
            path: path.to_owned(),
            preemphasis: preemphasis as f32,
            dither,
            generator: None,
            spare: None,
            before: 0.0,
            num_samples: 0,
            emphasised: Vec::new(),
            moments: vec![(0.0, 0.0); if self.normalize == Normalize::None { 0 } else { self.features.get() as usize }],
        }))
    }
}

/// The error of the mel spectrogram under the names of the settings here.
fn named_as_in_nemo(mut error: SettingError) -> SettingError {
    if let SettingError::AboveNyquist { key, .. }
    | SettingError::EmptyBand { key, .. }
    | SettingError::OutOfRange { key, .. } = &mut error
    {
        *key = match *key {
            "f_max_hz" => "highfreq_hz",
            "f_min_hz" => "lowfreq_hz",
            "n_mels" => "features",
            key => key,
        };
    }
    error
}

/// The extractor at work.
struct AtWork {
    mel: Spectra<MelRow>,
    settings: Nemo,
    framing: Framing,
    path: String,
    preemphasis: f32,
    dither: f64,
    /// What the noise is drawn from; none where nothing is drawn.
    generator: Option<Generator>,
    /// The second half of a pair of draws.
    spare: Option<f64>,
    /// The sample before the next one.
    before: f32,
    num_samples: u64,
    /// A block of sound after pre-emphasis.
    emphasised: Vec<f32>,
    /// Room for the mean and the deviation of each bin; empty where nothing is normalised.
    moments: Vec<(f64, f64)>,
}

/// Samples that are emphasised at once: they stay in the nearest cache.
const BLOCK: usize = 4_096;

impl AtWork {
    /// Fills the buffer with `samples` and their noise.
    fn take(&mut self, samples: &[f32]) {
        self.emphasised.clear();
        self.emphasised.extend_from_slice(samples);
        if let Some(generator) = &mut self.generator {
            for sample in &mut self.emphasised {
                let normal = self.spare.take().unwrap_or_else(|| {
                    let (first, second) = generator.normal_pair();
                    self.spare = Some(second);
                    first
                });
                *sample += (normal * self.dither) as f32;
            }
        }
    }

    /// Takes from each sample in the buffer its part of the one before.
    fn emphasise(&mut self) {
        let coefficient = self.preemphasis;
        let last = self.emphasised.last().copied().unwrap_or_default();
        for at in (1..self.emphasised.len()).rev() {
            self.emphasised[at] -= coefficient * self.emphasised[at - 1];
        }
        if let Some(first) = self.emphasised.first_mut() {
            // Before the first sample there is nothing.
            *first -= if self.num_samples == 0 { 0.0 } else { coefficient * self.before };
        }
        self.before = last;
    }
}

impl Extract for AtWork {
    fn begin(&mut self, draws: Draws<'_>) {
        self.mel.begin(draws);
        // The noise is each channel's own.
        self.generator =
            (self.dither > 0.0).then(|| draws.channel(&self.path).unwrap_or_else(|| draws.stage(&self.path)));
        (self.spare, self.before, self.num_samples) = (None, 0.0, 0);
    }

    fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        for block in samples.chunks(BLOCK) {
            self.take(block);
            self.emphasise();
            self.num_samples += block.len() as u64;
            self.mel.push(&self.emphasised, out);
        }
    }

    fn needs_all(&self) -> bool {
        // With a hop of more than half a frame, the last frame can be whole before it is known to be the last.
        !self.moments.is_empty() || self.framing.hop.get() > self.framing.length.get() / 2
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        let bins = self.settings.features.get() as usize;
        let frames = self.framing.num_frames(self.num_samples).saturating_sub(1);
        if frames == 0 {
            let needed = self.framing.hop.get() as u64;
            return Err(ExtractError::TooShort { num_samples: self.num_samples, needed });
        }
        self.mel.finish(out)?;
        out.truncate(out.len() - bins);
        if !self.moments.is_empty() {
            if frames < 2 && self.settings.normalize == Normalize::PerFeature {
                return Err(ExtractError::TooFewFrames { frames, needed: 2 });
            }
            let start = out.len() - frames as usize * bins;
            normalise(&mut out[start..], &mut self.moments, self.settings.normalize == Normalize::AllFeatures);
        }
        out.resize(out.len() + self.settings.padding(frames) as usize * bins, 0.0);
        Ok(())
    }
}

/// Brings each bin of `rows`, or `all` of them together, to mean 0 and standard deviation 1; `moments` is room for both.
fn normalise(rows: &mut [f32], moments: &mut [(f64, f64)], all: bool) {
    let bins = moments.len();
    let together = |moments: &mut [(f64, f64)], of: fn(&mut (f64, f64)) -> &mut f64| {
        if all {
            let sum: f64 = moments.iter_mut().map(|moment| *of(moment)).sum();
            for moment in moments {
                *of(moment) = sum;
            }
        }
    };
    let count = if all { rows.len() } else { rows.len() / bins } as f64;

    moments.fill((0.0, 0.0));
    for row in rows.chunks_exact(bins) {
        for ((mean, _), &value) in moments.iter_mut().zip(row) {
            *mean += f64::from(value);
        }
    }
    together(moments, |(mean, _)| mean);
    for (mean, _) in &mut *moments {
        *mean /= count;
    }
    for row in rows.chunks_exact(bins) {
        for ((mean, square), &value) in moments.iter_mut().zip(row) {
            let difference = f64::from(value) - *mean;
            *square += difference * difference;
        }
    }
    together(moments, |(_, square)| square);
    for (_, square) in &mut *moments {
        *square = 1.0 / ((*square / (count - 1.0)).sqrt() + LEAST_DEVIATION);
    }
    for row in rows.chunks_exact_mut(bins) {
        for (value, (mean, scale)) in row.iter_mut().zip(&*moments) {
            *value = ((f64::from(*value) - mean) * scale) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::featurize::golden::{extract, extract_in_blocks, golden, rate, settings};

    fn made(json: &str, sound: &[f32]) -> Result<Vec<f32>, ExtractError> {
        extract(&settings::<Nemo>(json), sound, rate(16_000))
    }

    #[test]
    fn each_bin_or_all_have_mean_zero_and_deviation_one() {
        let (_, sound) = golden("signal-voiced-16000");
        let deviation = |numbers: &[f32]| {
            let count = numbers.len() as f64;
            let mean = numbers.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
            let squares = numbers.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>();
            assert!(mean.abs() < 1e-5, "{mean}");
            (squares / (count - 1.0)).sqrt()
        };
        let rows = made("{}", &sound).unwrap();
        assert_eq!(rows.len(), 80 * 80, "12,800 samples are 80 hops");
        for bin in 0..80 {
            let of_bin: Vec<f32> = rows.iter().skip(bin).step_by(80).copied().collect();
            assert!((deviation(&of_bin) - 1.0).abs() < 1e-4);
        }
        assert!((deviation(&made(r#"{"normalize": "all_features"}"#, &sound).unwrap()) - 1.0).abs() < 1e-4);
    }

    #[test]
    fn silence_is_the_guard_and_normalised_nothing() {
        let silence = made(r#"{"normalize": "none"}"#, &[0.0; 1_600]).unwrap();
        assert!(silence.len() == 800 && silence.iter().all(|value| (value - (GUARD as f32).ln()).abs() < 1e-5));
        assert!(made("{}", &[0.0; 1_600]).unwrap().iter().all(|&value| value == 0.0));
    }

    #[test]
    fn frames_are_filled_up_with_zeros() {
        let (_, sound) = golden("signal-voiced-16000");
        for (pad_to, frames) in [(0, 75), (1, 75), (16, 80), (75, 75)] {
            let nemo = Nemo { pad_to, ..Nemo::default() };
            let padded = extract(&nemo, &sound[..12_100], rate(16_000)).unwrap();
            assert!(padded.len() == frames * 80 && padded[75 * 80..].iter().all(|&value| value == 0.0));
        }
    }

    #[test]
    fn too_little_and_broken_sound_is_refused() {
        assert_eq!(made("{}", &[0.1; 159]), Err(ExtractError::TooShort { num_samples: 159, needed: 160 }));
        assert_eq!(made("{}", &[0.1; 319]), Err(ExtractError::TooFewFrames { frames: 1, needed: 2 }));
        assert_eq!(made(r#"{"normalize": "none"}"#, &[0.1; 319]).unwrap().len(), 80);
        let mut sound = [0.1; 1_000];
        sound[500] = f32::NAN;
        assert_eq!(made("{}", &sound), Err(ExtractError::NotFinite { frame: 2 }));
    }

    #[test]
    fn dither_has_the_deviation_that_it_says_and_is_the_utterances() {
        // White noise of variance σ² has the power σ²·Σw² in each bin, and the filters have an area of 1 Hz each.
        let json = r#"{"normalize": "none", "preemph": 0, "dither": 0.01, "features": 20}"#;
        let noise = made(json, &vec![0.0; 160_000]).unwrap();
        let mean = noise.iter().map(|&x| f64::from(x).exp()).sum::<f64>() / noise.len() as f64;
        let squares: f64 =
            (0..400).map(|n| (0.5 - 0.5 * (std::f64::consts::TAU * f64::from(n) / 399.0).cos()).powi(2)).sum();
        assert!((mean / (1e-4 * squares * 512.0 / 16_000.0) - 1.0).abs() < 0.05, "{mean}");
        assert_eq!(made(json, &[0.0; 1_600]), made(json, &[0.0; 1_600]));
    }

    #[test]
    fn settings_that_do_not_fit_are_named() {
        let refused = |json: &str| match settings::<Nemo>(json).prepare(rate(16_000), "") {
            Ok(_) => panic!("{json} should be refused"),
            Err(error) => error.key(),
        };
        assert_eq!(refused(r#"{"window_size_s": 0.05}"#), "window_size_s");
        assert_eq!(refused(r#"{"window_size_s": 25}"#), "window_size_s");
        assert_eq!(refused(r#"{"window_size_s": 25, "n_fft": null, "window_stride_s": 0}"#), "window_stride_s");
        assert_eq!(refused(r#"{"n_fft": 1048577}"#), "n_fft");
        assert_eq!(refused(r#"{"window_stride_s": 61}"#), "window_stride_s");
        assert_eq!(refused(r#"{"highfreq_hz": 8001}"#), "highfreq_hz");
        assert_eq!(refused(r#"{"lowfreq_hz": 8000}"#), "lowfreq_hz");
        assert_eq!(refused(r#"{"features": 5000}"#), "features");
        assert_eq!(refused(r#"{"preemph": 2}"#), "preemph");
        assert_eq!(refused(r#"{"pad_to": 5000}"#), "pad_to");
        assert_eq!(refused(r#"{"dither": -1}"#), "dither");
    }

    proptest! {
        #[test]
        fn cutting_the_sound_changes_no_draw_and_no_bit(
            cuts in prop::collection::vec(0_usize..12_800, 0..40),
            dither in prop::sample::select(vec![0.0, 0.01]),
        ) {
            let (_, sound) = golden("signal-voiced-16000");
            let nemo = Nemo { dither, ..Nemo::default() };
            let whole = extract(&nemo, &sound, rate(16_000)).unwrap();
            prop_assert_eq!(extract_in_blocks(&nemo, &sound, &cuts, rate(16_000)).unwrap(), whole);
        }
    }
}
