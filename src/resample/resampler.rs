//! One pair of rates, made ready once and reused from utterance to utterance.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler as _};
use thiserror::Error;

use crate::audio::Hertz;
use crate::rejects::rejects;

/// The shorter side of a block, in samples, is at least this. It sets the width of the transition band: at 1,024 the
/// filter is flat to 0.97 of the lower Nyquist frequency, at 342 it loses 1.2 dB at 0.95 of it.
const SHORT_SIDE: u64 = 1_024;

/// The longer side of a block, in samples, is at most this, for buffers on the order of 100 MB. Rates up to 524,288 Hz pair with each
/// other whatever their common divisor; beyond that only headers that lie are found.
const LONG_SIDE: u64 = 1 << 20;

rejects! {
    /// Why two rates cannot be converted.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
    pub enum ResampleError {
        /// The file's sample rate and the pipeline's have no common block of bearable length.
        #[error("{from} and {to} have no common block shorter than {block} samples; at most {LONG_SIDE} are supported")]
        rates_too_far: RatesTooFar {
            /// The rate of the file.
            from: Hertz,
            /// The rate asked for.
            to: Hertz,
            /// The longer side of the smallest common block, in samples.
            block: u64,
        },
    }
}

/// Converts sound from one rate to another; one a worker and pair of rates, its buffers reused.
///
/// An utterance is any number of [`push`](Self::push)es and one [`finish`](Self::finish). How the sound is cut into
/// pushes changes no bit, and `n` samples become exactly `⌈n · to / from⌉`. Silence is assumed before and after.
///
/// ```
/// use wavemill::audio::Hertz;
/// use wavemill::resample::Resampler;
///
/// let (from, to) = (Hertz::new(44_100).unwrap(), Hertz::new(16_000).unwrap());
/// let mut resampler = Resampler::new(from, to)?;
/// let mut out = Vec::new();
/// resampler.push(&[0.0; 1_000], &mut out);
/// resampler.push(&[0.0; 103], &mut out);
/// resampler.finish(&mut out);
/// assert_eq!(out.len(), 401); // 1103 · 16000 / 44100 = 400.2
/// # Ok::<(), wavemill::resample::ResampleError>(())
/// ```
pub struct Resampler {
    /// None where the rates are the same.
    blocks: Option<Blocks>,
}

impl Resampler {
    /// A resampler from the rate of a file to the rate of the pipeline.
    ///
    /// # Errors
    ///
    /// Rates beyond 524,288 Hz with (nearly) no common divisor.
    pub fn new(from: Hertz, to: Hertz) -> Result<Self, ResampleError> {
        let blocks = if from == to { None } else { Some(Blocks::new(from, to)?) };
        Ok(Self { blocks })
    }

    /// Takes the next samples, mono, and appends to `out` what they complete: whole blocks, so nothing or much.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        match &mut self.blocks {
            None => out.extend_from_slice(samples),
            Some(blocks) => blocks.push(samples, out),
        }
    }

    /// Ends the utterance, appends its last samples to `out` and is ready for the next one.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        if let Some(blocks) = &mut self.blocks {
            blocks.finish(out);
        }
    }

    /// Forgets an utterance that will not be finished.
    pub fn reset(&mut self) {
        if let Some(blocks) = &mut self.blocks {
            blocks.reset();
        }
    }
}

/// Sound cut into blocks of one length, each transformed on its own.
struct Blocks {
    fft: Fft<f32>,
    /// The rates, divided by their greatest common divisor.
    from: u64,
    to: u64,
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

impl Blocks {
    fn new(from: Hertz, to: Hertz) -> Result<Self, ResampleError> {
        let (block_in, _) = block_lengths(from, to)?;
        let rate = |hertz: Hertz| hertz.get() as usize;
        // The block is a whole multiple of the shortest one and all rates are above zero, so that nothing is left that
        // rubato could refuse; should it ever, the pair is one that does not work.
        let refused = |_| ResampleError::RatesTooFar { from, to, block: block_in as u64 };
        let fft = Fft::new_custom(rate(from), rate(to), block_in, 1, 1, WINDOW, FixedSync::Both).map_err(refused)?;
        let divisor = u64::from(gcd(from.get(), to.get()));
        let delay = fft.output_delay();
        Ok(Self {
            from: u64::from(from.get()) / divisor,
            to: u64::from(to.get()) / divisor,
            waiting: Vec::with_capacity(fft.input_frames_next()),
            block: vec![0.0; fft.output_frames_next()],
            delay,
            to_drop: delay,
            taken: 0,
            given: 0,
            fft,
        })
    }

    fn push(&mut self, mut samples: &[f32], out: &mut Vec<f32>) {
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

    fn finish(&mut self, out: &mut Vec<f32>) {
        let total = length_after(self.taken, self.from, self.to);
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

    fn reset(&mut self) {
        self.fft.reset();
        self.waiting.clear();
        self.to_drop = self.delay;
        self.taken = 0;
        self.given = 0;
    }
}

/// The window of the anti-aliasing filter: side lobes below −140 dB, the level of 24-bit sound.
const WINDOW: rubato::WindowFunction = rubato::WindowFunction::BlackmanHarris2;

/// How many samples a block has at each rate: the smallest common block times a power of two, so that the FFT splits into
/// small factors (a block of 4,098 = 2·3·683 takes four times as long as one of 3,072), and even on both sides, or the
/// filter's delay would be half a sample off.
fn block_lengths(from: Hertz, to: Hertz) -> Result<(usize, usize), ResampleError> {
    let divisor = gcd(from.get(), to.get());
    let sides = [from, to].map(|rate| u64::from(rate.get() / divisor));
    let (short, long) = (sides[0].min(sides[1]), sides[0].max(sides[1]));
    if long * 2 > LONG_SIDE {
        return Err(ResampleError::RatesTooFar { from, to, block: long * 2 });
    }
    let mut times = 2;
    while short * times < SHORT_SIDE && long * times * 2 <= LONG_SIDE {
        times *= 2;
    }
    Ok(((sides[0] * times) as usize, (sides[1] * times) as usize))
}

/// `⌈samples · to / from⌉`, without overflow for any length that fits memory.
fn length_after(samples: u64, from: u64, to: u64) -> u64 {
    let length = (u128::from(samples) * u128::from(to)).div_ceil(u128::from(from));
    u64::try_from(length).unwrap_or(u64::MAX)
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    /// Every pair of rates that speech corpora are made of.
    const PAIRS: [(u32, u32); 10] = [
        (48_000, 16_000),
        (44_100, 16_000),
        (22_050, 16_000),
        (11_025, 16_000),
        (16_000, 8_000),
        (8_000, 16_000),
        (16_000, 44_100),
        (16_000, 17_600),
        (48_000, 8_000),
        (16_000, 16_000),
    ];

    fn resampler(from: u32, to: u32) -> Resampler {
        Resampler::new(Hertz::new(from).unwrap(), Hertz::new(to).unwrap()).unwrap()
    }

    fn convert(from: u32, to: u32, samples: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        let mut resampler = resampler(from, to);
        resampler.push(samples, &mut out);
        resampler.finish(&mut out);
        out
    }

    fn sine(hertz: f64, rate: u32, len: usize) -> Vec<f32> {
        (0..len).map(|i| (0.5 * (TAU * hertz * i as f64 / f64::from(rate)).sin()) as f32).collect()
    }

    /// What a sine of 0.5 became: amplitude, lag in samples, and the level of everything else in dB below it. Fitted by
    /// least squares over the middle, half a second from either end.
    fn fitted(out: &[f32], hertz: f64, rate: u32) -> (f64, f64, f64) {
        let middle = rate as usize / 2..out.len() - rate as usize / 2;
        let angle = |i: usize| TAU * hertz * i as f64 / f64::from(rate);
        let (mut ss, mut sc, mut cc, mut sx, mut cx) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for i in middle.clone() {
            let (sin, cos) = angle(i).sin_cos();
            let x = f64::from(out[i]);
            ss += sin * sin;
            sc += sin * cos;
            cc += cos * cos;
            sx += sin * x;
            cx += cos * x;
        }
        let det = ss * cc - sc * sc;
        let (a, b) = ((sx * cc - cx * sc) / det, (cx * ss - sx * sc) / det);
        let rest = |i: usize| f64::from(out[i]) - a * angle(i).sin() - b * angle(i).cos();
        let noise = middle.clone().map(|i| rest(i).powi(2)).sum::<f64>() / middle.len() as f64;
        let level = 10.0 * (noise / 0.125).max(1e-30).log10();
        (a.hypot(b), -b.atan2(a) / (TAU * hertz / f64::from(rate)), level)
    }

    #[test]
    fn a_sine_stays_the_same_sine_at_the_same_time() {
        for (from, to) in PAIRS {
            for share in [0.05, 0.5, 0.9] {
                let hertz = share * f64::from(from.min(to)) / 2.0;
                let out = convert(from, to, &sine(hertz, from, from as usize * 2));
                let (amplitude, lag, noise) = fitted(&out, hertz, to);
                let gain_db = 20.0 * (amplitude / 0.5).log10();
                assert!(gain_db.abs() < 0.01, "{from} -> {to}, {hertz} Hz: {gain_db} dB");
                assert!(lag.abs() < 0.001, "{from} -> {to}, {hertz} Hz: {lag} samples late");
                assert!(noise < -110.0, "{from} -> {to}, {hertz} Hz: noise at {noise} dB");
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_carry_is_gone() {
        for (from, to) in PAIRS.into_iter().filter(|(from, to)| from > to) {
            for share in [1.05, 1.3, 1.9] {
                let hertz = share * f64::from(to) / 2.0;
                if hertz > 0.95 * f64::from(from) / 2.0 {
                    continue;
                }
                let out = convert(from, to, &sine(hertz, from, from as usize * 2));
                let middle = &out[to as usize / 2..out.len() - to as usize / 2];
                let power = middle.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / middle.len() as f64;
                let level = 10.0 * (power / 0.125).max(1e-30).log10();
                assert!(level < -100.0, "{from} -> {to}, {hertz} Hz comes through at {level} dB");
            }
        }
    }

    #[test]
    fn the_length_is_the_exact_ratio_rounded_up() {
        for (from, to) in PAIRS {
            let mut resampler = resampler(from, to);
            for len in [0_usize, 1, 2, 3, 159, 160, 441, 1_000, 3_071, 3_072, 3_073, 7_056, 12_345, 48_000] {
                let mut out = Vec::new();
                resampler.push(&vec![0.25; len], &mut out);
                resampler.finish(&mut out);
                let expected = (len as u64 * u64::from(to)).div_ceil(u64::from(from));
                assert_eq!(out.len() as u64, expected, "{from} -> {to}, {len} samples");
                assert!(out.iter().all(|x| x.is_finite()));
            }
        }
        assert_eq!(length_after(u64::MAX, 1, 3), u64::MAX);
    }

    #[test]
    fn the_cut_into_pushes_changes_no_bit() {
        let mut noise = 1_u32;
        let samples: Vec<f32> = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from((noise >> 16) as u16) / 32_768.0 - 1.0
        })
        .take(20_011)
        .collect();
        for (from, to) in PAIRS {
            let whole = convert(from, to, &samples);
            let mut resampler = resampler(from, to);
            for size in [1, 7, 1_152, 3_072, 4_096, 19_999] {
                let mut out = Vec::new();
                for piece in samples.chunks(size) {
                    resampler.push(piece, &mut out);
                }
                resampler.finish(&mut out);
                assert!(out == whole, "{from} -> {to} in pieces of {size}");
            }
        }
    }

    #[test]
    fn an_abandoned_utterance_leaves_no_trace() {
        let tone = sine(440.0, 44_100, 10_000);
        let mut resampler = resampler(44_100, 16_000);
        let mut out = Vec::new();
        resampler.push(&[1.0; 4_000], &mut out);
        resampler.reset();
        out.clear();
        resampler.push(&tone, &mut out);
        resampler.finish(&mut out);
        assert_eq!(out, convert(44_100, 16_000, &tone));
    }

    #[test]
    fn equal_rates_pass_every_bit() {
        let samples = [0.1, -0.2, f32::MIN_POSITIVE, 1.5];
        assert_eq!(convert(16_000, 16_000, &samples), samples);
    }

    #[test]
    fn odd_rates_work_and_absurd_ones_are_refused() {
        let out = convert(44_101, 16_000, &sine(440.0, 44_101, 88_202));
        assert_eq!(out.len(), 32_000);
        let (amplitude, lag, noise) = fitted(&out, 440.0, 16_000);
        assert!((amplitude - 0.5).abs() < 1e-4 && lag.abs() < 0.01 && noise < -100.0, "{amplitude} {lag} {noise}");
        let far = Resampler::new(Hertz::new(u32::MAX).unwrap(), Hertz::new(16_000).unwrap());
        assert_eq!(far.err().map(|error| error.code()), Some("rates_too_far"));
    }
}
