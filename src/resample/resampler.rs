//! One pair of rates, made ready once and reused from utterance to utterance.

use super::error::ResampleError;
use super::fft::FftResampler;
use super::method::{Kernel, Method};
use super::rubato::RubatoResampler;
use super::torchaudio::SincResampler;
use crate::audio::Hertz;

/// Converts sound from one rate to another; one a worker and pair of rates, its buffers reused.
///
/// An utterance is any number of [`push`](Self::push)es and one [`finish`](Self::finish). How the sound is cut into
/// pushes changes no bit, and `n` samples become exactly `⌈n · to / from⌉`. Silence is assumed before and after.
///
/// ```
/// use wavemill::audio::Hertz;
/// use wavemill::resample::{Method, Resampler};
///
/// let (from, to) = (Hertz::new(44_100).unwrap(), Hertz::new(16_000).unwrap());
/// let mut resampler = Resampler::new(from, to, &Method::default())?;
/// let mut out = Vec::new();
/// resampler.push(&[0.0; 1_000], &mut out);
/// resampler.push(&[0.0; 103], &mut out);
/// resampler.finish(&mut out);
/// assert_eq!(out.len(), 401); // 1103 · 16000 / 44100 = 400.2
/// # Ok::<(), wavemill::resample::ResampleError>(())
/// ```
pub struct Resampler {
    engine: Engine,
    from: Hertz,
    to: Hertz,
}

/// What does the work.
enum Engine {
    /// The rates are the same.
    Nothing,
    Fft(Box<FftResampler>),
    Sinc(Box<SincResampler>),
    Rubato(Box<RubatoResampler>),
}

impl Resampler {
    /// A resampler from the rate of a file to the rate of the pipeline.
    ///
    /// # Errors
    ///
    /// Rates beyond 524,288 Hz with (nearly) no common divisor, and kernels of more than 64 MB.
    pub fn new(from: Hertz, to: Hertz, method: &Method) -> Result<Self, ResampleError> {
        let engine = match method {
            _ if from == to => Engine::Nothing,
            Method::Quality(quality) => Engine::Fft(Box::new(FftResampler::new(from, to, quality.design())?)),
            Method::Kernel(Kernel::Torchaudio(kernel)) => Engine::Sinc(Box::new(SincResampler::new(from, to, kernel)?)),
            Method::Kernel(Kernel::Rubato) => Engine::Rubato(Box::new(RubatoResampler::new(from, to)?)),
        };
        Ok(Self { engine, from, to })
    }

    /// A resampler of one more channel between the same rates. Filters and plans are shared with this one, where the method
    /// allows (not rubato's): both belong to one thread, or wait for each other.
    ///
    /// # Errors
    ///
    /// None that [`new`](Self::new) did not give.
    pub fn another(&self) -> Result<Self, ResampleError> {
        let engine = match &self.engine {
            Engine::Nothing => Engine::Nothing,
            Engine::Fft(fft) => Engine::Fft(Box::new(fft.another())),
            Engine::Sinc(sinc) => Engine::Sinc(Box::new(sinc.another())),
            Engine::Rubato(_) => Engine::Rubato(Box::new(RubatoResampler::new(self.from, self.to)?)),
        };
        Ok(Self { engine, from: self.from, to: self.to })
    }

    /// Bytes of memory that it takes, about; of what several share, its part.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.engine {
            Engine::Nothing => 0,
            Engine::Fft(fft) => fft.bytes(),
            Engine::Sinc(sinc) => sinc.bytes(),
            Engine::Rubato(rubato) => rubato.bytes(),
        }
    }

    /// Takes the next samples, mono, and appends to `out` what they complete: nothing, a few or whole blocks.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        match &mut self.engine {
            Engine::Nothing => out.extend_from_slice(samples),
            Engine::Fft(fft) => fft.push(samples, out),
            Engine::Sinc(sinc) => sinc.push(samples, out),
            Engine::Rubato(rubato) => rubato.push(samples, out),
        }
    }

    /// Ends the utterance, appends its last samples to `out` and is ready for the next one.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        match &mut self.engine {
            Engine::Nothing => {}
            Engine::Fft(fft) => fft.finish(out),
            Engine::Sinc(sinc) => sinc.finish(out),
            Engine::Rubato(rubato) => rubato.finish(out),
        }
    }

    /// Forgets an utterance that will not be finished.
    pub fn reset(&mut self) {
        match &mut self.engine {
            Engine::Nothing => {}
            Engine::Fft(fft) => fft.reset(),
            Engine::Sinc(sinc) => sinc.reset(),
            Engine::Rubato(rubato) => rubato.reset(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resample::{Quality, Torchaudio};

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

    const METHODS: [Method; 4] = [
        Method::Quality(Quality::High),
        Method::Quality(Quality::Fast),
        Method::Kernel(Kernel::Torchaudio(Torchaudio::DEFAULT)),
        Method::Kernel(Kernel::Rubato),
    ];

    fn cases() -> impl Iterator<Item = (u32, u32, Method)> {
        PAIRS.into_iter().flat_map(|(from, to)| METHODS.map(|method| (from, to, method)))
    }

    fn resampler(from: u32, to: u32, method: &Method) -> Resampler {
        Resampler::new(Hertz::new(from).unwrap(), Hertz::new(to).unwrap(), method).unwrap()
    }

    fn convert(from: u32, to: u32, method: &Method, samples: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        let mut resampler = resampler(from, to, method);
        resampler.push(samples, &mut out);
        resampler.finish(&mut out);
        out
    }

    fn noise(length: usize) -> Vec<f32> {
        let mut state = 1_u32;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from((state >> 16) as u16) / 32_768.0 - 1.0
        })
        .take(length)
        .collect()
    }

    #[test]
    fn the_length_is_the_exact_ratio_rounded_up() {
        for (from, to, method) in cases() {
            let mut resampler = resampler(from, to, &method);
            for len in [0_usize, 1, 2, 3, 159, 160, 441, 1_000, 3_071, 3_072, 3_073, 7_056, 12_345, 48_000] {
                let mut out = Vec::new();
                resampler.push(&vec![0.25; len], &mut out);
                resampler.finish(&mut out);
                let expected = (len as u64 * u64::from(to)).div_ceil(u64::from(from));
                assert_eq!(out.len() as u64, expected, "{from} -> {to}, {len} samples, {method:?}");
                assert!(out.iter().all(|x| x.is_finite()));
            }
        }
    }

    #[test]
    fn the_cut_into_pushes_changes_no_bit() {
        let samples = noise(20_011);
        for (from, to, method) in cases() {
            let whole = convert(from, to, &method, &samples);
            let mut resampler = resampler(from, to, &method);
            for size in [1, 7, 1_152, 3_072, 4_096, 19_999] {
                let mut out = Vec::new();
                for piece in samples.chunks(size) {
                    resampler.push(piece, &mut out);
                }
                resampler.finish(&mut out);
                assert!(out == whole, "{from} -> {to} in pieces of {size}, {method:?}");
            }
        }
    }

    #[test]
    fn channels_that_share_a_filter_do_not_hear_each_other() {
        let (left, right) = (noise(9_001), noise(20_002).split_off(11_001));
        for (from, to, method) in cases() {
            let mut channels = vec![resampler(from, to, &method)];
            channels.push(channels[0].another().unwrap());
            let mut out = [Vec::new(), Vec::new()];
            for (left, right) in left.chunks(1_000).zip(right.chunks(1_000)) {
                channels[0].push(left, &mut out[0]);
                channels[1].push(right, &mut out[1]);
            }
            for (channel, out) in channels.iter_mut().zip(&mut out) {
                channel.finish(out);
            }
            assert!(out[0] == convert(from, to, &method, &left), "{from} -> {to}, {method:?}");
            assert!(out[1] == convert(from, to, &method, &right), "{from} -> {to}, {method:?}");
        }
    }

    #[test]
    fn many_channels_at_an_odd_rate_take_little_more_than_their_sound() {
        let first = resampler(500_009, 16_000, &METHODS[0]);
        let alone = first.bytes();
        let others: Vec<Resampler> = (1..64).map(|_| first.another().unwrap()).collect();
        let all = first.bytes() + others.iter().map(Resampler::bytes).sum::<usize>();
        // Of its own, each has room for a block: two million samples.
        assert!(alone > 40 << 20 && all < alone + 64 * (8 << 20), "{alone} {all}");
    }

    #[test]
    fn an_abandoned_utterance_leaves_no_trace() {
        let sound = noise(10_000);
        for (from, to, method) in cases() {
            let mut resampler = resampler(from, to, &method);
            let mut out = Vec::new();
            resampler.push(&vec![1.0; 9_000], &mut out);
            resampler.reset();
            out.clear();
            resampler.push(&sound, &mut out);
            resampler.finish(&mut out);
            assert!(out == convert(from, to, &method, &sound), "{from} -> {to}, {method:?}");
        }
    }

    #[test]
    fn the_edges_are_those_of_sound_between_silences() {
        let sound = noise(5_000);
        for (from, to, method) in cases() {
            // A whole number of samples at either rate.
            let silence = vec![0.0; from as usize];
            let padded = convert(from, to, &method, &[&silence[..], &sound, &silence].concat());
            let difference = convert(from, to, &method, &sound)
                .iter()
                .zip(&padded[to as usize..])
                .map(|(alone, between)| (alone - between).abs())
                .fold(0.0, f32::max);
            assert!(difference < 1e-4, "{from} -> {to}, {method:?}: {difference:e}");
        }
    }

    #[test]
    fn equal_rates_pass_every_bit() {
        let samples = [0.1, -0.2, f32::MIN_POSITIVE, 1.5];
        for method in METHODS {
            assert_eq!(convert(16_000, 16_000, &method, &samples), samples);
        }
    }

    #[test]
    fn odd_rates_work_and_absurd_ones_are_refused() {
        for (from, to) in [(44_101, 16_000), (16_000, 44_101), (7_919, 16_000), (524_287, 8_000), (8_000, 101)] {
            for method in METHODS {
                let out = convert(from, to, &method, &vec![0.5; from as usize * 2]);
                assert_eq!(out.len(), to as usize * 2);
                let middle = f64::from(out[to as usize]);
                // torchaudio's gain at 0 Hz is 1.0005, and up to 0.0003 more or less by phase; rubato's is off by 0.0016 where
                // its filter is short for the ratio.
                assert!((middle - 0.5).abs() < 1e-3, "{from} -> {to}, {method:?}: {middle}");
            }
        }
        let far = Resampler::new(Hertz::new(u32::MAX).unwrap(), Hertz::new(16_000).unwrap(), &METHODS[0]);
        assert_eq!(far.err().map(|error| error.code()), Some("rates_too_far"));
    }
}
