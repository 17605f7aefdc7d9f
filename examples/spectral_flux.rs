//! Spectral flux: how much louder the spectrum gets from one frame to the next, added over its bins; onsets stand out.
//!
//! flux\[t] = Σₖ max(|X\[t, k]| − |X\[t − 1, k]|, 0), as in Dixon, "Onset detection revisited", `DAFx` 2006, equation 2.4; 0 at
//! the first frame.
//!
//! This is the worked example of `docs/new_extractor.md`: an extractor that wavemill does not have.
//! `cargo run --example spectral_flux -- fixtures/corpus/alba-01.flac` prints its frames.

use std::num::{NonZeroU32, NonZeroUsize};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wavemill::audio::Hertz;
use wavemill::family::Member;
use wavemill::featurize::Extractor;
use wavemill::spectrum::{Edges, FrameFeatures, Framing, PowerSpectrum, Rows, Window, WindowDesign, WindowEnds};
use wavemill::transform::{Column, Extract, SettingError};

/// How much louder the spectrum gets from frame to frame.
///
/// Shape `[frames, 1]`, magnitude. Dixon's spectral flux over Hann windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpectralFlux {
    /// The length of a frame in samples, 2 to 1,048,576.
    #[schemars(range(min = 2, max = 1_048_576))]
    pub n_fft: NonZeroU32,
    /// The samples from one frame to the next.
    #[schemars(range(max = 1_048_576))]
    pub hop_length: NonZeroU32,
}

impl Default for SpectralFlux {
    fn default() -> Self {
        Self { n_fft: const { NonZeroU32::new(1024).unwrap() }, hop_length: const { NonZeroU32::new(256).unwrap() } }
    }
}

impl Member for SpectralFlux {
    const EXAMPLE: &'static str = "spectral_flux: { n_fft: 512, hop_length: 160 }";
}

impl Extractor for SpectralFlux {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        Ok(Column::of(1, "magnitude", self.frame_shift(rate)))
    }

    fn framing(&self, _: Hertz) -> Result<Framing, SettingError> {
        let samples = |key, samples: NonZeroU32, low| {
            SettingError::unless_within(key, f64::from(samples.get()), low, PowerSpectrum::LONGEST as f64)?;
            Ok(NonZeroUsize::new(samples.get() as usize).unwrap_or(NonZeroUsize::MIN))
        };
        let (length, hop) = (samples("n_fft", self.n_fft, 2.0)?, samples("hop_length", self.hop_length, 1.0)?);
        Ok(Framing { length, hop, edges: Edges::Zero })
    }

    fn prepare(&self, rate: Hertz, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        let framing = self.framing(rate)?;
        let design =
            WindowDesign { window: Window::Hann, ends: WindowEnds::Periodic, blackman_coeff: WindowDesign::BLACKMAN };
        let spectrum = PowerSpectrum::new(framing.length.get());
        let flux = Flux {
            window: design.coefficients(framing.length.get()).iter().map(|&weight| weight as f32).collect(),
            before: vec![0.0; spectrum.num_bins()],
            first: true,
            spectrum,
        };
        Ok(Box::new(Rows::new(framing, flux)))
    }
}

/// One frame's way from samples to its flux.
struct Flux {
    window: Vec<f32>,
    spectrum: PowerSpectrum,
    /// The magnitudes of the frame before.
    before: Vec<f32>,
    first: bool,
}

impl FrameFeatures for Flux {
    fn num_bins(&self) -> usize {
        1
    }

    fn begin(&mut self) {
        self.first = true;
    }

    fn features(&mut self, samples: &[f32], row: &mut [f32]) -> bool {
        let power = self.spectrum.of(|frame| {
            for ((value, &sample), &weight) in frame.iter_mut().zip(samples).zip(&self.window) {
                *value = sample * weight;
            }
        });
        let mut flux = 0.0;
        for (before, &power) in self.before.iter_mut().zip(&*power) {
            let magnitude = power.sqrt();
            flux += (magnitude - *before).max(0.0);
            *before = magnitude;
        }
        // `max` would hide a NaN: what was measured is looked at by itself.
        let finite = self.before.iter().all(|magnitude| magnitude.is_finite());
        row[0] = if std::mem::take(&mut self.first) { 0.0 } else { flux };
        finite
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("name a recording")?;
    let clip = wavemill::load(path.as_ref())?;
    let flux = SpectralFlux::default().extract(&clip)?;
    for frame in 0..flux.num_frames {
        println!("{:8.3} s {:8.3}", frame as f64 * 256.0 / f64::from(clip.sample_rate.get()), flux.frame(0, frame)[0]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wavemill::audio::Waveform;
    use wavemill::transform::ExtractError;

    use super::*;

    fn flux(samples: Vec<f32>) -> Result<Vec<f32>, ExtractError> {
        let clip = Waveform { sample_rate: Hertz::new(16_000).unwrap(), channels: vec![samples] };
        Ok(SpectralFlux::default().extract(&clip)?.values)
    }

    #[test]
    fn an_onset_stands_out_and_a_steady_tone_does_not() {
        let tone = |n: usize| if n < 8_000 { 0.0 } else { (n as f32 * 0.3).sin() };
        let flux = flux((0..16_000).map(tone).collect()).unwrap();
        let highest = (0..flux.len()).max_by(|&a, &b| flux[a].total_cmp(&flux[b])).unwrap();
        assert!(highest.abs_diff(8_000 / 256) <= 2, "{highest}");
        assert!(flux[40..60].iter().all(|&value| value < 0.05 * flux[highest]));
    }

    #[test]
    fn silence_has_none_and_broken_sound_is_refused() {
        assert!(flux(vec![0.0; 4_000]).unwrap().iter().all(|&value| value == 0.0));
        assert_eq!(flux(vec![0.0, f32::NAN, 0.0]), Err(ExtractError::NotFinite { frame: 0 }));
    }
}
