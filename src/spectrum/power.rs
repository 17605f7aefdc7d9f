//! The power spectrum of one frame.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::lanes::LANES;

/// Plans made so far, by length: workers share the tables of an FFT.
static PLANNER: LazyLock<Mutex<RealFftPlanner<f32>>> = LazyLock::new(|| Mutex::new(RealFftPlanner::new()));

/// |FFT|² of real frames of one length, with its buffers.
pub struct PowerSpectrum {
    plan: Arc<dyn RealToComplex<f32>>,
    frame: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    power: Vec<f32>,
}

impl PowerSpectrum {
    /// The longest FFT that a setting may ask for: a minute at 16 kHz. More is a slip of the pen that would fill memory.
    pub const LONGEST: usize = 1 << 20;

    /// The spectrum of frames of `n_fft` samples; any length will do, products of small primes are fast.
    #[must_use]
    pub fn new(n_fft: usize) -> Self {
        // A planner whose user panicked holds whole plans still: each is stored when it is finished.
        let plan = PLANNER.lock().unwrap_or_else(PoisonError::into_inner).plan_fft_forward(n_fft);
        let (frame, spectrum, scratch) = (plan.make_input_vec(), plan.make_output_vec(), plan.make_scratch_vec());
        let power = vec![0.0; spectrum.len() + LANES];
        Self { plan, frame, spectrum, scratch, power }
    }

    /// How many bins there are, from 0 Hz to half the sample rate: `n_fft / 2 + 1`.
    #[must_use]
    pub fn num_bins(&self) -> usize {
        self.spectrum.len()
    }

    /// Transforms the frame that `fill` writes; it gets `[n_fft]` zeros.
    pub fn transform(&mut self, fill: impl FnOnce(&mut [f32])) {
        self.frame.fill(0.0);
        fill(&mut self.frame);
        let done = self.plan.process_with_scratch(&mut self.frame, &mut self.spectrum, &mut self.scratch);
        debug_assert!(done.is_ok(), "the buffers are of the plan's own lengths");
    }

    /// What became of the last frame: X, `[num_bins]`.
    #[must_use]
    pub fn complex(&self) -> &[Complex<f32>] {
        &self.spectrum
    }

    /// The power |X|² in each bin of the last frame: `[num_bins]`, followed by a few zeros for
    /// [`MelBank::apply`](super::MelBank::apply), which reads in groups.
    pub fn power(&mut self) -> &mut [f32] {
        for (power, bin) in self.power.iter_mut().zip(&self.spectrum) {
            *power = bin.re * bin.re + bin.im * bin.im;
        }
        &mut self.power
    }

    /// The power of the frame that `fill` writes: [`transform`](Self::transform), then [`power`](Self::power).
    pub fn of(&mut self, fill: impl FnOnce(&mut [f32])) -> &mut [f32] {
        self.transform(fill);
        self.power()
    }
}

/// Turns powers |X|² into |X|ᵉ: 2 leaves them, 1 gives magnitudes; for others the C library is asked.
pub fn raise(power: &mut [f32], exponent: f32) {
    if exponent == 1.0 {
        for power in power {
            *power = power.sqrt();
        }
    } else if exponent != 2.0 {
        for power in power {
            *power = power.powf(exponent / 2.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_in_the_middle_of_a_bin_has_its_power_there_and_nowhere_else() {
        let mut spectrum = PowerSpectrum::new(512);
        let power = spectrum.of(|frame| {
            for (n, sample) in frame.iter_mut().enumerate() {
                *sample = (std::f32::consts::TAU * 32.0 * n as f32 / 512.0).sin();
            }
        });
        // A sine of amplitude 1 gives |X| = N/2.
        assert!((power[32] - 65_536.0).abs() < 0.1, "{}", power[32]);
        assert!(power.iter().enumerate().all(|(bin, &power)| bin == 32 || power < 1e-3));
    }

    #[test]
    fn power_agrees_with_the_definition_of_the_transform_at_even_and_odd_lengths() {
        for n_fft in [12, 15, 400] {
            let samples: Vec<f32> = (0..n_fft).map(|n| ((n * n) % 17) as f32 / 17.0 - 0.4).collect();
            let mut spectrum = PowerSpectrum::new(n_fft);
            assert_eq!(spectrum.num_bins(), n_fft / 2 + 1);
            let power = spectrum.of(|frame| frame.copy_from_slice(&samples)).to_vec();
            for (bin, &power) in power.iter().take(n_fft / 2 + 1).enumerate() {
                let turn = std::f64::consts::TAU * bin as f64 / n_fft as f64;
                let part = |wave: fn(f64) -> f64| -> f64 {
                    samples.iter().enumerate().map(|(n, &x)| f64::from(x) * wave(turn * n as f64)).sum()
                };
                let truth = part(f64::cos).powi(2) + part(f64::sin).powi(2);
                assert!((f64::from(power) - truth).abs() < 1e-5 * (1.0 + truth), "bin {bin} of {n_fft}");
            }
        }
    }

    #[test]
    fn powers_are_raised_to_magnitudes_and_beyond() {
        for (exponent, expected) in [(2.0, 9.0), (1.0, 3.0), (4.0, 81.0)] {
            let mut power = [9.0_f32];
            raise(&mut power, exponent);
            assert!((power[0] - expected).abs() < 1e-4);
        }
    }
}
