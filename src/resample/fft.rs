//! Low-pass filter and change of rate in the frequency domain, block by block.
//!
//! Overlap-save (Oppenheim and Schafer, *Discrete-Time Signal Processing*, 8.7.3): a block is transformed at the rate it comes
//! in, its spectrum is filtered and cut (or filled with zeros) to the length that the same time has at the rate it goes out,
//! and transformed back. The filter is a sinc under a Kaiser window (*ibid.*, 7.5.3), symmetric about zero, so that it delays
//! nothing; what the block's two ends would need of their neighbours is dropped, and blocks overlap by that much.
//!
//! The stop band begins at the lower Nyquist frequency, where the spectrum is cut: a filter that were still open there would
//! ring through the whole block.

use std::f64::consts::PI;
use std::sync::{Arc, Mutex, PoisonError};

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::error::{LONG_SIDE, ResampleError};
use super::ratio::Ratio;
use crate::audio::Hertz;

/// A transform is at least this many times as long as what is dropped at one end of it, so that little is done twice.
const OVERLAP: u64 = 12;

/// The longest transform, in samples, that is chosen for speed: its buffers fit the caches. Rates with no common divisor need
/// longer ones.
const CACHED_SIDE: u64 = 1 << 15;

/// What a filter lets through and what not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Design {
    /// Where the pass band ends, as a share of the lower Nyquist frequency. The stop band begins at 1.
    pub(super) pass: f64,
    /// How far the stop band lies below the pass band, in decibels; also the ripple of both.
    pub(super) attenuation_db: f64,
    /// The shorter side of a transform, in samples, is at least this where the caches allow.
    pub(super) short_side: u64,
}

impl Design {
    /// How far the filter reaches to either side of zero, in samples of the lower rate: Kaiser's formula.
    fn reach(self) -> f64 {
        let transition = PI * (1.0 - self.pass);
        (self.attenuation_db - 7.95) / (2.285 * transition) / 2.0
    }
}

/// One pair of rates and one filter: what channels share, for each of them waits for its next block on its own.
struct Filter {
    ratio: Ratio,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    /// The filter's spectrum, real as the filter is symmetric, over the bins that both rates have; with the transforms' scale.
    gains: Vec<f32>,
    /// Samples of a transform at the rate in.
    samples_in: usize,
    /// Samples at either end of a transform that its neighbours give, at the rate in and at the rate out.
    edge_in: usize,
    edge_out: usize,
    /// What a block is transformed in. Channels of one thread take turns, so that nobody waits for it.
    room: Mutex<Room>,
}

struct Room {
    samples: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    cut: Vec<Complex<f32>>,
    block: Vec<f32>,
    scratch: Vec<Complex<f32>>,
}

impl Filter {
    fn new(from: Hertz, to: Hertz, design: Design) -> Result<Self, ResampleError> {
        let ratio = Ratio::new(from, to);
        let (short, long) = (ratio.from.min(ratio.to), ratio.from.max(ratio.to));
        // In samples of the lower rate; then in blocks of the shortest length that is whole at both rates.
        let reach = design.reach();
        let edge = (reach / short as f64).ceil() as u64;
        // A power of two keeps the transform's factors small: 4,098 = 2·3·683 takes four times as long as 3,072.
        let mut units = (2 * edge + 2).next_power_of_two();
        if long * units > LONG_SIDE {
            return Err(ResampleError::RatesTooFar { from, to, block: long * units });
        }
        while (units < OVERLAP * edge || short * units < design.short_side) && long * units * 2 <= CACHED_SIDE {
            units *= 2;
        }
        let [samples_in, samples_out] = [ratio.from, ratio.to].map(|side| (side * units) as usize);
        let [edge_in, edge_out] = [ratio.from, ratio.to].map(|side| (side * edge) as usize);

        // From the lower rate's terms to those of the rate in.
        let scale = ratio.from as f64 / short as f64;
        let cutoff = f64::midpoint(design.pass, 1.0) / scale;
        let bins = samples_in.min(samples_out) / 2;
        let gains = spectrum(samples_in, bins, reach * scale, cutoff, design.attenuation_db);
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(samples_in), planner.plan_fft_inverse(samples_out));
        let scratch = forward.get_scratch_len().max(inverse.get_scratch_len());
        let room = Mutex::new(Room {
            samples: forward.make_input_vec(),
            spectrum: forward.make_output_vec(),
            cut: inverse.make_input_vec(),
            block: inverse.make_output_vec(),
            scratch: vec![Complex::default(); scratch],
        });
        Ok(Self { ratio, forward, inverse, gains, samples_in, edge_in, edge_out, room })
    }

    /// Transforms one block, silence following `samples` if they are too few, and appends what is whole of it, `at_most`
    /// samples; gives their number.
    fn transform(&self, samples: &[f32], at_most: u64, out: &mut Vec<f32>) -> usize {
        // What a panic left in the room is overwritten.
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let Room { samples: block_in, spectrum, cut, block, scratch } = &mut *room;
        block_in[..samples.len()].copy_from_slice(samples);
        block_in[samples.len()..].fill(0.0);
        let rough = &mut scratch[..self.forward.get_scratch_len()];
        let done = self.forward.process_with_scratch(block_in, spectrum, rough);
        debug_assert!(done.is_ok(), "the buffers were made for this transform");
        for ((to, from), gain) in cut.iter_mut().zip(&*spectrum).zip(&self.gains) {
            *to = from * gain;
        }
        // The inverse transform used the buffer for its own ends.
        cut[self.gains.len()..].fill(Complex::default());
        let rough = &mut scratch[..self.inverse.get_scratch_len()];
        let done = self.inverse.process_with_scratch(cut, block, rough);
        debug_assert!(
            done.is_ok(),
            "the first bin is real, the last is zero, the buffers were made for this transform"
        );
        let whole = &block[self.edge_out..block.len() - self.edge_out];
        let whole = &whole[..whole.len().min(usize::try_from(at_most).unwrap_or(usize::MAX))];
        out.extend_from_slice(whole);
        whole.len()
    }

    /// Bytes that it takes, the transforms' own tables estimated.
    fn bytes(&self) -> usize {
        let room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let complex = room.spectrum.len() + room.cut.len() + room.scratch.len();
        let real = room.samples.len() + room.block.len() + self.gains.len();
        let tables = room.samples.len() + room.block.len();
        (complex + tables) * size_of::<Complex<f32>>() + real * size_of::<f32>()
    }
}

/// One channel on its way through a filter.
pub(super) struct FftResampler {
    filter: Arc<Filter>,
    /// Samples that wait for their block to fill, the overlap with the block before included.
    waiting: Vec<f32>,
    taken: u64,
    given: u64,
}

impl FftResampler {
    pub(super) fn new(from: Hertz, to: Hertz, design: Design) -> Result<Self, ResampleError> {
        Ok(Self::through(Arc::new(Filter::new(from, to, design)?)))
    }

    /// For one more channel: the filter is shared.
    pub(super) fn another(&self) -> Self {
        Self::through(self.filter.clone())
    }

    fn through(filter: Arc<Filter>) -> Self {
        let mut waiting = Vec::with_capacity(filter.samples_in);
        waiting.resize(filter.edge_in, 0.0);
        Self { filter, waiting, taken: 0, given: 0 }
    }

    /// Bytes that it takes: its own, and its part of the filter.
    pub(super) fn bytes(&self) -> usize {
        self.waiting.capacity() * size_of::<f32>() + self.filter.bytes() / Arc::strong_count(&self.filter)
    }

    pub(super) fn push(&mut self, mut samples: &[f32], out: &mut Vec<f32>) {
        self.taken += samples.len() as u64;
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(self.filter.samples_in - self.waiting.len()));
            self.waiting.extend_from_slice(now);
            samples = later;
            if self.waiting.len() == self.filter.samples_in {
                self.transform(u64::MAX, out);
            }
        }
    }

    pub(super) fn finish(&mut self, out: &mut Vec<f32>) {
        let total = self.filter.ratio.length_after(self.taken);
        while self.given < total {
            self.transform(total - self.given, out);
        }
        self.reset();
    }

    pub(super) fn reset(&mut self) {
        self.waiting.clear();
        self.waiting.resize(self.filter.edge_in, 0.0);
        self.taken = 0;
        self.given = 0;
    }

    /// Transforms what waits as one block, and keeps what the next one sees again.
    fn transform(&mut self, at_most: u64, out: &mut Vec<f32>) {
        self.given += self.filter.transform(&self.waiting, at_most, out) as u64;
        let overlap = 2 * self.filter.edge_in;
        let done = (self.filter.samples_in - overlap).min(self.waiting.len());
        self.waiting.drain(..done);
        self.waiting.resize(overlap, 0.0);
    }
}

/// The first `bins` of the spectrum of a Kaiser-windowed sinc that reaches `reach` samples to either side of zero and halves
/// the level at `cutoff`, a share of the Nyquist frequency; divided by the length of the transform.
fn spectrum(length: usize, bins: usize, reach: f64, cutoff: f64, attenuation_db: f64) -> Vec<f32> {
    let beta = 0.1102 * (attenuation_db - 8.7);
    let mut planner = RealFftPlanner::<f64>::new();
    let fft = planner.plan_fft_forward(length);
    let mut taps = fft.make_input_vec();
    for tap in 0..=(reach.floor() as usize).min(length / 2 - 1) {
        let x = tap as f64;
        let window = bessel_i0(beta * (1.0 - (x / reach).powi(2)).max(0.0).sqrt());
        let sinc = if tap == 0 { cutoff } else { (PI * cutoff * x).sin() / (PI * x) };
        taps[tap] = sinc * window;
        taps[(length - tap) % length] = sinc * window;
    }
    let scale = 1.0 / taps.iter().sum::<f64>() / length as f64;
    let mut spectrum = fft.make_output_vec();
    let done = fft.process(&mut taps, &mut spectrum);
    debug_assert!(done.is_ok(), "the buffers were made for this transform");
    spectrum[..bins].iter().map(|bin| (bin.re * scale) as f32).collect()
}

/// The modified Bessel function of the first kind and order zero, by its power series: exact to the last bits for the
/// arguments of windows.
pub(crate) fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > sum * f64::EPSILON / 4.0 {
        term *= quarter / (k * k);
        sum += term;
        k += 1.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bessel_function_has_its_known_values() {
        for (x, known) in [(0.0, 1.0), (1.0, 1.266_065_877_752_008_4), (10.0, 2_815.716_628_466_254)] {
            assert!((bessel_i0(x) / known - 1.0).abs() < 1e-14, "{x}");
        }
    }
}
