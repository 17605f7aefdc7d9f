//! One frame's way from samples to a row of Kaldi's features.

use crate::seed::Generator;
use crate::spectrum::{self, FrameFeatures, PowerSpectrum};

/// What makes a row of one frame's power spectrum.
pub(in crate::featurize) trait PowerToRow: Send {
    /// Numbers in a row.
    fn num_bins(&self) -> usize;

    /// Whether something is drawn anew for each utterance.
    fn draws(&self) -> bool {
        false
    }

    /// Draws it.
    fn draw(&mut self, _generator: &mut Generator) {}

    /// Fills `row`, `[num_bins]`, and says whether what it measured is finite: a floor after the measurement would hide it.
    /// `power` is |X|² with a few zeros behind and may be changed in place; `energy` is the frame's ln(energy), where it is
    /// asked for.
    fn row(&mut self, power: &mut [f32], energy: f32, row: &mut [f32]) -> bool;
}

/// How a frame's energy is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Energy {
    /// Whether before pre-emphasis and window.
    pub(super) raw: bool,
    /// The least energy whose logarithm is taken.
    pub(super) least: f32,
    /// The natural logarithm of the floor.
    pub(super) floor: f32,
}

/// One frame's way from samples to a row.
pub(super) struct Frame<R> {
    pub(super) spectrum: PowerSpectrum,
    /// The window times the scale of the samples.
    pub(super) window: Vec<f32>,
    pub(super) scale: f32,
    pub(super) remove_mean: bool,
    pub(super) preemphasis: f32,
    /// The noise's standard deviation at full scale ±1.
    pub(super) dither: f64,
    /// The frame with noise added.
    pub(super) noisy: Vec<f32>,
    /// What the noise is drawn from; none where nothing is drawn.
    pub(super) generator: Option<Generator>,
    pub(super) energy: Option<Energy>,
    pub(super) row: R,
}

impl<R: PowerToRow> FrameFeatures for Frame<R> {
    fn num_bins(&self) -> usize {
        self.row.num_bins()
    }

    fn features(&mut self, samples: &[f32], row: &mut [f32]) -> bool {
        let samples = match &mut self.generator {
            Some(generator) if self.dither > 0.0 => {
                add_noise(samples, self.dither, generator, &mut self.noisy);
                &self.noisy
            }
            _ => samples,
        };
        let mean = if self.remove_mean { spectrum::sum(samples, |sample| sample) / samples.len() as f32 } else { 0.0 };
        let mut energy = 0.0;
        if let Some(Energy { raw: true, .. }) = self.energy {
            energy = spectrum::sum(samples, |sample| (sample - mean) * (sample - mean)) * (self.scale * self.scale);
        }
        let power = self.spectrum.of(|frame| {
            emphasise(samples, mean, self.preemphasis, &self.window, frame);
            if let Some(Energy { raw: false, .. }) = self.energy {
                energy = spectrum::sum(frame, |sample| sample * sample);
            }
        });
        let log_energy = match self.energy {
            Some(Energy { least, floor, .. }) => spectrum::ln(energy.max(least)).max(floor),
            None => 0.0,
        };
        self.row.row(power, log_energy, row) & energy.is_finite()
    }
}

/// Puts `samples` with white Gaussian noise of standard deviation `amplitude` into `noisy`.
fn add_noise(samples: &[f32], amplitude: f64, generator: &mut Generator, noisy: &mut Vec<f32>) {
    noisy.clear();
    noisy.extend_from_slice(samples);
    for pair in noisy.chunks_mut(2) {
        let drawn = <[f64; 2]>::from(generator.normal_pair());
        for (sample, normal) in pair.iter_mut().zip(drawn) {
            *sample += (normal * amplitude) as f32;
        }
    }
}

/// Fills `frame` with the window times each sample less `coefficient` times the one before, all less their `mean`.
fn emphasise(samples: &[f32], mean: f32, coefficient: f32, window: &[f32], frame: &mut [f32]) {
    // Before the first sample Kaldi puts the first sample.
    let first = samples[0] - mean;
    frame[0] = (first - coefficient * first) * window[0];
    let pairs = samples[1..].iter().zip(samples);
    for ((value, (&sample, &before)), &weight) in frame[1..].iter_mut().zip(pairs).zip(&window[1..]) {
        *value = ((sample - mean) - coefficient * (before - mean)) * weight;
    }
}
