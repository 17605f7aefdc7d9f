//! Longer or shorter sound at its own pitch: the engine of `time_stretch` and `pitch_shift`.
//!
//! A phase vocoder of the class of Signalsmith Stretch (Geraint Luff, "The Design of Signalsmith Stretch", 2023). Frames are laid
//! over the output at a fixed hop; each takes the magnitudes of the input about the time that it stands for, and turns every
//! bin's phase by what its neighbours in time *and* in frequency say, weighted by their energy (`stretch/turns.rs`). So sines stay
//! whole and clicks stay short. All channels are turned by the same angles: what lies between them stays. Nothing is random.
//!
//! What is our own: the state is a turn (output over input) and not an output spectrum; eight stretches of the spectrum are worked
//! through side by side; frames are 80 ms and not 120 ms under a narrower window, which speech prefers (`docs/stretch.md`).
//!
//! ```text
//! Stretcher      clips of one sample rate: windows, transforms, overlap-add
//!   Turns        the turn of each bin from frame to frame
//! varispeed      a clip faster and higher at once by any ratio, for `pitch_shift`
//! ```

#[cfg(test)]
pub(super) mod measure;
mod turns;
pub(super) mod varispeed;

use std::sync::Arc;

use multiversion::multiversion;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use crate::audio::Hertz;
use crate::resample::bessel_i0;
use turns::{Bins, Spectra, Turns};

/// The length of a frame: several periods of the lowest voices, and yet not longer than a sound of speech.
const FRAME_S: f64 = 0.08;

/// Frames that overlap at any time.
pub(super) const OVERLAP: usize = 4;

/// The shape of the frames' Kaiser window, which is applied before and after: side lobes fall below single precision's noise of
/// products, and four frames overlap to a level sum.
const BETA: f64 = 10.0;

/// How much faster a clip may become, and how much slower.
pub(super) const FASTEST: f64 = 4.0;

/// Stretches clips of one sample rate, its buffers reused.
pub(super) struct Stretcher {
    sample_rate: Hertz,
    frame: usize,
    hop: usize,
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
    /// Before the transform, and after it (with its scale, and level over all overlaps): `[frame]` each.
    analysis: Vec<f32>,
    synthesis: Vec<f32>,
    /// Two frames at once: one in the real parts and one in the imaginary ones.
    pair: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    /// A frame and the hop before it, where the clip ends within them.
    edge: Vec<f32>,
    /// By which the clip is brought to full scale, so that neither loud nor soft clips leave single precision's range.
    scale: f32,
    turns: Turns,
    channels: Vec<Channel>,
}

/// A channel on its way.
struct Channel {
    spectra: Spectra,
    /// The turned spectrum of a frame that waits for the next one, to be transformed with it.
    waiting: Bins,
    /// The output so far, from [`Stretcher::lead`] samples before its start.
    sum: Vec<f32>,
}

impl Stretcher {
    /// The one in `kept` if it is for clips of this rate, or else a new one there.
    pub(super) fn of(kept: &mut Option<Self>, rate: Hertz) -> &mut Self {
        let fitting = kept.take().filter(|kept| kept.sample_rate == rate);
        kept.insert(fitting.unwrap_or_else(|| Self::new(rate)))
    }

    /// For clips of this rate.
    pub(super) fn new(sample_rate: Hertz) -> Self {
        let frame = smooth(FRAME_S * f64::from(sample_rate.get()));
        let hop = frame / OVERLAP;
        let mut planner = FftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(frame), planner.plan_fft_inverse(frame));
        let scratch = forward.get_inplace_scratch_len().max(inverse.get_inplace_scratch_len());
        let window = |sample: usize| {
            let place = (2.0 * sample as f64 + 1.0) / frame as f64 - 1.0;
            bessel_i0(BETA * (1.0 - place * place).sqrt()) / bessel_i0(BETA)
        };
        let window: Vec<f64> = (0..frame).map(window).collect();
        let overlapped =
            |sample: usize| (0..OVERLAP).map(|part| window[sample % hop + part * hop].powi(2)).sum::<f64>();
        let level = |(sample, window): (usize, &f64)| (window / overlapped(sample) / frame as f64) as f32;
        Self {
            sample_rate,
            frame,
            hop,
            forward,
            inverse,
            analysis: window.iter().map(|window| *window as f32).collect(),
            synthesis: window.iter().enumerate().map(level).collect(),
            pair: vec![Complex::default(); frame],
            scratch: vec![Complex::default(); scratch],
            edge: vec![0.0; frame + hop],
            scale: 1.0,
            turns: Turns::new(frame / 2 + 1),
            channels: Vec::new(),
        }
    }

    /// Makes a clip `rate` times as fast, at most [`FASTEST`] times and no slower than the inverse, and exactly `len` samples long.
    pub(super) fn stretch(&mut self, sound: &mut [Vec<f32>], rate: f64, len: usize) {
        let rate = rate.clamp(1.0 / FASTEST, FASTEST);
        let bins = self.frame / 2 + 1;
        self.channels.truncate(sound.len());
        self.channels.resize_with(sound.len(), || Channel {
            spectra: Spectra::new(bins),
            waiting: Bins::new(bins),
            sum: Vec::new(),
        });
        // A frame about every hop from before the start to behind the end, whole pairs of them.
        let frames = (len.div_ceil(self.hop) + OVERLAP - 1).next_multiple_of(2);
        for channel in &mut self.channels {
            channel.spectra.clear();
            channel.sum.clear();
            channel.sum.resize(frames * self.hop + self.frame, 0.0);
        }
        self.scale = to_full_scale(sound);
        self.turns.begin(1.0 / rate);
        for number in 0..frames {
            let centre = (number as f64 - (OVERLAP / 2 - 1) as f64) * self.hop as f64;
            let first = (centre * rate).round() as i64 - (self.frame / 2) as i64;
            for (index, samples) in sound.iter().enumerate() {
                self.analyse(index, samples, first);
            }
            self.turns.turn(self.channels.iter().map(|channel| &channel.spectra));
            for index in 0..sound.len() {
                self.synthesise(index, number);
            }
        }
        let lead = self.lead();
        for (channel, samples) in self.channels.iter().zip(sound) {
            samples.clear();
            samples.extend(channel.sum[lead..lead + len].iter().map(|sample| sample / self.scale));
        }
    }

    /// From the first sample of the first frame to the start of the output.
    const fn lead(&self) -> usize {
        (OVERLAP / 2 - 1) * self.hop + self.frame / 2
    }

    /// The spectra of the frame at `first` and of the one a hop before it, in one transform. The middle of a frame is time zero: the
    /// phases of a window's bins are then equal, and between bins one may interpolate.
    fn analyse(&mut self, index: usize, samples: &[f32], first: i64) {
        let Self { frame, hop, .. } = *self;
        let before = first - hop as i64;
        let inside = usize::try_from(before).ok().and_then(|start| samples.get(start..start + frame + hop));
        let span = if let Some(span) = inside {
            span
        } else {
            let len = samples.len() as i64;
            let (start, end) = (before.clamp(0, len), (before + (frame + hop) as i64).clamp(0, len));
            let place = (start - before).clamp(0, (frame + hop) as i64) as usize;
            let part = &samples[start as usize..end as usize];
            self.edge.fill(0.0);
            self.edge[place..place + part.len()].copy_from_slice(part);
            &self.edge
        };
        let (early, late) = (&span[..frame], &span[hop..]);
        let half = frame / 2;
        let (second, first) = self.pair.split_at_mut(half);
        window(first, &late[..half], &early[..half], &self.analysis[..half], self.scale);
        window(second, &late[half..], &early[half..], &self.analysis[half..], self.scale);
        self.forward.process_with_scratch(&mut self.pair, &mut self.scratch);
        self.channels[index].spectra.take(&self.pair);
    }

    /// Turns the frame's spectrum, and adds it and the one before to the output if it is the second of a pair.
    fn synthesise(&mut self, index: usize, number: usize) {
        let channel = &mut self.channels[index];
        if number.is_multiple_of(2) {
            self.turns.apply(&channel.spectra, &mut channel.waiting);
        } else {
            self.turns.apply_pair(&channel.spectra, &channel.waiting, &mut self.pair);
            self.inverse.process_with_scratch(&mut self.pair, &mut self.scratch);
            let half = self.frame / 2;
            let (early, late) = (&self.pair[half..], &self.pair[..half]);
            let start = (number - 1) * self.hop;
            let sum = &mut channel.sum[start..start + self.frame + self.hop];
            for (part, samples) in [(0, early), (half, late)] {
                let synthesis = &self.synthesis[part..part + half];
                add_real(&mut sum[part..part + half], samples, synthesis);
                add_imaginary(&mut sum[self.hop + part..self.hop + part + half], samples, synthesis);
            }
        }
        channel.spectra.keep();
    }
}

/// The power of two by which the highest sample comes to between a half and one.
fn to_full_scale(sound: &[Vec<f32>]) -> f32 {
    let peak = sound.iter().flatten().fold(0.0, |peak: f32, sample| peak.max(sample.abs()));
    if peak > 0.0 { (-peak.log2().ceil()).clamp(-100.0, 100.0).exp2() } else { 1.0 }
}

/// Two frames under a window, to scale.
#[multiversion(targets("x86_64+avx2"))]
fn window(pair: &mut [Complex<f32>], real: &[f32], imaginary: &[f32], window: &[f32], scale: f32) {
    for (((pair, real), imaginary), window) in pair.iter_mut().zip(real).zip(imaginary).zip(window) {
        let window = window * scale;
        *pair = Complex::new(real * window, imaginary * window);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn add_real(sum: &mut [f32], samples: &[Complex<f32>], window: &[f32]) {
    for ((sum, sample), window) in sum.iter_mut().zip(samples).zip(window) {
        *sum += sample.re * window;
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn add_imaginary(sum: &mut [f32], samples: &[Complex<f32>], window: &[f32]) {
    for ((sum, sample), window) in sum.iter_mut().zip(samples).zip(window) {
        *sum += sample.im * window;
    }
}

/// The length nearest to this whose transform is fast: sixteen times a number without factors above 5.
fn smooth(length: f64) -> usize {
    let is_smooth = |number: &usize| {
        let mut rest = *number;
        for factor in [2, 3, 5] {
            while rest.is_multiple_of(factor) {
                rest /= factor;
            }
        }
        rest == 1
    };
    let parts = (length / 16.0).max(1.0);
    let ceiling = parts.ceil() as usize;
    // There is a power of two up to there.
    let above = (ceiling..=2 * ceiling).find(is_smooth).unwrap_or(1);
    let below = (1..=parts as usize).rev().find(is_smooth).unwrap_or(1);
    16 * if above as f64 / parts < parts / below as f64 { above } else { below }
}

#[cfg(test)]
mod tests {
    use super::measure::{assert_tone, harmonics_snr_db, highest_at, tone};
    use super::*;

    const RATES: [f64; 4] = [0.8, 0.9, 1.1, 1.25];

    fn stretched(sound: &[Vec<f32>], rate: f64) -> Vec<Vec<f32>> {
        let mut sound = sound.to_vec();
        let len = (sound[0].len() as f64 / rate).round() as usize;
        Stretcher::new(Hertz::new(16_000).unwrap()).stretch(&mut sound, rate, len);
        sound
    }

    fn mono(samples: Vec<f32>, rate: f64) -> Vec<f32> {
        stretched(&[samples], rate).remove(0)
    }

    /// Voiced sound with an onset, a glide and noise: nothing repeats.
    fn lively(len: usize) -> Vec<f32> {
        let mut state = 1_u32;
        let sample = |i: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let time = i as f32 / 16_000.0;
            let noise = (state >> 8) as f32 / 16_777_216.0 - 0.5;
            let voice: f32 = (1..12).map(|k| (700.0 * k as f32 * (time + 0.1 * time * time)).sin() / k as f32).sum();
            0.2 * voice * (6.0 * time).sin() + 0.05 * noise
        };
        (0..len).map(sample).collect()
    }

    #[test]
    fn tones_keep_their_pitch_and_level() {
        for rate in RATES {
            for hertz in [440.0, 1_000.0, 3_000.0] {
                assert_tone(&mono(tone(&[hertz], 3.0), rate), hertz);
            }
        }
    }

    #[test]
    fn harmonics_keep_their_phases_to_each_other() {
        let hertz: Vec<f64> = (1..=10).map(|number| 200.0 * f64::from(number)).collect();
        for rate in RATES {
            let snr_db = harmonics_snr_db(&mono(tone(&hertz, 3.0), rate), &hertz);
            assert!(snr_db >= 60.0, "{rate}: {snr_db}");
        }
    }

    #[test]
    fn clicks_stay_clicks_and_in_their_places() {
        for rate in RATES {
            let mut samples = vec![0.0; 48_000];
            let places: Vec<usize> = (4_000..44_000).step_by(4_000).collect();
            for place in &places {
                samples[*place] = 1.0;
            }
            let after = mono(samples, rate);
            for place in places {
                let expected = (place as f64 / rate).round() as usize;
                let around = &after[expected - 1_500..expected + 1_500];
                assert!(highest_at(around).abs_diff(1_500) <= 16, "{rate}: {}", highest_at(around));
                let energy = |samples: &[f32]| samples.iter().map(|sample| sample * sample).sum::<f32>();
                assert!(energy(&around[1_420..1_581]) >= 0.95 * energy(around), "{rate}");
            }
        }
    }

    #[test]
    fn the_start_and_the_end_stay_in_their_places() {
        for rate in RATES {
            for place in [0, 5, 300, 15_990] {
                let mut samples = vec![0.0; 16_000];
                samples[place] = 1.0;
                let highest = highest_at(&mono(samples, rate));
                assert!(highest.abs_diff((place as f64 / rate).round() as usize) <= 16, "{rate}, {place}: {highest}");
            }
        }
    }

    #[test]
    fn at_the_same_rate_the_sound_is_the_same() {
        let sound = lively(20_000);
        let after = mono(sound.clone(), 1.0);
        assert!(sound.iter().zip(&after).all(|(before, after)| (before - after).abs() < 1e-5));
    }

    #[test]
    fn channels_keep_what_lies_between_them() {
        let first = lively(30_000);
        let second: Vec<f32> = first.iter().map(|sample| -0.25 * sample).collect();
        let after = stretched(&[first.clone(), second, vec![0.0; 30_000]], 0.8);
        assert!(after[0].iter().zip(&after[1]).all(|(one, other)| (other + 0.25 * one).abs() < 1e-5));
        assert!(after[2].iter().all(|sample| sample.abs() < 1e-6));
        let alone = mono(first, 0.8);
        assert!(alone.iter().zip(&after[0]).all(|(alone, beside)| (alone - beside).abs() < 1e-2));
    }

    #[test]
    fn bits_do_not_depend_on_clips_before() {
        let mut stretcher = Stretcher::new(Hertz::new(16_000).unwrap());
        let mut once = |rate: f64, len: usize| {
            let mut sound = vec![lively(len)];
            stretcher.stretch(&mut sound, rate, (len as f64 / rate).round() as usize);
            sound
        };
        let first = once(1.1, 20_000);
        once(0.7, 40_000);
        assert_eq!(once(1.1, 20_000), first);
    }

    #[test]
    fn the_level_changes_nothing_and_silence_stays_silence() {
        let sound = lively(20_000);
        let after = mono(sound.clone(), 0.8);
        for level in [(-80.0_f32).exp2(), 1.0 / 8_192.0, 128.0, 80.0_f32.exp2()] {
            let scaled = mono(sound.iter().map(|sample| sample * level).collect(), 0.8);
            let worst =
                scaled.iter().zip(&after).map(|(scaled, after)| (scaled / level - after).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-6, "{level}: {worst}");
        }
        assert!(mono(vec![0.0; 5_000], 0.8).iter().all(|sample| *sample == 0.0));
    }

    #[test]
    fn every_rate_has_a_frame_of_its_length_and_small_factors() {
        for (rate, frame) in [(1_000, 80), (8_000, 640), (16_000, 1_280), (44_100, 3_600), (48_000, 3_840)] {
            assert_eq!(smooth(FRAME_S * f64::from(rate)), frame);
        }
        for rate in (1_000..768_000).step_by(997) {
            let exact = FRAME_S * f64::from(rate);
            let frame = smooth(exact);
            assert!(frame.is_multiple_of(4 * OVERLAP) && (frame as f64 / exact).ln().abs() < 0.12, "{rate}: {frame}");
        }
    }

    /// Writes what `fixtures/golden/augment/stretch_quality.py` measures: of each `NAME.f32` in the folder that the
    /// variable names (mono, 16 kHz), stretched and shifted there and back.
    #[test]
    fn speech_is_written_for_measurement_if_asked_for() {
        let Some(folder) = std::env::var_os("STRETCH_QUALITY") else { return };
        let mut written = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "f32") {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let samples: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            let write = |name: &str, samples: &[f32]| {
                let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                std::fs::write(path.with_extension(name), bytes).unwrap();
            };
            for rate in [1.25, 0.8] {
                let there = mono(samples.clone(), rate);
                write(&format!("stretch_{rate}"), &there);
                let mut back = vec![there];
                Stretcher::new(Hertz::new(16_000).unwrap()).stretch(&mut back, 1.0 / rate, samples.len());
                write(&format!("stretch_{rate}_back"), &back[0]);
            }
            for semitones in [4.0_f64, -4.0] {
                let shift = |mut samples: Vec<f32>, semitones: f64| {
                    let (ratio, len) = ((semitones / 12.0).exp2(), samples.len());
                    varispeed::Varispeed::default().change(&mut samples, ratio);
                    let mut sound = vec![samples];
                    Stretcher::new(Hertz::new(16_000).unwrap()).stretch(&mut sound, 1.0 / ratio, len);
                    sound.remove(0)
                };
                let there = shift(samples.clone(), semitones);
                write(&format!("shift_{semitones}"), &there);
                write(&format!("shift_{semitones}_back"), &shift(there, -semitones));
            }
            written += 1;
        }
        assert!(written > 0, "a folder with `.f32` files");
    }
}
