//! The spectrum of one frame.

use std::f64::consts::TAU;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use multiversion::multiversion;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use super::lanes::LANES;

/// Plans made so far, by length: workers share the tables of an FFT.
static PLANNER: LazyLock<Mutex<FftPlanner<f32>>> = LazyLock::new(|| Mutex::new(FftPlanner::new()));

/// |FFT|² of real frames of one length, with its buffers.
///
/// A frame of even length N goes as N/2 complex numbers through an FFT of that length (Press et al., "Numerical Recipes", 12.3);
/// the last step, which parts its even and odd samples again, is done here at once with |X|² and in vectors, which makes the
/// whole a third faster than a real FFT followed by squares.
pub struct PowerSpectrum {
    plan: Arc<dyn Fft<f32>>,
    frame: Vec<f32>,
    /// The frame as complex numbers: two samples each, or one where the length is odd.
    packed: Vec<Complex<f32>>,
    /// What became of them.
    transformed: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    /// −i/2·exp(−2πik/N) for k from 1, up to a quarter of N; empty where the length is odd.
    twiddles: Vec<Complex<f32>>,
    power: Vec<f32>,
}

impl PowerSpectrum {
    /// The longest FFT that a setting may ask for: a minute at 16 kHz. More is a slip of the pen that would fill memory.
    pub const LONGEST: usize = 1 << 20;

    /// The spectrum of frames of `n_fft` samples; any length from one will do, even products of small primes are fast.
    #[must_use]
    pub fn new(n_fft: usize) -> Self {
        let even = n_fft.is_multiple_of(2);
        let length = if even { n_fft / 2 } else { n_fft };
        // A planner whose user panicked holds whole plans still: each is stored when it is finished.
        let plan = PLANNER.lock().unwrap_or_else(PoisonError::into_inner).plan_fft_forward(length);
        let zeros = |count: usize| vec![Complex::default(); count];
        let twiddle = |k: usize| {
            let (sin, cos) = (TAU * k as f64 / n_fft as f64).sin_cos();
            Complex::new((-0.5 * sin) as f32, (-0.5 * cos) as f32)
        };
        Self {
            frame: vec![0.0; n_fft],
            packed: zeros(length),
            transformed: zeros(length),
            scratch: zeros(plan.get_outofplace_scratch_len()),
            twiddles: if even { (1..=length / 2).map(twiddle).collect() } else { Vec::new() },
            power: vec![0.0; n_fft / 2 + 1 + LANES],
            plan,
        }
    }

    /// How many bins there are, from 0 Hz to half the sample rate: `n_fft / 2 + 1`.
    #[must_use]
    pub fn num_bins(&self) -> usize {
        self.frame.len() / 2 + 1
    }

    /// Takes the frame that `fill` writes; it gets `[n_fft]` zeros.
    pub fn take(&mut self, fill: impl FnOnce(&mut [f32])) {
        self.frame.fill(0.0);
        fill(&mut self.frame);
    }

    fn transform(&mut self) {
        let Self { plan, frame, packed, transformed, scratch, .. } = self;
        if packed.len() < frame.len() {
            for (number, pair) in packed.iter_mut().zip(frame.as_chunks::<2>().0) {
                *number = Complex::new(pair[0], pair[1]);
            }
        } else {
            for (number, &sample) in packed.iter_mut().zip(&*frame) {
                *number = Complex::new(sample, 0.0);
            }
        }
        plan.process_outofplace_with_scratch(packed, transformed, scratch);
    }

    /// The power |X|² in each bin of the last frame: `[num_bins]`, followed by a few zeros for
    /// [`MelBank::apply`](super::MelBank::apply), which reads in groups.
    pub fn power(&mut self) -> &mut [f32] {
        let bins = self.num_bins();
        let mut power = std::mem::take(&mut self.power);
        self.write_power(&mut power[..bins]);
        self.power = power;
        &mut self.power
    }

    /// Writes the power |X|² in each bin of the last frame to `row`, `[num_bins]`.
    pub fn write_power(&mut self, row: &mut [f32]) {
        self.transform();
        if self.packed.len() == self.frame.len() {
            for (power, bin) in row.iter_mut().zip(&self.transformed) {
                *power = bin.re * bin.re + bin.im * bin.im;
            }
        } else {
            let first = self.transformed[0];
            let half = self.transformed.len();
            (row[0], row[half]) = ((first.re + first.im).powi(2), (first.re - first.im).powi(2));
            powers(&self.transformed, &self.twiddles, &mut row[1..half]);
        }
    }

    /// Writes X of the last frame, its real parts and its imaginary ones, `[num_bins]` each.
    pub fn write_complex(&mut self, real: &mut [f32], imaginary: &mut [f32]) {
        self.transform();
        let bins = real.iter_mut().zip(imaginary);
        if self.packed.len() == self.frame.len() {
            for ((real, imaginary), bin) in bins.zip(&self.transformed) {
                (*real, *imaginary) = (bin.re, bin.im);
            }
            return;
        }
        let half = self.transformed.len();
        for (k, (real, imaginary)) in bins.enumerate() {
            let bin = match k {
                0 => Complex::new(self.transformed[0].re + self.transformed[0].im, 0.0),
                k if k == half => Complex::new(self.transformed[0].re - self.transformed[0].im, 0.0),
                k if k <= half / 2 => parted(self.transformed[k], self.transformed[half - k], self.twiddles[k - 1])[0],
                k => parted(self.transformed[half - k], self.transformed[k], self.twiddles[half - k - 1])[1],
            };
            (*real, *imaginary) = (bin.re, bin.im);
        }
    }

    /// The power of the frame that `fill` writes: [`take`](Self::take), then [`power`](Self::power).
    pub fn of(&mut self, fill: impl FnOnce(&mut [f32])) -> &mut [f32] {
        self.take(fill);
        self.power()
    }
}

/// The bins k and N/2 − k of the real FFT, of the bins k and N/2 − k of the complex one: the sum of the transforms of the even
/// and of the odd samples, and the conjugate of their difference.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a part of loops that are compiled for AVX2 too")]
fn parted(bin: Complex<f32>, mirrored: Complex<f32>, twiddle: Complex<f32>) -> [Complex<f32>; 2] {
    let (sum_re, sum_im) = (0.5 * (bin.re + mirrored.re), 0.5 * (bin.im - mirrored.im));
    let (difference_re, difference_im) = (bin.re - mirrored.re, bin.im + mirrored.im);
    let turned_re = difference_re * twiddle.re - difference_im * twiddle.im;
    let turned_im = difference_re * twiddle.im + difference_im * twiddle.re;
    [Complex::new(sum_re + turned_re, sum_im + turned_im), Complex::new(sum_re - turned_re, -(sum_im - turned_im))]
}

/// |X|² of the bins between the first and the last, `[N/2 − 1]`, from both ends to the middle.
#[multiversion(targets("x86_64+avx2"))]
fn powers(transformed: &[Complex<f32>], twiddles: &[Complex<f32>], power: &mut [f32]) {
    let bins = &transformed[1..];
    let pairs = bins.len() / 2;
    let (low, high) = power.split_at_mut(bins.len() - pairs);
    let (groups, rest) = bins[..pairs].as_chunks::<LANES>();
    let (mirrored_rest, mirrored) = bins[bins.len() - pairs..].as_rchunks::<LANES>();
    let (low, low_rest) = low[..pairs].as_chunks_mut::<LANES>();
    let (high_rest, high) = high.as_rchunks_mut::<LANES>();
    let (turns, turns_rest) = twiddles[..pairs].as_chunks::<LANES>();
    let inputs = groups.iter().zip(mirrored.iter().rev()).zip(turns);
    for ((low, high), ((bins, mirrored), turns)) in low.iter_mut().zip(high.iter_mut().rev()).zip(inputs) {
        let both: [[f32; 2]; LANES] =
            std::array::from_fn(|lane| pair(bins[lane], mirrored[LANES - 1 - lane], turns[lane]));
        *low = both.map(|[first, _]| first);
        *high = std::array::from_fn(|lane| both[LANES - 1 - lane][1]);
    }
    let inputs = rest.iter().zip(mirrored_rest.iter().rev()).zip(turns_rest);
    for ((low, high), ((&bin, &mirrored), &turn)) in low_rest.iter_mut().zip(high_rest.iter_mut().rev()).zip(inputs) {
        [*low, *high] = pair(bin, mirrored, turn);
    }
    // The bin at a quarter of N is its own mirror image.
    if !bins.len().is_multiple_of(2) {
        power[pairs] = pair(bins[pairs], bins[pairs], twiddles[pairs])[0];
    }
}

/// |X|² of two bins that [`parted`] parts.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a part of loops that are compiled for AVX2 too")]
fn pair(bin: Complex<f32>, mirrored: Complex<f32>, twiddle: Complex<f32>) -> [f32; 2] {
    parted(bin, mirrored, twiddle).map(|bin| bin.re * bin.re + bin.im * bin.im)
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
    fn bins_agree_with_the_definition_of_the_transform_at_every_length() {
        for n_fft in (1..70).chain([256, 400, 402, 512]) {
            let samples: Vec<f32> = (0..n_fft).map(|n| ((n * n) % 17) as f32 / 17.0 - 0.4).collect();
            let mut spectrum = PowerSpectrum::new(n_fft);
            assert_eq!(spectrum.num_bins(), n_fft / 2 + 1);
            let power = spectrum.of(|frame| frame.copy_from_slice(&samples)).to_vec();
            let (mut real, mut imaginary) = (vec![0.0; n_fft / 2 + 1], vec![0.0; n_fft / 2 + 1]);
            spectrum.write_complex(&mut real, &mut imaginary);
            for (bin, &power) in power.iter().take(n_fft / 2 + 1).enumerate() {
                let turn = TAU * bin as f64 / n_fft as f64;
                let part = |wave: fn(f64) -> f64| -> f64 {
                    samples.iter().enumerate().map(|(n, &x)| f64::from(x) * wave(turn * n as f64)).sum()
                };
                let (true_real, true_imaginary) = (part(f64::cos), -part(f64::sin));
                let far = (f64::from(real[bin]) - true_real).abs() + (f64::from(imaginary[bin]) - true_imaginary).abs();
                assert!(far < 1e-4, "bin {bin} of {n_fft}");
                let truth = true_real.powi(2) + true_imaginary.powi(2);
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
