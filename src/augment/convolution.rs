//! Linear convolution of a clip with a long filter, by FFT in blocks.
//!
//! Overlap-save (Oppenheim and Schafer, *Discrete-Time Signal Processing*, 8.7.3). As the filter is real, two blocks go through
//! one complex transform, the one as its real and the other as its imaginary part: they do not mix, and nothing is to be
//! parted afterwards.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use multiversion::multiversion;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftDirection, FftPlanner};

/// Plans made so far, by length: workers share the tables of an FFT.
static PLANNER: LazyLock<Mutex<FftPlanner<f32>>> = LazyLock::new(|| Mutex::new(FftPlanner::new()));

fn plan(len: usize, direction: FftDirection) -> Arc<dyn Fft<f32>> {
    // A planner whose user panicked holds whole plans still: each is stored when it is finished.
    PLANNER.lock().unwrap_or_else(PoisonError::into_inner).plan_fft(len, direction)
}

/// A filter made ready for blocks of one length, with the plans of their transforms.
pub(super) struct Spectrum {
    /// With the scale of the two transforms.
    bins: Vec<Complex<f32>>,
    num_taps: usize,
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
}

impl Spectrum {
    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.bins.as_slice())
    }
}

/// One worker's convolutions: buffers that are kept from clip to clip, of a few blocks.
#[derive(Default)]
pub(super) struct Convolution {
    block: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl Convolution {
    /// The length of the blocks in which so many samples are made with the least work: 2^n or 3 * 2^n, a filter's length at
    /// least.
    pub(super) fn block_len(num_taps: usize, num_outputs: usize) -> usize {
        /// Blocks of more than so many times the filter gain nothing.
        const LONGEST: usize = 32;
        let shortest = num_taps.next_power_of_two().max(64);
        let mut lens: Vec<usize> = Vec::new();
        let mut len = shortest;
        while len <= shortest * LONGEST {
            lens.extend([len, len / 2 * 3]);
            len *= 2;
        }
        let work = |len: usize| {
            let blocks = num_outputs.div_ceil(len + 1 - num_taps);
            // Half a pair is the transform of the filter itself; four passes go over the block beside the transforms.
            (blocks.div_ceil(2) as f64 + 0.5) * len as f64 * ((len as f64).log2() + 4.0)
        };
        lens.into_iter().min_by(|one, other| work(*one).total_cmp(&work(*other))).unwrap_or(shortest)
    }

    /// The spectrum of `taps`, one at least, for blocks of `block_len` samples, which is their number at least.
    pub(super) fn spectrum(&mut self, taps: &[f32], block_len: usize) -> Spectrum {
        let scale = 1.0 / block_len as f32;
        let mut bins: Vec<Complex<f32>> = taps.iter().map(|tap| Complex::new(tap * scale, 0.0)).collect();
        bins.resize(block_len, Complex::default());
        let [forward, inverse] =
            [FftDirection::Forward, FftDirection::Inverse].map(|direction| plan(block_len, direction));
        self.transform(&*forward, &mut bins);
        Spectrum { bins, num_taps: taps.len(), forward, inverse }
    }

    /// Writes the samples from number `start` on (below 0 and behind the end there is silence) of the convolution of `signal`
    /// with a filter.
    pub(super) fn apply(&mut self, spectrum: &Spectrum, signal: &[f32], start: isize, outputs: &mut [f32]) {
        let len = spectrum.bins.len();
        let overlap = spectrum.num_taps - 1;
        let step = len - overlap;
        let mut block = std::mem::take(&mut self.block);
        block.resize(len, Complex::default());
        for (number, pair) in outputs.chunks_mut(2 * step).enumerate() {
            let first = start + (2 * number * step) as isize - overlap as isize;
            block.fill(Complex::default());
            let (one, other) = pair.split_at_mut(step.min(pair.len()));
            put(signal, first, &mut block, |number, sample| number.re = sample);
            if !other.is_empty() {
                put(signal, first + step as isize, &mut block, |number, sample| number.im = sample);
            }
            self.transform(&*spectrum.forward, &mut block);
            multiply(&mut block, &spectrum.bins);
            self.transform(&*spectrum.inverse, &mut block);
            for (output, number) in one.iter_mut().zip(&block[overlap..]) {
                *output = number.re;
            }
            for (output, number) in other.iter_mut().zip(&block[overlap..]) {
                *output = number.im;
            }
        }
        self.block = block;
    }

    fn transform(&mut self, plan: &dyn Fft<f32>, block: &mut [Complex<f32>]) {
        let needed = plan.get_inplace_scratch_len();
        if self.scratch.len() < needed {
            self.scratch.resize(needed, Complex::default());
        }
        plan.process_with_scratch(block, &mut self.scratch[..needed]);
    }
}

/// Puts what there is of `signal` from sample `first` on into a block.
fn put(signal: &[f32], first: isize, block: &mut [Complex<f32>], set: impl Fn(&mut Complex<f32>, f32)) {
    let silence = usize::try_from(-first).unwrap_or(0).min(block.len());
    let from = usize::try_from(first).unwrap_or(0).min(signal.len());
    for (number, sample) in block[silence..].iter_mut().zip(&signal[from..]) {
        set(number, *sample);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn multiply(block: &mut [Complex<f32>], bins: &[Complex<f32>]) {
    for (number, bin) in block.iter_mut().zip(bins) {
        *number = Complex::new(number.re * bin.re - number.im * bin.im, number.re * bin.im + number.im * bin.re);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::WHO;
    use crate::seed::Generator;

    /// The sum itself, in double precision.
    fn direct(signal: &[f32], taps: &[f32], start: isize, outputs: usize) -> Vec<f64> {
        let sum = |n: usize| {
            let place = start + n as isize;
            let first = (place - signal.len() as isize + 1).max(0);
            (first..=place.min(taps.len() as isize - 1))
                .map(|k| f64::from(taps[k as usize]) * f64::from(signal[(place - k) as usize]))
                .sum()
        };
        (0..outputs).map(sum).collect()
    }

    fn noise(generator: &mut Generator, len: usize) -> Vec<f32> {
        (0..len).map(|_| (2.0 * generator.unit() - 1.0) as f32).collect()
    }

    #[track_caller]
    fn check(convolution: &mut Convolution, signal: &[f32], taps: &[f32], start: isize, outputs: usize, block: usize) {
        let spectrum = convolution.spectrum(taps, block);
        let mut made = vec![f32::NAN; outputs];
        convolution.apply(&spectrum, signal, start, &mut made);
        let truth = direct(signal, taps, start, outputs);
        let peak = direct(signal, taps, 0, signal.len() + taps.len()).iter().fold(1.0_f64, |peak, y| peak.max(y.abs()));
        let worst = made.iter().zip(&truth).fold(0.0_f64, |worst, (y, t)| worst.max((f64::from(*y) - t).abs()));
        let sizes = (signal.len(), taps.len(), start, outputs, block);
        assert!(worst <= 1e-6 * peak && !made.iter().any(|y| y.is_nan()), "{worst} of {peak} at {sizes:?}");
    }

    #[test]
    fn it_is_the_direct_sum_at_any_lengths_and_in_any_blocks() {
        let mut generator = WHO.stage("convolution");
        let mut convolution = Convolution::default();
        for _ in 0..150 {
            let mut below = |most: usize| (generator.unit() * most as f64) as usize;
            let (len, num_taps) = (1 + below(2_500), 1 + below(1_500));
            let outputs = 1 + below(len + num_taps);
            let start = below(num_taps + 40) as isize - 20;
            let least = num_taps + below(700);
            let (signal, taps) = (noise(&mut generator, len), noise(&mut generator, num_taps));
            let chosen = Convolution::block_len(num_taps, outputs);
            for block in [chosen, least] {
                check(&mut convolution, &signal, &taps, start, outputs, block);
            }
        }
        for (len, num_taps) in [(1, 1), (1, 5_000), (20_000, 1), (30, 4_000), (40_000, 3_000)] {
            let (signal, taps) = (noise(&mut generator, len), noise(&mut generator, num_taps));
            let outputs = len + num_taps - 1;
            let block = Convolution::block_len(num_taps, outputs);
            check(&mut convolution, &signal, &taps, 0, outputs, block);
        }
    }

    #[test]
    fn blocks_fit_the_filter_and_grow_with_the_clip() {
        for num_taps in [1, 2, 63, 64, 65, 8_000, 100_000] {
            for outputs in [1, 100, 160_000, 5_000_000] {
                let block = Convolution::block_len(num_taps, outputs);
                assert!((num_taps..=48 * num_taps.next_power_of_two().max(64)).contains(&block), "{num_taps} {block}");
            }
        }
        assert!(Convolution::block_len(8_000, 160_000) > Convolution::block_len(8_000, 1_000));
    }
}
