//! One frame's way from samples to a row of a log mel spectrogram.

use crate::spectrum::{self, FrameFeatures, MelBank, PowerSpectrum};

/// One frame's way from samples to a row.
pub(super) struct Frame {
    pub(super) spectrum: PowerSpectrum,
    pub(super) window: Vec<f32>,
    /// Where in the frame the window starts.
    pub(super) start: usize,
    pub(super) exponent: f32,
    pub(super) bank: MelBank,
    pub(super) log: Option<Logarithm>,
}

/// scale · ln(max(energy + offset, floor)).
#[derive(Debug, Clone, Copy)]
pub(super) struct Logarithm {
    pub(super) offset: f32,
    pub(super) floor: f32,
    pub(super) scale: f32,
}

impl FrameFeatures for Frame {
    fn num_bins(&self) -> usize {
        self.bank.num_bands()
    }

    fn features(&mut self, samples: &[f32], row: &mut [f32]) -> bool {
        let power = self.spectrum.of(|frame| {
            let windowed = frame[self.start..].iter_mut().zip(&samples[self.start..]).zip(&self.window);
            for ((value, &sample), &weight) in windowed {
                *value = sample * weight;
            }
        });
        spectrum::raise(power, self.exponent);
        self.bank.apply(power, row);
        let finite = row.iter().fold(true, |finite, energy| finite & energy.is_finite());
        if let Some(Logarithm { offset, floor, scale }) = self.log {
            for energy in &mut *row {
                *energy = (*energy + offset).max(floor);
            }
            spectrum::ln_in_place(row);
            for value in row {
                *value *= scale;
            }
        }
        finite
    }
}
