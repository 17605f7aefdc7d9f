//! How much each FFT bin adds to each pitch class, as librosa 0.11's `filters.chroma` has it (after Ellis, 2007).

use crate::audio::Hertz;

/// The filters but for the FFT.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Filters {
    pub(super) n_chroma: usize,
    /// From A = 440 Hz, in pitch classes.
    pub(super) tuning: f64,
    /// The octave that counts most, above [`A0`].
    pub(super) centre: f64,
    /// How many octaves around it count; none counts all alike.
    pub(super) width: Option<f64>,
    pub(super) base_c: bool,
}

/// Octaves are counted from here, in hertz.
const A0: f64 = 27.5;
/// An A is so many twelfths of an octave below the C.
const FROM_A_TO_C: usize = 3;

impl Filters {
    /// The weights, `[n_chroma, n_fft / 2 + 1]`, of an FFT of `n_fft` samples at `rate`.
    pub(super) fn weights(&self, n_fft: usize, rate: Hertz) -> Vec<f32> {
        let (num_bins, n_chroma) = (n_fft / 2 + 1, self.n_chroma as f64);
        let a0 = A0 * (self.tuning / n_chroma).exp2();
        // The place of a bin in pitch classes above A0; 0 Hz, which has none, lies one and a half octaves below bin 1.
        let place = |bin: usize| {
            let above = |bin: usize| n_chroma * (bin as f64 * f64::from(rate.get()) / n_fft as f64 / a0).log2();
            if bin == 0 { above(1) - 1.5 * n_chroma } else { above(bin) }
        };
        let half = (n_chroma / 2.0).round_ties_even();
        let turn = if self.base_c { FROM_A_TO_C * (self.n_chroma / 12) } else { 0 };
        let mut weights = vec![0.0; self.n_chroma * num_bins];
        let mut column = vec![0.0; self.n_chroma];
        for bin in 0..num_bins {
            let at = place(bin);
            // The last bin of the whole FFT has no next one.
            let width = if bin + 1 < n_fft { (place(bin + 1) - at).max(1.0) } else { 1.0 };
            for (class, bump) in column.iter_mut().enumerate() {
                // How far the class is, the nearest way round; the 2 makes the bumps narrower.
                let distance = (at - class as f64 + half).rem_euclid(n_chroma) - half;
                *bump = (-0.5 * (2.0 * distance / width).powi(2)).exp();
            }
            let norm = column.iter().map(|bump| bump * bump).sum::<f64>().sqrt();
            let octave = self.width.map_or(1.0, |width| {
                let distance = (at / n_chroma - self.centre) / width;
                (-0.5 * distance * distance).exp()
            });
            for (class, bump) in column.iter().enumerate() {
                let row = (class + self.n_chroma - turn) % self.n_chroma;
                weights[row * num_bins + bin] = (bump / norm * octave) as f32;
            }
        }
        weights
    }
}

/// The sum of the products, in a fixed order that fits vector registers.
pub(super) fn dot(weights: &[f32], power: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut partial = [0.0; LANES];
    let (weights, power) = (weights.chunks_exact(LANES), power.chunks_exact(LANES));
    let rest = weights.remainder().iter().zip(power.remainder());
    for (weights, power) in weights.zip(power) {
        for lane in 0..LANES {
            partial[lane] += weights[lane] * power[lane];
        }
    }
    for (partial, (weight, power)) in partial.iter_mut().zip(rest) {
        *partial += weight * power;
    }
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            partial[lane] += partial[lane + half];
        }
    }
    partial[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_octaves_every_bin_weighs_one_in_all() {
        let filters = Filters { n_chroma: 12, tuning: 0.0, centre: 5.0, width: None, base_c: true };
        for n_fft in [2, 5, 512] {
            let weights = filters.weights(n_fft, Hertz::new(16_000).unwrap());
            let num_bins = n_fft / 2 + 1;
            assert_eq!(weights.len(), 12 * num_bins);
            for bin in 0..num_bins {
                let squares: f32 = weights.iter().skip(bin).step_by(num_bins).map(|weight| weight * weight).sum();
                assert!((squares - 1.0).abs() < 1e-5, "bin {bin} of {n_fft}: {squares}");
            }
        }
    }

    #[test]
    fn each_product_counts_once() {
        for length in 0..70_u16 {
            let numbers: Vec<f32> = (1..=length).map(f32::from).collect();
            let twice = vec![2.0; numbers.len()];
            assert_eq!(dot(&twice, &numbers), f32::from(length * (length + 1)));
        }
    }
}
