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
        let Self { spectrum, window, scale, preemphasis, noisy, generator, energy, .. } = self;
        let samples = match generator {
            Some(generator) if self.dither > 0.0 => {
                noisy.clear();
                noisy.extend_from_slice(samples);
                for pair in noisy.chunks_mut(2) {
                    let noise = <[f64; 2]>::from(generator.normal_pair());
                    pair.iter_mut().zip(noise).for_each(|(sample, noise)| *sample += (noise * self.dither) as f32);
                }
                noisy
            }
            _ => samples,
        };
        let mean = if self.remove_mean { spectrum::sum(samples, |sample| sample) / samples.len() as f32 } else { 0.0 };
        let mut frame_energy = match energy {
            Some(Energy { raw: true, .. }) => {
                spectrum::sum(samples, |sample| (sample - mean) * (sample - mean)) * (*scale * *scale)
            }
            _ => 0.0,
        };
        let power = spectrum.of(|frame| {
            // Before the first sample Kaldi puts the first sample.
            let first = samples[0] - mean;
            frame[0] = (first - *preemphasis * first) * window[0];
            let pairs = samples[1..].iter().zip(samples);
            for ((value, (&sample, &before)), &weight) in frame[1..].iter_mut().zip(pairs).zip(&window[1..]) {
                *value = ((sample - mean) - *preemphasis * (before - mean)) * weight;
            }
            if let Some(Energy { raw: false, .. }) = energy {
                frame_energy = spectrum::sum(frame, |sample| sample * sample);
            }
        });
        spectrum::raise(power, self.exponent);

        let first = usize::from(energy.is_some_and(|energy| energy.column == 0));
        let mel = &mut row[first..first + self.bank.num_bands()];
        self.bank.apply(power, mel);
        let finite = mel.iter().fold(frame_energy.is_finite(), |finite, energy| finite & energy.is_finite());
        if self.log {
            mel.iter_mut().for_each(|energy| *energy = energy.max(f32::EPSILON));
            spectrum::ln_in_place(mel);
        }
        if let Some(energy) = energy {
            row[energy.column] = spectrum::ln(frame_energy.max(f32::EPSILON)).max(energy.floor);
        }
        finite
    }
}
