//! The discrete cosine transform of the rows of a log mel spectrogram: cepstra.

use std::f64::consts::{PI, SQRT_2};

use multiversion::multiversion;

/// Numbers whose weights are added up at once, and to whose multiples coefficients are filled up.
const GROUP: usize = 4;

/// The orthonormal DCT-II, its first few coefficients: c\[k] = √(2/N)·Σₙ x\[n]·cos(πk(n + ½)/N), c\[0] over √2.
///
/// It is what torchaudio, librosa (`norm="ortho"`) and Kaldi make cepstra with.
///
/// The cosines of even k read the same both ways and those of odd k change sign: the numbers are added to, or taken from,
/// their mirror images first, which halves the work.
#[derive(Debug, Clone, PartialEq)]
pub struct Dct {
    num_in: usize,
    num_out: usize,
    even: Half,
    odd: Half,
}

/// The even or the odd coefficients.
#[derive(Debug, Clone, PartialEq)]
struct Half {
    /// What becomes of each number and its mirror image, filled up with zeros to whole groups.
    folded: Vec<f32>,
    /// For each of them its weight in every coefficient, filled up with zeros to whole groups.
    weights: Vec<f32>,
    sums: Vec<f32>,
}

impl Half {
    /// `count` coefficients of `num_folded` numbers.
    fn new(num_folded: usize, count: usize, weight: impl Fn(usize, usize) -> f64) -> Self {
        let (rows, width) = (num_folded.next_multiple_of(GROUP), count.next_multiple_of(GROUP));
        let mut weights = vec![0.0; rows * width];
        for (input, row) in weights.chunks_exact_mut(width.max(1)).take(num_folded).enumerate() {
            for (number, value) in row[..count].iter_mut().enumerate() {
                *value = weight(input, number) as f32;
            }
        }
        Self { folded: vec![0.0; rows], weights, sums: vec![0.0; width] }
    }

    fn apply(&mut self) {
        add_weighted(&self.folded, &self.weights, &mut self.sums);
    }
}

/// Fills `sums` with the sum of each row of `weights` times its number of `folded`.
#[multiversion(targets("x86_64+avx2"))]
fn add_weighted(folded: &[f32], weights: &[f32], sums: &mut [f32]) {
    let width = sums.len().max(1);
    sums.fill(0.0);
    for (numbers, weights) in folded.chunks_exact(GROUP).zip(weights.chunks_exact(GROUP * width)) {
        let &[a, b, c, d] = numbers else { unreachable!("a group of {GROUP}") };
        let ((of_a, of_b), (of_c, of_d)) = {
            let (first, second) = weights.split_at(2 * width);
            (first.split_at(width), second.split_at(width))
        };
        let weights = of_a.iter().zip(of_b).zip(of_c.iter().zip(of_d));
        for (sum, ((of_a, of_b), (of_c, of_d))) in sums.iter_mut().zip(weights) {
            *sum += (a * of_a + b * of_b) + (c * of_c + d * of_d);
        }
    }
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
        let n = num_in as f64;
        let weight = |input: usize, k: usize| {
            let norm = if k == 0 { 1.0 / SQRT_2 } else { 1.0 };
            scale(k) * norm * (2.0 / n).sqrt() * (PI * k as f64 * (input as f64 + 0.5) / n).cos()
        };
        // The number in the middle is its own mirror image: it counts once in even coefficients and not in odd ones.
        let even = Half::new(num_in.div_ceil(2), num_out.div_ceil(2), |input, number| weight(input, 2 * number));
        let odd = Half::new(num_in / 2, num_out / 2, |input, number| weight(input, 2 * number + 1));
        Self { num_in, num_out, even, odd }
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
        let Self { num_in, even, odd, .. } = self;
        let (half, middle) = (*num_in / 2, num_in.div_ceil(2));
        let pairs = input[..half].iter().zip(input[middle..*num_in].iter().rev());
        let folded = even.folded.iter_mut().zip(&mut odd.folded);
        for ((number, image), (even, odd)) in pairs.zip(folded) {
            (*even, *odd) = (number + image, number - image);
        }
        if middle > half {
            even.folded[half] = input[half];
        }
        even.apply();
        odd.apply();
        let (evens, odds) = (even.sums.iter(), odd.sums.iter());
        coefficients.iter_mut().step_by(2).zip(evens).for_each(|(coefficient, &sum)| *coefficient = sum);
        coefficients.iter_mut().skip(1).step_by(2).zip(odds).for_each(|(coefficient, &sum)| *coefficient = sum);
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
    fn coefficients_are_those_of_the_definition() {
        for (num_in, num_out) in [(1, 1), (2, 2), (3, 2), (7, 7), (23, 13), (80, 13), (129, 40)] {
            let input: Vec<f32> = (0..num_in).map(|n| ((n * n) % 11) as f32 - 4.0).collect();
            let mut coefficients = vec![7.0; num_out];
            Dct::new(num_in, num_out).apply(&input, &mut coefficients);
            for (k, &coefficient) in coefficients.iter().enumerate() {
                let cosine = |n: usize| (PI * k as f64 * (n as f64 + 0.5) / num_in as f64).cos();
                let sum: f64 = input.iter().enumerate().map(|(n, &number)| f64::from(number) * cosine(n)).sum();
                let norm = (if k == 0 { 1.0 } else { 2.0 } / num_in as f64).sqrt();
                assert!((f64::from(coefficient) - norm * sum).abs() < 1e-5, "{k} of {num_in}");
            }
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
