//! A clip faster and higher at once, or slower and lower, by any ratio.
//!
//! `y[j] = sum over k of x[k] h(k - j ratio)` with `h` a sinc under a Kaiser window (Oppenheim and Schafer, *Discrete-Time
//! Signal Processing*, 7.5.3), 32 zero crossings to either side: flat to 0.84 of the lower Nyquist frequency, -80 dB from there on. When
//! sound becomes faster, the cutoff is rounded down to one of 32 steps, so that it is flat to about 0.82 of the lower Nyquist
//! frequency at ratios near 1, to 0.79 at any ratio up to 2, and to 0.75 at the worst of all, 3.6. It is read from a
//! table of 256 phases and interpolated between them, which is exact to -100 dB: unlike `resample`, a ratio that was
//! never seen before needs no design.

use std::collections::BTreeMap;
use std::f64::consts::PI;

use multiversion::multiversion;

use super::FASTEST;
use crate::resample::bessel_i0;

/// Zero crossings of the sinc to either side.
const CROSSINGS: f64 = 32.0;

/// Kaiser's shape for side lobes of -80 dB.
const BETA: f64 = 0.1102 * (80.0 - 8.7);

/// Where the level is halved: half of the transition, `(80 - 7.95) / (2.285 pi) / 64` wide, lies above it.
const CUTOFF: f64 = 0.92;

/// Phases of the table.
const PHASES: usize = 256;

/// Cutoffs are rounded down to so many steps of the Nyquist frequency: that many tables at most.
const STEPS: f64 = 32.0;

/// Products that are added side by side.
const LANES: usize = 8;

/// Changes the speed of clips, its tables kept.
#[derive(Default)]
pub(in crate::augment) struct Varispeed {
    tables: BTreeMap<u8, Table>,
    padded: Vec<f32>,
}

/// The kernel for one cutoff.
struct Table {
    /// Samples before and after, each side; a multiple of half a group.
    reach: usize,
    /// `[PHASES][2 reach]`.
    taps: Vec<f32>,
    /// From each phase to the next, in the same shape.
    steps: Vec<f32>,
}

impl Table {
    fn new(cutoff: f64) -> Self {
        let width = CROSSINGS / cutoff;
        let reach = (width.ceil() as usize).next_multiple_of(LANES / 2);
        let mut taps = Vec::with_capacity((PHASES + 1) * 2 * reach);
        for phase in 0..=PHASES {
            let place = |tap: usize| (tap + 1) as f64 - reach as f64 - phase as f64 / PHASES as f64;
            let kernel = |tap: usize| {
                let (t, window) = (place(tap), 1.0 - (place(tap) / width).powi(2));
                let angle = PI * cutoff * CUTOFF * t;
                let sinc = if t == 0.0 { 1.0 } else { angle.sin() / angle };
                if window > 0.0 { sinc * bessel_i0(BETA * window.sqrt()) } else { 0.0 }
            };
            let row: Vec<f64> = (0..2 * reach).map(kernel).collect();
            // Each phase lets a constant through as it is.
            let scale = 1.0 / row.iter().sum::<f64>();
            taps.extend(row.iter().map(|tap| (tap * scale) as f32));
        }
        let steps = taps.iter().zip(&taps[2 * reach..]).map(|(low, high)| high - low).collect();
        taps.truncate(PHASES * 2 * reach);
        Self { reach, taps, steps }
    }
}

impl Varispeed {
    /// Makes sound `ratio` times as fast and as high, at most [`FASTEST`] times and no slower than the inverse: `n` samples become
    /// `ceil(n / ratio)`.
    pub(in crate::augment) fn change(&mut self, samples: &mut Vec<f32>, ratio: f64) {
        let ratio = ratio.clamp(1.0 / FASTEST, FASTEST);
        let step = (STEPS / ratio).min(STEPS).floor();
        let table = self.tables.entry(step as u8).or_insert_with(|| Table::new(step / STEPS));
        let len = (samples.len() as f64 / ratio).ceil() as usize;
        self.padded.clear();
        self.padded.resize(table.reach, 0.0);
        self.padded.extend_from_slice(samples);
        // Rounding may put the last output a sample behind the end.
        self.padded.resize(self.padded.len() + table.reach + 1, 0.0);
        samples.clear();
        samples.resize(len, 0.0);
        interpolate(&self.padded, ratio, 2 * table.reach, table, samples);
    }
}

/// Each output from `length` inputs: the sum over the phase below, and a share of what the phase above would add.
#[multiversion(targets("x86_64+avx2"))]
fn interpolate(padded: &[f32], ratio: f64, length: usize, table: &Table, out: &mut [f32]) {
    for (index, out) in out.iter_mut().enumerate() {
        let place = index as f64 * ratio;
        let first = place as usize;
        let phase = (place - first as f64) * PHASES as f64;
        let row = (phase as usize).min(PHASES - 1);
        let share = (phase - row as f64) as f32;
        let rows = row * length..(row + 1) * length;
        let (taps, steps) = (table.taps[rows.clone()].as_chunks::<LANES>().0, table.steps[rows].as_chunks::<LANES>().0);
        let samples = padded[first + 1..=first + length].as_chunks::<LANES>().0;
        let (mut below, mut above) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        for ((samples, taps), steps) in samples.iter().zip(taps).zip(steps) {
            for lane in 0..LANES {
                below[lane] += samples[lane] * taps[lane];
                above[lane] += samples[lane] * steps[lane];
            }
        }
        let both: [f32; LANES] = std::array::from_fn(|lane| below[lane] + share * above[lane]);
        let four: [f32; LANES / 2] = std::array::from_fn(|lane| both[lane] + both[lane + LANES / 2]);
        *out = (four[0] + four[2]) + (four[1] + four[3]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::sine;

    #[test]
    fn a_sine_becomes_the_sine_of_the_new_frequency_at_any_ratio() {
        let mut varispeed = Varispeed::default();
        for ratio in [0.25, 0.793_7, 0.999, 1.0, 1.01, 1.259_921, 2.0, 4.0] {
            for hertz in [100.0, 1_000.0, 1_600.0] {
                let mut samples = sine(hertz, 0.5, 16_000).channels.remove(0);
                varispeed.change(&mut samples, ratio);
                assert_eq!(samples.len(), (16_000.0 / ratio).ceil() as usize);
                let expected = |index: usize| 0.5 * (2.0 * PI * hertz * ratio * index as f64 / 16_000.0).sin();
                let inner = 200..samples.len() - 200;
                let worst = inner.map(|i| (f64::from(samples[i]) - expected(i)).abs()).fold(0.0, f64::max);
                assert!(worst < 1e-4, "{hertz} Hz, {ratio}: {worst}");
            }
        }
        assert!(varispeed.tables.len() <= 8);
    }

    /// The highest error of a sine of this share of the lower Nyquist frequency whose speed is changed.
    fn worst(ratio: f64, share: f64) -> f64 {
        let hertz = share * 8_000.0 / ratio.max(1.0);
        let mut samples = sine(hertz, 0.5, 16_000).channels.remove(0);
        Varispeed::default().change(&mut samples, ratio);
        let expected = |index: usize| 0.5 * (2.0 * PI * hertz * ratio * index as f64 / 16_000.0).sin();
        (200..samples.len() - 200).map(|i| (f64::from(samples[i]) - expected(i)).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn it_is_flat_to_what_is_said_of_the_lower_nyquist_frequency() {
        for ratio in [0.25, 0.5, 0.793_7, 0.999, 1.0, 1.01, 1.059_463, 1.259_921, 1.5, 1.88, 2.0] {
            assert!(worst(ratio, 0.8) < 2e-4, "{ratio}: {}", worst(ratio, 0.8));
        }
        for ratio in [1.883, 3.56, 3.6, 4.0] {
            assert!(worst(ratio, 0.745) < 2e-4, "{ratio}: {}", worst(ratio, 0.745));
        }
    }

    #[test]
    fn what_lies_beyond_the_new_nyquist_frequency_is_gone() {
        let mut samples = sine(6_600.0, 0.5, 16_000).channels.remove(0);
        Varispeed::default().change(&mut samples, 1.26);
        let inner = &samples[200..samples.len() - 200];
        assert!(inner.iter().all(|sample| sample.abs() < 1e-4));
    }

    #[test]
    fn the_shortest_clips_stay_in_bounds() {
        for ratio in [0.25, 0.3, 0.9, 1.0, 1.1, 3.9, 4.0] {
            for len in 1..70 {
                let mut samples = vec![1.0; len];
                Varispeed::default().change(&mut samples, ratio);
                assert_eq!(samples.len(), (len as f64 / ratio).ceil() as usize);
            }
        }
    }
}
