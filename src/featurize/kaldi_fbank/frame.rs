//! One frame's way from samples to a row of Kaldi's filter bank features.

use crate::seed::Generator;
use crate::spectrum::{self, FrameFeatures, MelBank, PowerSpectrum};

/// The column of `use_energy`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Energy {
    pub(super) column: usize,
    pub(super) raw: bool,
    /// The natural logarithm of the floor.
    pub(super) floor: f32,
}

/// One frame's way from samples to a row.
pub(super) struct Frame {
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
    pub(super) exponent: f32,
    pub(super) bank: MelBank,
    pub(super) log: bool,
    pub(super) energy: Option<Energy>,
}

impl FrameFeatures for Frame {
    fn num_bins(&self) -> usize {
        self.bank.num_bands() + usize::from(self.energy.is_some())
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
        let mut frame_energy = 0.0;
        if let Some(Energy { raw: true, .. }) = self.energy {
            frame_energy =
                spectrum::sum(samples, |sample| (sample - mean) * (sample - mean)) * (self.scale * self.scale);
        }
        let power = self.spectrum.of(|frame| {
            emphasise(samples, mean, self.preemphasis, &self.window, frame);
            if let Some(Energy { raw: false, .. }) = self.energy {
                frame_energy = spectrum::sum(frame, |sample| sample * sample);
            }
        });
        spectrum::raise(power, self.exponent);

        let first = usize::from(self.energy.is_some_and(|energy| energy.column == 0));
        let mel = &mut row[first..first + self.bank.num_bands()];
        self.bank.apply(power, mel);
        let finite = mel.iter().fold(frame_energy.is_finite(), |finite, energy| finite & energy.is_finite());
        if self.log {
            for energy in &mut *mel {
                *energy = energy.max(f32::EPSILON);
            }
            spectrum::ln_in_place(mel);
        }
        if let Some(energy) = self.energy {
            row[energy.column] = spectrum::ln(frame_energy.max(f32::EPSILON)).max(energy.floor);
        }
        finite
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
