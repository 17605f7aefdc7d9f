//! Mean and variance over all frames of the utterance, in two passes in double precision.

use super::Norm;
use crate::transform::{EditWhole, ExtractError};

pub(super) struct OverUtterance {
    norm: Norm,
    means: Vec<f64>,
    scales: Vec<f64>,
}

impl OverUtterance {
    pub(super) fn new(norm: Norm, bins: usize) -> Self {
        Self { norm, means: vec![0.0; bins], scales: vec![0.0; bins] }
    }
}

impl EditWhole for OverUtterance {
    fn edit(&mut self, frames: &mut [f32]) -> Result<(), ExtractError> {
        let Self { norm, means, scales } = self;
        let bins = means.len();
        let count = frames.len() / bins;
        means.fill(0.0);
        for frame in frames.chunks_exact(bins) {
            for (sum, &value) in means.iter_mut().zip(frame) {
                *sum += f64::from(value);
            }
        }
        for mean in &mut *means {
            *mean /= count.max(1) as f64;
        }
        if norm.vars {
            scales.fill(0.0);
            for frame in frames.chunks_exact(bins) {
                for ((squares, &mean), &value) in scales.iter_mut().zip(&*means).zip(frame) {
                    let deviation = f64::from(value) - mean;
                    *squares += deviation * deviation;
                }
            }
            let denominator = norm.denominator(count);
            for scale in &mut *scales {
                *scale = norm.scale(*scale / denominator);
            }
        } else {
            scales.fill(1.0);
        }
        if !norm.means {
            means.fill(0.0);
        }
        for frame in frames.chunks_exact_mut(bins) {
            for ((value, &mean), &scale) in frame.iter_mut().zip(&*means).zip(&*scales) {
                *value = ((f64::from(*value) - mean) * scale) as f32;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::transform::testing::transformed;
    use crate::transform::{Cmvn, ExtractError, Variance};

    const FRAMES: [f32; 8] = [1.0, 5.0, 2.0, 5.0, 3.0, 5.0, 6.0, 5.0];

    #[test]
    fn the_mean_becomes_zero_and_the_unit_stays() {
        let made = transformed(&Cmvn::default(), 2, &FRAMES).unwrap();
        assert_eq!(made, [-2.0, 0.0, -1.0, 0.0, 0.0, 0.0, 3.0, 0.0]);
        assert_eq!(transformed(&Cmvn::default(), 2, &[]).unwrap(), [0.0; 0]);
    }

    #[test]
    fn the_variance_becomes_one_and_what_does_not_change_zero() {
        let of = |variance, eps| {
            let settings = Cmvn { norm_vars: true, variance, eps, ..Cmvn::default() };
            transformed(&settings, 2, &FRAMES).unwrap()
        };
        // The deviations' squares are 14 together.
        for (variance, eps, sigma) in [
            (Variance::Population, 0.0, 3.5_f32.sqrt()),
            (Variance::Unbiased, 0.0, (14.0_f32 / 3.0).sqrt()),
            (Variance::Population, 0.5, 3.5_f32.sqrt() + 0.5),
        ] {
            for (frame, deviation) in of(variance, eps).chunks(2).zip([-2.0, -1.0, 0.0, 3.0]) {
                assert!((frame[0] - deviation / sigma).abs() < 1e-6);
                assert_eq!(frame[1], 0.0);
            }
        }
    }

    #[test]
    fn one_frame_is_its_own_mean_whatever_the_variance() {
        for variance in [Variance::Population, Variance::Unbiased] {
            let settings = Cmvn { norm_vars: true, variance, ..Cmvn::default() };
            assert_eq!(transformed(&settings, 2, &[3.0, -1e9]).unwrap(), [0.0, 0.0]);
        }
    }

    #[test]
    fn what_grows_beyond_single_precision_is_refused() {
        let settings = Cmvn { norm_means: false, norm_vars: true, std_floor: 1e-20, ..Cmvn::default() };
        let refused = transformed(&settings, 1, &[1e30; 3]);
        assert_eq!(refused, Err(ExtractError::NotFinite { frame: 0 }));
        let scaled = transformed(&settings, 1, &[2.0, 6.0]).unwrap();
        assert_eq!(scaled, [1.0, 3.0]);
    }
}
