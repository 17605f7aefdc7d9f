//! The kernel of torchaudio's `Resample`: a windowed sinc for each phase of the ratio, as a sum over neighbouring samples.
//!
//! With both rates divided by their greatest common divisor and `base = min(from, to) · rolloff`, output sample `j` is
//! `Σᵢ x[i] · h(i/from − j/to)`, where `h(t) = sinc(base·t) · window(base·t) · base/from` and the window (`cos²`, or Kaiser's)
//! ends at `lowpass_filter_width` zero crossings to either side. Source: `_get_sinc_resample_kernel` of torchaudio 2.11.0,
//! after Julius O. Smith's *Digital Audio Resampling*. The kernel is computed in double precision and rounded once; the
//! transform of that name rounds the phases on the way, the function of that name all of it, so that in single precision the
//! two differ from each other and from this by some 1e-6.
//!
//! The length is the exact `⌈n · to / from⌉`. torchaudio computes that in single precision, so that it leaves out the last
//! sample of some recordings: at 44.1 to 16 kHz from 65,536 samples out, of one length in 441.

use std::f64::consts::PI;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};

use super::error::{MOST_TAPS, ResampleError};
use super::fft::bessel_i0;
use super::ratio::Ratio;
use crate::audio::Hertz;

/// What may be set of torchaudio's kernel, under torchaudio's names and with its defaults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Torchaudio {
    /// Zero crossings of the sinc to either side, 1 to 1024: more are sharper and slower.
    #[serde(deserialize_with = "width")]
    #[schemars(range(min = 1, max = 1024))]
    pub lowpass_filter_width: u32,
    /// Where the filter has half its level, as a share of the lower Nyquist frequency, 0.01 to 1.
    #[serde(deserialize_with = "share")]
    #[schemars(range(min = 0.01, max = 1.0))]
    pub rolloff: f64,
    /// The window of the sinc.
    pub resampling_method: ResamplingMethod,
    /// The shape of Kaiser's window, 0 to 100; `sinc_interp_hann` has none.
    #[serde(deserialize_with = "shape")]
    #[schemars(range(min = 0.0, max = 100.0))]
    pub beta: f64,
}

/// The window of the sinc.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResamplingMethod {
    /// Hann's, `cos²`.
    #[default]
    SincInterpHann,
    /// Kaiser's, with `beta`.
    SincInterpKaiser,
}

impl Default for Torchaudio {
    fn default() -> Self {
        Self::DEFAULT
    }
}

fn width<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let value = u32::deserialize(deserializer)?;
    let valid = (1..=1024).contains(&value);
    let wrong = || D::Error::invalid_value(Unexpected::Unsigned(value.into()), &"1 to 1024 zero crossings");
    valid.then_some(value).ok_or_else(wrong)
}

fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    let valid = (0.01..=1.0).contains(&value);
    valid.then_some(value).ok_or_else(|| D::Error::invalid_value(Unexpected::Float(value), &"a share of 0.01 to 1"))
}

fn shape<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    let valid = (0.0..=100.0).contains(&value);
    valid.then_some(value).ok_or_else(|| D::Error::invalid_value(Unexpected::Float(value), &"a shape from 0 to 100"))
}

impl Torchaudio {
    /// What torchaudio does when nothing is said.
    pub const DEFAULT: Self = Self {
        lowpass_filter_width: 6,
        rolloff: 0.99,
        resampling_method: ResamplingMethod::SincInterpHann,
        beta: 14.769_656_459_379_492,
    };

    /// The kernel at `t`, in zero crossings from its middle, but for its scale.
    fn at(&self, t: f64) -> f64 {
        let width = f64::from(self.lowpass_filter_width);
        let window = match self.resampling_method {
            ResamplingMethod::SincInterpHann => (t * PI / width / 2.0).cos().powi(2),
            ResamplingMethod::SincInterpKaiser => {
                // torchaudio holds the shape, and the window's height, in single precision.
                let beta = f64::from(self.beta as f32);
                let height = f64::from(bessel_i0(beta) as f32);
                bessel_i0(beta * (1.0 - (t / width).powi(2)).max(0.0).sqrt()) / height
            }
        };
        let sinc = if t == 0.0 { 1.0 } else { (PI * t).sin() / (PI * t) };
        sinc * window
    }
}

/// Products that are added side by side: two registers of SSE2, which every x86-64 processor has.
const LANES: usize = 8;

/// Outputs of a block, where that many kernels fit the fastest cache.
const BLOCK: usize = 64;

/// Numbers in the kernels of a block that still fit it: 16 of 32 kB.
const BLOCK_TAPS: usize = 4_096;

/// Samples that are taken in before the oldest are dropped; bounds the memory whatever is pushed.
const PIECE: usize = 4_096;

/// One pair of rates and one kernel: what channels share.
struct Phases {
    ratio: Ratio,
    /// `[outputs of a block][length]`: each phase's kernel without the zeros to its sides, filled up to whole lanes.
    taps: Vec<f32>,
    length: usize,
    /// Where each kernel begins, counted from the first sample that the block takes: `[outputs of a block]`.
    starts: Vec<usize>,
    /// Samples before time zero that phase 0 takes.
    before: usize,
    /// From one block to the next, in input samples.
    step: usize,
}

/// One channel on its way through a kernel.
pub(super) struct SincResampler {
    phases: Arc<Phases>,
    /// The samples that outputs still need.
    samples: Vec<f32>,
    /// Where in `samples` the first kernel of the next block begins.
    block: usize,
    taken: u64,
    given: u64,
}

impl Phases {
    fn new(from: Hertz, to: Hertz, kernel: &Torchaudio) -> Result<Self, ResampleError> {
        let ratio = Ratio::new(from, to);
        let base = ratio.from.min(ratio.to) as f64 * kernel.rolloff;
        // In input samples; torchaudio's `width`, before it is rounded up.
        let reach = f64::from(kernel.lowpass_filter_width) * ratio.from as f64 / base;
        // As a float it cannot overflow, whatever the settings.
        let numbers = (2.0 * reach + LANES as f64) * ratio.to as f64;
        if numbers > MOST_TAPS as f64 {
            return Err(ResampleError::KernelTooLarge { from, to, numbers: numbers as u64 });
        }
        let length = (2.0 * reach) as usize + 1;
        let length = length.next_multiple_of(LANES);
        let before = reach.ceil() as usize;
        let scale = base / ratio.from as f64;
        let mut taps = Vec::with_capacity(length * ratio.to as usize);
        let mut starts = Vec::with_capacity(ratio.to as usize);
        for phase in 0..ratio.to {
            let middle = (phase * ratio.from) as f64 / ratio.to as f64;
            // Beyond the reach torchaudio clamps to the window's end, where the kernel is zero.
            let first = (middle - reach).ceil();
            starts.push((first + before as f64).max(0.0) as usize);
            taps.extend((0..length).map(|tap| {
                let t = ((first + tap as f64) / ratio.from as f64 - phase as f64 / ratio.to as f64) * base;
                let inside = t.abs() <= f64::from(kernel.lowpass_filter_width);
                if inside { (kernel.at(t) * scale) as f32 } else { 0.0 }
            }));
        }
        // A few phases are repeated until they make a block worth a loop.
        let (kernels, step) = (starts.len(), ratio.from as usize);
        let repeats = (BLOCK_TAPS / taps.len()).clamp(1, BLOCK.div_ceil(kernels));
        for repeat in 1..repeats {
            taps.extend_from_within(..kernels * length);
            starts.extend_from_within(..kernels);
            starts[repeat * kernels..].iter_mut().for_each(|start| *start += repeat * step);
        }
        Ok(Self { ratio, taps, length, starts, before, step: step * repeats })
    }

    fn bytes(&self) -> usize {
        self.taps.len() * size_of::<f32>() + self.starts.len() * size_of::<usize>()
    }
}

impl SincResampler {
    pub(super) fn new(from: Hertz, to: Hertz, kernel: &Torchaudio) -> Result<Self, ResampleError> {
        Ok(Self::through(Arc::new(Phases::new(from, to, kernel)?)))
    }

    /// For one more channel: the kernels are shared.
    pub(super) fn another(&self) -> Self {
        Self::through(self.phases.clone())
    }

    fn through(phases: Arc<Phases>) -> Self {
        Self { samples: vec![0.0; phases.before], phases, block: 0, taken: 0, given: 0 }
    }

    /// Bytes that it takes: its own, and its part of the kernels.
    pub(super) fn bytes(&self) -> usize {
        self.samples.capacity() * size_of::<f32>() + self.phases.bytes() / Arc::strong_count(&self.phases)
    }

    pub(super) fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.taken += samples.len() as u64;
        for piece in samples.chunks(PIECE) {
            self.samples.extend_from_slice(piece);
            self.convolve(u64::MAX, out);
        }
    }

    pub(super) fn finish(&mut self, out: &mut Vec<f32>) {
        let total = self.phases.ratio.length_after(self.taken);
        while self.given < total {
            self.samples.resize(self.samples.len() + PIECE, 0.0);
            self.convolve(total - self.given, out);
        }
        self.reset();
    }

    pub(super) fn reset(&mut self) {
        self.samples.clear();
        self.samples.resize(self.phases.before, 0.0);
        (self.block, self.taken, self.given) = (0, 0, 0);
    }

    /// Appends the outputs whose samples are all there, `at_most` of them, and drops what no further output needs.
    fn convolve(&mut self, at_most: u64, out: &mut Vec<f32>) {
        let Phases { taps, length, starts, step, .. } = &*self.phases;
        let before = out.len();
        let at_most = usize::try_from(at_most).unwrap_or(usize::MAX);
        loop {
            // Only the last block of an utterance is cut short.
            let kernels = starts.len().min(at_most - (out.len() - before));
            let Some(last) = kernels.checked_sub(1) else { break };
            let Some(samples) = self.samples.get(self.block..self.block + starts[last] + length) else {
                break;
            };
            let kernels = taps.chunks_exact(*length).zip(starts).take(kernels);
            out.extend(kernels.map(|(taps, &start)| dot(taps, &samples[start..start + length])));
            self.block += step;
        }
        self.given += (out.len() - before) as u64;
        let done = self.block.min(self.samples.len());
        self.samples.drain(..done);
        self.block -= done;
    }
}

/// The sum of products in a fixed order that fits vector registers.
fn dot(taps: &[f32], samples: &[f32]) -> f32 {
    let mut partial = [0.0; LANES];
    for (taps, samples) in taps.chunks_exact(LANES).zip(samples.chunks_exact(LANES)) {
        for lane in 0..LANES {
            partial[lane] += taps[lane] * samples[lane];
        }
    }
    let [first, second, third, fourth] = std::array::from_fn(|lane| partial[lane] + partial[lane + LANES / 2]);
    (first + third) + (second + fourth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::golden::golden;
    use crate::resample::{Kernel, Method, Resampler};

    fn rate(hertz: u32) -> Hertz {
        Hertz::new(hertz).unwrap()
    }

    #[test]
    fn defaults_are_torchaudios_and_what_it_cannot_be_is_refused() {
        assert_eq!(serde_json::from_str::<Torchaudio>("{}").unwrap(), Torchaudio::default());
        for (json, says) in [
            (r#"{"lowpass_filter_width": 0}"#, "1 to 1024"),
            (r#"{"rolloff": 0.0099}"#, "0.01 to 1"),
            (r#"{"rolloff": 1.01}"#, "0.01 to 1"),
            (r#"{"beta": -1}"#, "0 to 100"),
            (r#"{"resampling_method": "hann"}"#, "`sinc_interp_hann`"),
            (r#"{"roll_off": 1}"#, "`rolloff`"),
        ] {
            let error = serde_json::from_str::<Torchaudio>(json).unwrap_err().to_string();
            assert!(error.contains(says), "{json}: {error}");
        }
    }

    /// torchaudio computed the references in double precision, so that the difference is the rounding of ours.
    #[test]
    fn sound_is_that_of_torchaudio() {
        const KAISER_BEST: &str = r#"{"lowpass_filter_width": 64, "rolloff": 0.9475937167399596,
            "resampling_method": "sinc_interp_kaiser", "beta": 14.769656459379492}"#;
        let mut compared = 0;
        for (name, json) in [("hann", "{}"), ("kaiser_best", KAISER_BEST)] {
            let kernel = serde_json::from_str(json).unwrap();
            for (signal, from, to) in [
                ("voiced", 48_000, 16_000),
                ("chirp", 44_100, 16_000),
                ("voiced", 22_050, 16_000),
                ("voiced", 16_000, 8_000),
                ("voiced", 8_000, 16_000),
                ("voiced", 16_000, 44_100),
                ("voiced", 16_000, 17_600),
            ] {
                let (_, sound) = golden(&format!("signal-{signal}-{from}"));
                let (_, reference) = golden(&format!("resample-{name}-{signal}-{from}-{to}-torchaudio-2.11.0"));
                let method = Method::Kernel(Kernel::Torchaudio(kernel));
                let mut resampler = Resampler::new(rate(from), rate(to), &method).unwrap();
                let mut out = Vec::new();
                // The references are of the first 0.3 s.
                resampler.push(&sound[..from as usize * 3 / 10], &mut out);
                resampler.finish(&mut out);
                assert_eq!(out.len(), reference.len(), "{name} {from} -> {to}");
                let difference =
                    out.iter().zip(&reference).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f32::max);
                println!("{name:<12} {signal:<6} {from:>5} -> {to:<5} max {difference:.1e}");
                assert!(difference <= 5e-7, "{name} {from} -> {to}: {difference:e}");
                compared += 1;
            }
        }
        assert_eq!(compared, 14);
    }

    #[test]
    fn a_kernel_that_would_fill_the_memory_is_refused() {
        let resampler = SincResampler::new(rate(44_101), rate(4_000_000_000), &Torchaudio::default());
        assert_eq!(resampler.err().map(|error| error.code()), Some("kernel_too_large"));
        for rolloff in [1e-30, f64::MIN_POSITIVE] {
            let resampler =
                SincResampler::new(rate(44_100), rate(16_000), &Torchaudio { rolloff, ..Torchaudio::DEFAULT });
            assert_eq!(resampler.err().map(|error| error.code()), Some("kernel_too_large"));
        }
    }
}
