//! The discrete cosine transform of the rows of a log mel spectrogram: cepstra.

use std::f64::consts::{PI, SQRT_2};

use super::lanes::LANES;

/// The orthonormal DCT-II, its first few coefficients: c\[k] = √(2/N)·Σₙ x\[n]·cos(πk(n + ½)/N), c\[0] over √2.
///
/// It is what torchaudio, librosa (`norm="ortho"`) and Kaldi make cepstra with.
#[derive(Debug, Clone, PartialEq)]
pub struct Dct {
    num_in: usize,
    num_out: usize,
    /// For each input its weight in every coefficient, filled up with zeros to whole groups.
    weights: Vec<f32>,
    sums: Vec<f32>,
}

impl Dct {
    /// The first `num_out` coefficients of `num_in` numbers; no more than there are numbers.
    #[must_use]
    pub fn new(num_in: usize, num_out: usize) -> Self {
        Self::scaled(num_in, num_out, |_| 1.0)
    }

    /// The same, coefficient `k` times `scale(k)`: a lifter costs nothing.
    #[must_use]
    pub fn scaled(num_in: usize, num_out: usize, scale: impl Fn(usize) -> f64) -> Self {
        let num_out = num_out.min(num_in);
        let width = num_out.next_multiple_of(LANES);
        let n = num_in as f64;
        let weight = |input: usize, k: usize| {
            let norm = if k == 0 { 1.0 / SQRT_2 } else { 1.0 };
            scale(k) * norm * (2.0 / n).sqrt() * (PI * k as f64 * (input as f64 + 0.5) / n).cos()
        };
        let mut weights = vec![0.0; num_in * width];
        for (input, row) in weights.chunks_exact_mut(width.max(1)).enumerate() {
            for (k, value) in row[..num_out].iter_mut().enumerate() {
                *value = weight(input, k) as f32;
            }
        }
        Self { num_in, num_out, weights, sums: vec![0.0; width] }
    }

    /// Numbers that go in.
    #[must_use]
    pub const fn num_in(&self) -> usize {
        self.num_in
    }

    /// Coefficients that come out.
    #[must_use]
    pub const fn num_out(&self) -> usize {
        self.num_out
    }

    /// The coefficients, `[num_out]`, of `input`, `[num_in]`.
    pub fn apply(&mut self, input: &[f32], coefficients: &mut [f32]) {
        let width = self.sums.len();
        self.sums.fill(0.0);
        for (&number, weights) in input.iter().zip(self.weights.chunks_exact(width.max(1))) {
            for (sum, &weight) in self.sums.iter_mut().zip(weights) {
                *sum += number * weight;
            }
        }
        coefficients.copy_from_slice(&self.sums[..self.num_out]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_coefficients_keep_the_energy_and_the_first_is_the_mean() {
        for length in [1, 2, 23, 80] {
            let input: Vec<f32> = (0..length).map(|n| ((n * n) % 7) as f32 - 3.0).collect();
            let mut all = vec![0.0; length];
            Dct::new(length, length).apply(&input, &mut all);
            let energy = |numbers: &[f32]| numbers.iter().map(|x| f64::from(x * x)).sum::<f64>();
            assert!((energy(&input) - energy(&all)).abs() < 1e-4 * (1.0 + energy(&input)), "{length}");
            let mean = input.iter().sum::<f32>() / (length as f32).sqrt();
            assert!((all[0] - mean).abs() < 1e-5);
        }
    }

    #[test]
    fn a_cosine_has_one_coefficient_and_its_scale() {
        let input: Vec<f32> = (0..40).map(|n| (PI * 3.0 * (f64::from(n) + 0.5) / 40.0).cos() as f32).collect();
        let mut dct = Dct::scaled(40, 13, |k| if k == 3 { 2.0 } else { 1.0 });
        assert_eq!((dct.num_in(), dct.num_out()), (40, 13));
        let mut few = [7.0; 13];
        dct.apply(&input, &mut few);
        for (k, &coefficient) in few.iter().enumerate() {
            let expected = if k == 3 { 2.0 * 20_f32.sqrt() } else { 0.0 };
            assert!((coefficient - expected).abs() < 1e-5, "{k}: {coefficient}");
        }
    }
}
