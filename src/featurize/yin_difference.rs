//! What `yin` and `pyin` share: how little a frame differs from itself some samples later.
//!
//! The recipe is de Cheveigné and Kawahara's (YIN, JASA 111, 2002, equations 6 and 8) as librosa 0.11.0 computes it
//! (`core/pitch.py`), in double precision as librosa does of 64-bit sound: in single precision, minima of nearly one depth
//! change places.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealToComplex};

use crate::audio::Hertz;
use crate::spectrum::double_plans;
use crate::transform::SettingError;

/// The periods that a pitch may have, in samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Periods {
    pub(super) min: usize,
    pub(super) max: usize,
}

impl Periods {
    /// The periods of pitches from `low` to `high` hertz in frames of `frame_length` samples.
    pub(super) fn between(low: f64, high: f64, rate: Hertz, frame_length: usize) -> Result<Self, SettingError> {
        if high > rate.nyquist() {
            return Err(SettingError::AboveNyquist { key: "fmax_hz", value: high, rate });
        }
        if !(low > 0.0 && low < high) {
            let key = if high <= 0.0 { "fmax_hz" } else { "fmin_hz" };
            return Err(SettingError::EmptyBand { key, low, high, rate });
        }
        let rate = f64::from(rate.get());
        if rate / low >= frame_length as f64 - 1.0 {
            return Err(SettingError::DoesNotFit {
                key: "frame_length",
                reason: "a period of `fmin_hz` must be shorter than a frame",
            });
        }
        Ok(Self { min: (rate / high) as usize, max: (rate / low).ceil() as usize })
    }
}

/// The cumulative mean normalised difference of frames of one length, with its buffers.
pub(super) struct YinDifference {
    periods: Periods,
    forward: Arc<dyn RealToComplex<f64>>,
    backward: Arc<dyn ComplexToReal<f64>>,
    frame: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    correlation: Vec<f64>,
    scratch: Vec<Complex<f64>>,
    /// The energy of the samples before each period's.
    energy: Vec<f64>,
    /// The difference at each period of `periods`.
    difference: Vec<f64>,
}

impl YinDifference {
    pub(super) fn new(periods: Periods, frame_length: usize) -> Self {
        // The correlation wraps round; lags up to the longest period must not meet the frame's other end.
        let length = fast_length(frame_length + periods.max + 1);
        let (forward, backward) = double_plans(length);
        let scratch = forward.get_scratch_len().max(backward.get_scratch_len());
        Self {
            periods,
            frame: forward.make_input_vec(),
            spectrum: forward.make_output_vec(),
            correlation: backward.make_output_vec(),
            scratch: vec![Complex::default(); scratch],
            energy: vec![0.0; periods.max],
            difference: vec![0.0; periods.max + 1 - periods.min],
            forward,
            backward,
        }
    }

    /// The difference of `samples` at each period from the shortest to the longest; none where it is not finite.
    ///
    /// d(k) = 2·(r(0) − r(k)) − Σₘ₍ₘ<ₖ₎ x\[m]², over its own mean from 1 to k; r is the frame's autocorrelation. As in
    /// librosa nothing is taken away from d(1), and the energy of the last samples from none.
    pub(super) fn of(&mut self, samples: &[f32]) -> Option<&[f64]> {
        self.correlate(samples);
        let mut sum = 0.0;
        for (energy, &sample) in self.energy.iter_mut().zip(samples) {
            sum += f64::from(sample) * f64::from(sample);
            *energy = sum;
        }
        // librosa clears its first sum before it takes the sums away: the shortest lag keeps the first sample's energy.
        self.energy[0] = 0.0;
        let norm = 1.0 / self.correlation.len() as f64;
        let (now, later) = self.correlation.split_first()?;
        let mut sum = 0.0;
        let mut differ = |(number, (&later, &energy)): (usize, (&f64, &f64))| {
            let difference = 2.0 * norm * (now - later) - energy;
            sum += difference;
            // Where nothing sounds, nothing differs: librosa adds the smallest normal number too.
            difference / (sum / (number + 1) as f64 + f64::MIN_POSITIVE)
        };
        let mut lags = later.iter().zip(&self.energy).enumerate();
        lags.by_ref().take(self.periods.min - 1).for_each(|lag| {
            differ(lag);
        });
        for (value, lag) in self.difference.iter_mut().zip(lags) {
            *value = differ(lag);
        }
        (sum.is_finite() && self.difference.iter().all(|value| value.is_finite())).then_some(&self.difference)
    }

    /// The autocorrelation of `samples`, times its own length.
    fn correlate(&mut self, samples: &[f32]) {
        let (frame, silence) = self.frame.split_at_mut(samples.len());
        for (value, &sample) in frame.iter_mut().zip(samples) {
            *value = f64::from(sample);
        }
        silence.fill(0.0);
        let there = self.forward.process_with_scratch(&mut self.frame, &mut self.spectrum, &mut self.scratch);
        for bin in &mut self.spectrum {
            *bin = Complex::new(bin.re * bin.re + bin.im * bin.im, 0.0);
        }
        let back = self.backward.process_with_scratch(&mut self.spectrum, &mut self.correlation, &mut self.scratch);
        debug_assert!(there.is_ok() && back.is_ok(), "the buffers are of the plans' own lengths");
    }
}

/// The shortest even length from `length` on whose prime factors are 2, 3 and 5: an FFT of it is fast.
fn fast_length(length: usize) -> usize {
    let is_fast = |mut length: usize| {
        for prime in [2, 3, 5] {
            while length.is_multiple_of(prime) {
                length /= prime;
            }
        }
        length == 1
    };
    (length.max(2).next_multiple_of(2)..).step_by(2).find(|&length| is_fast(length)).unwrap_or(length)
}

/// Whether `number` is a trough of `values`: lower than what is before it, no higher than what is behind.
pub(super) fn is_trough(values: &[f64], number: usize) -> bool {
    let value = values[number];
    match (number.checked_sub(1).map(|before| values[before]), values.get(number + 1)) {
        (None, Some(&after)) => value < after,
        (Some(before), None) => value < before,
        (Some(before), Some(&after)) => value < before && value <= after,
        (None, None) => false,
    }
}

/// Where the parabola through the value `number` and the two beside it has its vertex, from `number` on; 0 at the ends and
/// where it lies more than one value away.
pub(super) fn vertex(values: &[f64], number: usize) -> f64 {
    let Some(&[before, value, after]) = number.checked_sub(1).and_then(|start| values.get(start..start + 3)) else {
        return 0.0;
    };
    let (bend, slope) = (after + before - 2.0 * value, (after - before) / 2.0);
    // Written so that what is not a number gives 0 too.
    if slope.abs() < bend.abs() { -slope / bend } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_that_of_its_definition() {
        let samples: Vec<f32> = (0..60).map(|n| ((n * n * 7) % 23) as f32 / 23.0 - 0.4).collect();
        let r = |k: usize| -> f64 { (k..60).map(|n| f64::from(samples[n]) * f64::from(samples[n - k])).sum() };
        let d: Vec<f64> = (1..=20)
            .map(|k| {
                2.0 * (r(0) - r(k))
                    - samples[..if k > 1 { k } else { 0 }].iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>()
            })
            .collect();
        let mut difference = YinDifference::new(Periods { min: 4, max: 20 }, 60);
        let found = difference.of(&samples).unwrap();
        assert_eq!(found.len(), 17);
        for (k, &found) in (4..=20).zip(found) {
            let expected = d[k - 1] * k as f64 / d[..k].iter().sum::<f64>();
            assert!((found - expected).abs() < 1e-12, "{k}: {found} {expected}");
        }
        assert_eq!(difference.of(&[0.0; 60]).unwrap(), [0.0; 17]);
        assert_eq!(difference.of(&[f32::NAN; 60]), None);
    }

    #[test]
    fn troughs_and_vertices_are_those_of_a_parabola() {
        let values: Vec<f64> = (0..9).map(|n| (f64::from(n) - 4.3).powi(2)).collect();
        assert_eq!((0..9).filter(|&n| is_trough(&values, n)).collect::<Vec<_>>(), [4]);
        assert!((vertex(&values, 4) - 0.3).abs() < 1e-12);
        assert_eq!((vertex(&values, 0), vertex(&values, 8), vertex(&values, 2)), (0.0, 0.0, 0.0));
        assert!(is_trough(&[1.0, 2.0], 0) && is_trough(&[2.0, 1.0], 1) && !is_trough(&[1.0, 1.0], 0));
    }

    #[test]
    fn lengths_are_fast_and_even() {
        assert_eq!([1, 7, 2_296, 4_097].map(fast_length), [2, 8, 2_304, 4_320]);
    }
}
