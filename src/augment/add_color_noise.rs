//! Noise whose spectrum slopes.

use std::f64::consts::TAU;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mix::add_at_snr;
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::seed::Generator;
use crate::transform::SettingError;

/// Coloured noise at a signal-to-noise ratio: its spectrum falls or rises by so many decibels an octave.
///
/// 0 is white noise, -3.01 pink, -6.02 brown (red), 3.01 blue and 6.02 violet. Below 20 Hz the spectrum is level. White
/// Gaussian noise goes through a linear-phase filter of a quarter to half a second (a power of two, 512 to 32768 coefficients), whose
/// magnitude is `(f / 20 Hz)^(f_decay_db_per_octave / 6.02)`, smoothed by a Hann window; so the noise is stationary and never
/// repeats. Each channel has its own. It is then scaled by its own measured power, so that
/// `10 * log10(mean(x^2) / mean(noise^2)) = snr_db` exactly, means over all samples of all channels. A silent clip (below -180 dB)
/// gets no noise; the record says `silent`. Nothing is clipped.
///
/// Source: audiomentations 0.43 `AddColorNoise`, whose filter of 65 points misses the slope that it is asked for by 0.4 to 0.6 dB
/// an octave; torch-audiomentations' `AddColoredNoise` repeats one second and is twice as steep as its `f_decay` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AddColorNoise {
    /// The ratio of the clip's power to the noise's, in dB, -100 to 200; [5, 40].
    pub snr_db: Range,
    /// The slope of the noise's spectrum in dB an octave, -12 to 12; [-6, 6].
    pub f_decay_db_per_octave: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for AddColorNoise {
    fn default() -> Self {
        Self {
            snr_db: Range::Uniform([5.0, 40.0]),
            f_decay_db_per_octave: Range::Uniform([-6.0, 6.0]),
            probability: Probability::ALWAYS,
        }
    }
}

impl Member for AddColorNoise {
    const EXAMPLE: &'static str =
        "add_color_noise: { snr_db: [5, 40], f_decay_db_per_octave: [-6, 6], probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["audiomentations.AddColorNoise", "torch_audiomentations.AddColoredNoise"];
}

impl Augment for AddColorNoise {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("snr_db", &self.snr_db, -100.0, 200.0)?;
        SettingError::unless_all_within("f_decay_db_per_octave", &self.f_decay_db_per_octave, -12.0, 12.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(AddColorNoiseAtWork { settings: self.clone(), filter: None, noise: Vec::new() })
    }
}

struct AddColorNoiseAtWork {
    settings: AddColorNoise,
    /// That of the last clip's rate.
    filter: Option<Filter>,
    /// By channel.
    noise: Vec<Vec<f32>>,
}

impl Apply for AddColorNoiseAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let snr_db = draw.number("snr_db", &self.settings.snr_db);
        let slope = draw.number("f_decay_db_per_octave", &self.settings.f_decay_db_per_octave);
        let len = sound.num_samples();
        let of_rate = self.filter.take().filter(|filter| filter.rate == sound.sample_rate);
        let filter = self.filter.insert(of_rate.unwrap_or_else(|| Filter::new(sound.sample_rate)));
        filter.design(slope);
        self.noise.resize_with(sound.channels.len(), Vec::new);
        for (number, noise) in self.noise.iter_mut().enumerate() {
            noise.resize(len, 0.0);
            filter.fill(noise, draw.of_channel(number));
        }
        add_at_snr(sound, &self.noise, snr_db, draw);
        Ok(())
    }
}

/// The lowest frequency of the slope, in hertz: about the lowest that is heard.
const LOWEST: f64 = 20.0;

/// White noise through a filter, by FFTs of overlapping blocks (overlap-save).
struct Filter {
    rate: Hertz,
    num_taps: usize,
    response_fft: Arc<dyn ComplexToReal<f32>>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    /// The filter's magnitude at the bins of a block, with the inverse FFT's factor; its phase is zero.
    magnitude: Vec<f32>,
    white: Vec<f32>,
    block: Vec<f32>,
    spectrum: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Filter {
    /// How many times as long as the filter a block is: three of its quarters are new.
    const BLOCKS: usize = 4;

    fn new(rate: Hertz) -> Self {
        let num_taps = ((rate.get() / 4) as usize).next_power_of_two().clamp(512, 32_768);
        let len = Self::BLOCKS * num_taps;
        let mut planner = RealFftPlanner::new();
        let forward = planner.plan_fft_forward(len);
        let inverse = planner.plan_fft_inverse(len);
        let response_fft = planner.plan_fft_inverse(num_taps);
        let scratch = forward.get_scratch_len().max(inverse.get_scratch_len()).max(response_fft.get_scratch_len());
        Self {
            rate,
            num_taps,
            response_fft,
            forward,
            inverse,
            magnitude: vec![0.0; len / 2 + 1],
            white: vec![0.0; len],
            block: vec![0.0; len],
            spectrum: vec![Complex32::default(); len / 2 + 1],
            scratch: vec![Complex32::default(); scratch],
        }
    }

    /// Gives the filter a slope in dB an octave: the wanted magnitude, its impulse response under a window, the magnitude of that.
    fn design(&mut self, slope: f64) {
        let (num_taps, len) = (self.num_taps, self.white.len());
        let exponent = slope / (20.0 * 2_f64.log10());
        let bins = &mut self.spectrum[..=num_taps / 2];
        for (bin, value) in bins.iter_mut().enumerate() {
            let frequency = bin as f64 * f64::from(self.rate.get()) / num_taps as f64;
            // The last factor is that of an inverse FFT and a forward one before it.
            let magnitude = (frequency.max(LOWEST) / LOWEST).powf(exponent) / (num_taps as f64 * len as f64);
            *value = Complex32::new(magnitude as f32, 0.0);
        }
        let mut response = vec![0.0; num_taps];
        inverse(&*self.response_fft, bins, &mut response, &mut self.scratch);
        // Its middle lies at sample 0, its first half at the end of the block.
        self.block.fill(0.0);
        for (sample, value) in response.iter().enumerate() {
            let window = 0.5 + 0.5 * (TAU * sample as f64 / num_taps as f64).cos();
            let place = if sample < num_taps / 2 { sample } else { len - num_taps + sample };
            self.block[place] = value * window as f32;
        }
        forward(&*self.forward, &mut self.block, &mut self.spectrum, &mut self.scratch);
        for (magnitude, value) in self.magnitude.iter_mut().zip(&self.spectrum) {
            *magnitude = value.re;
        }
    }

    fn fill(&mut self, noise: &mut [f32], mut generator: Generator) {
        let (num_taps, len) = (self.num_taps, self.white.len());
        // The filter reaches over half of its taps to either side.
        let margin = num_taps / 2;
        generator.fill_normal(&mut self.white[len - num_taps..]);
        for part in noise.chunks_mut(len - num_taps) {
            self.white.copy_within(len - num_taps.., 0);
            generator.fill_normal(&mut self.white[num_taps..]);
            self.block.copy_from_slice(&self.white);
            forward(&*self.forward, &mut self.block, &mut self.spectrum, &mut self.scratch);
            for (value, magnitude) in self.spectrum.iter_mut().zip(&self.magnitude) {
                *value *= *magnitude;
            }
            inverse(&*self.inverse, &mut self.spectrum, &mut self.block, &mut self.scratch);
            part.copy_from_slice(&self.block[margin..margin + part.len()]);
        }
    }
}

fn forward(fft: &dyn RealToComplex<f32>, input: &mut [f32], output: &mut [Complex32], scratch: &mut [Complex32]) {
    let needed = fft.get_scratch_len();
    if fft.process_with_scratch(input, output, &mut scratch[..needed]).is_err() {
        unreachable!("the buffers were made for this FFT");
    }
}

fn inverse(fft: &dyn ComplexToReal<f32>, input: &mut [Complex32], output: &mut [f32], scratch: &mut [Complex32]) {
    // What is real by symmetry may not be so to the last bit.
    for edge in [0, input.len() - 1] {
        input[edge].im = 0.0;
    }
    let needed = fft.get_scratch_len();
    if fft.process_with_scratch(input, output, &mut scratch[..needed]).is_err() {
        unreachable!("the buffers were made for this FFT");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::level::power;
    use crate::augment::testing::{WHO, drawn, is_uniform, measured_snr_db, mono, sine, varied};

    fn fixed(snr_db: f64, slope: f64) -> AddColorNoise {
        AddColorNoise {
            snr_db: Range::fixed(snr_db),
            f_decay_db_per_octave: Range::fixed(slope),
            ..AddColorNoise::default()
        }
    }

    fn noise(rate: u32, slope: f64, len: usize) -> Vec<f32> {
        let mut filter = Filter::new(Hertz::new(rate).unwrap());
        filter.design(slope);
        let mut noise = vec![0.0; len];
        filter.fill(&mut noise, WHO.stage("color"));
        noise
    }

    /// Power by frequency in hertz: the mean of Hann-windowed spectra of 4096 samples (Welch, 1967).
    fn spectrum(noise: &[f32], rate: f64) -> Vec<(f64, f64)> {
        const LEN: usize = 4096;
        let fft = RealFftPlanner::<f32>::new().plan_fft_forward(LEN);
        let (mut block, mut bins) = (fft.make_input_vec(), fft.make_output_vec());
        let mut powers = vec![0.0; bins.len()];
        for start in (0..noise.len() - LEN).step_by(LEN / 2) {
            for (place, sample) in block.iter_mut().enumerate() {
                let window = 0.5 - 0.5 * (TAU * place as f64 / LEN as f64).cos();
                *sample = noise[start + place] * window as f32;
            }
            fft.process(&mut block, &mut bins).unwrap();
            for (power, bin) in powers.iter_mut().zip(&bins) {
                *power += f64::from(bin.norm_sqr());
            }
        }
        powers.into_iter().enumerate().map(|(bin, power)| (bin as f64 * rate / LEN as f64, power)).collect()
    }

    /// The slope in dB an octave by least squares over third octaves.
    fn slope_db(spectrum: &[(f64, f64)], low: f64, high: f64) -> f64 {
        let third = 2_f64.powf(1.0 / 3.0);
        let bands = (0..).map(|band| low * third.powi(band)).take_while(|edge| edge * third <= high);
        let points: Vec<(f64, f64)> = bands
            .map(|edge| {
                let within = spectrum.iter().filter(|(frequency, _)| (edge..edge * third).contains(frequency));
                // The mean of logarithms over the band: a mean of powers would lean to one side of it.
                let (x, y, n) = within.fold((0.0, 0.0, 0.0), |(x, y, n), (frequency, power)| {
                    (x + frequency.log2(), y + 10.0 * power.log10(), n + 1.0)
                });
                (x / n, y / n)
            })
            .collect();
        let n = points.len() as f64;
        let (mean_x, mean_y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / n, y + point.1 / n));
        let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        covariance / points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum::<f64>()
    }

    #[test]
    fn slopes_are_those_asked_for() {
        for slope in [-6.02, -3.01, 0.0, 3.01, 6.02] {
            let measured = slope_db(&spectrum(&noise(16_000, slope, 4_000_000), 16_000.0), 200.0, 7_000.0);
            assert!((measured - slope).abs() < 0.05, "{measured} dB an octave is not {slope}");
        }
        for rate in [8_000, 44_100, 48_000] {
            let measured = slope_db(&spectrum(&noise(rate, -3.01, 2_000_000), f64::from(rate)), 200.0, 3_500.0);
            assert!((measured + 3.01).abs() < 0.1, "{measured} dB an octave at {rate} Hz");
        }
    }

    #[test]
    fn noise_does_not_repeat_and_blocks_join_without_a_step() {
        // Blocks bring 12,288 samples each at 16 kHz.
        let noise = noise(16_000, 0.0, 200_000);
        for lag in [12_288, 16_000, 16_384] {
            let product: f64 = noise.iter().zip(&noise[lag..]).map(|(x, y)| f64::from(x * y)).sum();
            assert!(product.abs() / ((noise.len() - lag) as f64).sqrt() < 4.0, "it repeats after {lag} samples");
        }
        let level = power(&noise);
        assert!((level - 1.0).abs() < 0.02, "white noise stays as it is: {level}");
        // Of brown noise, a step at a seam would stand out of the differences between neighbours.
        let brown = self::noise(16_000, -6.02, 200_000);
        let step = |place: usize| (brown[place] - brown[place - 1]).abs();
        let usual = (1..brown.len()).map(|place| step(place).powi(2)).sum::<f32>() / brown.len() as f32;
        assert!((1..16).all(|block| step(block * 12_288) < 4.5 * usual.sqrt()));
    }

    #[test]
    fn the_ratio_is_exact_for_every_clip() {
        for (rate, snr_db, length) in [(8_000, 5.0, 8_000), (16_000, 10.0, 1), (44_100, 40.0, 100), (1_000, -5.0, 999)]
        {
            let mut sound = sine(100.0, 0.3, rate);
            sound.channels[0].rotate_left(1);
            sound.channels[0].truncate(length);
            sound.channels.push(sound.channels[0].clone());
            let noisy = varied(fixed(snr_db, -3.01), &sound);
            let measured = measured_snr_db(&sound, &noisy);
            assert!((measured - snr_db).abs() < 0.01, "{measured} dB is not {snr_db} dB");
            assert!(length == 1 || noisy.channels[0] != noisy.channels[1], "each channel has its own noise");
        }
        let silence = mono(16_000, vec![0.0; 1_000]);
        assert_eq!(varied(fixed(5.0, 3.01), &silence), silence);
    }

    #[test]
    fn slopes_are_drawn_evenly() {
        assert!(is_uniform(&drawn(AddColorNoise::default(), "f_decay_db_per_octave", 10_000), -6.0, 6.0));
    }
}
