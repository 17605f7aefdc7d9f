//! The power spectrum of one frame in double precision, for features of single faint bins.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// Plans made so far, by length: workers share the tables of an FFT.
static PLANNER: LazyLock<Mutex<RealFftPlanner<f64>>> = LazyLock::new(|| Mutex::new(RealFftPlanner::new()));

/// The FFT of `length` real numbers in double precision, and back.
#[must_use]
pub(crate) fn double_plans(length: usize) -> (Arc<dyn RealToComplex<f64>>, Arc<dyn ComplexToReal<f64>>) {
    // A planner whose user panicked holds whole plans still: each is stored when it is finished.
    let mut planner = PLANNER.lock().unwrap_or_else(PoisonError::into_inner);
    (planner.plan_fft_forward(length), planner.plan_fft_inverse(length))
}

/// |FFT|² of real frames of one length, computed in double precision and given in single: what a single-precision FFT leaves
/// of a bin 100 dB below the loudest of its frame is its own rounding.
pub struct DoubleSpectrum {
    plan: Arc<dyn RealToComplex<f64>>,
    window: Vec<f64>,
    frame: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
    power: Vec<f32>,
}

impl DoubleSpectrum {
    /// The spectrum of frames under `window`, `[n_fft]`.
    #[must_use]
    pub fn new(window: &[f64]) -> Self {
        let (plan, _) = double_plans(window.len());
        let (frame, spectrum, scratch) = (plan.make_input_vec(), plan.make_output_vec(), plan.make_scratch_vec());
        Self { power: vec![0.0; spectrum.len()], window: window.to_vec(), plan, frame, spectrum, scratch }
    }

    /// The power in each bin of the frame `samples`, `[n_fft / 2 + 1]`.
    pub fn power(&mut self, samples: &[f32]) -> &[f32] {
        let Self { plan, window, frame, spectrum, scratch, power } = self;
        for ((value, &sample), weight) in frame.iter_mut().zip(samples).zip(window) {
            *value = f64::from(sample) * *weight;
        }
        let done = plan.process_with_scratch(frame, spectrum, scratch);
        debug_assert!(done.is_ok(), "the buffers are of the plan's own lengths");
        for (power, bin) in power.iter_mut().zip(&*spectrum) {
            *power = (bin.re * bin.re + bin.im * bin.im) as f32;
        }
        power
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_without_rounding_leaves_nothing_in_the_bins_that_it_has_not() {
        // ±1 alternating: all power at the Nyquist frequency, and every sample exact.
        let frame: Vec<f32> = (0..1_024).map(|n| if n % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let mut spectrum = DoubleSpectrum::new(&[1.0; 1_024]);
        let power = spectrum.power(&frame);
        assert_eq!(power[512], 1_048_576.0);
        assert!(power[..512].iter().all(|&power| power < 1e-20));
    }
}
