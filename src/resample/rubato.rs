//! rubato's FFT resampler with blocks of smooth lengths: overlap-add with a Blackman-Harris-squared window.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler as _};

use super::error::ResampleError;
use super::ratio::Ratio;
use crate::audio::Hertz;

/// The shorter side of a block, in samples, is at least this. It sets the width of the transition band: at 1,024 the
/// filter is flat to 0.97 of the lower Nyquist frequency, at 342 it loses 1.2 dB at 0.95 of it.
const SHORT_SIDE: u64 = 1_024;

/// The longer side of a block, in samples, is at most this, for buffers on the order of 100 MB.
const LONG_SIDE: u64 = 1 << 20;

/// Sound cut into blocks of one length, each transformed on its own.
pub(super) struct RubatoResampler {
    fft: Fft<f32>,
    ratio: Ratio,
    /// Samples that wait for their block to fill: `[0, block in)`.
    waiting: Vec<f32>,
    /// The last block that came out, `[block out]`.
    block: Vec<f32>,
    /// The delay of the filter, in output samples.
    delay: usize,
    /// Output samples still to drop, so that the delay goes.
    to_drop: usize,
    taken: u64,
    given: u64,
}

impl RubatoResampler {
    pub(super) fn new(from: Hertz, to: Hertz) -> Result<Self, ResampleError> {
        let ratio = Ratio::new(from, to);
        let block_in = block_length(ratio, from, to)?;
        let rate = |hertz: Hertz| hertz.get() as usize;
        // The block is a whole multiple of the shortest one and all rates are above zero, so that nothing is left that
        // rubato could refuse; should it ever, the pair is one that does not work.
        let refused = |_| ResampleError::RatesTooFar { from, to, block: block_in as u64 };
        let fft = Fft::new_custom(rate(from), rate(to), block_in, 1, 1, WINDOW, FixedSync::Both).map_err(refused)?;
        let delay = fft.output_delay();
        Ok(Self {
            ratio,
            waiting: Vec::with_capacity(fft.input_frames_next()),
            block: vec![0.0; fft.output_frames_next()],
            delay,
            to_drop: delay,
            taken: 0,
            given: 0,
            fft,
        })
    }

    /// Bytes that it takes, the transforms' own estimated: rubato keeps the filter's spectrum, and two blocks at each end.
    pub(super) fn bytes(&self) -> usize {
        let block = self.waiting.capacity() + self.block.len();
        8 * block * size_of::<f32>()
    }

    pub(super) fn push(&mut self, mut samples: &[f32], out: &mut Vec<f32>) {
        self.taken += samples.len() as u64;
        let block_in = self.fft.input_frames_next();
        while self.waiting.len() + samples.len() >= block_in {
            if self.waiting.is_empty() {
                // A whole block lies in one piece: no need to gather it first.
                let (whole, rest) = samples.split_at(block_in);
                samples = rest;
                self.transform(whole, u64::MAX, out);
            } else {
                let (missing, rest) = samples.split_at(block_in - self.waiting.len());
                samples = rest;
                self.waiting.extend_from_slice(missing);
                self.transform_waiting(u64::MAX, out);
            }
        }
        self.waiting.extend_from_slice(samples);
    }

    pub(super) fn finish(&mut self, out: &mut Vec<f32>) {
        let total = self.ratio.length_after(self.taken);
        while self.given < total {
            self.waiting.resize(self.fft.input_frames_next(), 0.0);
            self.transform_waiting(total - self.given, out);
        }
        self.reset();
    }

    fn transform_waiting(&mut self, at_most: u64, out: &mut Vec<f32>) {
        let waiting = std::mem::take(&mut self.waiting);
        self.transform(&waiting, at_most, out);
        self.waiting = waiting;
        self.waiting.clear();
    }

    /// Transforms one whole block and appends what comes out after the delay, `at_most` samples of it.
    fn transform(&mut self, samples: &[f32], at_most: u64, out: &mut Vec<f32>) {
        let block_out = self.block.len();
        let buffers = (
            SequentialSlice::new(samples, 1, samples.len()),
            SequentialSlice::new_mut(self.block.as_mut_slice(), 1, block_out),
        );
        let (Ok(from), Ok(mut to)) = buffers else {
            unreachable!("one channel of as many frames as there are samples");
        };
        let done = self.fft.process_into_buffer(&from, &mut to, None);
        debug_assert_eq!(done.ok(), Some((samples.len(), block_out)), "both sides of a block have a fixed length");
        let dropped = self.to_drop.min(block_out);
        self.to_drop -= dropped;
        let kept = usize::try_from(at_most).unwrap_or(usize::MAX).min(block_out - dropped);
        out.extend_from_slice(&self.block[dropped..dropped + kept]);
        self.given += kept as u64;
    }

    pub(super) fn reset(&mut self) {
        self.fft.reset();
        self.waiting.clear();
        self.to_drop = self.delay;
        self.taken = 0;
        self.given = 0;
    }
}

/// The window of the anti-aliasing filter: side lobes below −140 dB, the level of 24-bit sound.
const WINDOW: rubato::WindowFunction = rubato::WindowFunction::BlackmanHarris2;

/// How many samples a block has at the rate in: the smallest common block times a power of two, so that the FFT splits into
/// small factors (a block of 4,098 = 2·3·683 takes four times as long as one of 3,072), and even on both sides, or the
/// filter's delay would be half a sample off.
fn block_length(ratio: Ratio, from: Hertz, to: Hertz) -> Result<usize, ResampleError> {
    let (short, long) = (ratio.from.min(ratio.to), ratio.from.max(ratio.to));
    if long * 2 > LONG_SIDE {
        return Err(ResampleError::RatesTooFar { from, to, block: long * 2 });
    }
    let mut times = 2;
    while short * times < SHORT_SIDE && long * times * 2 <= LONG_SIDE {
        times *= 2;
    }
    Ok((ratio.from * times) as usize)
}
